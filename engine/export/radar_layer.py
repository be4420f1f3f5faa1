"""A rain-rate frame at the resolution of its pane: exact colours, no data hatched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.export.layout import View
from engine.export.look import Look, mixed, packed, unpacked
from engine.radar.grid import Grid
from engine.radar.scaling import NO_DATA, rain_bins
from engine.radar.sequence import Field

_TIE = 1e-9
"""A cell centre on the edge of two pixels belongs to the second one, whatever rounding says."""


@dataclass(frozen=True)
class _Axis:
    """Which cells make which pixels along one axis. pixels: the run of pixels that lie on the grid. cells: the
    run of cells they need. starts: for each pixel its first cell, counted from the first of the run. merges:
    whether a pixel holds whole cells (then the highest counts) or lies inside one."""

    pixels: slice
    cells: slice
    starts: NDArray[np.intp]
    merges: bool


class RadarLayer:
    """Built once for a grid, a view and a pane; then called for each frame."""

    def __init__(self, grid: Grid, view: View, size: tuple[int, int], look: Look, unit: float) -> None:
        width, height = size
        left, _, _, top = grid.extent
        self._columns = _axis((view[0] - left) / grid.dx, (view[1] - left) / grid.dx, width, grid.shape[1])
        self._rows = _axis((top - view[3]) / grid.dy, (top - view[2]) / grid.dy, height, grid.shape[0])
        self._bins = rain_bins(look.thresholds)
        self._colours = np.ascontiguousarray(look.colours, np.uint32)
        self._empty = np.full((height, width), packed(look.theme.outside), np.uint32)
        self._hatch = hatch(width, height, look, unit)

    def __call__(self, rain_rate: Field | None) -> NDArray[np.uint32]:
        """rain_rate: (ny, nx) mm/h, or None for an empty pane. Returns (height, width) 0xffRRGGBB."""
        canvas = self._empty.copy()
        rows, columns = self._rows, self._columns
        if rain_rate is None or rows.starts.size == 0 or columns.starts.size == 0:
            return canvas
        cut = self._bins(rain_rate[rows.cells, columns.cells])
        bins = _resample(_resample(cut, rows, 0), columns, 1)
        image = self._colours.take(bins)
        missing = bins == NO_DATA
        if missing.any():
            np.copyto(image, self._hatch[rows.pixels, columns.pixels], where=missing)
        canvas[rows.pixels, columns.pixels] = image
        return canvas


def hatch(width: int, height: int, look: Look, unit: float) -> NDArray[np.uint32]:
    """The no-data pattern: faint diagonals, one period every nine units."""
    ground = unpacked(int(look.colours[NO_DATA]))
    stroke = packed(mixed(ground, look.theme.muted, 0.28))
    period = max(6, round(9 * unit))
    diagonal = (np.arange(height)[:, None] + np.arange(width)[None, :]) % period
    lines = diagonal < max(1, round(unit))
    return np.where(lines, np.uint32(stroke), np.uint32(look.colours[NO_DATA])).astype(np.uint32)


def _axis(first: float, last: float, pixels: int, cells: int) -> _Axis:
    """first, last: edges of the pane in cells from the grid's edge."""
    per_pixel = (last - first) / pixels
    middles = np.floor(first + (np.arange(pixels) + 0.5) * per_pixel).astype(np.intp)
    inside = np.flatnonzero((middles >= 0) & (middles < cells))
    if inside.size == 0:
        return _Axis(slice(0, 0), slice(0, 0), np.empty(0, np.intp), False)
    run = slice(int(inside[0]), int(inside[-1]) + 1)
    if per_pixel < 1:
        starts = middles[run]
        low = int(starts[0])
        return _Axis(run, slice(low, int(starts[-1]) + 1), starts - low, False)
    edges = np.ceil(first + np.arange(run.start, run.stop + 1) * per_pixel - 0.5 - _TIE).astype(np.intp).clip(0, cells)
    low = int(min(edges[0], middles[run.start]))
    starts = np.minimum(edges[:-1], cells - 1) - low
    return _Axis(run, slice(low, max(int(edges[-1]), low + int(starts[-1]) + 1)), starts, True)


def _resample(bins: NDArray[np.uint8], axis: _Axis, along: int) -> NDArray[np.uint8]:
    """The highest bin of the cells of each pixel; no data only where all of them have none."""
    if not axis.merges:
        return bins.take(axis.starts, axis=along)
    shifted = bins + np.uint8(1)  # no data wraps to 0, below every value
    return np.asarray(np.maximum.reduceat(shifted, axis.starts, axis=along) - np.uint8(1), np.uint8)
