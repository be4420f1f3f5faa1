"""The bins are exact for any float32, and the pixel law is the published one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.radar.scaling import (
    NO_DATA,
    RAIN_CLASSES,
    RainBins,
    pixel_of_dbz,
    rain_bins,
    rain_rate_of_pixel,
    unit_pixel,
)
from engine.radar.units import HKO7, MARSHALL_PALMER

ODD = (0.1, 0.33, 7.7, 42.42, 1234.5)


def searched(bins: RainBins, values: np.ndarray) -> np.ndarray:
    """What a bin is, said plainly: the number of edges that are not above the value."""
    expected = np.searchsorted(bins.edges, values, side="right")
    expected[~np.isfinite(values)] = NO_DATA
    return expected


@pytest.mark.parametrize("thresholds", [RAIN_CLASSES, ODD, (0.5,), (1e-3, 9000.0), tuple(np.arange(1, 60) * 1.5)])
def test_the_edges_hold_the_thresholds_and_rise(thresholds):
    bins = RainBins(thresholds)
    assert bins.edges.shape == (254,)
    assert bins.edges.dtype == np.float32
    assert (np.diff(bins.edges) > 0).all()
    assert np.isin(np.array(thresholds, np.float32), bins.edges).all()


def test_more_thresholds_than_round_edges_leave_room_for_are_all_kept():
    thresholds = tuple(float(t) for t in np.geomspace(0.05, 900, 250))
    assert np.isin(np.array(thresholds, np.float32), RainBins(thresholds).edges).all()


@pytest.mark.parametrize("thresholds", [RAIN_CLASSES, ODD])
def test_bins_are_exact_at_every_edge_and_beside_it(thresholds):
    bins = RainBins(thresholds)
    for values in (bins.edges, np.nextafter(bins.edges, np.float32(0)), np.nextafter(bins.edges, np.float32(np.inf))):
        np.testing.assert_array_equal(bins(values), searched(bins, values))


def test_bins_are_exact_for_any_bit_pattern():
    """Two million random float32 bit patterns: denormals, negatives, NaNs with payloads and infinities too."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2**32, 2_000_000, dtype=np.uint32).view(np.float32)
    rates = np.exp(rng.uniform(np.log(0.01), np.log(1000), 500_000)).astype(np.float32)
    for some in (values, rates):
        np.testing.assert_array_equal(rain_bins()(some), searched(rain_bins(), some))


@settings(max_examples=200, deadline=None)
@given(st.floats(width=32), st.sampled_from(RAIN_CLASSES + ODD))
def test_bin_and_position_decide_as_the_comparison_does(value, threshold):
    bins = rain_bins((*ODD,)) if threshold in ODD else rain_bins()
    place = bins.position(threshold)
    index = int(bins(np.array([value], np.float32))[0])
    if np.isfinite(value):
        assert (index >= place) == (np.float32(value) >= np.float32(threshold))
        assert index != NO_DATA
    else:
        assert index == NO_DATA


def test_special_values():
    values = np.array([[0.0, -0.0, -5.0], [np.nan, np.inf, -np.inf], [1e30, 1e-40, 3e38]], np.float32)
    assert rain_bins()(values).tolist() == [[0, 0, 0], [NO_DATA] * 3, [254, 0, 254]]


def test_slices_and_other_types_are_taken():
    values = np.linspace(0, 50, 200, dtype=np.float64).reshape(10, 20)
    np.testing.assert_array_equal(rain_bins()(values[::2, ::-3]), rain_bins()(values.astype(np.float32))[::2, ::-3])


def test_the_representative_value_lies_in_its_own_bin():
    bins = rain_bins()
    np.testing.assert_array_equal(bins(bins.values()), np.arange(256))


def test_bins_are_made_once_and_only_where_they_must():
    assert rain_bins((0.5, 5.0)) is rain_bins()
    assert rain_bins((0.33,)) is rain_bins((0.33,))
    assert rain_bins((0.33,)) is not rain_bins()
    assert rain_bins().position(0.33) is None


@pytest.mark.parametrize("thresholds", [(0.0,), (-1.0,), (20000.0,), (float("nan"),), (1.0, 1.001, 1.002)])
def test_impossible_thresholds_are_refused(thresholds):
    with pytest.raises(ValueError, match="threshold"):
        RainBins(thresholds)


@pytest.mark.parametrize(("rate", "pixel"), [(0.5, 83.70), (2, 117.92), (5, 140.53), (10, 157.64), (30, 184.75)])
def test_the_table_of_the_benchmark(rate, pixel):
    """Pixels of the five thresholds under Z = 58.53 R^1.56 and pixel = 255 (dBZ + 10) / 70."""
    assert float(unit_pixel(np.array([rate]), HKO7)[0]) * 255 == pytest.approx(pixel, abs=0.006)


def test_the_ends_of_the_pixel_law():
    assert pixel_of_dbz(np.array([-10.0, 25.0, 60.0])).tolist() == [0.0, 0.5, 1.0]
    assert float(rain_rate_of_pixel(np.array([1.0]), HKO7)[0]) == pytest.approx(516.7, abs=0.06)
    assert float(rain_rate_of_pixel(np.array([71 / 255]), HKO7)[0]) == pytest.approx(0.30, abs=0.005)
    assert unit_pixel(np.array([0.0, 1e5]), HKO7).tolist() == [0.0, 1.0]
    assert np.isnan(unit_pixel(np.array([np.nan]), HKO7)).all()
    assert rain_rate_of_pixel(np.array([0.0]), HKO7).tolist() == [0.0]


@pytest.mark.parametrize("zr", [HKO7, MARSHALL_PALMER])
def test_pixels_and_rain_rates_are_each_others_inverse(zr):
    rates = np.geomspace(0.06, 400, 500).astype(np.float32)
    np.testing.assert_allclose(rain_rate_of_pixel(unit_pixel(rates, zr), zr), np.minimum(
        rates, rain_rate_of_pixel(np.array([1.0]), zr)), rtol=2e-4)
