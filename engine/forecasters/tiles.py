"""A large domain cut into overlapping tiles, and the weights that put it together again without a seam."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Span:
    """A tile along one axis: cells start to stop. weights: (stop - start,) float32; those of all tiles add to 1."""

    start: int
    stop: int
    weights: NDArray[np.float32]


@dataclass(frozen=True)
class Tile:
    rows: Span
    columns: Span

    @property
    def place(self) -> tuple[slice, slice]:
        return slice(self.rows.start, self.rows.stop), slice(self.columns.start, self.columns.stop)

    @property
    def weights(self) -> NDArray[np.float32]:
        """(rows, columns)"""
        return self.rows.weights[:, None] * self.columns.weights[None, :]


def cut(shape: tuple[int, int], side: tuple[int, int], overlap: int, multiple: int = 1) -> list[Tile]:
    """Tiles of at most ``side`` cells that cover ``shape``; neighbours share at least ``overlap`` cells.

    Tiles start at multiples of ``multiple``, so that a network's coarse grids meet. The outer quarter of an overlap
    is left to the neighbour, whose own border is far away there; between the quarters the weight goes over evenly.
    """
    rows = _along(shape[0], side[0], overlap, multiple)
    columns = _along(shape[1], side[1], overlap, multiple)
    return [Tile(row, column) for row in rows for column in columns]


def _along(length: int, side: int, overlap: int, multiple: int) -> list[Span]:
    if length <= side:
        return [Span(0, length, np.ones(length, np.float32))]
    side = max(multiple, side // multiple * multiple)
    overlap = min(overlap, side // 2)
    count = 1 + -(-(length - side) // max(multiple, (side - overlap) // multiple * multiple))
    starts = [round((length - side) * k / (count - 1) / multiple) * multiple for k in range(count)]
    raw = []
    for k, start in enumerate(starts):
        stop = min(length, start + side) if k < count - 1 else length
        cells: NDArray[np.float64] = np.arange(start, stop, dtype=np.float64) + np.float64(0.5)
        left = _rise(cells - start, starts[k - 1] + side - start) if k else np.ones(cells.size)
        right = _rise(stop - cells, stop - starts[k + 1]) if k < count - 1 else np.ones(cells.size)
        raw.append((start, stop, left * right))
    total = np.zeros(length)
    for start, stop, weight in raw:
        total[start:stop] += weight
    return [Span(start, stop, (weight / total[start:stop]).astype(np.float32)) for start, stop, weight in raw]


def _rise(distance: NDArray[np.float64], shared: int) -> NDArray[np.float64]:
    """From 0 to 1 between a quarter and three quarters of the shared cells."""
    return np.asarray(np.clip((distance - shared / 4) / max(shared / 2, 1e-9), 0.0, 1.0))
