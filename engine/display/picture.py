"""A frame ready to be drawn: 8-bit bins, an opaque RGB32 image, and threshold contours in grid coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.display.contours import Contour, contour_lines
from engine.radar.grid import Grid
from engine.radar.packed import AnyField, rows_of, unpacked
from engine.radar.scaling import NO_DATA, RainBins, rain_bins
from engine.radar.sequence import Field

MAX_SIDE = 2048
"""Larger frames are shown as the maximum over blocks; values under the cursor stay exact."""

HATCH_PERIOD = 9

Window = tuple[slice, slice]
"""Rows and columns of a frame, both with start and stop."""


@dataclass(frozen=True)
class Picture:
    """bins: (h, w) uint8. image: (h, w) uint32 0xffRRGGBB, row 0 in the north. rain_rate: the whole frame,
    (ny, nx) mm/h, packed if it is large; ``rain_rate[row, column]`` is exact. block: how many cells make one pixel
    along each axis. grid: where the drawn part lies. window: which part that is; None for the whole frame."""

    bins: NDArray[np.uint8]
    image: NDArray[np.uint32]
    contours: tuple[Contour, ...]
    rain_rate: AnyField
    block: int
    grid: Grid | None = None
    window: Window | None = None

    @property
    def nbytes(self) -> int:
        lines = sum(line.xy.nbytes for line in self.contours)
        return self.bins.nbytes + self.image.nbytes + self.rain_rate.nbytes + lines


def make_picture(rain_rate: AnyField, grid: Grid, colours: NDArray[np.uint32], thresholds: tuple[float, ...], *,
                 window: Window | None = None) -> Picture:
    """rain_rate: (ny, nx) mm/h on ``grid``. colours: 256 entries, see :func:`colour`. thresholds: mm/h, contours
    drawn. window: draw only these cells, so that a part of a large frame shows every one of them. A packed frame is
    worked through strip by strip and never an array.

    Raises ValueError for a window of fewer than 2 x 2 cells.
    """
    field, place = (rain_rate, grid) if window is None else _cut(rain_rate, grid, window)
    block = display_block(place.shape)
    bins = _bins(field, thresholds, block)
    return Picture(bins, colour(bins, colours), contour_lines(field, place, thresholds), rain_rate, block, place,
                   window)


def _cut(rain_rate: AnyField, grid: Grid, window: Window) -> tuple[Field, Grid]:
    rows, columns = (slice(*part.indices(size)) for part, size in zip(window, grid.shape, strict=True))
    if rows.stop - rows.start < 2 or columns.stop - columns.start < 2:
        raise ValueError(f"a window needs at least two rows and columns, not {window}")
    return rows_of(rain_rate, rows)[:, columns], Grid(grid.x[columns], grid.y[rows], grid.crs)


def _bins(field: AnyField, thresholds: tuple[float, ...], block: int) -> NDArray[np.uint8]:
    """The bins of the blocks, strip by strip, so that a large frame costs no second copy."""
    binned = binning(thresholds)
    if block == 1:
        return binned(unpacked(field))
    high = max(1, _STRIP_CELLS // (field.shape[1] * block)) * block
    return np.concatenate([coarsen(binned(np.ascontiguousarray(rows_of(field, slice(top, top + high)))), block)
                           for top in range(0, field.shape[0], high)])


def binning(thresholds: tuple[float, ...]) -> RainBins:
    return rain_bins(thresholds)


_STRIP_CELLS = 1 << 20


def display_block(shape: tuple[int, int]) -> int:
    return -(-max(shape) // MAX_SIDE)


def coarsen(bins: NDArray[np.uint8], block: int) -> NDArray[np.uint8]:
    """The highest bin of each block x block square; no data only where the whole square has none."""
    if block == 1:
        return bins
    height, width = (-(-side // block) for side in bins.shape)
    shifted = bins + np.uint8(1)  # no data wraps to 0, below every value
    padded = np.zeros((height * block, width * block), np.uint8)
    padded[: bins.shape[0], : bins.shape[1]] = shifted
    highest = padded.reshape(height, block, width, block).max(axis=(1, 3))
    return np.asarray(highest - np.uint8(1), np.uint8)


def colour(bins: NDArray[np.uint8], colours: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Bins through a table of 256 opaque colours; "no data" gets a faint diagonal hatch."""
    image = colours.take(bins)
    missing = bins == NO_DATA
    if missing.any():
        rows = np.arange(bins.shape[0])[:, None]
        columns = np.arange(bins.shape[1])[None, :]
        image[missing & ((rows + columns) % HATCH_PERIOD == 0)] = _lighter(int(colours[NO_DATA]))
    return image


def _lighter(colour_value: int, by: int = 22) -> np.uint32:
    channels = [(colour_value >> shift) & 0xFF for shift in (16, 8, 0)]
    red, green, blue = (min(255, channel + by) for channel in channels)
    return np.uint32(0xFF000000 | red << 16 | green << 8 | blue)
