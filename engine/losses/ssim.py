"""Structural dissimilarity, 1 - SSIM (Wang et al. 2004, equation 13)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.losses.frames import Pixels, over_pixels


@dataclass(frozen=True)
class SSIM:
    """window: side of the Gaussian window in pixels, odd. sigma: its width. span: the range of values. Range [0, 2],
    0 at the truth. Where the truth is not valid both fields are taken as equal; windows are those that lie inside
    the frame, each counted at its centre."""

    window: int = 11
    sigma: float = 1.5
    span: float = 1.0
    pixels: Pixels = "mean"

    def __post_init__(self) -> None:
        if self.window % 2 == 0 or self.window < 1:
            raise ValueError(f"the window of SSIM has an odd side, not {self.window}")

    def __call__(self, forecast: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
        """Shapes as in :class:`engine.losses.frames.FrameLoss`; H and W at least ``window``."""
        shape = forecast.shape
        seen = torch.where(valid, forecast, truth)
        index = ssim_map(seen.flatten(0, 1), truth.flatten(0, 1), self.window, self.sigma, self.span)
        edge = self.window // 2
        inner = valid[..., edge:shape[-2] - edge, edge:shape[-1] - edge]
        return over_pixels(1 - index.view(*shape[:2], *index.shape[1:]), inner, self.pixels)


def ssim_map(x: Tensor, y: Tensor, window: int = 11, sigma: float = 1.5, span: float = 1.0) -> Tensor:
    """(N, 1, H, W) twice, to the index of each window, (N, 1, H - window + 1, W - window + 1), in [-1, 1]."""
    distance = torch.arange(window, dtype=x.dtype, device=x.device) - window // 2
    bell = torch.exp(-distance**2 / (2 * sigma**2))
    bell = bell / bell.sum()

    def mean(field: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(field, bell.view(1, 1, -1, 1)), bell.view(1, 1, 1, -1))

    mx, my = mean(x), mean(y)
    vx, vy, both = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    return (2 * mx * my + c1) * (2 * both + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
