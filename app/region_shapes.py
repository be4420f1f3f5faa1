"""Handles of a region and what dragging one makes of it; sizes in words. No widgets."""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot

from engine.radar.grid import Grid
from engine.radar.region import OUTLINE, RECTANGLE, Region

Point = tuple[float, float]

SIDES = ((-1, -1), (0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0))
"""Where the handles of a rectangle are: west or east, south or north."""
MIDDLE = -1
"""The handle by which the whole region is moved."""


def handles(region: Region | None) -> tuple[Point, ...]:
    """Eight for a rectangle, one for each corner of a polygon; an outline from a file has none."""
    if region is None or region.kind == OUTLINE:
        return ()
    if region.kind != RECTANGLE:
        return tuple((float(x), float(y)) for x, y in region.polygons[0][0])
    left, bottom, right, top = region.bounds
    xs, ys = (left, (left + right) / 2, right), (bottom, (bottom + top) / 2, top)
    return tuple((xs[i + 1], ys[j + 1]) for i, j in SIDES)


def middle(region: Region | None) -> Point | None:
    """Where a region is taken hold of to be moved."""
    if region is None or region.kind == OUTLINE:
        return None
    left, bottom, right, top = region.bounds
    return (left + right) / 2, (bottom + top) / 2


def dragged(region: Region, handle: int, start: Point, to: Point) -> Region:
    """The region after a handle has been dragged; region: as it was at the start."""
    left, bottom, right, top = region.bounds
    dx, dy = to[0] - start[0], to[1] - start[1]
    if handle == MIDDLE:
        return region.fitted(left + dx, bottom + dy, right + dx, top + dy)
    if region.kind == RECTANGLE:
        i, j = SIDES[handle]
        return Region.rectangle(left + dx * (i < 0), bottom + dy * (j < 0), right + dx * (i > 0), top + dy * (j > 0))
    corners = [(float(x), float(y)) for x, y in region.polygons[0][0]]
    corners[handle] = (corners[handle][0] + dx, corners[handle][1] + dy)
    return Region.polygon(corners)


def nearest(points: Sequence[Point], at: Point, within: float) -> int | None:
    """The number of the point nearest to a place, if it is near enough; all in pixels."""
    distances = [hypot(x - at[0], y - at[1]) for x, y in points]
    best = min(range(len(points)), key=distances.__getitem__, default=None)
    return best if best is not None and distances[best] <= within else None


def size_km(region: Region, grid: Grid) -> tuple[float, float]:
    """(east-west, north-south) extent in km, by the size of the grid's cells."""
    left, bottom, right, top = region.bounds
    high, wide = grid.pixel_km
    return (right - left) * wide / grid.dx, (top - bottom) * high / grid.dy


def title(region: Region | None, grid: Grid | None) -> str:
    """rectangle 120 × 80 km, the name of an outline, whole map."""
    if region is None or grid is None:
        return "whole map"
    if region.kind == OUTLINE:
        return region.name or "outline"
    wide, high = size_km(region, grid)
    return f"{region.kind} {_km(wide)} × {_km(high)} km"


def _km(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"
