"""Modulated deformable convolution in plain torch.

Dai et al. 2017, "Deformable Convolutional Networks", equations 2 and 3; Zhu et al. 2019, "Deformable ConvNets v2",
equation 1 (the mask). Each tap of the kernel reads at its own place plus an offset, bilinearly, nought beyond the
border, and is weighed by a mask. Values and gradients are those of the formula; nothing is approximated.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIP = 1 << 19
"""Numbers that are read at a time on a CPU: 2 MB in single precision stay in the cache until they are mixed."""


def deformable_convolution(field: Tensor, offsets: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A convolution of odd kernel and stride 1 that keeps the grid.

    field: (B, C, H, W). offsets: (B, 2 G K, H, W) in cells: for each of G groups of channels and each of K taps (row by
    row of the kernel) first the shift along rows, then along columns. mask: (B, G K, H, W). weight: (O, C, k, k).
    Returns (B, O, H, W).
    """
    batch, channels, height, width = field.shape
    taps = weight.shape[2] * weight.shape[3]
    groups = mask.shape[1] // taps
    table = field.reshape(batch * groups, -1, height, width)
    shifts = offsets.reshape(batch * groups, taps, 2, height, width)
    shares = mask.reshape(batch * groups, 1, taps, height, width)
    mixing = weight.flatten(1).expand(batch, -1, -1)
    mixed = []
    for rows in _strips(field, batch * channels * taps * width):
        read = _read(table, shifts, shares, weight.shape[2], rows)
        mixed.append(torch.bmm(mixing, read.reshape(batch, channels * taps, -1)))
    out = torch.cat(mixed, 2)
    if bias is not None:
        out = out + bias[:, None]
    return out.reshape(batch, -1, height, width)


def _strips(field: Tensor, numbers: int) -> Iterator[slice]:
    """Rows that are made at a time. numbers: how many are read for each."""
    height = field.shape[2]
    high = max(1, STRIP // numbers) if field.device.type == "cpu" else height
    for first in range(0, height, high):
        yield slice(first, min(first + high, height))


def _read(table: Tensor, shifts: Tensor, shares: Tensor, side: int, rows: slice) -> Tensor:
    """(B G, C / G, K, h, W): what the taps of the cells in these rows read, weighed. table: (B G, C / G, H, W).
    shifts: (B G, K, 2, H, W). shares: (B G, 1, K, H, W)."""
    found = F.grid_sample(table, _places(shifts, side, rows), mode="bilinear", padding_mode="zeros",
                          align_corners=False)
    found = found.reshape(*table.shape[:2], shifts.shape[1], -1, table.shape[3])
    share = shares[:, :, :, rows]
    return found * share if torch.is_grad_enabled() else found.mul_(share)


def _places(shifts: Tensor, side: int, rows: slice) -> Tensor:
    """(B G, K h, W, 2): where the taps of the cells in these rows read, column first, -1 and 1 being the borders."""
    height, width = shifts.shape[3:]
    tap = torch.arange(side * side, device=shifts.device)
    down = _counted(height, shifts)[rows, None] + (tap // side - side // 2)[:, None, None] + shifts[:, :, 0, rows]
    right = _counted(width, shifts) + (tap % side - side // 2)[:, None, None] + shifts[:, :, 1, rows]
    return torch.stack(((2 * right + 1) / width - 1, (2 * down + 1) / height - 1), dim=-1).flatten(1, 2)


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

    def of_nought(self, field: Tensor) -> Tensor:
        """What it makes of a field that is nought everywhere, wherever it reads."""
        assert self.read.bias is not None
        return self.read.bias[:, None, None].expand_as(field)
