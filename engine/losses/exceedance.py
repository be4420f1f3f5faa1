"""Cross-entropy of networks that say, for each of several thresholds, how likely it is to be reached."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.losses.frames import Pixels, over_pixels


@dataclass(frozen=True)
class Exceedance:
    """edges: the thresholds in the unit of the truth, one for each channel of the network's logits; an event is
    truth >= threshold. weights: of the thresholds, equal if none are given. events: how much more an event weighs
    than a non-event, per threshold. Range [0, inf); mean over the thresholds, sum or mean over the pixels."""

    edges: tuple[float, ...]
    weights: tuple[float, ...] = ()
    events: tuple[float, ...] = ()
    pixels: Pixels = "mean"

    def __post_init__(self) -> None:
        for given in (self.weights, self.events):
            if given and len(given) != len(self.edges):
                raise ValueError(f"one weight for each of {len(self.edges)} thresholds, not {given}")

    def __call__(self, forecast: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
        """forecast: logits (B, T, K, H, W). The rest as in :class:`engine.losses.frames.FrameLoss`."""
        if forecast.shape[2] != len(self.edges):
            raise ValueError(f"{forecast.shape[2]} logits a pixel for {len(self.edges)} thresholds")
        happened = (truth >= self._row(self.edges, truth)).to(forecast.dtype)
        events = self._row(self.events, truth) if self.events else None
        entropy = F.binary_cross_entropy_with_logits(forecast, happened, reduction="none", pos_weight=events)
        if self.weights:
            entropy = entropy * self._row(self.weights, truth)
        return over_pixels(entropy.mean(dim=2, keepdim=True), valid, self.pixels)

    @staticmethod
    def _row(values: tuple[float, ...], like: Tensor) -> Tensor:
        return torch.tensor(values, dtype=like.dtype, device=like.device).view(1, 1, -1, 1, 1)[0]
