"""Spectrum, neighbourhoods, images, ensembles, objects, agreement: hand-made answers, slow versions, libraries."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from engine.radar.scaling import RAIN_CLASSES
from engine.verification.agreement import agreement, between_scores, class_counts, kendall_tau
from engine.verification.ensembles import crps, rank_histogram, reliability
from engine.verification.images import gdl, psnr, ssim
from engine.verification.neighbourhood import fractions, useful_score
from engine.verification.objects import sal
from engine.verification.spectrum import FLOOR_MM_H, effective_resolution_km, power_ratio, power_spectrum


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def gamma_field(rng: np.random.Generator, shape: tuple[int, int] = (40, 50), holes: float = 0.0) -> NDArray[np.float32]:
    field = rng.gamma(0.3, 8.0, shape).astype(np.float32)
    field[rng.random(shape) < holes] = np.nan
    return field


# -- power spectrum

def test_a_wave_has_its_power_at_its_wavelength() -> None:
    x = np.arange(128)
    level = 20.0 + 10.0 * np.cos(2 * np.pi * x / 16.0)
    rain = np.broadcast_to(FLOOR_MM_H * 10.0 ** (level / 10.0), (128, 128)).astype(np.float32)
    spectrum = power_spectrum(rain, (1.0, 1.0))
    assert spectrum.wavelength_km[np.argmax(spectrum.power)] == pytest.approx(16.0)
    near = np.abs(spectrum.wavelength_km - 16.0) < 3.0
    assert spectrum.power[near].sum() > 0.95 * spectrum.power.sum()


def test_white_noise_has_the_same_power_everywhere(rng: np.random.Generator) -> None:
    level = 30.0 + 3.0 * rng.standard_normal((256, 256))
    rain = (FLOOR_MM_H * 10.0 ** (level / 10.0)).astype(np.float32)
    spectrum = power_spectrum(rain, (2.0, 2.0))
    np.testing.assert_allclose(spectrum.power[5:], 9.0, rtol=0.35)
    assert spectrum.power[5:].mean() == pytest.approx(9.0, rel=0.02)
    assert (spectrum.wavelength_km[0], spectrum.wavelength_km[-1]) == (512.0, 4.0)


def test_blur_takes_power_from_short_waves_only(rng: np.random.Generator) -> None:
    from scipy.ndimage import gaussian_filter

    level = 25.0 + 60.0 * gaussian_filter(rng.standard_normal((256, 256)), 3.0)
    blurred = gaussian_filter(level, 4.0)
    sharp, dull = (power_spectrum((FLOOR_MM_H * 10.0 ** (f / 10)).astype(np.float32), (1.0, 1.0))
                   for f in (np.maximum(level, 0), np.maximum(blurred, 0)))
    ratio = power_ratio(dull, sharp)
    # a Gaussian of sigma s leaves exp(-(2 pi s / wavelength)^2) of the power
    expected = np.exp(-((2 * np.pi * 4.0 / sharp.wavelength_km) ** 2))
    chosen = (sharp.wavelength_km > 18) & (sharp.wavelength_km < 90)
    np.testing.assert_allclose(ratio[chosen], expected[chosen], atol=0.12)
    half = 2 * np.pi * 4.0 / math.sqrt(math.log(2.0))
    assert effective_resolution_km(dull, sharp) == pytest.approx(half, rel=0.15)
    assert effective_resolution_km(sharp, sharp) == sharp.wavelength_km[-1]


def test_a_dry_field_has_no_power() -> None:
    spectrum = power_spectrum(np.zeros((16, 20), np.float32), (1.0, 1.0))
    assert (spectrum.power == 0).all()
    assert np.isnan(power_ratio(spectrum, spectrum)).all()


# -- fractions skill score

def slow_fss(observed: NDArray[np.float32], predicted: NDArray[np.float32], threshold: float, side: int) -> float:
    usable = np.isfinite(observed) & np.isfinite(predicted)
    half, top, bottom = side // 2, 0.0, 0.0
    ny, nx = observed.shape
    for row in range(ny):
        for column in range(nx):
            if not usable[row, column]:
                continue
            window = (slice(max(row - half, 0), row + half + 1), slice(max(column - half, 0), column + half + 1))
            known = usable[window]
            share = [((field[window] >= np.float32(threshold)) & known).sum() / known.sum()
                     for field in (predicted, observed)]
            top += (share[0] - share[1]) ** 2
            bottom += share[0] ** 2 + share[1] ** 2
    return 1.0 - top / bottom if bottom else math.nan


@pytest.mark.parametrize("side", [1, 3, 7, 99])
def test_fss_is_the_literal_double_loop(rng: np.random.Generator, side: int) -> None:
    observed, predicted = (gamma_field(rng, (18, 23), 0.15) for _ in range(2))
    assert fractions(observed, predicted, 2.0, side).score == pytest.approx(slow_fss(observed, predicted, 2.0, side))


def test_fss_agrees_with_the_scores_library(rng: np.random.Generator) -> None:
    library = pytest.importorskip("scores.spatial")
    observed, predicted = (gamma_field(rng, (32, 32)) for _ in range(2))
    ours = fractions(observed, predicted, 2.0, 1).score
    assert ours == pytest.approx(library.fss_2d_single_field(
        predicted, observed, event_threshold=2.0, window_size=(1, 1)), abs=1e-6)


def test_fss_of_a_shifted_cell() -> None:
    """One event each, two columns apart: no skill in the cell, 1 - (2 x 6) / 18 in a window of 3 x 3 and so on."""
    observed, predicted = (np.zeros((9, 11), np.float32) for _ in range(2))
    observed[4, 4] = predicted[4, 6] = 5.0
    assert fractions(observed, predicted, 1.0, 1).score == 0.0
    # windows of 3: each cell is seen from 9 places, 3 of them see both
    assert fractions(observed, predicted, 1.0, 3).score == pytest.approx(1 - 12 / 18)
    assert fractions(observed, observed, 1.0, 5).score == 1.0
    assert math.isnan(fractions(observed * 0, predicted * 0, 1.0, 3).score)
    with pytest.raises(ValueError, match="odd"):
        fractions(observed, predicted, 1.0, 4)
    assert useful_score(observed, 1.0) == pytest.approx(0.5 + 1 / 198)


# -- images

def test_ssim_is_the_literal_formula() -> None:
    rng = np.random.default_rng(2)
    observed, predicted = rng.random((15, 17)), rng.random((15, 17))
    taps = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    kernel = np.outer(taps, taps) / taps.sum() ** 2
    values = []
    for row in range(5, 10):
        for column in range(5, 12):
            a, b = (f[row - 5:row + 6, column - 5:column + 6] for f in (observed, predicted))
            ma, mb = (kernel * a).sum(), (kernel * b).sum()
            va, vb = (kernel * a * a).sum() - ma**2, (kernel * b * b).sum() - mb**2
            vab = (kernel * a * b).sum() - ma * mb
            values.append((2 * ma * mb + 1e-4) * (2 * vab + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4)))
    assert ssim(observed, predicted) == pytest.approx(np.mean(values))
    assert ssim(observed, observed) == pytest.approx(1.0)
    assert math.isnan(ssim(np.full((20, 20), np.nan), np.zeros((20, 20))))


def test_psnr_by_hand() -> None:
    observed = np.array([[0.0, 0.5], [1.0, np.nan]])
    assert psnr(observed, observed + 0.1) == pytest.approx(20.0)
    assert psnr(observed, observed) == math.inf
    assert math.isnan(psnr(observed * np.nan, observed))


def test_gdl_by_hand() -> None:
    observed = np.array([[0.0, 1.0], [0.0, 0.5]])
    predicted = np.array([[0.0, 0.5], [0.0, 0.5]])
    # rows: |1-0|=1 against .5, .5 against .5; columns: 0 against 0, |.5-1|=.5 against 0
    assert gdl(observed, predicted) == pytest.approx(0.5 + 0.0 + 0.0 + 0.5)
    assert gdl(observed, observed) == 0.0
    observed[0, 1] = np.nan
    assert gdl(observed, predicted) == pytest.approx(0.0)


# -- ensembles

def test_crps_by_hand_and_against_the_double_sum(rng: np.random.Generator) -> None:
    total, cells = crps(np.array([[2.0, np.nan]], np.float32), np.array([[[1.0, 1.0]], [[4.0, 1.0]]], np.float32))
    assert (total, cells) == (pytest.approx((1 + 2) / 2 - (0 + 3 + 3 + 0) / 8), 1)
    observed = gamma_field(rng, (6, 7), 0.1)
    members = np.stack([gamma_field(rng, (6, 7)) for _ in range(5)])
    pairs = np.abs(members[:, None] - members[None]).mean(axis=(0, 1)) / 2
    slow = np.abs(members - observed).mean(axis=0) - pairs
    assert crps(observed, members)[0] == pytest.approx(np.nansum(slow), rel=1e-5)


def test_crps_agrees_with_the_scores_library(rng: np.random.Generator) -> None:
    library = pytest.importorskip("scores.probability")
    xarray = pytest.importorskip("xarray")
    observed, members = gamma_field(rng, (6, 7)), np.stack([gamma_field(rng, (6, 7)) for _ in range(5)])
    total, cells = crps(observed, members)
    theirs = library.crps_for_ensemble(xarray.DataArray(members, dims=("m", "y", "x")),
                                       xarray.DataArray(observed, dims=("y", "x")), "m", method="ecdf")
    assert total / cells == pytest.approx(float(theirs), abs=1e-6)


def test_one_member_makes_crps_the_absolute_error(rng: np.random.Generator) -> None:
    observed, member = gamma_field(rng), gamma_field(rng)
    total, cells = crps(observed, member[None])
    assert total / cells == pytest.approx(np.abs(observed - member).mean(), rel=1e-5)


def test_rank_histogram_is_flat_for_a_reliable_ensemble(rng: np.random.Generator) -> None:
    draws = rng.gamma(1.0, 3.0, (5, 200, 200)).astype(np.float32)
    counts = rank_histogram(draws[0], draws[1:], rng, dry=0.0)
    assert counts.sum() == 200 * 200
    assert stats.chisquare(counts).pvalue > 1e-4
    high = rank_histogram(draws[0] + 100, draws[1:], rng)
    assert high.tolist() == [0, 0, 0, 0, 200 * 200]


def test_reliability_and_roc_by_hand() -> None:
    observed = np.array([[5.0, 5.0, 0.0, 0.0]], np.float32)
    members = np.array([[[5, 5, 5, 0]], [[5, 0, 0, 0]]], np.float32)
    table, squared = reliability(observed, members, 1.0)
    assert table.total.tolist() == [1, 2, 1]
    assert table.events.tolist() == [0, 1, 1]
    np.testing.assert_allclose(table.forecast, [0.0, 0.5, 1.0])
    np.testing.assert_allclose(table.observed, [0.0, 0.5, 1.0])
    assert table.brier(squared) == pytest.approx((0.25 + 0.25) / 4)
    rate, hits, area = table.roc()
    assert rate.tolist() == [0, 0, 0.5, 1]
    assert hits.tolist() == [0, 0.5, 1, 1]
    assert area == pytest.approx(0.875)
    both = table + table
    assert both.total.sum() == 8
    assert math.isnan(reliability(observed * 0, members, 1.0)[0].roc()[2])


# -- objects

def test_sal_of_equal_fields_is_nought(rng: np.random.Generator) -> None:
    field = gamma_field(rng)
    assert sal(field, field) == pytest.approx((0, 0, 0))


def test_sal_by_hand() -> None:
    observed, moved, heavy, wide = (np.zeros((31, 41), np.float32) for _ in range(4))
    observed[10:13, 10:13] = 4.0
    moved[10:13, 20:23] = 4.0
    heavy[10:13, 10:13] = 8.0
    wide[8:15, 8:15] = 4.0
    assert sal(observed, moved) == pytest.approx((0, 0, 10 / 50))  # the diagonal is 50 cells long
    assert sal(observed, heavy) == pytest.approx((0, (8 - 4) / 6, 0))
    # volumes are mass over peak: 49 cells against 9
    assert sal(observed, wide) == pytest.approx(((49 - 9) / 29, (49 - 9) / 29, 0))
    dry = sal(observed * 0, observed)
    assert dry.amplitude == 2.0
    assert math.isnan(dry.structure)


# -- agreement and classes

def test_kendall_is_scipys(rng: np.random.Generator) -> None:
    for _ in range(20):
        a, b = rng.integers(0, 6, 12), rng.integers(0, 6, 12)
        assert kendall_tau(a, b) == pytest.approx(stats.kendalltau(a, b).statistic)
    assert math.isnan(kendall_tau([1, 1, 1], [1, 2, 3]))


def test_kendall_on_the_printed_rows_of_the_benchmark() -> None:
    """CSI at 0.5 and 30 mm/h and B-MSE of Table 3, offline: last frame, ROVER linear and non-linear, 2D CNN, 3D CNN,
    ConvGRU without and with balanced loss, TrajGRU."""
    table = {"csi 0.5": [0.4022, 0.4762, 0.4655, 0.5095, 0.5109, 0.5476, 0.5489, 0.5528],
             "csi 30": [0.0692, 0.1067, 0.0951, 0.1093, 0.1185, 0.0712, 0.1776, 0.1856],
             "b_mse": [15274, 11651, 10945, 7332, 7202, 9087, 5951, 5816]}
    names, tau = agreement(table, frozenset({"b_mse"}))
    for i, first in enumerate(names):
        for j, second in enumerate(names):
            sign = (-1 if first == "b_mse" else 1) * (-1 if second == "b_mse" else 1)
            expected = sign * stats.kendalltau(table[first], table[second]).statistic
            assert tau[i, j] == pytest.approx(expected)
    assert tau[0, 2] > 0.5


def test_the_papers_table_of_agreement() -> None:
    def forecaster(csi: float, hss: float | None, error: float) -> dict[str, Any]:
        return {"csi": [csi, csi], "hss": [hss, 1.0]} | dict.fromkeys(("mse", "mae", "b_mse", "b_mae"), error)

    three = [forecaster(0.1, 0.2, 9.0), forecaster(0.2, None, 8.0), forecaster(0.3, 0.4, 8.5)]
    found = between_scores(three, (0.5, 2.0))
    assert found is not None
    assert found["scores"] == ["csi 0.5", "csi 2", "hss 0.5", "hss 2"]
    assert found["tau"][2] == [pytest.approx(-1 / 3), pytest.approx(-1 / 3), None, None]
    assert between_scores(three[:2], (0.5, 2.0)) is None


def test_class_counts_by_hand() -> None:
    field = np.array([[0.0, 0.49, 0.5, 2.0], [5.0, 10.0, 30.0, np.nan], [29.9, 1.9, 4.9, 9.9]], np.float32)
    assert class_counts(field).tolist() == [2, 2, 2, 2, 2, 1]
    assert len(RAIN_CLASSES) + 1 == 6
