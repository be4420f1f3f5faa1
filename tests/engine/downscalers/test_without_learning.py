"""Trilinear by hand, the in-between frame of an accelerating and turning cell, and RainFARM's statistics."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine import catalogue
from engine.downscalers.fields import block_means, mixed
from engine.downscalers.protocol import Factors, Options, downscale
from engine.downscalers.rainfarm import USUAL_SLOPE, noise, spectral_slope
from engine.forecasters.protocol import Context
from engine.radar.sequence import Field
from tests.engine.downscalers.cells import cell, centre, inputs, place

NAN = float("nan")


def refined(name: str, frames: list[Field], factors: Factors, **wish: int) -> list[Field]:
    found = downscale(inputs(frames), catalogue.load("downscaler", name)(), Options(factors, **wish), Context())
    return [frame.rain_rate for frame in found.frames]


def array(*rows: list[float]) -> Field:
    return np.array(rows, np.float32)


def test_trilinear_by_hand() -> None:
    """Half-pixel centres: a quarter of the way to the neighbour; the border repeats; halfway in time."""
    first, second = array([0, 4], [8, 12]), array([4, 4], [4, 4])
    start, middle, end = refined("trilinear", [first, second], Factors(2, 2, 2))
    np.testing.assert_array_equal(start, array([0, 1, 3, 4], [2, 3, 5, 6], [6, 7, 9, 10], [8, 9, 11, 12]))
    np.testing.assert_array_equal(middle, (start + 4) / 2)
    np.testing.assert_array_equal(end, np.full((4, 4), 4))


def test_trilinear_by_three() -> None:
    start = refined("trilinear", [array([0, 3], [0, 3]), array([0, 0], [0, 0])], Factors(1, 3, 3))
    np.testing.assert_allclose(start[0][0], [0, 0, 1, 2, 3, 3], atol=1e-6)
    np.testing.assert_allclose(start[1][0], [0, 0, 2 / 3, 4 / 3, 2, 2], atol=1e-6)
    np.testing.assert_allclose(start[2][0], [0, 0, 1 / 3, 2 / 3, 1, 1], atol=1e-6)


def test_beside_no_data_only_data_counts() -> None:
    found = refined("trilinear", [array([6, NAN], [6, 2]), array([0, 0], [0, 0])], Factors(1, 2, 1))[0]
    np.testing.assert_allclose(found, array([6, 6, NAN, NAN], [6, 5, 3, 2]))


@pytest.mark.parametrize(("first", "second", "share", "expected"), [
    (2, 6, 0.5, 4), (2, 6, 0.25, 3), (NAN, 6, 0.5, 6), (2, NAN, 0.5, 2), (NAN, 6, 0.25, NAN), (2, NAN, 0.25, 2),
    (NAN, 6, 0.75, 6), (2, NAN, 0.75, NAN), (NAN, NAN, 0.5, NAN),
])
def test_mixed_in_time(first: float, second: float, share: float, expected: float) -> None:
    np.testing.assert_equal(mixed(array([first]), array([second]), share), array([expected]))


def errors(name: str) -> list[tuple[float, float]]:
    """(position error in coarse cells, root mean square error in mm/h) of the in-between frames, x2 x2 x2."""
    found = refined(name, [cell(step) for step in range(4)], Factors(2, 2, 2))
    result = []
    for index in (1, 3, 5):
        truth = cell(index / 2, 2)
        apart = math.dist(place(found[index], 2), centre(index / 2))
        result.append((apart, float(np.sqrt(np.mean((found[index] - truth) ** 2)))))
    return result


def test_the_cell_is_where_its_formula_says() -> None:
    assert math.dist(place(cell(1.5, 2), 2), centre(1.5)) < 0.02
    np.testing.assert_allclose(cell(1, 2).mean(), cell(1).mean(), rtol=1e-6)


def test_in_between_frames_of_an_accelerating_turning_cell() -> None:
    """Mixing leaves two cells or a smear, the motion puts one cell where it belongs."""
    flow, still = errors("flow-interpolation"), errors("trilinear")
    for moved, mixed_only in zip(flow, still, strict=True):
        assert moved[0] < 0.7
        assert moved[0] <= mixed_only[0] + 0.1
        assert moved[1] < 0.6 * mixed_only[1]


def test_noise_has_the_slope_it_was_drawn_with() -> None:
    for slope in (1.5, 2.5, 3.5):
        found = [spectral_slope(noise((256, 256), slope, np.random.default_rng(seed))) for seed in range(4)]
        assert abs(np.mean(found) - slope) < 0.15


def test_noise_is_normed() -> None:
    field = noise((128, 130), 3.0, np.random.default_rng(0))
    assert abs(float(field.mean())) < 1e-5
    assert abs(float(field.std()) - 1) < 1e-4


def test_slope_of_a_dry_or_tiny_field() -> None:
    assert spectral_slope(np.zeros((64, 64), np.float32)) == USUAL_SLOPE
    assert spectral_slope(np.full((4, 4), np.nan, np.float32)) == USUAL_SLOPE


def test_rainfarm_carries_the_spectrum_on() -> None:
    """Fields whose fine version is known: what is drawn has their power at the new scales within a factor of 3 (the
    slope is guessed from the coarse field), what is bilinear less than a tenth of it."""
    for seed in range(5, 8):
        fine = np.exp(noise((256, 256), 2.5, np.random.default_rng(seed)))
        coarse, true = block_means(fine, Factors(4, 4, 1)), _small_scale_power(fine)
        drawn, smooth = (_small_scale_power(refined(name, [coarse], Factors(4, 4, 1))[0])
                         for name in ("rainfarm", "trilinear"))
        assert 1 / 3 < drawn / true < 3
        assert smooth / true < 0.1


def _small_scale_power(field: Field) -> float:
    """Variance in waves between two and eight cells."""
    number = np.hypot(np.fft.fftfreq(field.shape[0])[:, None], np.fft.fftfreq(field.shape[1])[None, :])
    power = np.abs(np.fft.fft2(field)) ** 2
    return float(power[(number > 1 / 8) & (number <= 1 / 2)].sum())


def rough() -> list[Field]:
    return [np.exp(noise((48, 48), 2.0, np.random.default_rng(7)))] * 2


def test_rainfarm_members_differ_and_seeds_repeat() -> None:
    first, again = (refined("rainfarm", rough(), Factors(), seed=1, member=0) for _ in range(2))
    other = refined("rainfarm", rough(), Factors(), seed=1, member=1)
    reseeded = refined("rainfarm", rough(), Factors(), seed=2)
    for one, same, *others in zip(first, again, other, reseeded, strict=True):
        np.testing.assert_array_equal(one, same)
        assert all(np.corrcoef(one.ravel(), field.ravel())[0, 1] < 0.999 for field in others)
        assert all(np.abs(one - field).max() > 0.3 for field in others)


def test_detail_does_not_flicker() -> None:
    """Neighbouring times share their noise: two frames of the same rain are more alike than two members."""
    one, other = refined("rainfarm", rough(), Factors()), refined("rainfarm", rough(), Factors(), member=1)
    assert np.abs(one[0] - one[1]).mean() < 0.8 * np.abs(one[0] - other[0]).mean()
