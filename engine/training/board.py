"""A run's figures and sample forecasts as TensorBoard files."""

from __future__ import annotations

import importlib
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from engine.training.told import SampleForecast, StepDone, Told, Validated

log = logging.getLogger(__name__)
MISSING = 'No TensorBoard files are written: pip install "stormdeck[train]" brings what is needed.'


class Board:
    """``with Board(folder, step) as board: board.add(told)``. step: what lies after it is superseded. Where the
    library is missing nothing is written and :attr:`note` says so."""

    def __init__(self, folder: Path, step: int, writes: bool = True) -> None:
        self.note = ""
        self._writer: Any = None
        if not writes:
            return
        try:
            tensorboard: Any = importlib.import_module("torch.utils.tensorboard")
        except ImportError:
            self.note = MISSING
            return
        self._writer = tensorboard.SummaryWriter(str(folder), purge_step=step + 1)

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *problem: object) -> None:
        if self._writer is not None:
            with suppress(OSError):
                self._writer.close()

    def add(self, said: Told) -> None:
        """A file that cannot be written any more ends the curves, not the training."""
        try:
            self._write(said)
        except OSError as problem:
            log.warning("TensorBoard files: %s", problem)
            self._writer = None

    def _write(self, said: Told) -> None:
        if self._writer is None:
            return
        for name, value in _figures(said).items():
            self._writer.add_scalar(name, value, said.step)
        if isinstance(said, SampleForecast):
            self._writer.add_image("observed, forecast", _picture(said), said.step)


def _figures(said: Told) -> dict[str, float]:
    """Name and value of everything that is a curve."""
    if isinstance(said, StepDone):
        return {f"training/{name}": value for name, value in said.values.items()}
    if isinstance(said, Validated):
        return {"validation/loss": said.scores["loss"],
                **{f"validation/{name} {score}": value for name, found in said.scores.items()
                   if isinstance(found, dict) for score, value in _means(found).items()}}
    return {}


def _means(found: dict[str, Any]) -> dict[str, float]:
    csi = {f"CSI {threshold:g} mm/h": value for threshold, value
           in zip(found["thresholds_mm_h"], found["csi_mean"], strict=True) if value is not None}
    return {"B-MSE": found["b_mse"], "B-MAE": found["b_mae"], **csi}


def _picture(said: SampleForecast) -> np.ndarray[Any, np.dtype[np.float32]]:
    """(1, rows, columns) in [0, 1]: observed frames side by side, the forecast below."""
    rows = [np.concatenate(list(np.nan_to_num(frames)), axis=1) for frames in (said.observed, said.forecast)]
    return np.asarray(np.clip(np.concatenate(rows), 0.0, 1.0)[None], np.float32)
