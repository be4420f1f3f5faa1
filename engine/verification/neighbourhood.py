"""Fractions skill score: is there as much rain in the neighbourhood, even if not in the very cell?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.radar.sequence import Field


@dataclass(frozen=True)
class Fractions:
    """Sums over neighbourhoods from which the score follows; they add up over frames.

    squared_difference: sum of (Pf - Po)^2. squared_sum: sum of Pf^2 + Po^2. Fractions are of valid cells."""

    squared_difference: float = 0.0
    squared_sum: float = 0.0

    def __add__(self, other: Fractions) -> Fractions:
        return Fractions(self.squared_difference + other.squared_difference, self.squared_sum + other.squared_sum)

    @property
    def score(self) -> float:
        """FSS = 1 - sum (Pf - Po)^2 / sum (Pf^2 + Po^2); 0 to 1, perfect 1; NaN where neither has an event
        (Roberts and Lean 2008, equations 5 to 7)."""
        return 1.0 - self.squared_difference / self.squared_sum if self.squared_sum > 0 else float("nan")


def fractions(observed: Field, predicted: Field, threshold: float, side: int,
              valid: NDArray[np.bool_] | None = None) -> Fractions:
    """observed, predicted: (ny, nx) mm/h, NaN = no data. side: of the square neighbourhood, in cells, odd.

    A neighbourhood's fraction is taken over its valid cells inside the domain; neighbourhoods around invalid
    cells do not count. Raises ValueError for an even side.
    """
    if side < 1 or side % 2 == 0:
        raise ValueError(f"a neighbourhood needs an odd side, not {side}")
    usable = np.isfinite(observed) & np.isfinite(predicted)
    if valid is not None:
        usable &= valid
    events = np.stack([usable & (field >= np.float32(threshold)) for field in (predicted, observed)])
    if side == 1:
        shares = events.astype(np.float64)
    else:
        known = _box_sum(usable.astype(np.float64), side)
        shares = np.stack([_box_sum(event.astype(np.float64), side) for event in events]) / np.maximum(known, 1.0)
    shares[:, ~usable] = 0.0
    forecast, truth = shares
    return Fractions(float(((forecast - truth) ** 2).sum()), float((forecast**2 + truth**2).sum()))


def useful_score(observed: Field, threshold: float) -> float:
    """0.5 + f / 2 with f the observed share of events: the FSS above which a forecast is called useful."""
    known = observed[np.isfinite(observed)]
    return 0.5 + float((known >= np.float32(threshold)).mean()) / 2 if known.size else float("nan")


def _box_sum(field: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    total = ndimage.uniform_filter(field, side, mode="constant") * side * side
    return np.asarray(np.rint(total))
