"""Fixed fields on a radar's grid, for networks that read them: land and sea from the coasts that ship with the program,
elevation from what is given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import NotEnoughInput
from engine.radar.changing_fields import MEASUREMENT_HEIGHT
from engine.radar.grid import Grid
from engine.radar.resampling import between
from engine.radar.sequence import Field
from engine.radar.static_fields import ELEVATION, LAND_AROUND, LAND_SEA, StaticField
from engine.radar.world import KINDS, World, load_world

AROUND_KM = 50.0
SOURCE = "Natural Earth, 1:10 million"
FROM_COASTS = (LAND_SEA, LAND_AROUND)
WORDS = {ELEVATION: "the elevation", LAND_SEA: "a land-sea mask", LAND_AROUND: "the share of land around",
         MEASUREMENT_HEIGHT: "the height of measurement"}
_FINEST_DEG, _MOST_STEPS, _STRIP = 0.004, 6000, 256


def fixed_fields(names: Sequence[str], grid: Grid, given: Sequence[StaticField], coasts: Path) -> Field:
    """(len(names), ny, nx) float32 as networks read them: elevation in km, no data as 0, shares as they are.

    given: fields from files, on any grid; they go before what the coasts tell. Raises NotEnoughInput where a field is
    not there, does not cover the grid, or the grid has no projection.
    """
    return np.stack([_on_grid(name, grid, given, coasts) for name in names])


def lacking(names: Sequence[str], given: Sequence[StaticField]) -> tuple[str, ...]:
    """Words for the fields that neither the files nor the coasts give."""
    there = {field.name for field in given} | set(FROM_COASTS)
    return tuple(WORDS.get(name, name) for name in names if name not in there)


def _on_grid(name: str, grid: Grid, given: Sequence[StaticField], coasts: Path) -> Field:
    missing = lacking((name,), given)
    if missing:
        raise NotEnoughInput(f"{missing[0]} is not there.".capitalize(),
                             advice="Give a GeoTIFF or NetCDF file with --elevation.")
    if grid.projection is None:
        raise NotEnoughInput("The archive does not say in which projection it is, so nothing can be laid beneath it.")
    for field in given:
        if field.name == name:
            return np.nan_to_num(brought(field, grid)) * np.float32(0.001 if name == ELEVATION else 1.0)
    world = load_world(coasts)
    return (land_sea if name == LAND_SEA else land_around)(grid, world).values


def brought(field: StaticField, grid: Grid) -> Field:
    """In the field's own unit, NaN where it does not reach. Raises NotEnoughInput where nothing of it lies there."""
    if field.grid.projection is None:
        raise NotEnoughInput(f"{field.source} does not say in which projection it is.")
    values = between(field.grid, grid)(field.values)
    if np.isnan(values).all():
        raise NotEnoughInput(f"{field.source} covers no part of this archive.")
    return values


def land_sea(grid: Grid, world: World) -> StaticField:
    """1 on land, 0 at sea; lakes are land. A cell is what its centre is."""
    values = np.empty(grid.shape, np.float32)
    lon, lat = _corner_places(grid)
    raster = _Raster(lon, lat, world)
    for start in range(0, grid.shape[0], _STRIP):
        x, y = np.meshgrid(grid.x, grid.y[start:start + _STRIP])
        values[start:start + _STRIP] = raster.at(*grid.lonlat(x, y))
    return StaticField(LAND_SEA, values, "1", SOURCE, grid)


def land_around(grid: Grid, world: World) -> StaticField:
    """Share of land within :data:`AROUND_KM` / 2 to each side, in [0, 1]."""
    reach = [max(1, round(AROUND_KM / 2 / size)) for size in grid.pixel_km]
    left, _, _, top = grid.extent
    wider = Grid.regular(left=left - reach[1] * grid.dx, top=top + reach[0] * grid.dy, dx=grid.dx, dy=grid.dy,
                         nx=grid.shape[1] + 2 * reach[1], ny=grid.shape[0] + 2 * reach[0], crs=grid.crs)
    sums = np.pad(land_sea(wider, world).values.astype(np.float64), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    high, wide = 2 * reach[0] + 1, 2 * reach[1] + 1
    whole = sums[high:, wide:] - sums[:-high, wide:] - sums[high:, :-wide] + sums[:-high, :-wide]
    return StaticField(LAND_AROUND, (whole / (high * wide)).astype(np.float32), "1", SOURCE, grid)


def _corner_places(grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitudes and latitudes all over a grid, thinly."""
    left, right, bottom, top = grid.extent
    lon, lat = grid.lonlat(*np.meshgrid(np.linspace(left, right, 65), np.linspace(bottom, top, 65)))
    good = np.isfinite(lon) & np.isfinite(lat)
    return lon[good], lat[good]


class _Raster:
    """Land and sea on meridians side by side: from the pole southwards every coast that is crossed changes one into the
    other. Nothing is land at the north pole."""

    def __init__(self, lon: NDArray[np.float64], lat: NDArray[np.float64], world: World) -> None:
        west, east = (-180.0, 180.0) if np.ptp(lon) > 180 else (float(lon.min()) - 0.5, float(lon.max()) + 0.5)
        self.west, self.north = west, min(90.0, float(lat.max()) + 0.5)
        tall = self.north - max(-90.0, float(lat.min()) - 0.5)
        self.step = max(_FINEST_DEG, (east - west) / _MOST_STEPS, tall / _MOST_STEPS)
        self.shape = int(tall / self.step) + 2, int((east - west) / self.step) + 2
        rows, columns = self._crossings(world)
        inside = rows < self.shape[0]
        changes = np.bincount(rows[inside] * self.shape[1] + columns[inside], minlength=self.shape[0] * self.shape[1])
        self.land = np.cumsum(changes.reshape(self.shape), axis=0) % 2 == 1

    def _crossings(self, world: World) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where coasts cross the meridians: the first row south of it, and the column."""
        chosen = (world.line[1:] == world.line[:-1]) & (world.kind[world.line[1:]] == KINDS.index("coast"))
        first, second = world.points[:-1][chosen], world.points[1:][chosen]
        swap = first[:, 0] > second[:, 0]
        first[swap], second[swap] = second[swap], first[swap].copy()
        low = np.ceil((first[:, 0] - self.west) / self.step - 0.5).astype(np.int64)
        high = np.ceil((second[:, 0] - self.west) / self.step - 0.5).astype(np.int64)  # a meridian counts once
        low, high = np.clip(low, 0, self.shape[1]), np.clip(high, 0, self.shape[1])
        count = high - low
        which = np.repeat(np.arange(count.size), count)
        column = low[which] + np.arange(which.size) - np.repeat(np.cumsum(count) - count, count)
        lon = self.west + (column + 0.5) * self.step
        share = (lon - first[which, 0]) / (second[which, 0] - first[which, 0])
        lat = first[which, 1] + share * (second[which, 1] - first[which, 1])
        return np.clip(np.ceil((self.north - lat) / self.step - 0.5), 0, None).astype(np.int64), column

    def at(self, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float32]:
        """1 on land, 0 at sea and where there is no such place."""
        with np.errstate(invalid="ignore"):
            row = np.nan_to_num((self.north - lat) / self.step, nan=-1, posinf=-1, neginf=-1).astype(np.int64)
            column = np.nan_to_num((lon - self.west) / self.step, nan=-1, posinf=-1, neginf=-1).astype(np.int64)
        inside = (row >= 0) & (row < self.shape[0]) & (column >= 0) & (column < self.shape[1])
        return np.where(inside, self.land[np.where(inside, row, 0), np.where(inside, column, 0)], False).astype(
            np.float32)
