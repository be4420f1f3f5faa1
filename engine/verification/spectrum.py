"""Power by wavelength: the honest measure of blur. A forecast that has lost its small scales has lost their power.

The radially averaged power spectrum follows Ruzanski and Chandrasekar (2011) and the usual practice of
nowcasting: rain rate in dB with a floor, a Hann window against the edges, rings of equal wavenumber.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.radar.rings import ring_power
from engine.radar.sequence import Field

FLOOR_MM_H = 0.05
EFFECTIVE_SHARE = 0.5
"""The forecast resolves a wavelength where it holds at least this share of the observed power."""


@dataclass(frozen=True)
class Spectrum:
    """wavelength_km: (n,) falling. power: (n,) mean squared amplitude per ring, dB(mm/h)^2."""

    wavelength_km: NDArray[np.float64]
    power: NDArray[np.float64]


def power_spectrum(rain_rate: Field, pixel_km: tuple[float, float], valid: NDArray[np.bool_] | None = None) -> Spectrum:
    """rain_rate: (ny, nx) mm/h, NaN = no data, which counts as dry. valid: False is made dry too, so that two
    fields of different coverage are compared over the same cells. pixel_km: (dy, dx); coarser cells set the
    shortest wavelength."""
    known = np.isfinite(rain_rate) if valid is None else np.isfinite(rain_rate) & valid
    level = 10.0 * np.log10(np.maximum(np.where(known, rain_rate, 0.0), FLOOR_MM_H)) - 10.0 * np.log10(FLOOR_MM_H)
    wavenumber, power = ring_power(level, pixel_km)
    return Spectrum(1.0 / wavenumber, power)


def power_ratio(predicted: Spectrum, observed: Spectrum) -> NDArray[np.float64]:
    """Forecast power over observed power by wavelength; 1 is perfect, less is blur, more is noise."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(observed.power > 0, predicted.power / observed.power, np.nan)


def effective_resolution_km(predicted: Spectrum, observed: Spectrum, share: float = EFFECTIVE_SHARE) -> float:
    """The shortest wavelength down to which the forecast holds at least ``share`` of the observed power at every
    longer one; NaN if it fails at the longest (Skamarock 2004, with a ratio instead of a slope)."""
    enough = power_ratio(predicted, observed) >= share
    failing = np.flatnonzero(~enough)
    if failing.size == 0:
        return float(observed.wavelength_km[-1])
    return float(observed.wavelength_km[failing[0] - 1]) if failing[0] > 0 else float("nan")
