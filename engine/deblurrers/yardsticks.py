"""Sharpening without learning: what a deblurrer with weights has to beat. Frame by frame, on rain rates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.deblurrers.protocol import Blurry, Context, Observation, Options, Sharpened
from engine.radar.rings import ring_power
from engine.radar.sequence import Field

_DARKEST = 0.01
"""The blur is judged by wavelengths at which at least this share of the observed power is left."""


class FrameByFrame(ABC):
    """One whose result at a lead time depends on that lead time and the last observation alone."""

    draws = False

    def at_once(self, device: str) -> int:
        return 1

    def sharpen(self, blurry: Blurry, options: Options, context: Context) -> Iterator[Sharpened]:
        for frame, known in zip(blurry.frames, blurry.known, strict=True):
            context.token.check()
            yield Sharpened(self.sharper(frame, known, blurry.observation))

    @abstractmethod
    def sharper(self, frame: Field, known: NDArray[np.bool_], observation: Observation) -> Field:
        """frame: (ny, nx) mm/h, finite. known: where it has data."""


class ProbabilityMatching(FrameByFrame):
    """The forecast's ranks with the values of the last observation (Ebert 2001, Mon. Wea. Rev. 129, p. 2466).

    Cells of equal rank get the value of their mean rank. What is dry stays dry."""

    def sharper(self, frame: Field, known: NDArray[np.bool_], observation: Observation) -> Field:
        seen = observation.rain_rate[np.isfinite(observation.rain_rate)]
        if seen.size == 0:
            return frame
        matched = frame.copy()
        matched[known] = with_histogram_of(frame[known], seen)
        return np.asarray(np.where(frame > 0, matched, 0), np.float32)


def with_histogram_of(values: NDArray[np.float32], wanted: NDArray[np.float32]) -> NDArray[np.float32]:
    """values: (n,). wanted: (m,), the distribution to take over; between its values it is interpolated."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = (np.cumsum(counts) - counts / 2) / values.size
    ordered = np.sort(wanted).astype(np.float64)
    found = np.interp(middle * ordered.size - 0.5, np.arange(ordered.size), ordered)
    return np.asarray(found[place], np.float32)


@dataclass
class Unsharp(FrameByFrame):
    """Unsharp masking: what a Gaussian of ``width_km`` takes away is added ``amount`` times."""

    width_km: float = 3.0
    amount: float = 1.0

    def sharper(self, frame: Field, known: NDArray[np.bool_], observation: Observation) -> Field:
        from scipy.ndimage import gaussian_filter

        widths = [self.width_km / km for km in observation.grid.pixel_km]
        weight = gaussian_filter(known.astype(np.float32), widths, mode="nearest")
        smooth = gaussian_filter(np.where(known, frame, 0).astype(np.float32), widths, mode="nearest")
        smooth /= np.maximum(weight, np.float32(1e-6))  # cells without data count neither as rain nor as dry
        return np.asarray(np.maximum(frame + self.amount * (frame - smooth), 0), np.float32)


@dataclass
class Wiener(FrameByFrame):
    """Wiener deconvolution (Wiener 1949; Gonzalez and Woods, Digital Image Processing, section 5.8) of the Gaussian
    blur by which the forecast's spectrum falls short of the last observation's. noise: noise power over signal power;
    no wavelength is amplified more than ``1 / (2 sqrt(noise))`` times."""

    noise: float = 0.01

    def sharper(self, frame: Field, known: NDArray[np.bool_], observation: Observation) -> Field:
        pixel_km = observation.grid.pixel_km
        width = blur_width_km(frame, np.where(known, np.nan_to_num(observation.rain_rate), 0.0), pixel_km)
        if width < 0.25 * min(pixel_km):
            return frame
        return np.maximum(deconvolved(frame, width, pixel_km, self.noise), 0).astype(np.float32)


def blur_width_km(blurry: Field, sharp: Field, pixel_km: tuple[float, float]) -> float:
    """The standard deviation of the Gaussian that explains best how power falls short, in km; 0 where it does not.

    A Gaussian of standard deviation s leaves ``exp(-4 pi^2 s^2 k^2)`` of the power at k cycles per km. A line through
    the logarithm of the ratio over k^2 gives s; its offset, a change of strength at all scales, is no blur. Rings
    count by their area, up to the first that is nearly dark. blurry, sharp: (ny, nx) mm/h, finite."""
    wavenumber, after = ring_power(blurry, pixel_km)
    _, before = ring_power(sharp, pixel_km)
    if not (before > 0).any() or not (after > 0).any():
        return 0.0
    share = after / np.maximum(before, 1e-12 * before.max())
    share /= max(float(share[:3].mean()), 1e-12)
    dark = np.flatnonzero(share < _DARKEST)
    end = max(4, int(dark[0])) if dark.size else share.size
    if end > share.size:
        return 0.0
    slope = np.polyfit(wavenumber[:end] ** 2, np.log(np.maximum(share[:end], 1e-12)), 1, w=np.sqrt(wavenumber[:end]))[0]
    return float(np.sqrt(max(0.0, -slope)) / (2.0 * np.pi))


def deconvolved(frame: Field, width_km: float, pixel_km: tuple[float, float], noise: float) -> NDArray[np.float64]:
    """The field of which a Gaussian of ``width_km`` makes ``frame``; mirrored at the edges."""
    from scipy.fft import dctn, idctn

    ky, kx = (np.arange(side) / (2.0 * side * km) for side, km in zip(frame.shape, pixel_km, strict=True))
    response = np.exp(-2.0 * np.pi**2 * width_km**2 * (ky[:, None] ** 2 + kx[None, :] ** 2))
    gain = response * (1.0 + noise) / (response**2 + noise)  # 1 at k = 0: the total stays
    return np.asarray(idctn(dctn(frame.astype(np.float64)) * gain))
