"""Hits, misses, false alarms and correct negatives of one threshold as a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.display.picture import Picture, coarsen, colour, display_block
from engine.radar.grid import Grid
from engine.radar.packed import AnyField
from engine.radar.scaling import NO_DATA
from engine.radar.sequence import Field

CORRECT_NEGATIVE, HIT, FALSE_ALARM, MISS = range(4)
"""Bins of the picture; where a block of a large grid holds several, the last of this order is shown."""

COLOURS = {HIT: (0x1E8A6C, 0x00765A), MISS: (0x7DB0FF, 0x1F4FD0), FALSE_ALARM: (0xF2A33A, 0xE08A00)}
"""0xRRGGBB on dark and on light ground. Too little is blue and too much orange, as in the difference of the maps."""


@dataclass(frozen=True)
class EventCounts:
    """Cells (pooled: windows) of each kind; they add up to those where both fields have data."""

    hits: int
    misses: int
    false_alarms: int
    correct_negatives: int

    @property
    def total(self) -> int:
        return self.hits + self.misses + self.false_alarms + self.correct_negatives

    def shares(self) -> tuple[float, float, float, float]:
        """Hits, misses, false alarms, correct negatives over their sum; zeros where there are none."""
        counts = (self.hits, self.misses, self.false_alarms, self.correct_negatives)
        hits, misses, false_alarms, rest = (count / max(self.total, 1) for count in counts)
        return hits, misses, false_alarms, rest


def contingency_colours(ground: int, no_data: int, dark: bool) -> NDArray[np.uint32]:
    """256 opaque uint32 0xffRRGGBB by bin; ground: of correct negatives."""
    table = np.full(256, ground, np.uint32)
    for kind, pair in COLOURS.items():
        table[kind] = pair[0 if dark else 1]
    table[NO_DATA] = no_data
    return np.asarray(table | np.uint32(0xFF000000), np.uint32)


def contingency_bins(observed: Field, predicted: Field, threshold: float,
                     valid: NDArray[np.bool_] | None = None) -> NDArray[np.uint8]:
    """observed, predicted: (ny, nx) mm/h, NaN = no data. An event is value >= threshold. NO_DATA where one of the
    fields has no data or ``valid`` is False."""
    known = np.isfinite(observed) & np.isfinite(predicted)
    if valid is not None:
        known &= valid
    with np.errstate(invalid="ignore"):
        seen, foreseen = (field >= np.float32(threshold) for field in (observed, predicted))
    kind = np.select([seen & foreseen, seen, foreseen], [HIT, MISS, FALSE_ALARM], CORRECT_NEGATIVE).astype(np.uint8)
    return np.asarray(np.where(known, kind, np.uint8(NO_DATA)), np.uint8)


def count_kinds(bins: NDArray[np.uint8]) -> EventCounts:
    counts = np.bincount(bins.ravel(), minlength=256)
    return EventCounts(int(counts[HIT]), int(counts[MISS]), int(counts[FALSE_ALARM]), int(counts[CORRECT_NEGATIVE]))


def contingency_picture(bins: NDArray[np.uint8], grid: Grid, colours: NDArray[np.uint32], predicted: AnyField,
                        window: int = 1) -> Picture:
    """bins: as of :func:`contingency_bins`, of windows of ``window`` x ``window`` cells from the north-west corner.
    predicted: what the picture gives as its rain rate."""
    if window > 1:
        ny, nx = grid.shape
        bins = bins.repeat(window, axis=0).repeat(window, axis=1)[:ny, :nx]
    block = display_block(bins.shape)
    shown = coarsen(bins, block)
    return Picture(shown, colour(shown, colours), (), predicted, block, grid)
