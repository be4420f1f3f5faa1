"""Modulated deformable convolution in plain torch.

Dai et al. 2017, "Deformable Convolutional Networks", equations 2 and 3; Zhu et al. 2019, "Deformable ConvNets v2",
equation 1 (the mask). Each tap of the kernel reads at its own place plus an offset, bilinearly, nought beyond the
border, and is weighed by a mask. Values and gradients are those of the formula; nothing is approximated.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def deformable_convolution(field: Tensor, offsets: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A convolution of odd kernel and stride 1 that keeps the grid.

    field: (B, C, H, W). offsets: (B, 2 G K, H, W) in cells: for each of G groups of channels and each of K taps (row by
    row of the kernel) first the shift along rows, then along columns. mask: (B, G K, H, W). weight: (O, C, k, k).
    Returns (B, O, H, W).
    """
    batch, channels, height, width = field.shape
    side, taps = weight.shape[2], weight.shape[2] * weight.shape[3]
    groups = mask.shape[1] // taps
    shifts = offsets.reshape(batch * groups, taps, 2, height, width)
    tap = torch.arange(taps, device=field.device)
    rows = _counted(height, field)[:, None] + (tap // side - side // 2)[:, None, None] + shifts[:, :, 0]
    columns = _counted(width, field) + (tap % side - side // 2)[:, None, None] + shifts[:, :, 1]
    places = torch.stack(((2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1), dim=-1)
    read = F.grid_sample(field.reshape(batch * groups, -1, height, width), places.flatten(1, 2), mode="bilinear",
                         padding_mode="zeros", align_corners=False)
    read = read.reshape(batch * groups, -1, taps, height * width) * mask.reshape(batch * groups, 1, taps, -1)
    out = weight.flatten(1) @ read.reshape(batch, channels * taps, height * width)
    if bias is not None:
        out = out + bias[:, None]
    return out.reshape(batch, -1, height, width)


def _counted(size: int, like: Tensor) -> Tensor:
    return torch.arange(size, device=like.device, dtype=like.dtype)


class Deformable(nn.Module):
    """3 x 3, offsets and mask by a convolution of other features, which starts at nought: at first every tap stays
    where it is and counts half."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.read = nn.Conv2d(channels, channels, 3, padding=1)
        self.place = nn.Conv2d(channels, 3 * groups * 9, 3, padding=1)
        self.split = (2 * groups * 9, groups * 9)
        nn.init.zeros_(self.place.weight)
        assert self.place.bias is not None
        nn.init.zeros_(self.place.bias)

    def forward(self, field: Tensor, guide: Tensor) -> Tensor:
        """field, guide: (B, C, H, W); guide says where to read."""
        offsets, mask = self.place(guide).split(self.split, dim=1)
        return deformable_convolution(field, offsets, mask.sigmoid(), self.read.weight, self.read.bias)
