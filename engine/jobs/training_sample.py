"""A sample forecast of a training run, ready to be drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.display.picture import binning, colour
from engine.errors import UnreadableInput
from engine.jobs.events import Event, Finished
from engine.jobs.scope import Scope
from engine.training import kept_samples

Image = NDArray[np.uint32]


@dataclass(frozen=True)
class SampleRequest:
    """step: of one of the run's samples. colours, thresholds: as in :class:`engine.jobs.display.DisplayRequest`."""

    folder: Path
    step: int
    colours: NDArray[np.uint32]
    thresholds: tuple[float, ...]


@dataclass(frozen=True)
class SampleReady(Event):
    """observed, forecast: an image (h, w) uint32 0xffRRGGBB for each lead time. leads: their numbers, from 1."""

    folder: Path
    step: int
    observed: tuple[Image, ...]
    forecast: tuple[Image, ...]
    leads: tuple[int, ...]


def run(request: SampleRequest, scope: Scope) -> Iterator[Event]:
    """Yields SampleReady. Raises UnreadableInput."""
    path = kept_samples.files(request.folder).get(request.step)
    if path is None:
        raise UnreadableInput(request.folder, f"there is no sample of step {request.step}")
    sample = kept_samples.read(path)
    binned = binning(request.thresholds)
    observed, forecast = (tuple(colour(binned(frame), request.colours) for frame in frames)
                          for frames in (sample.observed, sample.forecast))
    yield SampleReady(request.folder, request.step, observed, forecast, tuple(int(lead) for lead in sample.leads))
    yield Finished()
