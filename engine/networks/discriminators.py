"""The discriminators that train the deblurring networks (DB-RNN paper, Tables I and II): is a frame observed?

Three times 3 x 3 convolution, leaky ReLU and maximum pooling take a frame of 160 x 160 to 5 x 5; two linear layers
give one number between 0 (made) and 1 (observed). They belong to training only: no forecast asks them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

LEAK = 0.01
POOLS = (4, 4, 2)
SIDE = 160
_LAST_SIDE = 5


@dataclass(frozen=True)
class Size:
    """channels: of the three convolutions. inner: of the linear layer between. parameters: exact."""

    channels: tuple[int, int, int]
    inner: int
    parameters: int


SMALL = Size((16, 20, 20), 10, 11_701)
MIDDLE = Size((16, 20, 32), 10, 16_873)
LARGE = Size((16, 32, 32), 16, 26_881)

SIZES: dict[str, Size] = {"convlstm": SMALL, "trajgru": SMALL, "predrnn": MIDDLE, "predrnn++": MIDDLE, "mim": LARGE,
                          "motionrnn": LARGE, "preciplstm": LARGE}
"""The size that goes with a deblurring network, by its cell."""


class Discriminator(nn.Module):
    """any_grid: frames of any size of at least 32 x 32 pixels, by a mean over 5 x 5 parts before the linear layers
    (for 160 x 160 that changes nothing); without it only 160 x 160, as published."""

    def __init__(self, size: Size, any_grid: bool = False) -> None:
        super().__init__()
        self.any_grid = any_grid
        layers: list[nn.Module] = []
        before = 1
        for channels, pool in zip(size.channels, POOLS, strict=True):
            layers += [nn.Conv2d(before, channels, 3, padding=1), nn.LeakyReLU(LEAK), nn.MaxPool2d(pool)]
            before = channels
        self.features = nn.Sequential(*layers)
        self.gather = nn.AdaptiveAvgPool2d(_LAST_SIDE) if any_grid else nn.Identity()
        self.judge = nn.Sequential(nn.Flatten(), nn.Linear(before * _LAST_SIDE**2, size.inner), nn.LeakyReLU(LEAK),
                                   nn.Linear(size.inner, 1), nn.Sigmoid())

    def forward(self, frames: Tensor) -> Tensor:
        """frames: (B, 1, H, W) scaled. Returns (B, 1). Raises ValueError for a size that it was not made for."""
        if not self.any_grid and frames.shape[-2:] != (SIDE, SIDE):
            raise ValueError(f"frames of {SIDE} x {SIDE} pixels are judged, not of {tuple(frames.shape[-2:])}")
        return torch.as_tensor(self.judge(self.gather(self.features(frames))))


def for_cell(cell: str, any_grid: bool = False) -> Discriminator:
    """The discriminator of ``db-CELL``. Raises KeyError for a cell that the paper has none for."""
    return Discriminator(SIZES[cell], any_grid)
