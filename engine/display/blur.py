"""A blur kernel in a few numbers, for people; read without torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Blur:
    """strength: sum of the weights, 1 where the blur keeps the total. width_km: along y and x, the standard deviation
    of the positive weights about their middle; 0 where there are none."""

    strength: float
    width_km: tuple[float, float]


def blur_of(kernel: NDArray[np.float32], pixel_km: tuple[float, float]) -> Blur:
    """kernel: (h, w) weights. pixel_km: along y and x."""
    weights = np.maximum(kernel.astype(np.float64), 0.0)
    total = weights.sum()
    if total <= 0.0:
        return Blur(float(kernel.sum()), (0.0, 0.0))
    widths = []
    for axis, km in enumerate(pixel_km):
        share, place = weights.sum(axis=1 - axis) / total, np.arange(kernel.shape[axis])
        middle = (share * place).sum()
        widths.append(float(np.sqrt((share * (place - middle) ** 2).sum())) * km)
    return Blur(float(kernel.sum()), (widths[0], widths[1]))
