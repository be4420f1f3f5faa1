"""Rain's texture: a cascade of octave bands that ride with the flow and forget themselves at their own pace.

Each band is a Gaussian field that follows a first-order autoregression in the moving frame, small bands with
short lifetimes (Seed 2003; Bowler, Pierce and Seed 2006). Exponentials of weighted sums of bands make a
lognormal multiplicative cascade.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from engine.synthetic.domain import Domain

Field64 = NDArray[np.float64]

SHORTEST_CELLS = 3.0
STRETCH = 1.35
LIFETIME_AT_16_KM = 200.0
LIFETIME_POWER = 0.75


@dataclass(frozen=True)
class Octave:
    """One band: centre wavelength in km, and how many cells lie between its nodes."""

    wavelength_km: float
    coarse: int


def octaves(domain: Domain) -> tuple[Octave, ...]:
    """From about three cells up to a third of the domain, each on a grid of about eight nodes a wave."""
    wavelength, result = SHORTEST_CELLS * domain.pixel_km, []
    while wavelength <= min(domain.size_km) / 2.5:
        coarse = 1
        while coarse < 16 and wavelength / domain.pixel_km >= 16 * coarse:
            coarse *= 2
        result.append(Octave(wavelength, coarse))
        wavelength *= 2.0
    return tuple(result)


def lifetime_min(wavelength_km: float) -> float:
    """How long a band remembers itself: about 57 min at 3 km, 200 min at 16 km, most of a day above 60 km."""
    return float(LIFETIME_AT_16_KM * (wavelength_km / 16.0) ** LIFETIME_POWER)


class Band:
    """A Gaussian field of unit variance around one wavelength, on its own coarse grid.

    along: the direction (radians, 0 east, positive south) in which the field is drawn out."""

    def __init__(self, domain: Domain, octave: Octave, rng: np.random.Generator, along: float) -> None:
        self.domain, self.octave, self._rng = domain, octave, rng
        ky, kx = domain.wavenumbers(octave.coarse)
        long, short = kx * np.cos(along) + ky * np.sin(along), ky * np.cos(along) - kx * np.sin(along)
        k = np.hypot(long * STRETCH, short / STRETCH)
        self._filter = np.exp(-0.5 * (np.log2(np.maximum(k, 1e-9) * octave.wavelength_km) / 0.5) ** 2)
        self._filter[k == 0] = 0.0
        self._shape = (domain.shape[0] // octave.coarse, domain.shape[1] // octave.coarse)
        self._filter /= np.sqrt(self._power(self._filter))
        self.values = self._draw()

    def _power(self, spectrum: Field64) -> float:
        """Variance of white noise of unit variance after this filter."""
        weight = np.full(spectrum.shape[1], 2.0)
        weight[0] = 1.0
        if self._shape[1] % 2 == 0:
            weight[-1] = 1.0
        return float((spectrum**2 * weight).sum() / (self._shape[0] * self._shape[1]))

    def _draw(self) -> Field64:
        noise = fft.rfft2(self._rng.standard_normal(self._shape))
        return np.asarray(fft.irfft2(noise * self._filter, s=self._shape))

    def advance(self, shift: tuple[Field64, Field64], step_minutes: float) -> None:
        """shift: how many km (east, south) the air at each node of the whole domain came in this step."""
        coarse = self.octave.coarse
        cell = self.domain.pixel_km * coarse
        rows = np.arange(self._shape[0])[:, None] - shift[1][::coarse, ::coarse] / cell
        columns = np.arange(self._shape[1])[None, :] - shift[0][::coarse, ::coarse] / cell
        carried = ndimage.map_coordinates(self.values, [rows, columns], order=3, mode="grid-wrap")
        carried *= 1.0 / max(float(carried.std()), 1e-9)
        keep = float(np.exp(-step_minutes / lifetime_min(self.octave.wavelength_km)))
        self.values = keep * carried + np.sqrt(1 - keep**2) * self._draw()


def summed(bands: list[Band], weights: list[float]) -> Field64:
    """The weighted sum on the domain's own grid: spectra are added, one transform brings them back."""
    domain = bands[0].domain
    total = np.zeros((domain.shape[0], domain.shape[1] // 2 + 1), np.complex128)
    for band, weight in zip(bands, weights, strict=True):
        if weight:
            total += domain.refine(fft.rfft2(band.values * weight), band.octave.coarse)
    return np.asarray(fft.irfft2(total, s=domain.shape))
