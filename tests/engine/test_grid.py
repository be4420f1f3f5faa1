"""Where cells lie, against PROJ's geodesics and by hand."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from pyproj import CRS, Geod

from engine.radar.grid import Grid

KNMI = "+proj=stere +lat_0=90 +lon_0=0 +lat_ts=60 +a=6378137 +b=6356752 +x_0=0 +y_0=0 +units=m"
SWISS = ("+proj=somerc +lon_0=7.43958333333333 +lat_0=46.9524055555556 +k_0=1 +x_0=600000 +y_0=200000 "
         "+ellps=bessel +towgs84=674.374,15.056,405.346,0,0,0,0 +units=m")
LAEA = "EPSG:3035"


def square(crs: str | None = None, **changes: float) -> Grid:
    values = {"left": 4_000_000.0, "top": 3_200_000.0, "dx": 2000.0, "dy": 1000.0} | changes
    return Grid.regular(**values, nx=30, ny=20, crs=crs)


def test_a_regular_grid_by_hand():
    grid = Grid.regular(left=100.0, top=50.0, dx=10.0, dy=5.0, nx=3, ny=4)
    assert grid.x.tolist() == [105.0, 115.0, 125.0]
    assert grid.y.tolist() == [47.5, 42.5, 37.5, 32.5]
    assert grid.shape == (4, 3)
    assert (grid.dx, grid.dy) == (10.0, 5.0)
    assert grid.extent == (100.0, 130.0, 30.0, 50.0)
    assert grid.pixel_km == (0.005, 0.01)


@pytest.mark.parametrize(("x", "y"), [([1, 2], [1, 2]), ([2, 1], [2, 1]), ([1], [2, 1]), ([1, np.nan], [2, 1]),
                                      ([[1, 2]], [2, 1]), ([1, 1], [2, 1])])
def test_axes_must_rise_eastwards_and_fall_southwards(x, y):
    with pytest.raises(ValueError, match="must"):
        Grid(np.array(x, float), np.array(y, float))


@pytest.mark.parametrize("latitude", [-70.0, 0.0, 45.0, 60.0])
def test_pixels_of_a_geographic_grid_have_geodesic_lengths(latitude):
    grid = Grid.regular(left=5.0, top=latitude + 0.5, dx=0.01, dy=0.01, nx=100, ny=100, crs="EPSG:4326")
    geod = Geod(ellps="WGS84")
    _, _, wide = geod.inv(5.5, latitude, 5.51, latitude)
    _, _, high = geod.inv(5.5, latitude - 0.005, 5.5, latitude + 0.005)
    assert grid.is_geographic
    assert grid.pixel_km == pytest.approx((high / 1000, wide / 1000), rel=1e-3)
    assert grid.pixel_km[1] == pytest.approx(1.11320 * np.cos(np.radians(latitude)), rel=5e-3)


@pytest.mark.parametrize("crs", [KNMI, SWISS, LAEA, "EPSG:4326", "EPSG:3067"])
def test_longitude_and_latitude_and_back(crs):
    lon, lat = np.meshgrid(np.linspace(6, 9, 5), np.linspace(46, 48, 4))
    grid = square(crs)
    x, y = grid.from_lonlat(lon, lat)
    again = grid.lonlat(x, y)
    np.testing.assert_allclose(again[0], lon, atol=1e-7)
    np.testing.assert_allclose(again[1], lat, atol=1e-7)


def test_the_origin_of_a_projection():
    lon, lat = square(LAEA).lonlat(np.array([4_321_000.0]), np.array([3_210_000.0]))
    assert (lon[0], lat[0]) == pytest.approx((10.0, 52.0), abs=1e-9)
    lon, lat = square(KNMI).lonlat(np.array([0.0]), np.array([-4_415_038.0]))
    assert lon[0] == pytest.approx(0.0, abs=1e-9)
    assert 45.0 < lat[0] < 52.0


def test_without_a_projection_there_are_no_longitudes():
    with pytest.raises(ValueError, match="no projection"):
        square().lonlat(np.zeros(1), np.zeros(1))
    with pytest.raises(ValueError, match="no projection"):
        square().from_lonlat(np.zeros(1), np.zeros(1))
    assert not square().is_geographic


def test_the_cell_under_a_point():
    grid = square()
    assert grid.index(4_000_001.0, 3_199_999.0) == (0, 0)
    assert grid.index(4_001_999.0, 3_199_001.0) == (0, 0)
    assert grid.index(4_002_001.0, 3_198_999.0) == (1, 1)
    assert grid.index(4_059_999.0, 3_180_001.0) == (19, 29)
    for x, y in ((3_999_999.0, 3_190_000.0), (4_060_001.0, 3_190_000.0), (4_010_000.0, 3_200_001.0),
                 (4_010_000.0, 3_179_999.0)):
        assert grid.index(x, y) is None
    for row, column in ((0, 0), (7, 13), (19, 29)):
        assert grid.index(grid.x[column], grid.y[row]) == (row, column)


@pytest.mark.parametrize("crs", [KNMI, SWISS, LAEA, "EPSG:4326", None])
def test_the_same_grid_in_other_words(crs):
    """A forecast file keeps the projection as WKT; it must still be the archive's grid."""
    grid = square(crs)
    other = square(None if crs is None else CRS.from_user_input(crs).to_wkt())
    assert grid.same_as(other)
    assert other.same_as(grid)
    assert grid.same_as(square(crs, left=4_000_001.0))


def test_other_grids_are_other_grids():
    grid = square(LAEA)
    assert not grid.same_as(square(LAEA, left=4_000_100.0))
    assert not grid.same_as(square(LAEA, dy=1010.0))
    assert not grid.same_as(square(KNMI))
    assert not grid.same_as(square(None))
    assert not grid.same_as(Grid.regular(left=4e6, top=3.2e6, dx=2000, dy=1000, nx=31, ny=20, crs=LAEA))


def test_a_grid_travels_between_processes():
    grid = square(KNMI)
    assert grid.pixel_km  # fills what is cached
    grid.lonlat(grid.x[:1], grid.y[:1])
    assert pickle.loads(pickle.dumps(grid)).same_as(grid)
