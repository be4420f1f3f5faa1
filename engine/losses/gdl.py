"""Gradient difference loss (DB-RNN paper, equation 7, third line)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from engine.losses.frames import Pixels, over_pixels


@dataclass(frozen=True)
class GDL:
    """Differences between the steepness of forecast and truth, down and across; 0 where both fields are equal.

    A step counts where both of its pixels are valid. The print lets rows and columns run to h - 2 and w - 2, so that
    each pixel but those of the last row and column gives two steps. mean: over the steps that count.
    """

    pixels: Pixels = "sum"

    def __call__(self, forecast: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
        """Shapes as in :class:`engine.losses.frames.FrameLoss`."""
        down, down_valid = _steps(forecast, truth, valid, -2)
        across, across_valid = _steps(forecast, truth, valid, -1)
        total = over_pixels(down, down_valid, "sum") + over_pixels(across, across_valid, "sum")
        if self.pixels == "sum":
            return total
        count = down_valid.sum(dim=(2, 3, 4)) + across_valid.sum(dim=(2, 3, 4))
        return total / count.clamp(min=1)


def _steps(forecast: Tensor, truth: Tensor, valid: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """| |step of the truth| - |step of the forecast| | along an axis, and where it counts; (B, T, 1, H-1, W-1)."""
    other = -1 if axis == -2 else -2

    def step(field: Tensor) -> Tensor:
        return field.diff(dim=axis).abs().narrow(other, 0, field.shape[other] - 1)

    size = valid.shape[axis] - 1
    both = valid.narrow(axis, 1, size) & valid.narrow(axis, 0, size)
    return (step(truth) - step(forecast)).abs(), both.narrow(other, 0, valid.shape[other] - 1)
