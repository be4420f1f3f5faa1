"""Coastlines, borders, lakes and the graticule as lines in the coordinates of a grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.radar.grid import Grid
from engine.radar.world import KINDS, World, load_world

Points = NDArray[np.float64]
Box = tuple[float, float, float, float]

LONGEST_DEG = 0.25
"""Longer segments get points in between, so that they bend as the projection bends them."""
JUMP_M = 1.0e6
JUMP_DEG = 90.0
"""A segment that gets longer than this in the projection crosses one of its seams."""
SPACINGS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0)


@dataclass(frozen=True, eq=False)
class BasemapLine:
    """kind: coast, border, lake, meridian or parallel. xy: (N, 2) in grid coordinates, finite, N >= 2.
    text: the label of a meridian or parallel, e.g. "4° E"."""

    kind: str
    xy: Points
    text: str = ""


def basemap_lines(grid: Grid, path: Path, margin: float = 0.3) -> list[BasemapLine]:
    """Lines inside the grid's extent, widened on each side by ``margin`` of its size. None where the grid has
    no projection. path: what packaging/make_maps.py writes (``resources.base_map()``)."""
    if grid.projection is None:
        return []
    world = load_world(path)
    lonlat = _lonlat_box(grid, _widened(grid, margin))
    points, line = _nearby(world, lonlat)
    points, line, joined = _dense(points, line)
    return [BasemapLine(KINDS[world.kind[number]], xy)
            for number, xy in _projected(grid, points, line, joined, _widened(grid, margin))]


def graticule(grid: Grid, margin: float = 0.3) -> list[BasemapLine]:
    """Meridians and parallels at a round spacing, about five of each across the grid; see basemap_lines."""
    if grid.projection is None:
        return []
    west, east, south, north = _lonlat_box(grid, _widened(grid, margin))
    inner = _lonlat_box(grid, grid.extent)
    spacing = _spacing(min(inner[3] - inner[2], (inner[1] - inner[0]) * np.cos(np.deg2rad(
        np.clip((inner[2] + inner[3]) / 2, -80, 80)))))
    wide = spacing * (1 if max(abs(inner[2]), abs(inner[3])) < 65 else 2)
    wide = 30.0 if wide > 15.0 else wide
    result: list[BasemapLine] = []
    longitudes = np.arange(np.ceil(west / wide), np.floor(east / wide) + 1) * wide
    if east - west >= 360:
        longitudes = longitudes[:round(360 / wide)]
    for longitude in longitudes:
        ends = np.array([[longitude, max(south, -89.0)], [longitude, min(north, 89.0)]])
        result += _line_of(grid, "meridian", ends, _label(longitude, "E", "W"), margin)
    for latitude in np.arange(np.ceil(south / spacing), np.floor(north / spacing) + 1) * spacing:
        if abs(latitude) < 89.5:
            ends = np.array([[west, latitude], [east, latitude]])
            result += _line_of(grid, "parallel", ends, _label(latitude, "N", "S"), margin)
    return result


def _widened(grid: Grid, margin: float) -> Box:
    left, right, bottom, top = grid.extent
    dx, dy = margin * (right - left), margin * (top - bottom)
    return left - dx, right + dx, bottom - dy, top + dy


def _lonlat_box(grid: Grid, box: Box) -> Box:
    """West, east, south, north around a box in grid coordinates; the whole world where that is not clear.
    East may lie beyond 180 degrees, west below -180."""
    x, y = np.meshgrid(np.linspace(box[0], box[1], 25), np.linspace(box[2], box[3], 25))
    lon, lat = grid.lonlat(x.ravel(), y.ravel())
    good = np.isfinite(lon) & np.isfinite(lat)
    if grid.is_geographic:
        middle, half = (box[0] + box[1]) / 2, min((box[1] - box[0]) / 2, 180.0)
        return middle - half, middle + half, max(box[2], -90.0), min(box[3], 90.0)
    if not good.all():
        return -180.0, 180.0, -90.0, 90.0
    pole_x, pole_y = grid.from_lonlat(np.zeros(2), np.array([90.0, -90.0]))
    poles: NDArray[np.bool_] = np.asarray(
        (pole_x >= box[0]) & (pole_x <= box[1]) & (pole_y >= box[2]) & (pole_y <= box[3]))
    south, north = float(lat.min()) - 0.3, float(lat.max()) + 0.3
    if poles.any():
        return -180.0, 180.0, -90.0 if poles[1] else south, 90.0 if poles[0] else north
    centre = float(lon[lon.size // 2])
    around = (lon - centre + 180.0) % 360.0 - 180.0
    if np.ptp(around) > 300.0:
        return -180.0, 180.0, south, north
    spare = 0.02 * float(np.ptp(around)) + 0.05
    return centre + float(around.min()) - spare, centre + float(around.max()) + spare, south, north


def _nearby(world: World, box: Box) -> tuple[Points, NDArray[np.int64]]:
    """The points of the lines that touch a box of longitudes and latitudes, moved by whole turns towards it."""
    west, east, south, north = box
    middle = (west + east) / 2
    turns = np.round((middle - (world.bounds[:, 0] + world.bounds[:, 1]) / 2) / 360.0) * 360.0
    touches = ((world.bounds[:, 0] + turns <= east) & (world.bounds[:, 1] + turns >= west)
               & (world.bounds[:, 2] <= north) & (world.bounds[:, 3] >= south))
    if east - west >= 359.0:
        touches = (world.bounds[:, 2] <= north) & (world.bounds[:, 3] >= south)
        turns = np.zeros_like(turns)
    chosen = touches[world.line]
    line = world.line[chosen]
    points = world.points[chosen]
    points[:, 0] += turns[line]
    return points, line


def _dense(points: Points, line: NDArray[np.int64], longest: float = LONGEST_DEG
           ) -> tuple[Points, NDArray[np.int64], NDArray[np.bool_]]:
    """Points in between where a segment is longer than ``longest`` degrees; and, for each point but the last,
    whether a segment leads from it to the next."""
    if len(points) < 2:
        return points, line, np.zeros(0, np.bool_)
    same = line[1:] == line[:-1]
    ahead = np.diff(points, axis=0)
    pieces = np.where(same, np.maximum(1, np.ceil(np.abs(ahead).max(axis=1) / longest)), 1).astype(np.int64)
    source = np.append(np.repeat(np.arange(pieces.size), pieces), len(points) - 1)
    first = np.append(np.cumsum(pieces) - pieces, pieces.sum())
    part = (np.arange(source.size) - first[source]) / np.append(pieces, 1)[source]
    step = np.vstack([ahead, np.zeros((1, 2))])[source]
    dense = points[source] + np.where(part[:, None] > 0, part[:, None] * step, 0.0)
    number = line[source]
    return dense, number, number[1:] == number[:-1]


def _projected(grid: Grid, points: Points, line: NDArray[np.int64], joined: NDArray[np.bool_],
               box: Box) -> list[tuple[int, Points]]:
    """(line, xy) pieces inside the box."""
    if len(points) < 2:
        return []
    if grid.is_geographic:
        xy, jump = points, JUMP_DEG
    else:
        xy, jump = np.column_stack(grid.from_lonlat(points[:, 0], points[:, 1])), JUMP_M
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(xy).all(axis=1))
    xy = np.where(finite[:, None], xy, 0.0)
    ahead = np.diff(xy, axis=0)
    joined = joined & finite[1:] & finite[:-1] & (np.abs(ahead).max(axis=1) < jump)
    enter, leave = _clipped(xy[:-1], ahead, box)
    kept = np.flatnonzero(joined & (enter < leave))
    if kept.size == 0:
        return []
    starts, ends = xy[kept] + enter[kept, None] * ahead[kept], xy[kept] + leave[kept, None] * ahead[kept]
    goes_on = (np.diff(kept) == 1) & (leave[kept[:-1]] == 1.0) & (enter[kept[1:]] == 0.0)
    cuts = np.flatnonzero(~goes_on) + 1
    bounds = zip(np.append(0, cuts), np.append(cuts, kept.size), strict=True)
    low, high = np.array([box[0], box[2]]), np.array([box[1], box[3]])
    return [(int(line[kept[first]]), np.clip(np.vstack([starts[first], ends[first:last]]), low, high))
            for first, last in bounds]


def _clipped(start: Points, ahead: Points, box: Box) -> tuple[Points, Points]:
    """Where along each segment (0 to 1) it enters and leaves the box (Liang and Barsky 1984); enter >= leave:
    never inside."""
    enter, leave = np.zeros(len(start)), np.ones(len(start))
    for axis, (low, high) in enumerate(((box[0], box[1]), (box[2], box[3]))):
        move, place = ahead[:, axis], start[:, axis]
        still = move == 0
        with np.errstate(divide="ignore", invalid="ignore"):
            one, other = (low - place) / move, (high - place) / move
        enter = np.where(still, enter, np.maximum(enter, np.minimum(one, other)))
        leave = np.where(still, np.where((place < low) | (place > high), -1.0, leave),
                         np.minimum(leave, np.maximum(one, other)))
    return enter, leave


def _spacing(span: float) -> float:
    return next((step for step in SPACINGS if span / step <= 6.0), SPACINGS[-1])


def _label(degrees: float, positive: str, negative: str) -> str:
    if positive == "E":
        degrees = (degrees + 180.0) % 360.0 - 180.0
    text = f"{abs(degrees):.1f}".rstrip("0").rstrip(".")
    side = "" if round(degrees, 3) in (0.0, -180.0) else f" {positive if degrees > 0 else negative}"
    return f"{text}°{side}"


def _line_of(grid: Grid, kind: str, ends: Points, text: str, margin: float) -> list[BasemapLine]:
    longest = max(float(np.abs(ends[1] - ends[0]).max()) / 80.0, 1e-3)
    dense = _dense(ends, np.zeros(2, np.int64), longest)
    return [BasemapLine(kind, xy, text) for _, xy in _projected(grid, *dense, _widened(grid, margin))]
