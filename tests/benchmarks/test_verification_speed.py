"""All thresholds from one pass over binned frames, against one threshold after another over floats.

Both sides are measured in the same run by CPU time and only their ratio is judged.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from engine.radar.scaling import RAIN_CLASSES, rain_bins
from engine.verification.counts import count_bins, tally_bins
from engine.verification.events import count_events
from tests.benchmarks.measure import best_of

SHAPE, FRAMES = (900, 900), 20
Rates = list[NDArray[np.float32]]


def per_threshold(observed: Rates, predicted: Rates) -> NDArray[np.int64]:
    """The straightforward version: masks, comparisons and sums, (threshold, 4)."""
    counts = np.zeros((len(RAIN_CLASSES), 4), np.int64)
    for truth, forecast in zip(observed, predicted, strict=True):
        valid = ~np.isnan(truth) & ~np.isnan(forecast)
        for row, threshold in enumerate(RAIN_CLASSES):
            seen, foreseen = (truth >= threshold) & valid, (forecast >= threshold) & valid
            counts[row] += ((seen & foreseen).sum(), (seen & ~foreseen).sum(), (~seen & foreseen).sum(),
                            (~seen & ~foreseen & valid).sum())
    return counts


def per_threshold_tuned(observed: Rates, predicted: Rates) -> NDArray[np.int64]:
    """The same with what a careful author would do: faster counting, the fourth count by subtraction."""
    counts = np.zeros((len(RAIN_CLASSES), 4), np.int64)
    for truth, forecast in zip(observed, predicted, strict=True):
        valid = np.isfinite(truth) & np.isfinite(forecast)
        pixels = np.count_nonzero(valid)
        for row, threshold in enumerate(RAIN_CLASSES):
            seen, foreseen = (truth >= threshold) & valid, (forecast >= threshold) & valid
            both = np.count_nonzero(seen & foreseen)
            in_truth, in_forecast = np.count_nonzero(seen), np.count_nonzero(foreseen)
            counts[row] += (both, in_truth - both, in_forecast - both, pixels - in_truth - in_forecast + both)
    return counts


@pytest.fixture(scope="module")
def fields() -> tuple[Rates, Rates]:
    """Five smooth storms in a round radar range, and the same displaced; each stands for four frames."""
    rng = np.random.default_rng(7)
    outside = np.hypot(*np.mgrid[-450:450, -450:450]) > 445
    observed, predicted = [], []
    for _ in range(5):
        noise = gaussian_filter(rng.normal(size=SHAPE), 8)
        rate = np.exp(1.3 * noise / noise.std()).astype(np.float32)
        rate[rate < 0.7] = 0.0
        moved = np.roll(rate, (5, 9), (0, 1))
        rate[outside] = moved[outside] = np.nan
        observed.append(rate)
        predicted.append(moved)
    return observed * (FRAMES // 5), predicted * (FRAMES // 5)


def histogram(observed: list[NDArray[np.uint8]], predicted: list[NDArray[np.uint8]]) -> NDArray[np.int64]:
    tally = tally_bins(observed[0], predicted[0])
    for truth, forecast in zip(observed[1:], predicted[1:], strict=True):
        tally = tally + tally_bins(truth, forecast)
    table = tally.contingency(RAIN_CLASSES)
    return np.stack([table.tp, table.fn, table.fp, table.tn], axis=1)


def counted(observed: list[NDArray[np.uint8]], predicted: list[NDArray[np.uint8]]) -> NDArray[np.int64]:
    total = count_bins(observed[0], predicted[0])
    for truth, forecast in zip(observed[1:], predicted[1:], strict=True):
        total = total + count_bins(truth, forecast)
    return np.stack([total.tp, total.fn, total.fp, total.tn], axis=1)


def test_twenty_frames_at_five_thresholds(benchmark, fields):
    observed, predicted = fields
    bins = rain_bins()
    seen, foreseen = [bins(f) for f in observed], [bins(f) for f in predicted]
    versions: dict[str, Callable[[], NDArray[np.int64]]] = {
        "per threshold": lambda: per_threshold(observed, predicted),
        "per threshold, tuned": lambda: per_threshold_tuned(observed, predicted),
        "histogram": lambda: histogram(seen, foreseen),
        "counted": lambda: counted(seen, foreseen),
    }
    expected = versions["per threshold"]()
    for version in versions.values():
        np.testing.assert_array_equal(version(), expected)
    best = best_of(5, versions)
    benchmark.extra_info.update({name: round(seconds * 1000, 1) for name, seconds in best.items()})
    benchmark.extra_info["ratio"] = round(best["per threshold"] / best["histogram"], 2)
    benchmark.pedantic(versions["histogram"], rounds=3)
    assert best["per threshold"] / best["histogram"] >= 2.5, best
    assert best["per threshold"] / best["counted"] >= 2.5, best


def direct(observed: Rates, predicted: Rates) -> NDArray[np.int64]:
    total = count_events(observed[0], predicted[0])
    for truth, forecast in zip(observed[1:], predicted[1:], strict=True):
        total = total + count_events(truth, forecast)
    return np.stack([total.tp, total.fn, total.fp, total.tn], axis=1)


def test_against_the_library_of_the_field(benchmark, fields):
    """From rain rates to the scores of all five thresholds, and ``det_cat_fct`` threshold after threshold."""
    library = pytest.importorskip("pysteps.verification.detcatscores", reason='pip install "stormdeck[compare]"')
    observed, predicted = fields
    bins = rain_bins()

    def theirs() -> list[dict[str, float]]:
        return [library.det_cat_fct(forecast, truth, threshold) for truth, forecast in zip(observed, predicted,
                                                                                           strict=True)
                for threshold in RAIN_CLASSES]

    def binned() -> NDArray[np.int64]:
        return histogram([bins(field) for field in observed], [bins(field) for field in predicted])

    np.testing.assert_array_equal(direct(observed, predicted), per_threshold(observed, predicted))
    versions: dict[str, Callable[[], object]] = {
        "det_cat_fct": theirs, "from rates": lambda: direct(observed, predicted), "binned and histogram": binned}
    best = best_of(5, versions)
    benchmark.extra_info.update({name: round(seconds * 1000, 1) for name, seconds in best.items()})
    benchmark.pedantic(versions["from rates"], rounds=3)
    assert best["det_cat_fct"] / best["from rates"] >= 10, best
    assert best["det_cat_fct"] / best["binned and histogram"] >= 3.5, best
