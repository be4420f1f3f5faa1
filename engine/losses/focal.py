"""Focal frame loss: frames that are harder to predict weigh more (FFL paper, equations 7 and 8)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.losses.frames import FrameLoss, over_pixels


@dataclass(frozen=True)
class Focal:
    """inner: any loss of single frames. k: 0 gives ``inner`` itself. epsilon: keeps the easiest frame's weight
    above 0. The weights count as constants: no gradient goes through them, which the paper leaves open."""

    inner: FrameLoss
    k: float = 2.0
    epsilon: float = 0.01

    def __post_init__(self) -> None:
        if not (self.k >= 0 and self.epsilon > 0):
            raise ValueError(f"k is at least 0 and epsilon above 0, not {self.k} and {self.epsilon}")

    def __call__(self, forecast: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
        """Shapes as in :class:`engine.losses.frames.FrameLoss`; T are the frames among which difficulty is shared."""
        with torch.no_grad():
            difference = over_pixels((forecast - truth).abs(), valid, "sum")
            weights = frame_weights(difference, self.k, self.epsilon)
        return weights * self.inner(forecast, truth, valid)


def frame_weights(difference: Tensor, k: float, epsilon: float) -> Tensor:
    """Equation 7. difference: (B, T), the sum of absolute differences of each frame. Returns (B, T).

    Where all frames of a sequence are equally hard (0/0 in the equation), each counts as the hardest.
    """
    least, most = difference.amin(dim=1, keepdim=True), difference.amax(dim=1, keepdim=True)
    span = most - least
    place = torch.where(span > 0, (difference - least) / torch.where(span > 0, span, 1.0), torch.ones_like(difference))
    return (place + epsilon) ** k
