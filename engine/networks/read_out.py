"""How the values of a blurred forecast are read: from which value on a threshold counts as reached.

A network that was taught to err little where it is in doubt forecasts too little heavy rain, the less the farther
ahead. The order of its values is still right. For each lead time and threshold, the value from which on saying "it is
reached" had the highest CSI (on sequences that were not trained on) is kept with the weights; a forecast is then read
along the line through these pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

MM_H = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""Thresholds that are looked at."""
_APART = 1e-4
Field = NDArray[np.float32]


@dataclass(frozen=True)
class ReadOut:
    """levels: for each lead time the network's values in [0, 1], rising, one for each of ``units``: the thresholds in
    the network's unit, rising. Raises ValueError where that is not so."""

    units: tuple[float, ...]
    levels: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        rows = (self.units, *self.levels)
        if not self.levels or any(len(row) != len(self.units) for row in rows):
            raise ValueError("a read-out has a level for each lead time and threshold")
        if any(not 0 < low < high < 1 for row in rows for low, high in pairwise(row)):
            raise ValueError("the levels of a read-out rise between 0 and 1")

    def read(self, values: Field, lead: int) -> Field:
        """values: (ny, nx) in [0, 1]. lead: from 0; beyond the last one, the last one's levels hold."""
        levels = self.levels[min(lead, len(self.levels) - 1)]
        read = np.interp(values, (0.0, *levels, 1.0), (0.0, *self.units, 1.0))
        return read.astype(np.float32)


def rising(levels: NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    """(leads, thresholds) values, made to rise strictly within (0, 1)."""
    count = levels.shape[1]
    kept = np.maximum.accumulate(levels, axis=1) + _APART * np.arange(1, count + 1)
    kept = np.clip(kept, None, 1.0 - _APART * np.arange(count + 1, 1, -1))
    return tuple(tuple(float(value) for value in row) for row in kept)
