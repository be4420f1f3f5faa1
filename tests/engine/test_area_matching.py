"""Areas of the last frame, order of the forecast: counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from engine.forecasters.area_matching import as_wide_as, mixed

THRESHOLDS = (0.5, 2.0, 5.0, 10.0)


def fields() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(4)
    last = (draw.gamma(0.4, 4.0, (60, 70))).astype(np.float32)
    return (0.3 * draw.gamma(0.6, 2.0, (60, 70))).astype(np.float32), last


@pytest.mark.parametrize("factor", [1.0, 1.3])
def test_each_threshold_is_reached_over_the_wanted_area(factor: float) -> None:
    rain, last = fields()
    out = as_wide_as(rain, last, THRESHOLDS, factor)
    for threshold in THRESHOLDS:
        assert abs(int((out >= threshold).sum()) - round(factor * int((last >= threshold).sum()))) <= 1


def test_the_order_of_cells_stays() -> None:
    rain, last = fields()
    out = as_wide_as(rain, last, THRESHOLDS, 1.2)
    order = np.argsort(rain.ravel())
    assert (np.diff(out.ravel()[order]) >= 0).all()


def test_dry_cells_stay_dry_and_no_data_stays() -> None:
    rain, last = fields()
    rain[:20] = 0.0
    rain[30] = np.nan
    last[31] = np.nan
    before = rain[31].copy()
    out = as_wide_as(rain, last, THRESHOLDS, 5.0)
    assert not out[:20].any()
    assert np.isnan(out[30]).all()
    np.testing.assert_array_equal(out[31], before)
    dry = np.zeros_like(rain)
    np.testing.assert_array_equal(as_wide_as(dry, last, THRESHOLDS, 1.2), dry)


def test_where_nothing_was_seen_no_threshold_is_reached() -> None:
    rain, _ = fields()
    out = as_wide_as(rain, np.zeros_like(rain), THRESHOLDS, 1.2)
    assert float(out.max()) < THRESHOLDS[0]


def test_a_threshold_that_was_not_seen_is_not_reached() -> None:
    rain, last = fields()
    out = as_wide_as(rain, np.minimum(last, np.float32(4.9)), THRESHOLDS, 1.2)
    assert 2.0 <= float(out.max()) < 5.0


def test_where_no_cell_lay_between_two_thresholds_none_does_afterwards() -> None:
    last = np.zeros((40, 40), np.float32)
    last[:20] = 1.0
    last[:5, :8] = 12.0  # nothing from 2 to 10
    rain = np.random.default_rng(2).gamma(0.6, 2.0, (40, 40)).astype(np.float32)
    out = as_wide_as(rain, last, THRESHOLDS, 1.0)
    assert [int((out >= threshold).sum()) for threshold in THRESHOLDS] == [800, 40, 40, 40]


def test_a_mixture_goes_from_one_to_the_other() -> None:
    rain, last = fields()
    last[0, 0] = np.nan
    np.testing.assert_allclose(mixed(rain, last, 0.0), rain, atol=1e-5)
    np.testing.assert_allclose(mixed(rain, last, 1.0)[1:], last[1:], atol=1e-4)
    assert mixed(rain, last, 1.0)[0, 0] == pytest.approx(rain[0, 0])
    half = mixed(np.full((1, 1), 7.98, np.float32), np.full((1, 1), 1.98, np.float32), 0.5)
    assert half[0, 0] == pytest.approx(4.0 - 0.02, abs=1e-4)  # geometric mean of 8 and 2, less the offset
