"""Threshold contours of a rain-rate frame, as few large arrays so that drawing them costs little."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.radar.grid import Grid
from engine.radar.sequence import Field

MAX_SIDE = 768
"""Longer frames are averaged over blocks before they are contoured."""


@dataclass(frozen=True)
class Contour:
    """All lines of one threshold. xy: (N, 2) float32 in grid coordinates. starts: (lines + 1,) offsets of the
    lines' first points, N at the end."""

    threshold: float
    xy: NDArray[np.float32]
    starts: NDArray[np.int64]


def contour_lines(rain_rate: Field, grid: Grid, thresholds: tuple[float, ...]) -> tuple[Contour, ...]:
    """rain_rate: (ny, nx) mm/h, NaN cuts the lines. One Contour per threshold (mm/h), empty ones included."""
    from contourpy import LineType, contour_generator

    field, x, y = _coarse(rain_rate, grid)
    # contours of the fourth root lie where a forecaster expects them between a dry and a wet cell
    generator = contour_generator(x, y, np.ma.masked_invalid(_root(field)), name="serial",
                                  line_type=LineType.ChunkCombinedOffset)
    result = []
    for threshold in thresholds:
        points, offsets = generator.lines(float(_root(np.float32(threshold))))
        if points[0] is None:
            result.append(Contour(threshold, np.empty((0, 2), np.float32), np.zeros(1, np.int64)))
        else:
            result.append(Contour(threshold, points[0].astype(np.float32), offsets[0].astype(np.int64)))
    return tuple(result)


def _root(rain_rate: NDArray[np.float32] | np.float32) -> NDArray[np.float32]:
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sqrt(np.sqrt(np.maximum(rain_rate, 0))), np.float32)


def _coarse(rain_rate: Field, grid: Grid) -> tuple[Field, NDArray[np.float64], NDArray[np.float64]]:
    block = -(-max(grid.shape) // MAX_SIDE)
    if block == 1:
        return rain_rate, grid.x, grid.y
    height, width = (side // block for side in grid.shape)
    cut = rain_rate[: height * block, : width * block].reshape(height, block, width, block)
    x = grid.x[: width * block].reshape(width, block).mean(axis=1)
    y = grid.y[: height * block].reshape(height, block).mean(axis=1)
    return np.asarray(cut.mean(axis=(1, 3)), np.float32), x, y
