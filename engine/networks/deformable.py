"""Modulated deformable convolution in plain torch.

Dai et al. 2017, "Deformable Convolutional Networks", equations 2 and 3; Zhu et al. 2019, "Deformable ConvNets v2",
equation 1 (the mask). Each tap of the kernel reads at its own place plus an offset, bilinearly, nought beyond the
border, and is weighed by a mask. Values and gradients are those of the formula; nothing is approximated.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def sampled(field: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """field: (N, C, H, W). rows, columns: (N, P) places in cells, 0 the centre of the first. Returns (N, C, P):
    bilinear between the four cells around each place, those beyond the border being 0."""
    height, width = field.shape[2:]
    flat = field.flatten(2)
    top, left = rows.detach().floor(), columns.detach().floor()
    down, right = rows - top, columns - left
    total = None
    for row, column, weight in ((top, left, (1 - down) * (1 - right)), (top, left + 1, (1 - down) * right),
                                (top + 1, left, down * (1 - right)), (top + 1, left + 1, down * right)):
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        place = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).long()
        values = flat.gather(2, place[:, None].expand(-1, flat.shape[1], -1))
        part = values * (weight * inside)[:, None]
        total = part if total is None else total + part
    assert total is not None
    return total


def deformable_convolution(field: Tensor, offsets: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A convolution of odd kernel and stride 1 that keeps the grid.

    field: (B, C, H, W). offsets: (B, 2 G K, H, W) in cells: for each of G groups of channels and each of K taps (row by
    row of the kernel) first the shift along rows, then along columns. mask: (B, G K, H, W). weight: (O, C, k, k).
    Returns (B, O, H, W).
    """
    batch, channels, height, width = field.shape
    side, taps = weight.shape[2], weight.shape[2] * weight.shape[3]
    groups = mask.shape[1] // taps
    parts = field.reshape(batch * groups, channels // groups, height, width)
    shifts = offsets.reshape(batch * groups, taps, 2, height * width)
    shares = mask.reshape(batch * groups, taps, 1, height * width)
    here = torch.arange(height * width, device=field.device)
    out = field.new_zeros(batch, weight.shape[0], height * width)
    for tap in range(taps):
        row = (here // width + tap // side - side // 2) + shifts[:, tap, 0]
        column = (here % width + tap % side - side // 2) + shifts[:, tap, 1]
        read = sampled(parts, row, column) * shares[:, tap]
        out = out + weight[:, :, tap // side, tap % side] @ read.reshape(batch, channels, height * width)
    if bias is not None:
        out = out + bias[:, None]
    return out.reshape(batch, -1, height, width)


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
