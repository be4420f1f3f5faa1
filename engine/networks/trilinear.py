"""What a downscaling network can start from: its frames, refined linearly in space and time."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def bilinear(frames: Tensor) -> Tensor:
    """(B, T, H, W) to (B, T, 2 H, 2 W): half-pixel centres, the border's value beyond it."""
    return F.interpolate(frames, scale_factor=2.0, mode="bilinear", align_corners=False)


def trilinear(frames: Tensor) -> Tensor:
    """(B, T, H, W) to (B, 2 T - 1, 2 H, 2 W): bilinear in space, the given times kept."""
    wide = bilinear(frames)
    between = (wide[:, :-1] + wide[:, 1:]) / 2
    both = torch.stack((wide[:, :-1], between), 2).flatten(1, 2)
    return torch.cat((both, wide[:, -1:]), 1)


def silenced(layer: nn.Conv2d | nn.Conv3d) -> None:
    """A last layer that says nothing at first, so that a network which is added to something begins with that."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
