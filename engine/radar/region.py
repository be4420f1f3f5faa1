"""A part of the map: rectangle, polygon or basin outline, and the cells of a grid that belong to it.

A cell belongs to a region if its centre lies inside. Borders count on one side only (west and south, not east and
north), so that regions that touch never share a cell. The rings of a polygon are filled by the even-odd rule: a ring
inside another is a hole. Polygons of one region add up, overlaps count once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.radar.grid import Grid

Ring = NDArray[np.float64]
"""(N, 2) corners x, y; the last one is joined to the first."""

Polygon = tuple[Ring, ...]
"""Outer ring and holes."""

RECTANGLE, POLYGON, OUTLINE = "rectangle", "polygon", "outline"
LONLAT = "EPSG:4326"
MOST_PIECES = 4096
"""Into which one side is cut, at most, before it is carried into another projection."""


@dataclass(frozen=True, eq=False)
class Region:
    """polygons: in the coordinates of ``crs``, in those of the grid where that is None. kind: how it was made."""

    kind: str
    polygons: tuple[Polygon, ...]
    name: str = ""
    crs: str | None = None

    def __post_init__(self) -> None:
        for ring in self.rings:
            if ring.ndim != 2 or ring.shape[1] != 2 or len(ring) < 3:
                raise ValueError(f"a ring needs at least three corners (x, y), not shape {ring.shape}")
            if not np.isfinite(ring).all():
                raise ValueError("corners must be finite")

    @classmethod
    def rectangle(cls, left: float, bottom: float, right: float, top: float, name: str = "",
                  crs: str | None = None) -> Region:
        """Between two corners in any order."""
        left, right, bottom, top = min(left, right), max(left, right), min(bottom, top), max(bottom, top)
        ring = np.array([(left, bottom), (right, bottom), (right, top), (left, top)], np.float64)
        return cls(RECTANGLE, ((ring,),), name, crs)

    @classmethod
    def box(cls, west: float, south: float, east: float, north: float) -> Region:
        """Degrees of longitude and latitude; a west beyond the east crosses the date line.

        Raises ValueError with a sentence.
        """
        if not all(math.isfinite(v) for v in (west, south, east, north)) or not -90 <= south < north <= 90:
            raise ValueError("A box is west, south, east, north in degrees, the south below the north.")
        if not (-180 <= west <= 360 and -180 <= east <= 360) or west == east:
            raise ValueError("The west and the east of a box are different longitudes.")
        return cls.rectangle(west, south, east + 360 if east < west else east, north,
                             f"{west:g}, {south:g} to {east:g}, {north:g}", LONLAT)

    @classmethod
    def polygon(cls, corners: Sequence[tuple[float, float]], name: str = "") -> Region:
        """One ring in grid coordinates."""
        return cls(POLYGON, ((np.array(corners, np.float64),),), name)

    @property
    def rings(self) -> Iterator[Ring]:
        return (ring for polygon in self.polygons for ring in polygon)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(left, bottom, right, top) of all corners."""
        corners = np.concatenate([*self.rings])
        (left, bottom), (right, top) = corners.min(axis=0), corners.max(axis=0)
        return float(left), float(bottom), float(right), float(top)

    def fitted(self, left: float, bottom: float, right: float, top: float) -> Region:
        """The same shape, moved and stretched to other bounds."""
        old = self.bounds
        scale = np.array([(right - left) / ((old[2] - old[0]) or 1.0), (top - bottom) / ((old[3] - old[1]) or 1.0)])
        origin, target = np.array(old[:2]), np.array((left, bottom), np.float64)
        return replace(self, polygons=tuple(tuple((ring - origin) * scale + target for ring in polygon)
                                            for polygon in self.polygons))

    def on(self, grid: Grid) -> Region:
        """The same region in the grid's own coordinates. Sides are straight in the coordinates that they were given
        in: they are cut into pieces of about a cell before they are carried over. Corners that the projection does
        not reach are left out.

        Raises ValueError with a sentence if the grid has no projection.
        """
        if self.crs is None:
            return self
        if grid.projection is None:
            raise ValueError("The archive says nothing about where it lies; a region in degrees has no place on it.")
        carried = [tuple(_carried(ring, self.crs, grid) for ring in polygon) for polygon in self.polygons]
        usable = [tuple(ring for ring in polygon if len(ring) >= 3) for polygon in carried]
        return Region(self.kind, tuple(polygon for polygon in usable if polygon), self.name)

    def mask(self, grid: Grid) -> NDArray[np.bool_]:
        """(ny, nx), True for the cells whose centre lies inside."""
        inside = np.zeros(grid.shape, np.bool_)
        for polygon in self.on(grid).polygons:
            _fill(polygon, grid, inside)
        return inside


def _carried(ring: Ring, crs: str, grid: Grid) -> Ring:
    """The ring in grid coordinates, its sides in pieces."""
    from pyproj import Transformer

    transformer = Transformer.from_crs(crs, grid.projection, always_xy=True)

    def carry(points: Ring) -> Ring:
        x, y = transformer.transform(points[:, 0], points[:, 1])
        return np.stack([x, y], axis=1)

    ends = np.concatenate([ring, ring[:1]])
    cells = np.abs(np.diff(carry(ends), axis=0)) / (grid.dx, grid.dy)
    with np.errstate(invalid="ignore"):
        pieces = np.clip(np.nan_to_num(np.ceil(np.hypot(*cells.T)), nan=64, posinf=64), 1, MOST_PIECES).astype(int)
    points = carry(np.concatenate([start + (end - start) * (np.arange(count) / count)[:, None]
                                   for start, end, count in zip(ends[:-1], ends[1:], pieces, strict=True)]))
    points = points[np.isfinite(points).all(axis=1)]
    if grid.is_geographic and len(points):  # longitudes of the archive may run from 0 to 360
        points[:, 0] = np.unwrap(points[:, 0], period=360.0)
        middle = (points[:, 0].min() + points[:, 0].max()) / 2
        points[:, 0] += 360.0 * np.round((float(grid.x.mean()) - middle) / 360.0)
    return points


def _fill(polygon: Polygon, grid: Grid, inside: NDArray[np.bool_]) -> None:
    """Sets the cells of one polygon; each row changes sides wherever a border crosses its line of centres."""
    start = np.concatenate([ring for ring in polygon])
    end = np.concatenate([np.roll(ring, -1, axis=0) for ring in polygon])
    upwards = grid.y[::-1]
    first = np.searchsorted(upwards, np.minimum(start[:, 1], end[:, 1]))
    count = np.searchsorted(upwards, np.maximum(start[:, 1], end[:, 1])) - first
    total = int(count.sum())
    if not total:
        return
    side = np.repeat(np.arange(len(start)), count)
    row = first[side] + np.arange(total) - (np.cumsum(count) - count)[side]
    part = (upwards[row] - start[side, 1]) / (end[side, 1] - start[side, 1])
    column = np.searchsorted(grid.x, start[side, 0] + (end[side, 0] - start[side, 0]) * part)
    low, left, right = int(row.min()), int(column.min()), int(column.max())
    high = int(row.max()) + 1
    turns = np.bincount((row - low) * (right - left + 1) + column - left, minlength=(high - low) * (right - left + 1))
    odd = np.bitwise_xor.accumulate((turns & 1).astype(np.uint8).reshape(high - low, -1), axis=1)[:, :-1]
    rows = grid.shape[0]
    inside[rows - high:rows - low, left:right] |= odd[::-1].astype(np.bool_)
