"""The periodic domain in which a synthetic storm lives; the radar sees a window of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

COARSEST = 16
"""Every domain divides by this, so that coarse grids share its nodes."""


@dataclass(frozen=True)
class Domain:
    """shape: (rows, columns) of the domain. window: (rows, columns) the radar sees, in the domain's middle.
    Coordinates are km east and km south of the domain's north-western node."""

    shape: tuple[int, int]
    window: tuple[int, int]
    pixel_km: float

    @classmethod
    def around(cls, window: tuple[int, int], pixel_km: float) -> Domain:
        """So much larger than the window that what leaves it has changed before the period brings it back."""
        margin = max(0.4 * max(window), 110.0 / pixel_km)
        rows, columns = (COARSEST * int(fft.next_fast_len(int(np.ceil((side + margin) / COARSEST)), real=True))
                         for side in window)
        return cls((rows, columns), window, pixel_km)

    @property
    def size_km(self) -> tuple[float, float]:
        return self.shape[0] * self.pixel_km, self.shape[1] * self.pixel_km

    @property
    def x(self) -> NDArray[np.float64]:
        return np.arange(self.shape[1], dtype=np.float64) * self.pixel_km

    @property
    def y(self) -> NDArray[np.float64]:
        return np.arange(self.shape[0], dtype=np.float64) * self.pixel_km

    @property
    def view(self) -> tuple[slice, slice]:
        """The window as an index into the domain."""
        top, left = ((whole - part) // 2 for whole, part in zip(self.shape, self.window, strict=True))
        return slice(top, top + self.window[0]), slice(left, left + self.window[1])

    def coarseness(self, node_km: float) -> int:
        """The largest power of two up to COARSEST whose nodes lie no further apart than ``node_km``."""
        coarse = 1
        while coarse < COARSEST and 2 * coarse * self.pixel_km <= node_km:
            coarse *= 2
        return coarse

    def refine(self, spectrum: NDArray[np.complex128], coarse: int) -> NDArray[np.complex128]:
        """The domain's own rfft2 of the smooth field whose ``coarse``-th nodes have this rfft2."""
        rows, columns = self.shape
        if coarse == 1:
            return spectrum
        full = np.zeros((rows, columns // 2 + 1), np.complex128)
        nodes, width = rows // coarse, (columns // coarse + 1) // 2  # without the highest wave of an even number
        first, last = (nodes + 1) // 2, (nodes - 1) // 2
        full[:first, :width] = spectrum[:first, :width]
        full[rows - last:, :width] = spectrum[nodes - last:, :width]
        full *= coarse**2
        return full

    def wavenumbers(self, coarse: int = 1) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(ky, kx) in cycles per km for rfft2 of every ``coarse``-th node; broadcastable."""
        spacing = self.pixel_km * coarse
        ky = fft.fftfreq(self.shape[0] // coarse, spacing)[:, None]
        kx = fft.rfftfreq(self.shape[1] // coarse, spacing)[None, :]
        return ky, kx
