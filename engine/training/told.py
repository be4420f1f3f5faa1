"""What a run tells while it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Told:
    """Base of all of these. step: steps done."""

    step: int


@dataclass(frozen=True)
class StepDone(Told):
    """values: loss, each of its parts by name, learning_rate, gradient_norm, sequences_per_second."""

    steps: int
    epoch: float
    values: dict[str, float]


@dataclass(frozen=True)
class Validated(Told):
    """scores: the document of :class:`engine.training.validation.Scores`. better: than ever before."""

    scores: dict[str, Any]
    better: bool


@dataclass(frozen=True)
class SampleForecast(Told):
    """One sequence of the validation in the network's unit, (T, ny, nx) each, float32; NaN where not measured."""

    observed: NDArray[np.float32]
    forecast: NDArray[np.float32]


@dataclass(frozen=True)
class Saved(Told):
    path: Path


@dataclass(frozen=True)
class Note(Told):
    """Something the user should know."""

    text: str
