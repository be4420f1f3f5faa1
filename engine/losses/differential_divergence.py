"""Differential divergence (TAU: Tan et al. 2023, section 3.4, equations 7 to 9): change between frames happens where it
should."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.losses.frames import Pixels

TEMPERATURE = 0.1


@dataclass(frozen=True)
class DifferentialDivergence:
    """Kullback-Leibler divergence of the truth's changes from the forecast's, each a distribution over the pixels: the
    softmax of the change from the frame before, divided by ``temperature``.

    Range [0, inf), 0 where both change alike. The first frame, which nothing stands before, has 0; the others are
    scaled so that the mean over all frames is that over the changes. A pixel takes part where both of its frames are
    valid; mean: divided by the number of these. Fewer than three frames give 0, as in the authors' code.
    """

    temperature: float = TEMPERATURE
    pixels: Pixels = "sum"

    def __call__(self, forecast: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
        """Shapes as in :class:`engine.losses.frames.FrameLoss`."""
        batch, count = truth.shape[:2]
        if count < 3:
            return forecast.new_zeros(batch, count)
        both = (valid[:, 1:] & valid[:, :-1]).flatten(2)
        predicted, observed = (self._distribution(frames, both) for frames in (forecast, truth))
        divergence = (predicted.exp() * (predicted - observed)).masked_fill(~both, 0.0).sum(dim=2)
        if self.pixels == "mean":
            divergence = divergence / both.sum(dim=2).clamp(min=1)
        return torch.cat((forecast.new_zeros(batch, 1), divergence * (count / (count - 1))), dim=1)

    def _distribution(self, frames: Tensor, both: Tensor) -> Tensor:
        """(B, T - 1, pixels), logarithms; a finite number where a pixel does not take part."""
        change = (frames[:, 1:] - frames[:, :-1]).flatten(2) / self.temperature
        lowest = torch.finfo(change.dtype).min / 4
        return torch.log_softmax(change.masked_fill(~both, lowest), dim=-1)
