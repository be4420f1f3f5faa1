"""The coasts, borders and lakes that ship with the program, decoded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

KINDS = ("coast", "border", "lake")
UNITS_PER_DEGREE = 10_000


@dataclass(frozen=True, eq=False)
class World:
    """points: (N, 2) longitudes and latitudes. line: (N,) the line each belongs to. kind: (lines,) index into
    KINDS. bounds: (lines, 4) west, east, south, north."""

    points: Points
    line: NDArray[np.int64]
    kind: NDArray[np.uint8]
    bounds: Points


@lru_cache(maxsize=2)
def load_world(path: Path) -> World:
    """Decodes the file that packaging/make_maps.py writes; kept for the next grid."""
    with np.load(path, allow_pickle=False) as file:
        steps, starts, kind = file["points"].astype(np.int64), file["starts"].astype(np.int64), file["kind"]
    lengths = np.diff(starts)
    sums = np.cumsum(steps, axis=0)
    before = np.vstack([np.zeros((1, 2), np.int64), sums[starts[1:-1] - 1]])
    points = (sums - np.repeat(before, lengths, axis=0)) / UNITS_PER_DEGREE
    low = np.minimum.reduceat(points, starts[:-1])
    high = np.maximum.reduceat(points, starts[:-1])
    bounds = np.column_stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]])
    return World(points, np.repeat(np.arange(lengths.size), lengths), kind, bounds)
