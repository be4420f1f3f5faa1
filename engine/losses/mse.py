"""Squared error (FFL paper, equation 6; DB-RNN paper, equation 7, second part)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from engine.losses.frames import Pixels, over_pixels


@dataclass(frozen=True)
class MSE:
    """Sum or mean of squared differences over the valid pixels of a frame; range [0, inf), 0 at the truth."""

    pixels: Pixels = "sum"

    def __call__(self, forecast: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
        """Shapes as in :class:`engine.losses.frames.FrameLoss`."""
        return over_pixels((forecast - truth) ** 2, valid, self.pixels)
