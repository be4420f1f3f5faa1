"""RainFARM: detail drawn at random, with the spectrum of the field continued to smaller scales.

Rebora, Ferraris, von Hardenberg and Provenzale 2006, "RainFARM: rainfall downscaling by a filtered autoregressive
model", Journal of Hydrometeorology 7, section 2; docs/downscaling.md tells where we differ.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.downscalers.fields import bilinear, block_means, conserved
from engine.downscalers.flow_interpolation import AlongMotion
from engine.downscalers.interpolation import TwoSteps
from engine.downscalers.protocol import Factors, Frame, Options, Series
from engine.forecasters.protocol import Context
from engine.radar.sequence import Field

USUAL_SLOPE = 2.5
SLOPES = (1.0, 5.0)
"""Slopes are kept within these: a flatter one is white noise, a steeper one adds nothing."""
MEMORY_MINUTES = 30.0
"""After so long the noise at a place is like its beginning by 1/e."""
_LEAST_RINGS = 4


def spectral_slope(field: Field) -> float:
    """beta of a power density k^-beta, k the distance from 0 in the plane of wave numbers; a straight line through
    the means of rings from waves of 80 cells to waves of two, in logarithms.

    field: (ny, nx) mm/h, no data as no rain. :data:`USUAL_SLOPE` where there is no rain or the field is too small.
    """
    rings, power = _rings(np.nan_to_num(field, nan=0.0))
    used = (rings >= 1 / 80) & (rings <= 0.5) & (power > 0)
    if used.sum() < _LEAST_RINGS:
        return USUAL_SLOPE
    slope = np.polyfit(np.log(rings[used]), np.log(power[used]), 1)[0]
    return float(np.clip(-slope, *SLOPES))


def _rings(field: Field) -> tuple[Any, Any]:
    """Wave numbers in cycles per cell and the mean power around them; the border fades out (Hann)."""
    window = np.hanning(field.shape[0] + 2)[1:-1, None] * np.hanning(field.shape[1] + 2)[None, 1:-1]
    power = np.abs(np.fft.rfft2((field - field.mean()) * window)) ** 2
    number = _wave_numbers(field.shape)
    width = 1.0 / min(field.shape)
    ring = np.rint(number / width).astype(int)
    count = np.bincount(ring.ravel())
    total = np.bincount(ring.ravel(), power.ravel())
    return np.arange(len(count))[1:] * width, (total / np.maximum(count, 1))[1:]


def _wave_numbers(shape: tuple[int, ...]) -> Any:
    """(ny, nx // 2 + 1), cycles per cell."""
    return np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :])


def noise(shape: tuple[int, int], slope: float, generator: np.random.Generator) -> Field:
    """A Gaussian field of mean 0 and variance 1 whose power density falls like k^-slope."""
    number = _wave_numbers(shape)
    number[0, 0] = math.inf
    white = np.fft.rfft2(generator.standard_normal(shape, np.float32))
    field = np.fft.irfft2(white * number ** (-slope / 2), shape)
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-12), np.float32)


class Drawn:
    """In space: the exponential of coloured noise, weighed so that every block has the mean of its cell."""

    def __init__(self, series: Series, options: Options, context: Context) -> None:
        self.series, self.options, self.check = series, options, context.token.check
        self.generator = np.random.default_rng([options.seed, options.member])
        minutes = series.step_minutes / options.factors.t
        self.memory = math.exp(-minutes / MEMORY_MINUTES)
        self.noise: Field | None = None

    def finer(self, frame: Frame) -> Field:
        factors, coarse = self.options.factors, frame.rain_rate
        drawn = np.asarray(np.exp(self._next(spectral_slope(coarse))), np.float32)
        self.check()
        weight = np.asarray(coarse / np.maximum(block_means(drawn, factors), np.float32(1e-6)), np.float32)
        return conserved(drawn * bilinear(weight, factors, self.check), coarse, factors, self.check)

    def _next(self, slope: float) -> Field:
        """Noise that remembers the frame before (an autoregressive step), so that detail does not flicker."""
        fresh = noise(_fine_shape(self.series.grid.shape, self.options.factors), slope, self.generator)
        if self.noise is not None:
            fresh = np.float32(self.memory) * self.noise + np.float32(math.sqrt(1 - self.memory**2)) * fresh
        self.noise = fresh
        return fresh


def _fine_shape(shape: tuple[int, int], factors: Factors) -> tuple[int, int]:
    return shape[0] * factors.y, shape[1] * factors.x


class RainFarm:
    """``rainfarm``: drawn detail in space, along the motion in time. Conserves always; members differ."""

    draws = True

    def start(self, series: Series, options: Options, context: Context) -> TwoSteps:
        return TwoSteps(AlongMotion(series, context), Drawn(series, options, context), options, context)
