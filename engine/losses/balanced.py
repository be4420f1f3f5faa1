"""B-MSE and B-MAE: errors weighted by the rain rate of the truth (benchmark paper, section 5.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.losses.frames import Pixels, over_pixels

CLASS_EDGES_MM_H = (2.0, 5.0, 10.0, 30.0)
CLASS_WEIGHTS = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Of rain below 2 mm/h, from 2, from 5, from 10 and from 30 mm/h."""


@dataclass(frozen=True)
class Balanced:
    """edges: the truth's values, in its own unit, from which the next weight holds (``CLASS_EDGES_MM_H`` there).
    power: 1 for B-MAE, 2 for B-MSE. Pixels that are not valid have weight 0; range [0, inf), 0 at the truth."""

    edges: tuple[float, ...]
    power: int
    weights: tuple[float, ...] = CLASS_WEIGHTS
    pixels: Pixels = "sum"

    def __post_init__(self) -> None:
        if len(self.weights) != len(self.edges) + 1 or list(self.edges) != sorted(self.edges):
            raise ValueError(f"rising edges and one weight more than edges, not {self.edges} and {self.weights}")

    def __call__(self, forecast: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
        """Shapes as in :class:`engine.losses.frames.FrameLoss`."""
        error = (forecast - truth).abs() if self.power == 1 else (forecast - truth) ** 2
        return over_pixels(error * balance(truth, self.edges, self.weights), valid, self.pixels)


def balance(truth: Tensor, edges: tuple[float, ...], weights: tuple[float, ...] = CLASS_WEIGHTS) -> Tensor:
    """The weight of each pixel, by its truth; an edge belongs to the class above it."""
    limits = torch.tensor(edges, dtype=truth.dtype, device=truth.device)
    table = torch.tensor(weights, dtype=truth.dtype, device=truth.device)
    return table[torch.bucketize(truth.contiguous(), limits, right=True)]
