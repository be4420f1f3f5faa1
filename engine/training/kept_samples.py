"""What a network in training makes of one sequence of the validation, kept for whoever watches: a small file for each
validation, in mm/h."""

from __future__ import annotations

import logging
import os
import re
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.errors import UnreadableInput

if TYPE_CHECKING:
    from engine.training.preparation import Preparation
    from engine.training.told import SampleForecast

log = logging.getLogger(__name__)

FOLDER = "samples"
MOST_FILES, MOST_LEADS, MOST_SIDE = 40, 6, 128
_NAME = re.compile(r"step-(\d{9})\.npz")
_RATES = np.concatenate([[0.0], np.geomspace(0.02, 300.0, 160)])


class KeptSample(NamedTuple):
    """observed, forecast: (T, ny, nx) mm/h, NaN where not measured. leads: number of each lead time, from 1."""

    observed: NDArray[np.float32]
    forecast: NDArray[np.float32]
    leads: NDArray[np.int64]


def files(folder: Path) -> dict[int, Path]:
    """By step, oldest first."""
    named = ((_NAME.fullmatch(file.name), file) for file in (folder / FOLDER).glob("step-*.npz"))
    return dict(sorted((int(match[1]), file) for match, file in named if match))


class Samples:
    """``add`` what a run tells. A file that cannot be written ends the pictures, not the training."""

    def __init__(self, folder: Path, preparation: Preparation, leads: int) -> None:
        self._folder, self._leads = folder, leads
        self._units, first = np.unique([preparation.unit(float(rate)) for rate in _RATES], return_index=True)
        self._rates = _RATES[first]

    def add(self, said: SampleForecast) -> None:
        shown = said.observed.shape[0]
        first = max(0, shown - self._leads)  # what comes before are one-step forecasts of the inputs
        chosen = np.unique(np.linspace(first, shown - 1, min(MOST_LEADS, shown - first)).round().astype(int))
        thin = -(-max(said.observed.shape[1:]) // MOST_SIDE)
        observed, forecast = (self._rain(frames[chosen, ::thin, ::thin]) for frames in (said.observed, said.forecast))
        target = self._folder / FOLDER / f"step-{said.step:09d}.npz"
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            target.parent.mkdir(exist_ok=True)
            with beside.open("wb") as file:
                np.savez_compressed(file, observed=observed, forecast=forecast, leads=chosen - first + 1)
            os.replace(beside, target)
        except OSError as problem:
            log.warning("%s: %s", target, problem)
            with suppress(OSError):
                beside.unlink()
        for older in list(files(self._folder).values())[:-MOST_FILES]:
            with suppress(OSError):
                older.unlink()

    def _rain(self, units: NDArray[np.float32]) -> NDArray[np.float16]:
        return np.asarray(np.interp(units, self._units, self._rates), np.float16)


def read(path: Path) -> KeptSample:
    """Raises UnreadableInput."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            return KeptSample(kept["observed"].astype(np.float32), kept["forecast"].astype(np.float32), kept["leads"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as problem:
        raise UnreadableInput(path, str(problem), tried="a sample forecast") from problem
