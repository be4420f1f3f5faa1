"""The base map against places whose positions are known, and against the edges of the grids it is drawn on."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pyproj import Geod

from engine.display.basemap import KINDS, BasemapLine, basemap_lines, graticule, load_world
from engine.jobs.sample import sample_grid
from engine.radar.grid import Grid
from resources import base_map

GEOD = Geod(ellps="WGS84")

NORTH_SEA = sample_grid((384, 384), 1.0)
ALPS = Grid.regular(left=255000, top=480000, dx=1000, dy=1000, nx=710, ny=640,
                    crs="+proj=somerc +lon_0=7.43958333333333 +lat_0=46.9524055555556 +k_0=1 +x_0=600000 "
                        "+y_0=200000 +ellps=bessel +units=m")
HONG_KONG = Grid.regular(left=-256e3, top=256e3, dx=1066.7, dy=1066.7, nx=480, ny=480,
                         crs="+proj=aeqd +lat_0=22.3 +lon_0=114.17 +units=m")
AMERICA_0_360 = Grid.regular(left=230, top=55, dx=0.01, dy=0.01, nx=7000, ny=3500, crs="EPSG:4326")
FIJI = Grid.regular(left=-500e3, top=500e3, dx=2000, dy=2000, nx=500, ny=500,
                    crs="+proj=aeqd +lat_0=-17 +lon_0=179 +units=m")
ARCTIC = Grid.regular(left=-4e6, top=4e6, dx=8000, dy=8000, nx=1000, ny=1000,
                      crs="+proj=stere +lat_0=90 +lon_0=0 +ellps=WGS84 +units=m")
HALF_GLOBE = Grid.regular(left=-6e6, top=6e6, dx=12000, dy=12000, nx=1000, ny=1000,
                          crs="+proj=ortho +lat_0=50 +lon_0=10 +units=m")
GLOBE = Grid.regular(left=-180, top=90, dx=1, dy=1, nx=360, ny=180, crs="EPSG:4326")
GRIDS = {"north sea": NORTH_SEA, "alps": ALPS, "hong kong": HONG_KONG, "america": AMERICA_0_360, "fiji": FIJI,
         "arctic": ARCTIC, "half globe": HALF_GLOBE, "globe": GLOBE}


def nearest_km(grid: Grid, kind: str, lon: float, lat: float) -> float:
    """Distance over the ellipsoid from a place to the nearest point on a line of a kind."""
    best = np.inf
    for line in basemap_lines(grid, base_map()):
        if line.kind == kind:
            share = np.linspace(0, 1, 20)[:, None, None]
            dense = (line.xy[:-1] * (1 - share) + line.xy[1:] * share).reshape(-1, 2)
            if grid.is_geographic:
                lons, lats = dense[:, 0], dense[:, 1]
            else:
                lons, lats = grid.lonlat(dense[:, 0], dense[:, 1])
            near = np.hypot((lons - lon) * np.cos(np.deg2rad(lat)), lats - lat).argmin()
            best = min(best, GEOD.inv(lon, lat, lons[near], lats[near])[2] / 1000.0)
    return float(best)


@pytest.mark.parametrize(("grid", "kind", "lon", "lat", "within_km"), [
    ("north sea", "coast", 4.76, 52.96, 3.0),  # Den Helder
    ("north sea", "coast", 1.755, 52.475, 3.0),  # Lowestoft Ness, the easternmost point of Great Britain
    ("north sea", "coast", 3.60, 51.44, 3.0),  # Vlissingen
    ("alps", "coast", 8.93, 44.41, 3.0),  # Genoa
    ("alps", "border", 7.59, 47.59, 3.0),  # Basel, where three countries meet
    ("alps", "lake", 6.15, 46.21, 6.0),  # Geneva, the western end of its lake
    ("hong kong", "coast", 114.26, 22.205, 4.0),  # Cape D'Aguilar
    ("america", "coast", 360 - 80.13, 25.79, 4.0),  # Miami Beach, on a grid of longitudes from 0 to 360
    ("fiji", "coast", 178.44, -18.14, 4.0),  # Suva
    ("america", "border", 360 - 110.0, 49.0, 1.0),  # the 49th parallel
])
def test_known_places_lie_on_their_lines(grid: str, kind: str, lon: float, lat: float, within_km: float) -> None:
    assert nearest_km(GRIDS[grid], kind, lon, lat) < within_km


def assert_inside(grid: Grid, lines: list[BasemapLine], margin: float) -> None:
    left, right, bottom, top = grid.extent
    dx, dy = margin * (right - left), margin * (top - bottom)
    for line in lines:
        assert line.xy.ndim == 2
        assert line.xy.dtype == np.float64
        assert len(line.xy) >= 2
        assert np.isfinite(line.xy).all()
        assert line.xy[:, 0].min() >= left - dx
        assert line.xy[:, 0].max() <= right + dx
        assert line.xy[:, 1].min() >= bottom - dy
        assert line.xy[:, 1].max() <= top + dy


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_lines_are_finite_inside_and_without_leaps(name: str, margin: float) -> None:
    grid = GRIDS[name]
    lines = basemap_lines(grid, base_map(), margin)
    assert lines
    assert {line.kind for line in lines} <= set(KINDS)
    assert_inside(grid, lines, margin)
    longest = max(float(np.hypot(*np.diff(line.xy, axis=0).T).max()) for line in lines)
    assert longest <= (0.36 if grid.is_geographic else 120e3)


@pytest.mark.parametrize("name", GRIDS)
def test_graticule_lies_where_its_labels_say(name: str) -> None:
    grid = GRIDS[name]
    lines = graticule(grid)
    assert_inside(grid, lines, 0.3)
    for kind in ("meridian", "parallel"):
        texts = {line.text for line in lines if line.kind == kind}
        assert 3 <= len(texts) <= 30
    for line in lines:
        number, _, side = line.text.replace("°", "").partition(" ")
        wanted = float(number) * (-1 if side in ("W", "S") else 1)
        lon, lat = grid.lonlat(line.xy[:, 0], line.xy[:, 1])
        good = np.isfinite(lon) & np.isfinite(lat)
        found = (lon - wanted + 180) % 360 - 180 if line.kind == "meridian" else lat - wanted
        assert np.abs(found[good]).max() < 0.05


def test_graticule_labels() -> None:
    texts = [line.text for line in graticule(NORTH_SEA)]
    assert {"0°", "1° W", "4° E", "52° N"} <= set(texts)
    assert {"180°", "178° W", "178° E", "18° S"} <= {line.text for line in graticule(FIJI)}


def test_clipping_keeps_what_lies_inside() -> None:
    """Lines cut at the grid's edges are as long as the parts of the uncut ones that lie inside."""
    whole = [line for line in basemap_lines(NORTH_SEA, base_map(), 0.3) if line.kind == "coast"]
    inner = [line for line in basemap_lines(NORTH_SEA, base_map(), 0.0) if line.kind == "coast"]
    left, right, bottom, top = NORTH_SEA.extent
    assert length_inside(whole, left, right, bottom, top) == pytest.approx(
        sum(float(np.hypot(*np.diff(line.xy, axis=0).T).sum()) for line in inner), rel=2e-3)


def length_inside(lines: list[BasemapLine], left: float, right: float, bottom: float, top: float) -> float:
    """Length of the parts inside a box, by cutting every segment into 200."""
    total = 0.0
    share = (np.arange(200) + 0.5)[:, None, None] / 200
    for line in lines:
        a, b = line.xy[:-1], line.xy[1:]
        middle: NDArray[np.float64] = a * (1 - share) + b * share
        inside = ((middle[..., 0] >= left) & (middle[..., 0] <= right)
                  & (middle[..., 1] >= bottom) & (middle[..., 1] <= top)).mean(axis=0)
        total += float((np.hypot(*(b - a).T) * inside).sum())
    return total


def test_no_projection_no_lines() -> None:
    grid = Grid.regular(left=0, top=100, dx=1, dy=1, nx=100, ny=100)
    assert basemap_lines(grid, base_map()) == []
    assert graticule(grid) == []


def test_the_file_is_small_and_whole() -> None:
    assert base_map().stat().st_size < 1.5e6
    world = load_world(base_map())
    assert np.abs(world.points[:, 0]).max() <= 180.001
    assert np.abs(world.points[:, 1]).max() <= 90.0
    assert len(world.points) == len(world.line)
    assert set(np.unique(world.kind)) == {0, 1, 2}
    same = world.line[1:] == world.line[:-1]
    assert np.abs(np.diff(world.points[:, 0]))[same].max() < 90
