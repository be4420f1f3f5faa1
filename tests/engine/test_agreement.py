"""Our scores against pysteps, scores, properscoring and scikit-image where they mean the same; docs/verification.md
says where they do not. Each test is skipped where its library is not installed (``stormdeck[compare]``)."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from engine.radar.scaling import RAIN_CLASSES
from engine.radar.units import ZR
from engine.verification.counts import tally_pair
from engine.verification.ensembles import crps, rank_histogram, reliability
from engine.verification.events import count_events
from engine.verification.fields import mae_mm_h, mse_mm_h
from engine.verification.images import psnr, ssim
from engine.verification.neighbourhood import fractions
from engine.verification.objects import sal
from engine.verification.scores import EVENT_SCORES

Rain = NDArray[np.float32]


def storm(seed: int, shape: tuple[int, int] = (96, 120), holes: bool = False, edge: int = 0) -> Rain:
    """Cells of rain of 0.5 mm/h and more; nothing within ``edge`` cells of the border."""
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.normal(size=shape), 4)
    rain = np.exp(2.2 * field / field.std()).astype(np.float32)
    rain[rain < 0.5] = 0.0
    if edge:
        inner = np.zeros(shape, bool)
        inner[edge:-edge, edge:-edge] = True
        rain[~inner] = 0.0
    if holes:
        rain[rng.random(shape) < 0.1] = np.nan
    return rain


@pytest.fixture
def observed() -> Rain:
    return storm(1, holes=True)


@pytest.fixture
def predicted() -> Rain:
    return (0.6 * storm(1) + 0.4 * storm(2, holes=True)).astype(np.float32)


def library(name: str) -> Any:
    return pytest.importorskip(name, reason='pip install "stormdeck[compare]"', exc_type=ImportError)


@pytest.fixture(scope="module")
def pysteps() -> ModuleType:
    return library("pysteps.verification")


# -- events and errors

@pytest.mark.parametrize("threshold", RAIN_CLASSES)
def test_scores_of_events_are_those_of_pysteps(pysteps: Any, threshold: float) -> None:
    observed, predicted = storm(1), (0.6 * storm(1) + 0.4 * storm(2)).astype(np.float32)
    theirs = pysteps.detcatscores.det_cat_fct(predicted, observed, threshold)
    table = count_events(observed, predicted, (threshold,))
    names = {"csi": "CSI", "hss": "HSS", "pod": "POD", "far": "FAR", "bias": "BIAS"}
    compared = set()
    for score in EVENT_SCORES:
        if score.name in names:
            ours = float(score.function(table.tp, table.fn, table.fp, table.tn)[0])
            assert ours == pytest.approx(theirs[names[score.name]], abs=1e-6), score.name
            compared.add(score.name)
    assert compared == set(names)


def test_pysteps_takes_missing_values_as_no_event_and_the_threshold_itself_as_none(pysteps: Any) -> None:
    observed, predicted = np.array([[3.0, np.nan, 2.0]], np.float32), np.array([[np.nan, np.nan, 2.0]], np.float32)
    theirs = pysteps.detcatscores.det_cat_fct_init(2.0)
    pysteps.detcatscores.det_cat_fct_accum(theirs, predicted, observed)
    assert [int(theirs[name]) for name in ("hits", "misses", "false_alarms", "correct_negatives")] == [0, 1, 0, 2]
    ours = count_events(observed, predicted, (2.0,))
    assert [int(count[0]) for count in (ours.tp, ours.fn, ours.fp, ours.tn)] == [1, 0, 0, 0]


@pytest.mark.parametrize("threshold", RAIN_CLASSES)
def test_scores_of_events_are_those_of_scores(observed: Rain, predicted: Rain, threshold: float) -> None:
    categorical, xarray = library("scores.categorical"), library("xarray")
    arrays = [xarray.DataArray(field, dims=("y", "x")) for field in (predicted, observed)]
    theirs = categorical.ThresholdEventOperator().make_contingency_manager(
        *arrays, event_threshold=threshold, op_fn=np.greater_equal)
    table = count_events(observed, predicted, (threshold,))
    names = {"csi": "critical_success_index", "hss": "heidke_skill_score", "pod": "probability_of_detection",
             "far": "false_alarm_ratio", "success_ratio": "success_ratio", "bias": "frequency_bias"}
    for score in EVENT_SCORES:
        ours = float(score.function(table.tp, table.fn, table.fp, table.tn)[0])
        assert ours == pytest.approx(float(getattr(theirs, names[score.name])()), abs=1e-6), score.name


def test_errors_of_rain_rate_are_those_of_pysteps(pysteps: Any, observed: Rain, predicted: Rain) -> None:
    theirs = pysteps.detcontscores.det_cont_fct(predicted, observed, ["MSE", "MAE"])
    tally = tally_pair(observed, predicted, zr=ZR())
    assert mse_mm_h(tally) == pytest.approx(theirs["MSE"], rel=1e-6)
    assert mae_mm_h(tally) == pytest.approx(theirs["MAE"], rel=1e-6)


# -- neighbourhoods

@pytest.mark.parametrize("side", [1, 3, 9, 17])
@pytest.mark.parametrize("threshold", [0.5, 2.0, 10.0])
def test_fss_is_that_of_pysteps_away_from_the_border(pysteps: Any, side: int, threshold: float) -> None:
    """pysteps pads with no rain at the border and divides by the whole window, we by the cells inside: the same where
    no event is near the border and nothing is missing."""
    observed, predicted = storm(3, edge=17), storm(4, edge=17)
    theirs = pysteps.spatialscores.fss(predicted, observed, threshold, side)
    assert fractions(observed, predicted, threshold, side).score == pytest.approx(theirs, abs=1e-6)


def test_fss_differs_at_the_border_as_documented(pysteps: Any) -> None:
    observed, predicted = (np.zeros((9, 9), np.float32) for _ in range(2))
    observed[0, 0] = predicted[0, 1] = 5.0
    ours, theirs = fractions(observed, predicted, 1.0, 3).score, pysteps.spatialscores.fss(predicted, observed, 1.0, 3)
    assert abs(ours - theirs) > 0.01


# -- objects

def blobs(*places: tuple[float, float, float, float]) -> Rain:
    """Round cells: row, column, size, mm/h; dry below 0.1 mm/h."""
    y, x = np.mgrid[0:120, 0:150]
    rain = sum(peak * np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * size**2))
               for row, column, size, peak in places)
    return np.where(rain >= 0.1, rain, 0.0).astype(np.float32)


def test_sal_is_that_of_pysteps(pysteps: Any) -> None:
    """For cells that lie apart and are large: pysteps drops objects of less than 50 cells and splits others at their
    maxima. Its location differs by the length of the diagonal: ours runs between the centres of the corner cells."""
    for name in ("pandas", "skimage"):
        library(name)
    observed = blobs((40, 35, 6, 20), (80, 100, 9, 12))
    predicted = blobs((45, 50, 8, 15), (75, 110, 9, 20), (25, 120, 7, 9))
    structure, amplitude, location = pysteps.salscores.sal(
        predicted.astype(np.float64), observed.astype(np.float64), thr_factor=1 / 15)
    ours = sal(observed, predicted)
    assert ours.structure == pytest.approx(structure, abs=1e-6)
    assert ours.amplitude == pytest.approx(amplitude, abs=1e-6)
    ny, nx = observed.shape
    assert ours.location * math.hypot(ny - 1, nx - 1) / math.hypot(ny, nx) == pytest.approx(location, abs=1e-6)


# -- ensembles

@pytest.fixture
def ensemble() -> Rain:
    members = np.random.default_rng(8).gamma(0.8, 3.0, (7, 40, 50)).astype(np.float32)
    members[2, :3] = np.nan
    return members


@pytest.fixture
def truth() -> Rain:
    field = np.random.default_rng(9).gamma(0.8, 3.0, (40, 50)).astype(np.float32)
    field[:, :2] = np.nan
    return field


def test_crps_is_that_of_pysteps(pysteps: Any, truth: Rain, ensemble: Rain) -> None:
    total, cells = crps(truth, ensemble)
    assert total / cells == pytest.approx(pysteps.probscores.CRPS(ensemble, truth), abs=1e-6)


def test_crps_is_that_of_properscoring(truth: Rain, ensemble: Rain) -> None:
    usable = np.isfinite(truth) & np.isfinite(ensemble).all(axis=0)
    theirs = library("properscoring").crps_ensemble(truth[usable].astype(float), ensemble[:, usable].T.astype(float))
    total, cells = crps(truth, ensemble)
    assert cells == usable.sum()
    assert total == pytest.approx(theirs.sum(), abs=1e-6 * cells)


@pytest.mark.parametrize("dry", [0.0, 0.5])
def test_rank_histogram_is_that_of_pysteps(pysteps: Any, truth: Rain, ensemble: Rain, dry: float) -> None:
    """pysteps takes members below the limit as equal and ranks them by chance: the same where none is below it."""
    truth, ensemble = truth + np.float32(dry), ensemble + np.float32(dry)
    theirs = pysteps.ensscores.rankhist_init(7, dry)
    pysteps.ensscores.rankhist_accum(theirs, ensemble, truth)
    assert rank_histogram(truth, ensemble, np.random.default_rng(0), dry).tolist() == list(theirs["n"])


def test_reliability_and_roc_are_those_of_pysteps(pysteps: Any, truth: Rain, ensemble: Rain) -> None:
    usable = np.isfinite(truth) & np.isfinite(ensemble).all(axis=0)
    probability = (ensemble[:, usable] >= 2.0).mean(axis=0)
    table, _ = reliability(truth, ensemble, 2.0)
    roc = pysteps.probscores.ROC_curve_init(2.0, n_prob_thrs=8)
    roc["prob_thrs"] = np.arange(7, -1, -1) / 7 - 1e-9  # every share of seven members
    pysteps.probscores.ROC_curve_accum(roc, probability, truth[usable])
    rate, hits = pysteps.probscores.ROC_curve_compute(roc)
    ours_rate, ours_hits, area = table.roc()
    np.testing.assert_allclose(ours_rate[1:], rate, atol=1e-6)
    np.testing.assert_allclose(ours_hits[1:], hits, atol=1e-6)
    assert 0.4 < area < 0.6


# -- images

def test_ssim_and_psnr_are_those_of_scikit_image() -> None:
    metrics = library("skimage.metrics")
    rng = np.random.default_rng(10)
    observed = gaussian_filter(rng.random((40, 60)), 2)
    predicted = np.clip(observed + 0.05 * rng.normal(size=observed.shape), 0, 1)
    theirs = metrics.structural_similarity(observed, predicted, gaussian_weights=True, sigma=1.5, data_range=1.0,
                                           use_sample_covariance=False)
    assert ssim(observed, predicted) == pytest.approx(theirs, abs=1e-6)
    assert psnr(observed, predicted) == pytest.approx(
        metrics.peak_signal_noise_ratio(observed, predicted, data_range=1.0), abs=1e-6)
