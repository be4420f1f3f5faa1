"""The wind that carries a synthetic storm: a mean wind, a wandering vortex and smooth eddies, free of divergence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from engine.synthetic.domain import Domain

Field64 = NDArray[np.float64]
Spectrum = NDArray[np.complex128]

EDDY_KM = 240.0
EDDY_SPEED = 0.13
EDDY_LIFETIME_MIN = 400.0
VORTEX_KM = 85.0
VORTEX_SPEED = 0.38


@dataclass(frozen=True)
class Wind:
    """The steady part. mean: (east, south) km/min. vortex_from: where the vortex is at ``middle_min``, km from
    the middle of the domain (east, south). spin: +1 turns anticlockwise as seen on the map."""

    mean: tuple[float, float]
    vortex_from: tuple[float, float]
    spin: float
    middle_min: float


def draw_wind(rng: np.random.Generator, middle_min: float) -> Wind:
    """A wind of 7 to 11 m/s towards the north-east or east, and a vortex beside its path."""
    speed = rng.uniform(7.0, 11.0) * 0.06
    towards = np.deg2rad(rng.uniform(-50.0, 15.0))
    mean = (speed * float(np.cos(towards)), speed * float(np.sin(towards)))
    around = rng.uniform(0.0, 2 * np.pi)
    far = rng.uniform(30.0, 80.0)
    return Wind(mean, (far * float(np.cos(around)), far * float(np.sin(around))), 1.0, middle_min)


class Flow:
    """Velocities on the whole periodic domain. They derive from a streamfunction, so they have no divergence."""

    def __init__(self, domain: Domain, wind: Wind, rng: np.random.Generator, step_minutes: float) -> None:
        self.domain, self.wind, self._rng = domain, wind, rng
        self._keep = float(np.exp(-step_minutes / EDDY_LIFETIME_MIN))
        self.coarse = domain.coarseness(9.0)
        self._shape = (domain.shape[0] // self.coarse, domain.shape[1] // self.coarse)
        self._ky, self._kx = domain.wavenumbers(self.coarse)
        self._filter = self._eddy_filter()
        self._eddies = self._draw()

    def advance(self) -> None:
        """Lets the eddies grow and decay over one step."""
        self._eddies = self._keep * self._eddies + np.sqrt(1 - self._keep**2) * self._draw()

    def velocity(self, minutes: float) -> tuple[Field64, Field64]:
        """(east, south) in km/min, each the shape of the domain."""
        return tuple(fft.irfft2(self.domain.refine(part, self.coarse), s=self.domain.shape) + mean
                     for part, mean in zip(self._spectra(minutes), self.wind.mean, strict=True))

    def _spectra(self, minutes: float) -> tuple[Spectrum, Spectrum]:
        drift = np.exp(-2j * np.pi * minutes * (self._kx * self.wind.mean[0] + self._ky * self.wind.mean[1]))
        stream = self._eddies * drift + fft.rfft2(self._vortex(minutes))
        return -2j * np.pi * self._ky * stream, 2j * np.pi * self._kx * stream

    def _vortex(self, minutes: float) -> Field64:
        later = minutes - self.wind.middle_min
        high, wide = self.domain.size_km
        away_x = self.domain.x[::self.coarse] - (wide / 2 + self.wind.vortex_from[0] + later * self.wind.mean[0])
        away_y = self.domain.y[::self.coarse] - (high / 2 + self.wind.vortex_from[1] + later * self.wind.mean[1])
        away_x = (away_x + wide / 2) % wide - wide / 2
        away_y = (away_y + high / 2) % high - high / 2
        radius = min(VORTEX_KM, min(high, wide) / 5)
        bell = np.exp(-away_y[:, None]**2 / (2 * radius**2)) * np.exp(-away_x[None, :]**2 / (2 * radius**2))
        # the fastest tangential wind of a Gaussian streamfunction is exp(-1/2) of amplitude over radius
        return np.asarray(self.wind.spin * VORTEX_SPEED * radius * np.exp(0.5) * bell)

    def _eddy_filter(self) -> Field64:
        k = np.hypot(self._ky, self._kx)
        longest = min(EDDY_KM, min(self.domain.size_km) / 2)
        with np.errstate(divide="ignore"):
            shape = np.exp(-0.5 * (np.log2(np.maximum(k, 1e-9) * longest) / 0.5) ** 2)
        shape[0, 0] = 0.0
        gradient = fft.irfft2(2j * np.pi * self._kx * shape * self._white(np.random.default_rng(0)),
                              s=self._shape)
        return np.asarray(shape * EDDY_SPEED / max(float(gradient.std()), 1e-12))

    def _draw(self) -> Spectrum:
        return np.asarray(self._filter * self._white(self._rng))

    def _white(self, rng: np.random.Generator) -> Spectrum:
        return np.asarray(fft.rfft2(rng.standard_normal(self._shape)))
