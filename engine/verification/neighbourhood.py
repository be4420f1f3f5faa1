"""Fractions skill score: is there as much rain in the neighbourhood, even if not in the very cell?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def fraction_table(observed: Field, predicted: Field, thresholds: Sequence[float], sides: Sequence[int],
                   valid: NDArray[np.bool_] | None = None, *, check: Callable[[], None] | None = None
                   ) -> tuple[tuple[Fractions, ...], ...]:
    """:func:`fractions` for every side (outer) and threshold (inner) at once, several times faster.

    Sums over squares come from running totals, and only the neighbourhoods that hold an event of either field are
    looked at: elsewhere both fractions are 0. check: asked before every threshold and side; may raise to stop.
    """
    if any(side < 1 or side % 2 == 0 for side in sides):
        raise ValueError(f"neighbourhoods need odd sides, not {tuple(sides)}")
    usable = np.isfinite(observed) & np.isfinite(predicted)
    if valid is not None:
        usable &= valid
    known, columns = _totals(usable), []
    for threshold in thresholds:
        if check is not None:
            check()
        events = [usable & (field >= np.float32(threshold)) for field in (predicted, observed)]
        columns.append(_at_sides(events, usable, known, sides, check))
    return tuple(zip(*columns, strict=True)) if columns else tuple(() for _ in sides)


def useful_score(observed: Field, threshold: float) -> float:
    """0.5 + f / 2 with f the observed share of events: the FSS above which a forecast is called useful."""
    known = observed[np.isfinite(observed)]
    return 0.5 + float((known >= np.float32(threshold)).mean()) / 2 if known.size else float("nan")


def _box_sum(field: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    total = ndimage.uniform_filter(field, side, mode="constant") * side * side
    return np.asarray(np.rint(total))


Totals = NDArray[np.int32]
_STRIP_CELLS = 1 << 20
"""Neighbourhoods looked at in one go: bounds the memory of large domains and how long nobody asks the token."""


def _totals(mask: NDArray[np.bool_]) -> Totals:
    """(ny + 1, nx + 1) running totals from the first corner; the first row and column are 0."""
    totals = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), np.int32)
    np.cumsum(mask, axis=0, dtype=np.int32, out=totals[1:, 1:])
    np.cumsum(totals[1:, 1:], axis=1, out=totals[1:, 1:])
    return totals


def _at_sides(events: list[NDArray[np.bool_]], usable: NDArray[np.bool_], known: Totals, sides: Sequence[int],
              check: Callable[[], None] | None) -> list[Fractions]:
    either = events[0] | events[1]
    rows, columns = (np.flatnonzero(either.any(axis=axis)) for axis in (1, 0))
    if rows.size == 0:
        return [Fractions() for _ in sides]
    sums = [_totals(event) for event in events]
    found = []
    for side in sides:
        reach_y, reach_x = (slice(max(0, int(hit[0]) - side // 2), min(size, int(hit[-1]) + side // 2 + 1))
                            for hit, size in zip((rows, columns), usable.shape, strict=True))
        high = max(1, _STRIP_CELLS // (reach_x.stop - reach_x.start))
        total = Fractions()
        for top in range(reach_y.start, reach_y.stop, high):
            if check is not None:
                check()
            total += _strip(sums, usable, known, side, slice(top, min(top + high, reach_y.stop)), reach_x)
        found.append(total)
    return found


def _strip(sums: list[Totals], usable: NDArray[np.bool_], known: Totals, side: int, rows: slice,
           columns: slice) -> Fractions:
    below, inside = np.maximum(_boxes(known, side, rows, columns), 1), usable[rows, columns]
    forecast, truth = (np.where(inside, _boxes(total, side, rows, columns) / below, 0.0) for total in sums)
    return Fractions(float(((forecast - truth) ** 2).sum()), float((forecast**2 + truth**2).sum()))


def _boxes(totals: Totals, side: int, rows: slice, columns: slice) -> NDArray[np.int32]:
    """Sums over the squares about the cells of a part of the field, cut at its border."""
    half, (height, width) = side // 2, (size - 1 for size in totals.shape)
    y, x = np.arange(rows.start, rows.stop), np.arange(columns.start, columns.stop)
    band = totals[np.minimum(y + half + 1, height)] - totals[np.maximum(y - half, 0)]
    return np.asarray(band[:, np.minimum(x + half + 1, width)] - band[:, np.maximum(x - half, 0)], np.int32)
