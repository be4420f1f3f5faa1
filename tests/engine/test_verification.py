"""Counts, scores, errors, pooling and the table, against hand-made answers and independent slow versions."""

from __future__ import annotations

import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from engine.archives import open_archive
from engine.radar.scaling import NO_DATA, RAIN_CLASSES, rain_bins
from engine.radar.units import HKO7, MARSHALL_PALMER
from engine.verification import fields, scores
from engine.verification.counts import Contingency, Tally, count_bins, tally_bins, tally_pair
from engine.verification.pooling import pool_pair
from engine.verification.table import ScoreTable

NAN = np.nan
FINLEY = (28, 23, 72, 2680)
"""Finley's tornado forecasts (1884): 28 hits, 72 false alarms, 23 misses, 2680 correct negatives."""

rain = st.one_of(st.just(NAN), st.just(0.0), st.sampled_from([0.1, 0.5, 2.0, 5.0, 7.7, 10.0, 30.0, 500.0]),
                 st.floats(0.0, 200.0, width=32))
frames = arrays(np.float32, (5, 7), elements=st.one_of(rain.map(lambda v: float(np.float32(v)))))


def field(*rows: list[float]) -> NDArray[np.float32]:
    return np.array(rows, np.float32)


def storm(seed: int, shape: tuple[int, int] = (60, 70)) -> NDArray[np.float32]:
    """Log-normal rain with dry pixels, no data, and values that lie exactly on thresholds."""
    rng = np.random.default_rng(seed)
    values = np.exp(rng.normal(0.5, 1.6, shape)).astype(np.float32)
    values[rng.random(shape) < 0.3] = 0.0
    exact = rng.random(shape) < 0.1
    values[exact] = rng.choice(np.array([0.1, 0.33, 0.5, 2, 5, 7.7, 10, 30], np.float32), int(exact.sum()))
    values[rng.random(shape) < 0.15] = NAN
    return values


def slow_counts(observed, predicted, thresholds, valid=None):
    """One threshold after another, on the floats."""
    usable = ~np.isnan(observed) & ~np.isnan(predicted) & (True if valid is None else valid)
    rows = []
    for threshold in thresholds:
        seen, foreseen = observed >= np.float32(threshold), predicted >= np.float32(threshold)
        rows.append([(usable & a & b).sum() for a, b in ((seen, foreseen), (seen, ~foreseen), (~seen, foreseen),
                                                         (~seen, ~foreseen))])
    return np.array(rows).T


def as_rows(table: Contingency) -> NDArray[np.int64]:
    return np.array([table.tp, table.fn, table.fp, table.tn])


# counts

def test_counts_of_a_field_made_by_hand():
    observed = field([0.0, 0.5, 2.0], [NAN, 6.0, 1.0], [31.0, 0.4, 0.0])
    predicted = field([0.0, 0.6, 1.9], [3.0, 5.0, 0.2], [30.0, 0.5, NAN])
    table = tally_pair(observed, predicted, zr=HKO7).contingency((0.5, 2.0, 30.0))
    # valid: 7 pixels; at 0.5 observed {.5, 2, 6, 1, 31}, predicted {.6, 1.9, 5, 30, .5}
    assert as_rows(table).tolist() == [[4, 2, 1], [1, 1, 0], [1, 0, 0], [1, 4, 6]]
    assert table.tp.dtype == np.int64


@pytest.mark.parametrize("thresholds", [RAIN_CLASSES, (0.1, 0.33, 7.7), (30.0,), (0.07, 0.5, 42.42, 999.0)])
def test_counts_equal_the_slow_version(thresholds):
    observed, predicted = storm(1), storm(2)
    valid = np.random.default_rng(3).random(observed.shape) > 0.2
    bins = rain_bins(thresholds)
    for mask in (None, valid):
        expected = slow_counts(observed, predicted, thresholds, mask)
        tally = tally_pair(observed, predicted, zr=HKO7, bins=bins, valid=mask)
        assert (as_rows(tally.contingency(thresholds)) == expected).all()
        small = count_bins(bins(observed), bins(predicted), thresholds, mask, bins=bins)
        assert (as_rows(small) == expected).all()
        from_bins = tally_bins(bins(observed), bins(predicted), mask, bins=bins)
        assert (from_bins.joint == tally.joint).all()
        assert from_bins.pixels == tally.pixels == expected[:, 0].sum()


@settings(max_examples=60, deadline=None)
@given(frames, frames)
def test_any_field_counts_as_the_slow_version(observed, predicted):
    thresholds = (0.1, 0.5, 2.0, 7.7, 30.0)
    tally = tally_pair(observed, predicted, zr=HKO7, bins=rain_bins(thresholds))
    assert (as_rows(tally.contingency(thresholds)) == slow_counts(observed, predicted, thresholds)).all()


@pytest.mark.parametrize("threshold", [0.1, 0.33, 0.5, 2.0, 7.7, 30.0])
def test_a_value_on_the_threshold_is_an_event_and_the_float_below_is_none(threshold):
    on = np.float32(threshold)
    observed = np.array([[on, np.nextafter(on, np.float32(0)), np.nextafter(on, np.float32(np.inf))]])
    table = tally_pair(observed, observed, zr=HKO7, bins=rain_bins((threshold,))).contingency((threshold,))
    assert as_rows(table).ravel().tolist() == [2, 0, 0, 1]


def test_thresholds_may_come_in_any_order_and_twice():
    observed, predicted, thresholds = storm(1), storm(2), (10.0, 0.5, 10.0, 2.0)
    table = tally_pair(observed, predicted, zr=HKO7).contingency(thresholds)
    assert (as_rows(table) == slow_counts(observed, predicted, thresholds)).all()
    assert tally_pair(observed, predicted, zr=HKO7).contingency(()).tp.shape == (0,)


def test_a_frame_larger_than_a_block_is_counted_once(monkeypatch):
    monkeypatch.setattr("engine.verification.counts._BLOCK", 1000)
    observed, predicted = storm(4), storm(5)
    asked = []
    cut = tally_pair(observed, predicted, zr=HKO7, check=lambda: asked.append(1))
    monkeypatch.undo()
    whole = tally_pair(observed, predicted, zr=HKO7)
    assert (cut.joint == whole.joint).all()
    assert cut.frames == whole.frames == 1
    assert cut.squared == pytest.approx(whole.squared, rel=1e-12)
    assert len(asked) == 5


def test_bins_that_exist_already_give_the_same_tally():
    observed, predicted, bins = storm(6), storm(7), rain_bins()
    given_bins = tally_pair(observed, predicted, zr=HKO7, observed_bins=bins(observed),
                            predicted_bins=bins(predicted))
    assert (given_bins.joint == tally_pair(observed, predicted, zr=HKO7).joint).all()


def test_tallies_add_up():
    first = tally_pair(storm(1), storm(2), zr=HKO7)
    second = tally_pair(storm(3), storm(4), zr=HKO7)
    both = first + second
    stacked = tally_pair(np.vstack([storm(1), storm(3)]), np.vstack([storm(2), storm(4)]), zr=HKO7)
    assert (both.joint == stacked.joint).all()
    assert (both.frames, both.pixels) == (2, stacked.pixels)
    assert both.balanced_absolute == pytest.approx(stacked.balanced_absolute, rel=1e-12)
    neutral = sum((first, second), Tally.empty())
    assert (neutral.joint == both.joint).all()
    assert neutral.sums == both.sums
    tables = first.contingency() + second.contingency()
    assert (as_rows(tables) == as_rows(both.contingency())).all()


def test_what_does_not_belong_together_is_refused():
    tally = tally_pair(storm(1), storm(2), zr=HKO7)
    with pytest.raises(ValueError, match="different bins"):
        tally + tally_pair(storm(1), storm(2), zr=HKO7, bins=rain_bins((0.33,)))
    with pytest.raises(ValueError, match=r"0\.33"):
        tally.contingency((0.5, 0.33))
    assert tally.holds(RAIN_CLASSES)
    assert not tally.holds((0.33,))
    with pytest.raises(ValueError, match="thresholds"):
        tally.contingency((0.5,)) + tally.contingency((2.0,))
    with pytest.raises(ValueError, match="cannot be compared"):
        tally_pair(storm(1), storm(2, (60, 71)), zr=HKO7)
    with pytest.raises(ValueError, match=r"0\.33"):
        count_bins(rain_bins()(storm(1)), rain_bins()(storm(2)), (0.33,))


def test_a_tally_travels_between_processes():
    tally = tally_pair(storm(1), storm(2), zr=HKO7)
    again = pickle.loads(pickle.dumps(tally))
    assert ((again + tally).joint == 2 * tally.joint).all()
    assert again.sums == tally.sums


def test_all_masked_leaves_nothing():
    nothing = np.full((4, 4), NAN, np.float32)
    for tally in (tally_pair(nothing, storm(1, (4, 4)), zr=HKO7),
                  tally_pair(storm(1, (4, 4)), storm(1, (4, 4)), zr=HKO7, valid=np.zeros((4, 4), bool))):
        assert (tally.frames, tally.pixels, tally.joint.sum()) == (0, 0, 0)
        assert all(math.isnan(row.function(tally)) for row in fields.FIELD_SCORES)
        table = tally.contingency()
        for row in scores.EVENT_SCORES:
            assert np.isnan(row.function(table.tp, table.fn, table.fp, table.tn)).all()


def test_no_data_never_enters_the_histogram():
    tally = tally_pair(storm(1), storm(2), zr=HKO7)
    assert tally.joint[NO_DATA].sum() == tally.joint[:, NO_DATA].sum() == 0


# scores

@pytest.mark.parametrize(("name", "expected"), [
    ("csi", 0.228), ("hss", 0.355), ("pod", 0.549), ("far", 0.720), ("success_ratio", 0.280), ("bias", 1.961)])
def test_finleys_tornadoes(name, expected):
    score = {row.name: row for row in scores.EVENT_SCORES}[name]
    assert float(score.function(*FINLEY)) == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize("row", scores.EVENT_SCORES, ids=lambda row: row.name)
def test_every_event_score_is_perfect_for_a_perfect_forecast(row):
    assert float(row.function(10, 0, 0, 90)) == row.perfect


@pytest.mark.parametrize("row", scores.EVENT_SCORES, ids=lambda row: row.name)
@settings(max_examples=100, deadline=None)
@given(counts=st.tuples(*[st.integers(0, 10**9)] * 4))
def test_every_event_score_stays_in_its_range(row, counts):
    value = float(row.function(*counts))
    assert math.isnan(value) or row.low - 1e-12 <= value <= row.high + 1e-12


def test_undefined_scores_are_nan():
    assert np.isnan(scores.csi(0, 0, 0, 100))  # no event anywhere
    assert np.isnan(scores.hss(0, 0, 0, 100))
    assert np.isnan(scores.pod(0, 0, 5, 95))  # nothing observed
    assert np.isnan(scores.bias(0, 0, 5, 95))
    assert np.isnan(scores.far(0, 5, 0, 95))  # nothing forecast
    assert scores.csi(0, 5, 0, 95) == 0.0
    assert np.isnan(scores.hss(100, 0, 0, 0))  # everything an event in both
    assert scores.csi(100, 0, 0, 0) == 1.0


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 10**6))
def test_hss_follows_from_gss_and_is_zero_by_chance(hits, size, other):
    """HSS = 2 GSS / (GSS + 1) (Schaefer 1990); zero where forecast and observation are independent."""
    tp, fn, fp, tn = hits, size, other, 2 * size + other
    chance = (tp + fn) * (tp + fp) / (tp + fn + fp + tn)
    gss = (tp - chance) / (tp + fn + fp - chance)
    assert float(scores.hss(tp, fn, fp, tn)) == pytest.approx(2 * gss / (gss + 1), abs=1e-9)
    assert float(scores.hss(6, 4 * 6, 3 * 6, 12 * 6)) == 0.0


def test_scores_agree_with_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    observed, predicted = storm(8), storm(9)
    table = tally_pair(observed, predicted, zr=HKO7).contingency((2.0,))
    usable = ~np.isnan(observed) & ~np.isnan(predicted)
    seen, foreseen = observed[usable] >= 2.0, predicted[usable] >= 2.0
    counts = (table.tp, table.fn, table.fp, table.tn)
    assert scores.csi(*counts)[0] == pytest.approx(metrics.jaccard_score(seen, foreseen))
    assert scores.hss(*counts)[0] == pytest.approx(metrics.cohen_kappa_score(seen, foreseen))  # the same formula
    assert scores.pod(*counts)[0] == pytest.approx(metrics.recall_score(seen, foreseen))
    assert scores.success_ratio(*counts)[0] == pytest.approx(metrics.precision_score(seen, foreseen))


def test_counts_and_scores_agree_with_the_scores_library():
    categorical = pytest.importorskip("scores.categorical")
    xarray = pytest.importorskip("xarray")
    observed, predicted = storm(8), storm(9)
    operator = categorical.ThresholdEventOperator(default_event_threshold=5.0)
    manager = operator.make_contingency_manager(xarray.DataArray(predicted), xarray.DataArray(observed))
    table = tally_pair(observed, predicted, zr=HKO7).contingency((5.0,))
    theirs = manager.get_counts()
    names = ("tp_count", "fn_count", "fp_count", "tn_count")
    assert as_rows(table).ravel().tolist() == [int(theirs[name]) for name in names]
    counts = (table.tp, table.fn, table.fp, table.tn)
    for ours, name in ((scores.csi, "critical_success_index"), (scores.hss, "heidke_skill_score"),
                       (scores.pod, "hit_rate"), (scores.far, "false_alarm_ratio"), (scores.bias, "frequency_bias")):
        assert ours(*counts)[0] == pytest.approx(float(getattr(manager, name)()))


@pytest.mark.realdata
@pytest.mark.parametrize("event", ["knmi/2010-08-26", "mch-aqc/2015-05-15"])
def test_real_frames_count_as_the_slow_version(real_data, event):
    files = sorted(path for path in (real_data / event).iterdir() if path.is_file())[20:23]
    sequence = open_archive(files)
    observed, predicted = sequence.rain_rate(2), sequence.rain_rate(0)
    thresholds = (0.12, 0.5, 2.0, 5.0, 10.0, 30.0)
    tally = tally_pair(observed, predicted, zr=sequence.zr, bins=rain_bins(thresholds))
    assert (as_rows(tally.contingency(thresholds)) == slow_counts(observed, predicted, thresholds)).all()
    assert tally.pixels == np.count_nonzero(np.isfinite(observed) & np.isfinite(predicted))
    assert 0.3 < float(scores.csi(*as_rows(tally.contingency((0.5,))))[0]) < 1.0  # ten minutes apart


# fields

def test_balanced_errors_by_hand():
    """Rates whose HKO-7 pixels follow from dBZ = 10 log10(58.53) + 15.6 log10 R, pixel/255 = (dBZ + 10) / 70."""
    observed, predicted = field([0.0, 1.0], [3.0, NAN], [12.0, 40.0]), field([1.0, 1.0], [6.0, 9.0], [8.0, 0.0])

    def pixel(rate: float) -> float:
        return (10 * math.log10(58.53) + 15.6 * math.log10(rate) + 10) / 70

    parts = [(1, pixel(1.0)), (2, pixel(6) - pixel(3)), (10, pixel(12) - pixel(8)), (30, pixel(40))]
    tally = tally_pair(observed, predicted, zr=HKO7)
    assert (tally.frames, tally.pixels) == (1, 5)
    assert fields.mse(tally) == pytest.approx(sum(d * d for _, d in parts), rel=1e-5)
    assert fields.mae(tally) == pytest.approx(sum(d for _, d in parts), rel=1e-5)
    assert fields.b_mse(tally) == pytest.approx(sum(w * d * d for w, d in parts), rel=1e-5)
    assert fields.b_mae(tally) == pytest.approx(sum(w * d for w, d in parts), rel=1e-5)
    assert fields.b_mse_per_pixel(tally) == pytest.approx(fields.b_mse(tally) / 5)
    assert fields.mse_mm_h(tally) == pytest.approx((1 + 9 + 16 + 1600) / 5)
    assert fields.mae_mm_h(tally) == pytest.approx((1 + 3 + 4 + 40) / 5)


@pytest.mark.parametrize(("rate", "weight"), [(0.4, 1), (0.5, 1), (1.99, 1), (2.0, 2), (5.0, 5), (9.99, 5), (10.0, 10),
                                              (30.0, 30), (200.0, 30)])
def test_the_weight_is_the_class_of_the_observation(rate, weight):
    tally = tally_pair(field([rate]), field([rate * 1.5]), zr=HKO7)
    assert tally.balanced_absolute == pytest.approx(weight * tally.absolute)
    assert tally.balanced_squared == pytest.approx(weight * tally.squared)


def test_pixels_are_clipped_before_the_error():
    """HKO-7 pixels end at 60 dBZ = 516.7 mm/h and begin at -10 dBZ; 600 and 900 mm/h are the same pixel."""
    tally = tally_pair(field([600.0, 1e-4]), field([900.0, 0.0]), zr=HKO7)
    assert tally.squared == 0.0
    assert tally.sums.absolute_mm_h == pytest.approx(300.0, rel=1e-5)


def test_errors_are_sums_over_a_frame_and_means_over_frames():
    first = tally_pair(field([1.0, 0.0]), field([3.0, 0.0]), zr=MARSHALL_PALMER)
    second = tally_pair(field([1.0, 1.0]), field([3.0, 3.0]), zr=MARSHALL_PALMER)
    both = first + second
    assert fields.mse(both) == pytest.approx(1.5 * fields.mse(first))
    assert fields.mse_per_pixel(both) == pytest.approx(3 * first.squared / 4)
    assert (both.frames, both.pixels) == (2, 4)


@settings(max_examples=40, deadline=None)
@given(frames, frames)
def test_errors_equal_a_slow_version(observed, predicted):
    usable = ~np.isnan(observed) & ~np.isnan(predicted)
    tally = tally_pair(observed, predicted, zr=HKO7)
    truth, forecast = observed[usable].astype(float), predicted[usable].astype(float)

    def pixel(rate):
        with np.errstate(divide="ignore"):
            return np.clip((10 * np.log10(58.53 * rate**1.56) + 10) / 70, 0, 1)

    weight = np.select([truth < 2, truth < 5, truth < 10, truth < 30], [1, 2, 5, 10], 30)
    error = pixel(forecast) - pixel(truth)
    assert tally.balanced_squared == pytest.approx((weight * error**2).sum(), rel=1e-4, abs=1e-4)
    assert tally.balanced_absolute == pytest.approx((weight * abs(error)).sum(), rel=1e-4, abs=1e-3)
    assert tally.sums.squared_mm_h == pytest.approx(((forecast - truth) ** 2).sum(), rel=1e-6)


def test_a_perfect_forecast_has_no_error():
    tally = tally_pair(storm(1), storm(1), zr=HKO7)
    assert all(row.function(tally) == 0.0 for row in fields.FIELD_SCORES)


def test_counting_bins_alone_leaves_the_errors_undefined():
    bins = rain_bins()
    tally = tally_bins(bins(storm(1)), bins(storm(2))) + tally_pair(storm(1), storm(2), zr=HKO7)
    assert math.isnan(fields.mse(tally))


# pooling

def test_pooling_by_hand():
    observed = field([1, 2, NAN, NAN], [3, 4, NAN, 9], [0, 0, 5, 6], [0, NAN, 7, 8])
    predicted = field([9, 1, 1, 1], [1, NAN, 1, NAN], [0, 1, 2, NAN], [3, 9, 9, 1])
    o, p = pool_pair(observed, predicted, 2)
    np.testing.assert_array_equal(o, field([3, NAN], [0, 8]))  # the 4 has no prediction; the 6 neither
    np.testing.assert_array_equal(p, field([9, NAN], [3, 9]))


@pytest.mark.parametrize(("shape", "size", "expected"), [((4, 4), 2, (2, 2)), ((5, 7), 2, (3, 4)), ((6, 6), 6, (1, 1)),
                                                         ((5, 5), 9, (1, 1)), ((5, 6), 1, (5, 6))])
def test_no_window_is_added_where_the_size_divides(shape, size, expected):
    o, p = pool_pair(storm(1, shape), storm(2, shape), size)
    assert o.shape == p.shape == expected
    assert (np.isnan(o) == np.isnan(p)).all()


def test_pooling_by_one_keeps_the_counts():
    observed, predicted = storm(1), storm(2)
    o, p = pool_pair(observed, predicted, 1)
    assert (tally_pair(o, p, zr=HKO7).joint == tally_pair(observed, predicted, zr=HKO7).joint).all()


def test_pooling_equals_a_loop_over_windows():
    observed, predicted = storm(10, (17, 23)), storm(11, (17, 23))
    valid = np.random.default_rng(0).random((17, 23)) > 0.3
    o, p = pool_pair(observed, predicted, 4, valid)
    for row in range(5):
        for column in range(6):
            window = np.s_[row * 4:row * 4 + 4, column * 4:column * 4 + 4]
            usable = valid[window] & ~np.isnan(observed[window]) & ~np.isnan(predicted[window])
            expected = observed[window][usable].max() if usable.any() else NAN
            np.testing.assert_equal(o[row, column], np.float32(expected))
            np.testing.assert_equal(p[row, column],
                                    np.float32(predicted[window][usable].max() if usable.any() else NAN))


def test_a_strange_window_is_refused():
    with pytest.raises(ValueError, match="0 pixels"):
        pool_pair(storm(1), storm(2), 0)
    with pytest.raises(ValueError, match="cannot be compared"):
        pool_pair(storm(1), storm(2, (3, 3)), 2)


# table

def test_the_table_pools_over_forecasts_and_shows_missing_leads():
    table = ScoreTable((0.5, 5.0), (5, 10, 15))
    table.add(10, tally_pair(field([1, 0]), field([1, 1]), zr=HKO7))
    table.add(10, tally_pair(field([1, 1]), field([1, 0]), zr=HKO7))
    table.add(5, tally_pair(field([1, 6]), field([1, 6]), zr=HKO7))
    document = table.to_json()
    assert document["lead_times_min"] == [5.0, 10.0, 15.0]
    assert document["thresholds_mm_h"] == [0.5, 5.0]
    assert document["counts"] == {"tp": [[2, 2, 0], [1, 0, 0]], "fn": [[0, 1, 0], [0, 0, 0]],
                                  "fp": [[0, 1, 0], [0, 0, 0]], "tn": [[0, 0, 0], [1, 4, 0]]}
    assert document["csi"] == [[1.0, 0.5, None], [1.0, None, None]]
    assert document["mean"]["csi"] == [0.75, 1.0]
    assert document["mse"][2] is None
    assert document["mse"][0] == 0.0
    assert document["frames"] == [1, 2, 0]
    assert document["pixels"] == [2, 4, 0]
    assert document["missing_leads_min"] == [15.0]
    for score in ("csi", "hss", "pod", "far", "bias"):
        assert [len(row) for row in document[score]] == [3, 3]
    for score in ("mse", "mae", "b_mse", "b_mae"):
        assert len(document[score]) == 3
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_pooled_counts_are_not_the_mean_of_scores():
    table = ScoreTable((0.5,))
    table.add(5, tally_pair(np.ones((1, 100), np.float32), np.ones((1, 100), np.float32), zr=HKO7))
    table.add(5, tally_pair(field([1.0]), field([0.0]), zr=HKO7))
    assert table.to_json()["csi"][0][0] == pytest.approx(100 / 101)


def test_an_empty_table_is_a_document_too():
    document = ScoreTable().to_json()
    assert document["csi"] == [[], [], [], [], []]
    assert document["mse"] == []
    assert document["mean"]["mse"] is None
