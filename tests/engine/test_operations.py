"""Operations on sequences against hand-made numbers, area integrals and PROJ."""

from __future__ import annotations

import pickle
from datetime import timedelta

import numpy as np
import pytest
from pyproj import Transformer

from engine.errors import NotEnoughInput, WrongUsage
from engine.radar.grid import Grid
from engine.radar.operations import accumulation, aggregate, crop, crop_lonlat, fill_gaps, resample, resample_to
from engine.radar.resampling import Resampler, axis_weights, target_grid
from engine.radar.units import HKO7, MARSHALL_PALMER, ZR, Quantity
from tests.engine.sequences import CRS, grid, sequence


def noise(index: int, shape: tuple[int, int] = (24, 32)) -> np.ndarray:
    return np.random.default_rng(index).gamma(0.4, 5.0, shape).astype(np.float32)


def test_crop_is_the_window_of_the_field() -> None:
    whole = sequence(noise, 3)
    part = crop(whole, slice(4, 10), slice(20, 32))
    assert part.grid.shape == (6, 12)
    assert part.times == whole.times
    np.testing.assert_array_equal(part.native(1), noise(1)[4:10, 20:32])
    assert part.grid.extent == (20_000, 32_000, 14_000, 20_000)


def test_nothing_is_read_before_it_is_asked_for() -> None:
    asked: list[int] = []

    def make(index: int) -> np.ndarray:
        asked.append(index)
        return noise(index)

    whole = sequence(make, 4)
    asked.clear()
    chained = aggregate(resample_to(crop(whole, slice(0, 8), slice(0, 8)), 2.0), timedelta(minutes=10))
    assert asked == []
    chained.native(0)
    assert len(asked) == len(chained.frames[0].key)


def test_crop_by_longitude_and_latitude_covers_the_box_and_little_more() -> None:
    whole = sequence(noise, 1)
    west, south, east, north = 5.05, 52.05, 5.2, 52.15
    part = crop_lonlat(whole, west, south, east, north)
    there = Transformer.from_crs("EPSG:4326", CRS, always_xy=True)
    x, y = there.transform(np.linspace(west, east, 9)[None, :].repeat(9, 0),
                           np.linspace(south, north, 9)[:, None].repeat(9, 1))
    left, right, bottom, top = part.grid.extent
    assert left <= x.min() < left + 1000
    assert right - 1000 < x.max() <= right
    assert bottom <= y.min() < bottom + 1000
    assert top - 1000 < y.max() <= top


def test_crop_of_an_archive_that_counts_longitudes_from_zero() -> None:
    world = Grid.regular(left=230, top=55, dx=0.5, dy=0.5, nx=140, ny=70, crs="EPSG:4326")
    whole = sequence([np.zeros(world.shape, np.float32)], on=world)
    part = crop_lonlat(whole, -100, 30, -90, 40)
    assert part.grid.extent == (260, 270, 30, 40)


@pytest.mark.parametrize("box", [(50, 10, 51, 11), (5, 53, 6, 52), (5, 52, 5, 53), (0, -91, 1, 10)])
def test_boxes_outside_and_absurd_ones_are_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(WrongUsage):
        crop_lonlat(sequence(noise, 1), *box)


def test_windows_of_less_than_two_cells_are_refused() -> None:
    with pytest.raises(WrongUsage, match="at least 2 x 2"):
        crop(sequence(noise, 1), slice(3, 4), slice(0, 9))


def test_mean_over_whole_cells_is_the_mean() -> None:
    coarse = resample_to(sequence(noise, 1), 4.0)
    assert coarse.grid.shape == (6, 8)
    np.testing.assert_allclose(coarse.native(0), noise(0).reshape(6, 4, 8, 4).mean((1, 3)), rtol=2e-6)


def test_maximum_over_whole_cells_is_the_maximum() -> None:
    coarse = resample_to(sequence(noise, 1), 4.0, method="max")
    np.testing.assert_array_equal(coarse.native(0), noise(0).reshape(6, 4, 8, 4).max((1, 3)))


def test_mean_over_parts_of_cells_keeps_the_amount_of_rain() -> None:
    """Pixels of 1.6 km over 1 km cells: refined tenfold, the mean over 16 x 16 pieces is the truth."""
    coarse = resample_to(sequence(noise, 1), 1.6)
    fine = noise(0).repeat(10, 0).repeat(10, 1)
    whole = fine[:240, :320].reshape(15, 16, 20, 16).mean((1, 3))
    np.testing.assert_allclose(coarse.native(0), whole, rtol=3e-6, atol=1e-6)


def test_mean_counts_only_cells_with_data_and_wants_half_of_them() -> None:
    field = np.ones((4, 4), np.float32)
    field[0, 0], field[0, 1] = np.nan, 3.0
    field[2, :2] = np.nan
    field[3, 0] = np.nan
    coarse = resample_to(sequence([field]), 2.0).native(0)
    assert coarse[0, 0] == pytest.approx((3 + 1 + 1) / 3)
    assert np.isnan(coarse[1, 0])
    assert coarse[1, 1] == 1.0


def test_no_rain_stays_exactly_none() -> None:
    field = np.zeros((24, 32), np.float32)
    field[5, 5] = 1000.0
    coarse = resample_to(sequence([field]), 1.7).native(0)
    assert np.count_nonzero(np.nan_to_num(coarse)) <= 4


def test_reflectivity_is_averaged_as_rain_rate_through_the_pair_that_is_read() -> None:
    dbz = np.full((4, 4), 10.0, np.float32)
    dbz[:2, :2] = [[40.0, -32.0], [20.0, 30.0]]
    archive = sequence([dbz], quantity=Quantity.REFLECTIVITY, zr=MARSHALL_PALMER)
    for zr in (MARSHALL_PALMER, HKO7, ZR(300, 1.4)):
        rates = [0.0 if v == -32 else (10 ** (v / 10) / zr.a) ** (1 / zr.b) for v in (40.0, -32.0, 20.0, 30.0)]
        coarse = resample_to(archive, 2.0).with_zr(zr)
        assert coarse.rain_rate(0)[0, 0] == pytest.approx(np.mean(rates), rel=1e-5)
        twice = aggregate(resample_to(sequence([dbz, dbz], quantity=Quantity.REFLECTIVITY), 2.0),
                          timedelta(minutes=5)).with_zr(zr)
        assert twice.rain_rate(0)[0, 0] == pytest.approx(np.mean(rates), rel=1e-5)


def test_bilinear_is_exact_for_a_plane() -> None:
    plane = (np.arange(24)[:, None] * 2.0 + np.arange(32)[None, :] * 3.0 + 5).astype(np.float32)
    fine = resample_to(sequence([plane]), 0.5)
    row, column = np.arange(48) / 2 - 0.25, np.arange(64) / 2 - 0.25
    expected = row[:, None] * 2 + column[None, :] * 3 + 5
    np.testing.assert_allclose(fine.native(0)[1:-1, 1:-1], expected[1:-1, 1:-1], rtol=1e-5)


def test_weights_of_target_cells_add_up() -> None:
    _, weight = axis_weights(np.arange(20.0), np.arange(1.35, 18, 2.7), "mean")
    np.testing.assert_allclose(weight.sum(1), 1.0, rtol=1e-6)


def test_another_projection_puts_rain_where_it_was() -> None:
    """A smooth bump at a known longitude and latitude, brought to two projections: its centre stays there."""
    source = grid(120, 120)
    lon, lat = source.lonlat(*np.meshgrid(source.x, source.y))
    centre = float(lon[60, 60]), float(lat[60, 60])
    bump = (20 * np.exp(-(((lon - centre[0]) * 0.62) ** 2 + (lat - centre[1]) ** 2) / 0.01)).astype(np.float32)
    for crs, pixel in (("EPSG:3035", 1.0), ("EPSG:3035", 3.0), ("EPSG:4326", 2.0)):
        there = resample_to(sequence([bump], on=source), pixel, crs)
        values = np.nan_to_num(there.native(0)).astype(np.float64)
        x, y = np.meshgrid(there.grid.x, there.grid.y)
        at = there.grid.lonlat(np.array([(x * values).sum() / values.sum()]),
                               np.array([(y * values).sum() / values.sum()]))
        assert float(at[0][0]) == pytest.approx(centre[0], abs=0.003)
        assert float(at[1][0]) == pytest.approx(centre[1], abs=0.003)
        assert there.grid.pixel_km == pytest.approx((pixel, pixel), rel=0.02)


def test_mean_between_projections_is_near_the_integral() -> None:
    source = grid(120, 120)
    field = np.random.default_rng(0).gamma(0.5, 4.0, (120, 120)).astype(np.float32)
    there = resample(sequence([field], on=source), target_grid(source, 10.0, "EPSG:3035"))
    values = there.native(0)
    cells = np.isfinite(values)
    assert np.nanmean(values[cells]) == pytest.approx(field.mean(), rel=0.03)
    largest = resample(sequence([field], on=source), there.grid, "max").native(0)
    assert (largest[cells] >= values[cells]).all()


def test_resampler_can_be_sent_to_another_process() -> None:
    chained = resample_to(crop(fill_gaps(sequence([noise(0), noise(1)]), "linear"), slice(0, 8), slice(0, 8)), 2.0)
    reader = chained.read
    assert isinstance(reader.resampler, Resampler)  # type: ignore[attr-defined]
    copy = pickle.loads(pickle.dumps(reader.resampler))  # type: ignore[attr-defined]
    np.testing.assert_array_equal(copy(noise(0)[:8, :8]), reader.resampler(noise(0)[:8, :8]))  # type: ignore[attr-defined]


def test_absurd_sizes_and_unknown_projections_are_refused() -> None:
    one = sequence(noise, 1)
    for pixel, crs in ((0.0, None), (0.001, None), (1.0, "EPSG:0"), (1.0, "nonsense")):
        with pytest.raises(WrongUsage):
            resample_to(one, pixel, crs)
    bare = sequence([noise(0)], on=Grid(one.grid.x, one.grid.y))
    with pytest.raises(NotEnoughInput):
        resample_to(bare, 2.0, "EPSG:3035")


def test_gaps_are_refused_unless_a_rule_is_named() -> None:
    holey = sequence(noise, 8, missing=(3, 4))
    with pytest.raises(NotEnoughInput, match=r"2 frame\(s\) are missing, first after 2020-07-01 12:10"):
        fill_gaps(holey)
    whole = sequence(noise, 8)
    assert fill_gaps(whole) is whole
    with pytest.raises(WrongUsage, match="linear"):
        fill_gaps(holey, "magic")


def test_linear_filling_is_even_in_time_and_marked() -> None:
    full = fill_gaps(sequence(noise, 8, missing=(3, 4)), "linear")
    assert len(full) == 8
    assert full.gaps == ()
    assert full.filled == {3, 4}
    np.testing.assert_allclose(full.native(3), noise(2) * (2 / 3) + noise(5) / 3, rtol=1e-5)
    np.testing.assert_array_equal(full.native(5), noise(5))
    assert full.with_zr(HKO7).filled == {3, 4}
    assert resample_to(full, 2.0).filled == {3, 4}
    assert full.times == sequence(noise, 8).times


def test_nearest_filling_repeats() -> None:
    full = fill_gaps(sequence(noise, 8, missing=(3, 4)), "nearest")
    np.testing.assert_array_equal(full.native(3), noise(2))
    np.testing.assert_array_equal(full.native(4), noise(5))
    assert full.filled == {3, 4}


def test_long_gaps_stay_gaps() -> None:
    holey = sequence(noise, 40, missing=(2, *range(10, 30)))
    full = fill_gaps(holey, "nearest")
    assert full.filled == {2}
    assert [gap.missing for gap in full.gaps] == [20]


def test_linear_filling_has_no_data_where_a_neighbour_has_none() -> None:
    first, last = noise(0), noise(2)
    first[0, 0] = np.nan
    frames = [noise(9), first, noise(1), last]
    full = fill_gaps(sequence(frames, missing=(2,)), "linear")
    assert np.isnan(full.native(2)[0, 0])
    assert np.isnan(full.native(2)).sum() == 1


def test_mean_over_time() -> None:
    """Frames at 12:00 ... 12:55; a quarter of an hour ends with its last frame: 12:05, 12:10, 12:15."""
    whole = sequence(noise, 13)
    quarter = aggregate(whole, timedelta(minutes=15))
    assert [f"{time:%H:%M}" for time in quarter.times] == ["12:15", "12:30", "12:45", "13:00"]
    np.testing.assert_allclose(quarter.native(0), (noise(1) + noise(2) + noise(3)) / 3, rtol=1e-5)
    np.testing.assert_allclose(accumulation(whole, (1, 2, 3)), quarter.native(0) * 0.25, rtol=1e-5)


def test_incomplete_steps_are_left_out() -> None:
    holey = aggregate(sequence(noise, 13, missing=(5,)), timedelta(minutes=15))
    assert [f"{time:%H:%M}" for time in holey.times] == ["12:15", "12:45", "13:00"]
    marked = aggregate(fill_gaps(sequence(noise, 13, missing=(5,)), "linear"), timedelta(minutes=15))
    assert marked.filled == {1}


def test_mean_over_time_wants_data_in_half_of_the_frames() -> None:
    frames = [np.full((4, 4), value, np.float32) for value in (0, 1, 2, 6)]
    frames[1][0, 0] = frames[1][0, 1] = frames[2][0, 1] = np.nan
    quarter = aggregate(sequence(frames), timedelta(minutes=15)).native(0)
    assert quarter[0, 0] == pytest.approx(4)
    assert np.isnan(quarter[0, 1])
    assert quarter[1, 1] == pytest.approx(3)


@pytest.mark.parametrize("minutes", [7, 12.5, 1])
def test_steps_must_be_multiples(minutes: float) -> None:
    with pytest.raises(WrongUsage, match="multiple"):
        aggregate(sequence(noise, 13), timedelta(minutes=minutes))


def test_filled_frames_are_no_observations() -> None:
    holey = sequence(noise, 6, missing=(2,))
    filled = fill_gaps(holey, "linear")
    (made,) = filled.filled
    for index, time in enumerate(filled.times):
        assert (filled.rain_rate_at(time) is None) == (index == made)
        assert (filled.packed_rain_rate_at(time) is None) == (index == made)
