"""Polar sweeps on maps: beam geometry, products, orientation, against formulas and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from pyproj import Geod

from engine.radar.gridding import (
    EFFECTIVE_RADIUS_M,
    PolarOptions,
    Site,
    Sweep,
    beam_height,
    distinct,
    grid_volume,
    ground_distance,
    map_grid,
    reach,
    slant_range,
)
from engine.radar.units import NO_ECHO_DBZ

SITE = Site(5.4, 51.07, 140.0)
AZIMUTH = np.arange(360) + 0.5


def sweep(elevation: float, values: NDArray[np.floating], *, azimuth: NDArray[np.float64] = AZIMUTH,
          spacing: float = 500.0) -> Sweep:
    return Sweep(elevation, azimuth, spacing / 2, spacing, np.asarray(values, np.float32))


def coded(gates: int = 200) -> NDArray[np.float32]:
    """A value that names its ray and gate: ray + gate / 1000."""
    return (np.arange(360)[:, None] + np.arange(gates)[None, :] / 1000).astype(np.float32)


@pytest.mark.parametrize(("slant", "elevation", "height"), [
    (100_000.0, 0.0, 588.0),  # r^2 / (2 * 4/3 * 6371 km): the rule of thumb for the horizontal beam
    (100_000.0, 1.0, 2334.0),  # and 100 km * sin(1 deg) = 1745 m more
    (50_000.0, 10.0, 8826.0)])
def test_beam_height_by_hand(slant: float, elevation: float, height: float) -> None:
    assert float(beam_height(slant, elevation)) == pytest.approx(height, abs=2.5)
    assert float(beam_height(slant, elevation, 140.0)) == pytest.approx(height + 140, abs=2.5)


def test_ground_distance_and_slant_range_are_inverse() -> None:
    slant = np.array([500.0, 20_000.0, 120_000.0, 300_000.0])
    for elevation in (0.3, 1.4, 10.0, 25.0, 60.0):
        ground = ground_distance(slant, elevation)
        np.testing.assert_allclose(slant_range(ground, elevation), slant, rtol=1e-9)
        assert (ground <= slant).all()


def test_height_and_distance_as_the_triangle_says() -> None:
    """Antenna at (0, R); the gate at elevation e and range r, by plane trigonometry alone."""
    r, e = 150_000.0, math.radians(2.5)
    x, y = r * math.cos(e), EFFECTIVE_RADIUS_M + r * math.sin(e)
    assert float(beam_height(r, 2.5)) == pytest.approx(math.hypot(x, y) - EFFECTIVE_RADIUS_M, abs=1e-3)
    assert float(ground_distance(r, 2.5)) == pytest.approx(EFFECTIVE_RADIUS_M * math.atan2(x, y), abs=1e-3)


def test_geometry_agrees_with_xradar() -> None:
    georeference = pytest.importorskip("xradar.georeference")
    ranges = np.array([1e3, 5e4, 2e5])
    x, y, z = georeference.antenna_to_cartesian(ranges, 90.0, 1.3, earth_radius=6_371_000.0, site_altitude=140.0)
    np.testing.assert_allclose(np.asarray(z), beam_height(ranges, 1.3, 140.0), atol=0.5)
    np.testing.assert_allclose(np.hypot(x, y), ground_distance(ranges, 1.3), rtol=5e-5)  # it counts the site's height


def test_the_radar_is_at_the_centre_and_cells_lie_where_the_earth_says() -> None:
    grid = map_grid(SITE, 100_400.0, PolarOptions())
    assert grid.shape == (202, 202)
    assert grid.pixel_km == (1.0, 1.0)
    left, right, bottom, top = grid.extent
    assert (left, right, bottom, top) == (-101_000, 101_000, -101_000, 101_000)
    assert grid.lonlat(np.array(0.0), np.array(0.0)) == pytest.approx((5.4, 51.07), abs=1e-9)
    lon, lat, _ = Geod(ellps="WGS84").fwd(5.4, 51.07, 37.0, 80_000.0)
    x, y = grid.from_lonlat(np.array(lon), np.array(lat))
    assert (float(x), float(y)) == pytest.approx((80_000 * math.sin(math.radians(37)),
                                                  80_000 * math.cos(math.radians(37))), abs=0.5)


def test_each_cell_takes_the_gate_and_ray_below_it() -> None:
    volume = [sweep(0.5, coded())]
    options = PolarOptions("lowest")
    grid = map_grid(SITE, volume[0].reach_m, options)
    field = grid_volume(volume, grid, SITE.height_m, options)
    for row, column in ((10, 90), (99, 100), (100, 99), (150, 30), (60, 180)):
        x, y = grid.x[column], grid.y[row]
        ray = math.floor(math.degrees(math.atan2(x, y)) % 360)
        # by hand: slant = R sin(g) / cos(e + g) with g = s / R
        g = math.hypot(x, y) / EFFECTIVE_RADIUS_M
        gate = math.floor(EFFECTIVE_RADIUS_M * math.sin(g) / math.cos(math.radians(0.5) + g) / 500.0)
        assert field[row, column] == np.float32(ray + gate / 1000)
    corner = field[0, 0]
    assert math.isnan(corner)  # beyond the range


def test_east_is_right_and_north_is_up() -> None:
    values = np.full((360, 200), NO_ECHO_DBZ)
    values[88:92, 100:110] = 40  # 50 to 55 km at 90 degrees
    volume = [sweep(0.5, values)]
    grid = map_grid(SITE, volume[0].reach_m, PolarOptions())
    field = grid_volume(volume, grid, 0.0, PolarOptions("lowest"))
    rows, columns = np.nonzero(field == 40)
    assert (grid.x[columns] > 49_000).all()
    assert (np.abs(grid.y[rows]) < 3_000).all()
    lon, _ = grid.lonlat(grid.x[columns], grid.y[rows])
    assert (np.asarray(lon) > SITE.lon + 0.6).all()
    values = np.roll(values, -90, axis=0)  # now at 0 degrees
    rows, columns = np.nonzero(grid_volume([sweep(0.5, values)], grid, 0.0, PolarOptions("lowest")) == 40)
    assert (grid.y[rows] > 49_000).all()
    assert (rows < grid.shape[0] // 2).all()


ELEVATIONS = (0.3, 0.9, 1.8, 3.3, 5.0, 8.0, 12.0, 18.0, 25.0)


def stratified(elevation: float, gates: int = 480, spacing: float = 250.0) -> Sweep:
    """An atmosphere of 40 dBZ at sea level, 5 dBZ less each km, seen from the site."""
    slant = spacing * (np.arange(gates) + 0.5)
    dbz = 40.0 - 5.0 * beam_height(slant, elevation, SITE.height_m) / 1000.0
    return sweep(elevation, np.broadcast_to(dbz, (360, gates)).copy(), spacing=spacing)


@pytest.mark.parametrize("height", [1500.0, 2000.0, 4000.0])
def test_cappi_of_a_stratified_atmosphere(height: float) -> None:
    """Between beams the value is the atmosphere's at that height; half a gate up a beam of 25 degrees is 53 m,
    0.27 dBZ."""
    volume = [stratified(elevation) for elevation in ELEVATIONS]
    options = PolarOptions("cappi", height)
    grid = map_grid(SITE, volume[0].reach_m, options)
    field = grid_volume(volume, grid, SITE.height_m, options)
    distance = np.hypot(grid.x[None, :], grid.y[:, None])
    heights = np.stack([beam_height(slant_range(distance, e), e, SITE.height_m) for e in ELEVATIONS])
    between = (heights.min(0) <= height) & (heights.max(0) > height) & (distance < 119_000)
    assert between.mean() > 0.35
    error = np.abs(field[between] - (40 - 5 * height / 1000))
    assert error.max() < 0.28
    assert error.mean() < 0.05
    # beyond the last beam below the height: the lowest beam, whose value is the atmosphere's at its own height
    far = (heights.min(0) > height) & (distance < 119_000)
    np.testing.assert_allclose(field[far], 40 - 5 * heights[0][far] / 1000, atol=0.05)
    # near the radar, above the highest beam: the highest
    near = heights.max(0) <= height
    np.testing.assert_allclose(field[near], 40 - 5 * heights[-1][near] / 1000, atol=0.28)


def test_maximum_against_brute_force() -> None:
    rng = np.random.default_rng(3)
    volume = []
    for elevation, gates in ((0.5, 120), (2.0, 100), (6.0, 60)):
        values = rng.uniform(-10, 60, (360, gates)).astype(np.float32)
        values[rng.random(values.shape) < 0.2] = np.nan
        volume.append(sweep(elevation, values, spacing=1000.0))
    options = PolarOptions("max", pixel_km=2.0)
    grid = map_grid(SITE, volume[0].reach_m, options)
    field = grid_volume(volume, grid, SITE.height_m, options)
    expected = np.full(grid.shape, np.nan, np.float32)
    for row in range(0, grid.shape[0], 3):
        for column in range(0, grid.shape[1], 3):
            x, y = grid.x[column], grid.y[row]
            ray, g = int(math.degrees(math.atan2(x, y)) % 360), math.hypot(x, y) / EFFECTIVE_RADIUS_M
            for one in volume:
                gate = int(EFFECTIVE_RADIUS_M * math.sin(g) / math.cos(math.radians(one.elevation) + g) / 1000)
                if gate < one.values.shape[1]:
                    expected[row, column] = np.fmax(expected[row, column], one.values[ray, gate])
    np.testing.assert_array_equal(field[::3, ::3], expected[::3, ::3])


def test_missing_rays_and_gates_are_no_data() -> None:
    keep = np.ones(360, bool)
    keep[80:100] = False
    values = np.full((360, 200), NO_ECHO_DBZ)
    values[200:210] = np.nan
    volume = [sweep(0.5, values[keep], azimuth=AZIMUTH[keep])]
    grid = map_grid(SITE, volume[0].reach_m, PolarOptions())
    field = grid_volume(volume, grid, 0.0, PolarOptions("lowest"))
    assert math.isnan(field[grid.index(60_000.0, 0.0)])
    x, y = 60_000 * math.sin(math.radians(205)), 60_000 * math.cos(math.radians(205))
    assert math.isnan(field[grid.index(x, y)])
    assert field[grid.index(-60_000.0, 0.0)] == NO_ECHO_DBZ


def test_rays_in_any_order_and_of_any_width() -> None:
    rng = np.random.default_rng(5)
    order = rng.permutation(360)
    options = PolarOptions("lowest")
    straight, shuffled = sweep(0.5, coded()), sweep(0.5, coded()[order], azimuth=AZIMUTH[order])
    grid = map_grid(SITE, straight.reach_m, options)
    np.testing.assert_array_equal(grid_volume([straight], grid, 0, options), grid_volume([shuffled], grid, 0, options))
    half = sweep(0.5, np.repeat(coded(), 2, axis=0), azimuth=(np.arange(720) + 0.5) / 2)
    np.testing.assert_array_equal(grid_volume([straight], grid, 0, options), grid_volume([half], grid, 0, options))


def test_where_one_of_two_beams_has_no_data_the_other_counts() -> None:
    low, high = stratified(0.9), stratified(1.8)
    lost = sweep(1.8, np.full(high.values.shape, np.nan), spacing=250.0)
    grid = map_grid(SITE, low.reach_m, PolarOptions())
    alone = grid_volume([low], grid, SITE.height_m, PolarOptions())
    far = np.hypot(grid.x[None, :], grid.y[:, None]) > 60_000  # there the height lies between the two
    np.testing.assert_array_equal(grid_volume([low, lost], grid, SITE.height_m, PolarOptions())[far], alone[far])


def test_of_split_cuts_the_longer_is_taken() -> None:
    long, short = sweep(0.48, coded(200)), sweep(0.483, coded(80))
    assert distinct([short, long, sweep(1.5, coded())])[0] is long
    assert len(distinct([short, long])) == 1


def test_absurd_requests_are_refused() -> None:
    for options in ({"product": "vil"}, {"height_m": -1.0}, {"pixel_km": 0.0}, {"height_m": math.nan},
                    {"max_range_km": 0.0}):
        with pytest.raises(ValueError, match=r"product|height|pixel|range"):
            PolarOptions(**options)
    with pytest.raises(ValueError, match="too large"):
        map_grid(SITE, 250_000.0, PolarOptions(pixel_km=0.1))
    with pytest.raises(ValueError, match="no radar"):
        Site(5.0, 97.0)
    with pytest.raises(ValueError, match="azimuths"):
        sweep(0.5, coded()[:10])


def test_the_map_reaches_as_far_as_the_lowest_sweep_and_no_further_than_250_km() -> None:
    assert map_grid(SITE, reach(0.5, 125.0, 250.0, 480), PolarOptions()).shape == (240, 240)
    assert map_grid(SITE, 460_000.0, PolarOptions(pixel_km=2.0)).shape == (250, 250)
    assert map_grid(SITE, 460_000.0, PolarOptions(max_range_km=300.0)).shape == (600, 600)
