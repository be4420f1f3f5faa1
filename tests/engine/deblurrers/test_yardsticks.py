"""Sharpening without learning, against answers by hand and known blurs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from engine.deblurrers.chain import sharpened
from engine.deblurrers.protocol import Blurry, Context, Observation, Options
from engine.deblurrers.yardsticks import (
    ProbabilityMatching,
    Unsharp,
    Wiener,
    blur_width_km,
    deconvolved,
    with_histogram_of,
)
from engine.forecasters.protocol import LeadFrame
from engine.radar.rings import ring_power
from engine.radar.units import ZR
from tests.engine.sequences import START, grid

KNOWN_SHAPE = (128, 128)


def storm(seed: int, shape: tuple[int, int] = KNOWN_SHAPE) -> np.ndarray:
    """Rain with a power law over the wavelengths, dry for two thirds."""
    draw = np.random.default_rng(seed)
    k = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :])
    noise = np.fft.rfft2(draw.normal(size=shape)) / np.maximum(k, 1 / shape[0]) ** 1.6
    field = np.fft.irfft2(noise, s=shape)
    return np.maximum(8 * (field / field.std() - 0.4), 0).astype(np.float32)


def observation(field: np.ndarray) -> Observation:
    return Observation(field, START, 5.0, grid(*field.shape), ZR())


def through(deblurrer: object, field: np.ndarray, observed: np.ndarray) -> np.ndarray:
    leads = iter([LeadFrame(5.0, field)])
    return next(sharpened(leads, deblurrer, observation(observed), Options(), Context())).rain_rate  # type: ignore[arg-type]


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean((a - b) ** 2)))


def spectral_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Mean dB between two spectra at 4 to 16 km."""
    k, first = ring_power(a, (1.0, 1.0))
    _, second = ring_power(b, (1.0, 1.0))
    among = (k > 1 / 16) & (k < 1 / 4)
    return float(np.abs(10 * np.log10(first[among] / second[among])).mean())


def test_histograms_by_hand() -> None:
    values = np.array([0.3, 0.1, 0.2, 0.4], np.float32)
    np.testing.assert_allclose(with_histogram_of(values, np.array([9, 1, 5, 20], np.float32)), [9, 1, 5, 20])
    # two equal cells share the mean of ranks 1 and 2: (5 + 9) / 2
    tied = np.array([0.1, 0.2, 0.2, 0.4], np.float32)
    np.testing.assert_allclose(with_histogram_of(tied, np.array([9, 1, 5, 20], np.float32)), [1, 7, 7, 20])
    # half as many values: between 2 and 6
    np.testing.assert_allclose(with_histogram_of(values, np.array([2, 6], np.float32)), [5, 2, 3, 6])


def test_probability_matching_gives_the_observed_histogram_and_keeps_the_order() -> None:
    observed = storm(1)
    forecast = gaussian_filter(storm(2), 3) + np.float32(0.01)
    (found,) = ProbabilityMatching().sharpen(
        Blurry(forecast[None], np.ones((1, *KNOWN_SHAPE), bool), (5.0,), observation(observed)), Options(), Context())
    np.testing.assert_allclose(np.sort(found.rain_rate, axis=None), np.sort(observed, axis=None), atol=1e-2)
    order = np.argsort(forecast, axis=None, kind="stable")
    assert (np.diff(found.rain_rate.ravel()[order]) >= 0).all()
    assert spectral_distance(found.rain_rate, observed) < spectral_distance(forecast, observed)


def test_dry_cells_stay_dry_when_the_histogram_is_matched() -> None:
    forecast = np.zeros(KNOWN_SHAPE, np.float32)
    forecast[40:60, 40:60] = np.arange(400, dtype=np.float32).reshape(20, 20)
    found = through(ProbabilityMatching(), forecast, storm(1) + np.float32(0.5))
    assert not found[forecast == 0].any()


def test_unsharp_of_a_wave_by_hand() -> None:
    """A cosine of wavelength w loses the share 1 - exp(-2 pi^2 s^2 / w^2) to the mask, and gets it added once."""
    wavelength, x = 16.0, np.arange(128)
    wave = np.tile(np.cos(2 * np.pi * x / wavelength), (128, 1)).astype(np.float32)
    found = Unsharp(3.0).sharper(wave + np.float32(10), np.ones(wave.shape, bool), observation(wave + 10))
    gain = 2 - np.exp(-2 * np.pi**2 * 9 / wavelength**2)
    middle = (slice(40, 88), slice(40, 88))
    np.testing.assert_allclose(found[middle] - 10, gain * wave[middle], atol=5e-3)


@pytest.mark.parametrize("width", [1.5, 3.0, 5.0])
def test_the_width_of_a_known_blur_is_found(width: float) -> None:
    """Of the same storm it is found to 5 %, from another storm of the same kind to 30 %."""
    sharp, other = storm(1, (256, 256)), storm(7, (256, 256))
    blurry = gaussian_filter(sharp, width, mode="reflect")
    assert blur_width_km(blurry, sharp, (1.0, 1.0)) == pytest.approx(width, rel=0.05)
    assert blur_width_km(blurry, other, (1.0, 1.0)) == pytest.approx(width, rel=0.3)
    assert blur_width_km(0.5 * blurry, sharp, (2.0, 2.0)) == pytest.approx(2 * width, rel=0.05)
    assert blur_width_km(sharp, blurry, (1.0, 1.0)) == 0.0
    assert blur_width_km(np.zeros_like(sharp), sharp, (1.0, 1.0)) == 0.0


def test_deconvolution_undoes_the_blur_of_a_smooth_field_and_keeps_the_total() -> None:
    smooth = gaussian_filter(storm(3), 4).astype(np.float64)
    blurry = gaussian_filter(smooth, 2.0, mode="reflect", truncate=8)
    found = deconvolved(blurry, 2.0, (1.0, 1.0), 1e-6)
    assert distance(found, smooth) < 0.02 * distance(blurry, smooth)
    assert found.sum() == pytest.approx(blurry.sum(), rel=1e-3)


@pytest.mark.parametrize("deblurrer", [Unsharp(), Wiener()], ids=["unsharp", "wiener"])
@pytest.mark.parametrize("width", [1.5, 2.5])
def test_a_known_blur_is_recovered_better_than_left(deblurrer: Unsharp | Wiener, width: float) -> None:
    sharp = storm(1)
    blurry = gaussian_filter(sharp, width, mode="reflect")
    found = through(deblurrer, blurry, storm(5))
    assert distance(found, sharp) < 0.95 * distance(blurry, sharp)
    assert spectral_distance(found, sharp) < 0.7 * spectral_distance(blurry, sharp)


def test_wiener_is_nearest_where_the_blur_is_gaussian() -> None:
    sharp = storm(1)
    blurry = gaussian_filter(sharp, 2.5, mode="reflect")
    wiener, unsharp = (distance(through(method, blurry, sharp), sharp) for method in (Wiener(), Unsharp()))
    assert wiener < unsharp


@pytest.mark.parametrize("deblurrer", [ProbabilityMatching(), Unsharp(), Wiener()],
                         ids=["probability-matching", "unsharp", "wiener"])
def test_no_data_is_no_rain_and_no_edge(deblurrer: Unsharp | Wiener | ProbabilityMatching) -> None:
    field = gaussian_filter(storm(1), 2).astype(np.float32)
    field[:, :30] = np.nan
    found = through(deblurrer, field, storm(5))
    np.testing.assert_array_equal(np.isnan(found), np.isnan(field))
    assert abs(np.nansum(found) / np.nansum(field) - 1) < 0.1
    unseen = through(deblurrer, field, np.full(KNOWN_SHAPE, np.nan, np.float32))
    assert np.isfinite(unseen[:, 30:]).all()


def test_larger_pixels_are_reckoned_in_km() -> None:
    field = gaussian_filter(storm(1), 2)
    coarse = replace(observation(field), grid=grid(*KNOWN_SHAPE, cell=3000.0))
    np.testing.assert_allclose(Unsharp(9.0).sharper(field, np.ones(KNOWN_SHAPE, bool), coarse),
                               Unsharp(3.0).sharper(field, np.ones(KNOWN_SHAPE, bool), observation(field)), atol=1e-4)
