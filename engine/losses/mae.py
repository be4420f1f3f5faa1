"""Absolute error (FFL paper, equation 6; DB-RNN paper, equation 7, first part)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from engine.losses.frames import Pixels, over_pixels


@dataclass(frozen=True)
class MAE:
    """Sum or mean of absolute differences over the valid pixels of a frame; range [0, inf), 0 at the truth."""

    pixels: Pixels = "sum"

    def __call__(self, forecast: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
        """Shapes as in :class:`engine.losses.frames.FrameLoss`."""
        return over_pixels((forecast - truth).abs(), valid, self.pixels)
