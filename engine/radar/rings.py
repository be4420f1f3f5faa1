"""Power by wavenumber, averaged over rings of equal wavenumber (Ruzanski and Chandrasekar 2011)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def ring_power(field: NDArray[np.floating], pixel_km: tuple[float, float]
               ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """field: (ny, nx), finite, any unit. pixel_km: (dy, dx); coarser cells set the shortest wavelength.

    Returns wavenumber (n,) in cycles per km, rising from the first above 0, and the mean squared amplitude of each
    ring, in the field's unit squared, with a Hann window against the edges."""
    ny, nx = field.shape
    window = np.hanning(ny)[:, None] * np.hanning(nx)[None, :]
    mean = float((field * window).sum() / max(float(window.sum()), 1e-12))
    power = np.abs(np.fft.rfft2((field - mean) * window)) ** 2 / float((window**2).sum())
    ky = np.fft.fftfreq(ny, pixel_km[0])[:, None]
    kx = np.fft.rfftfreq(nx, pixel_km[1])[None, :]
    weight = np.where((kx == 0) | (kx == kx.max() if nx % 2 == 0 else kx < 0), 1.0, 2.0) * np.ones_like(ky)
    spacing = 1.0 / max(ny * pixel_km[0], nx * pixel_km[1])
    ring = np.rint(np.hypot(ky, kx) / spacing).astype(np.intp)
    rings = int(0.5 / max(pixel_km) / spacing)
    total = np.bincount(ring.ravel(), (power * weight).ravel(), ring.max() + 1)[1: rings + 1]
    count = np.bincount(ring.ravel(), weight.ravel(), ring.max() + 1)[1: rings + 1]
    return spacing * np.arange(1, rings + 1), total / np.maximum(count, 1e-12)
