"""Land and sea at places everybody knows, elevation from files in other projections, and what is missing."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest

from engine.archives.ground_files import read_ground
from engine.errors import NotEnoughInput, StormdeckError, UnreadableInput
from engine.radar.grid import Grid
from engine.radar.ground import fixed_fields, lacking, land_around, land_sea
from engine.radar.static_fields import ELEVATION, LAND_AROUND, LAND_SEA, StaticField
from engine.radar.world import load_world
from resources import base_map
from tests.engine.test_geotiff import geotiff

WORLD = load_world(base_map())
PLACES = {  # longitude, latitude, land or not
    "Amsterdam": (4.9, 52.37, 1), "North Sea": (3.0, 54.0, 0), "Zurich": (8.5, 47.4, 1), "Helsinki": (24.95, 60.25, 1),
    "Gulf of Finland": (24.9, 59.8, 0), "Gulf of Genoa": (8.8, 44.0, 0), "Corsica": (9.1, 42.2, 1),
    "London": (-0.1, 51.5, 1)}


def around(lon: float, lat: float, crs: str = "EPSG:4326") -> Grid:
    return Grid.regular(left=lon - 0.05, top=lat + 0.05, dx=0.05, dy=0.05, nx=2, ny=2, crs=crs)


@pytest.mark.parametrize("name", PLACES)
def test_land_and_sea(name: str) -> None:
    lon, lat, land = PLACES[name]
    assert land_sea(around(lon, lat), WORLD).values.mean() == land


def test_all_of_the_world() -> None:
    """29.2 % of the Earth is land; the pole in the north is not, the one in the south is (some islands of the ice shelf
    there are not closed lines in the data)."""
    grid = Grid.regular(left=-180, top=90, dx=1, dy=1, nx=360, ny=180, crs="EPSG:4326")
    field = land_sea(grid, WORLD)
    share = np.average(field.values.mean(axis=1), weights=np.cos(np.deg2rad(grid.y)))
    assert share == pytest.approx(0.292, abs=0.01)
    assert not field.values[0].any()
    assert field.values[-1].mean() > 0.95
    assert field.name == LAND_SEA


def test_a_grid_in_metres_and_one_in_degrees_agree() -> None:
    """The coast of Holland in the Dutch grid and in degrees, cell by cell at the same places."""
    metres = Grid.regular(left=60_000, top=520_000, dx=1000, dy=1000, nx=80, ny=80, crs="EPSG:28992")
    found = land_sea(metres, WORLD).values
    assert 0.3 < found.mean() < 0.95
    lon, lat = metres.lonlat(*np.meshgrid(metres.x[::20], metres.y[::20]))
    for row, column in np.ndindex(lon.shape):
        one = land_sea(Grid.regular(left=lon[row, column] - 1e-4, top=lat[row, column] + 1e-4, dx=1e-4, dy=1e-4, nx=2,
                                    ny=2, crs="EPSG:4326"), WORLD).values
        assert one.mean() == found[20 * row, 20 * column]


def test_share_of_land_around() -> None:
    """Far inland 1, far out 0, and at the coast the mean of the mask over 25 km to each side."""
    grid = Grid.regular(left=0, top=500_000, dx=5000, dy=5000, nx=60, ny=30, crs="EPSG:28992")
    field, mask = land_around(grid, WORLD), land_sea(grid, WORLD).values
    assert field.name == LAND_AROUND
    assert 0 <= field.values.min() < field.values.max() <= 1
    for row, column in ((10, 20), (15, 30), (20, 40)):
        assert field.values[row, column] == pytest.approx(mask[row - 5:row + 6, column - 5:column + 6].mean(), abs=1e-6)


def plane() -> StaticField:
    """Rises by 100 m per degree of latitude from the equator, on a coarse grid in degrees."""
    grid = Grid.regular(left=0, top=60, dx=0.1, dy=0.1, nx=150, ny=150, crs="EPSG:4326")
    return StaticField(ELEVATION, np.repeat(100 * grid.y[:, None], 150, axis=1).astype(np.float32), "m", "plane", grid)


def test_elevation_comes_onto_the_radars_grid_in_kilometres() -> None:
    grid = Grid.regular(left=100_000, top=500_000, dx=1000, dy=1000, nx=50, ny=50, crs="EPSG:28992")
    found = fixed_fields((LAND_SEA, ELEVATION), grid, (plane(),), base_map())
    _, lat = grid.lonlat(*np.meshgrid(grid.x, grid.y))
    np.testing.assert_allclose(found[1], 0.1 * lat, atol=2e-4)
    np.testing.assert_array_equal(found[0], land_sea(grid, WORLD).values)
    mask = StaticField(LAND_SEA, np.full(plane().grid.shape, 1, np.float32), "1", "a file", plane().grid)
    assert fixed_fields((LAND_SEA,), grid, (mask,), base_map()).all()  # a file goes before the coasts


def test_what_is_not_there_has_a_reason() -> None:
    grid = around(5.0, 52.0)
    assert lacking((ELEVATION, LAND_SEA), ()) == ("the elevation",)
    with pytest.raises(NotEnoughInput, match="elevation is not there"):
        fixed_fields((ELEVATION,), grid, (), base_map())
    with pytest.raises(NotEnoughInput, match="covers no part"):
        fixed_fields((ELEVATION,), around(100.0, 10.0), (plane(),), base_map())
    with pytest.raises(NotEnoughInput, match="projection"):
        fixed_fields((LAND_SEA,), Grid.regular(left=0, top=0, dx=1, dy=1, nx=2, ny=2), (), base_map())


def test_a_geotiff_of_heights(tmp_path: Path) -> None:
    """Whole metres, no data by GDAL's tag, absurd heights as no data; row 0 in the north."""
    heights = np.arange(12, dtype=np.float32).reshape(3, 4) * 100
    heights[2, 3] = -32768
    path = tmp_path / "heights.tif"
    geotiff(path, heights, notes="")
    (field,) = read_ground(path)
    assert (field.name, field.unit, field.grid.shape) == (ELEVATION, "m", (3, 4))
    np.testing.assert_array_equal(field.values[:2], heights[:2])
    assert np.isnan(field.values[2, 3])


def test_a_netcdf_of_heights_from_south_to_north(tmp_path: Path) -> None:
    path = tmp_path / "heights.nc"
    with netCDF4.Dataset(path, "w") as file:
        for name, values, unit in (("lat", [50.0, 51.0, 52.0], "degrees_north"), ("lon", [4.0, 5.0], "degrees_east")):
            file.createDimension(name, len(values))
            file.createVariable(name, "f8", (name,))[:] = values
            file[name].units = unit
        file.createVariable("topo", "i2", ("lat", "lon"), fill_value=-999)[:] = [[1, 2], [3, 4], [5, -999]]
        file["topo"].units = "km"
        file["topo"].scale_factor = 0.001
        file.createVariable("temperature", "f4", ("lat", "lon"))[:] = 7
    (field,) = read_ground(path)
    assert field.name == ELEVATION
    np.testing.assert_allclose(field.values, [[5, np.nan], [3, 4], [1, 2]])
    np.testing.assert_allclose(field.grid.y, [52, 51, 50])


def test_files_without_heights(tmp_path: Path) -> None:
    for name, content, words in (("a.txt", b"hello", "neither GeoTIFF"), ("b.tif", b"II*\0garbage", "damaged"),
                                 ("c.nc", b"\x89HDF\r\n\x1a\n", "damaged")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UnreadableInput, match=words):
            read_ground(tmp_path / name)
    with netCDF4.Dataset(tmp_path / "d.nc", "w") as file:
        file.createDimension("x", 2)
        file.createVariable("temperature", "f4", ("x",))[:] = 1
    with pytest.raises(StormdeckError, match="no variable"):
        read_ground(tmp_path / "d.nc")
    with pytest.raises(UnreadableInput):
        read_ground(tmp_path / "absent.tif")
