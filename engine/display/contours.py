"""Threshold contours of a rain-rate frame, as few large arrays so that drawing them costs little."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.radar.grid import Grid
from engine.radar.packed import AnyField, rows_of, unpacked
from engine.radar.sequence import Field

MAX_SIDE = 768
"""Longer frames are averaged over blocks before they are contoured."""

TOLERANCE = 0.25
"""How far a line may move when points are left out, in cells; a quarter cell is no pixel on the screen."""

_STRIP_CELLS = 1 << 20


@dataclass(frozen=True)
class Contour:
    """All lines of one threshold. xy: (N, 2) float32 in grid coordinates. starts: (lines + 1,) offsets of the
    lines' first points, N at the end."""

    threshold: float
    xy: NDArray[np.float32]
    starts: NDArray[np.int64]


def contour_lines(rain_rate: AnyField, grid: Grid, thresholds: tuple[float, ...]) -> tuple[Contour, ...]:
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
            result.append(Contour(threshold, *simplified(points[0], offsets[0].astype(np.int64), TOLERANCE * grid.dx)))
    return tuple(result)


def simplified(xy: NDArray[np.float64], starts: NDArray[np.int64], tolerance: float
               ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Lines without the points that lie within ``tolerance`` of the chord between their neighbours.

    xy: (N, 2). starts: (lines + 1,), N at the end. Two rounds, each over every second point, so that no two
    neighbours go at once; the ends of every line stay.
    """
    for _ in range(2):
        if len(xy) < 3:
            break
        place = np.arange(len(xy)) - np.repeat(starts[:-1], np.diff(starts))
        keep = place % 2 == 0
        keep[starts[1:] - 1] = True
        before, here, after = xy[:-2], xy[1:-1], xy[2:]
        chord, arm = after - before, here - before
        length = np.maximum(np.hypot(chord[:, 0], chord[:, 1]), 1e-12)
        off = np.abs(chord[:, 0] * arm[:, 1] - chord[:, 1] * arm[:, 0]) / length
        keep[1:-1] |= off > tolerance
        xy, starts = xy[keep], np.concatenate([[0], np.cumsum(keep)])[starts]
    return xy.astype(np.float32), starts.astype(np.int64)


def _root(rain_rate: NDArray[np.float32] | np.float32) -> NDArray[np.float32]:
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sqrt(np.sqrt(np.maximum(rain_rate, 0))), np.float32)


def _coarse(rain_rate: AnyField, grid: Grid) -> tuple[Field, NDArray[np.float64], NDArray[np.float64]]:
    block = -(-max(grid.shape) // MAX_SIDE)
    if block == 1:
        return unpacked(rain_rate), grid.x, grid.y
    height, width = (side // block for side in grid.shape)
    mean = np.empty((height, width), np.float32)
    high = max(1, _STRIP_CELLS // (grid.shape[1] * block))
    for top in range(0, height, high):
        bottom = min(top + high, height)
        rows = rows_of(rain_rate, slice(top * block, bottom * block))[:, : width * block]
        mean[top:bottom] = rows.reshape(bottom - top, block, width, block).mean(axis=(1, 3))
    x = grid.x[: width * block].reshape(width, block).mean(axis=1)
    y = grid.y[: height * block].reshape(height, block).mean(axis=1)
    return mean, x, y
