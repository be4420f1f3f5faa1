"""Sums of warped fields at inference on a CPU: all links of a TrajGRU at once, a few rows at a time.

The same as a convolution of concatenated :func:`engine.networks.cell.warp`. With the channels of a pixel next to each
other a bilinear sample is a weighted sum of four rows of a table, which torch sums for all links in one call; what it
returns is already what the 1 x 1 convolution reads. Nothing of the size of all warped fields is ever held.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_SAMPLES = 1 << 16
"""Samples (pixels times links) at once: some megabytes."""
_RING = 2
"""Cells of zeros around the field: what lies further out is moved into them, and all corners exist."""


def gathered(field: Tensor, shifts: Tensor, join: nn.Conv2d) -> Tensor:
    """join over the links of the field's samples at each pixel's own place plus the link's shift; zero outside.

    field: (B, C, H, W). shifts: (B, 2L, H, W) in pixels, x and y of each link. join: 1 x 1, L * C -> outputs.
    Returns (B, outputs, H, W) with the channels of a pixel next to each other.
    """
    batch, channels, height, width = field.shape
    links = shifts.shape[1] // 2
    table = F.pad(field.permute(0, 2, 3, 1), (0, 0, *(_RING,) * 4)).reshape(-1, channels)
    pairs = shifts.permute(0, 2, 3, 1).reshape(batch * height, width, links, 2)
    weight, bias = join.weight.flatten(1).t(), join.bias
    assert bias is not None
    out = field.new_empty(batch * height * width, join.out_channels)
    rows = max(1, _SAMPLES // (width * links))
    for first in range(0, batch * height, rows):
        cells, weights = _corners(pairs[first : first + rows], first, height)
        samples = F.embedding_bag(cells, table, mode="sum", per_sample_weights=weights)
        torch.addmm(bias, samples.view(-1, links * channels), weight, out=out[first * width : (first + rows) * width])
    return out.view(batch, height, width, -1).permute(0, 3, 1, 2)


def _corners(shift: Tensor, first: int, height: int) -> tuple[Tensor, Tensor]:
    """Places in the table and weights of the four cells around each sample, (n, 4) each.

    shift: (rows, W, L, 2) of the rows from ``first`` on, counted through all samples of the batch.
    """
    rows, width, links, _ = shift.shape
    line = torch.arange(first, first + rows, device=shift.device)
    x, right = _split(shift[..., 0], torch.arange(width, device=shift.device)[:, None], width)
    y, down = _split(shift[..., 1], (line % height)[:, None, None], height)
    above = (line // height * (height + 2 * _RING) + _RING)[:, None, None]
    corner = (y.int() + above.int()).mul_(width + 2 * _RING).add_(x.int()).add_(_RING)
    left, up = 1.0 - right, 1.0 - down
    cells = torch.empty(rows, width, links, 4, dtype=torch.int32, device=shift.device)
    weights = torch.empty(rows, width, links, 4, dtype=shift.dtype, device=shift.device)
    steps = (0, 1, width + 2 * _RING, width + 2 * _RING + 1)
    for place, (step, across, along) in enumerate(zip(steps, (up, up, down, down), (left, right) * 2, strict=True)):
        torch.add(corner, step, out=cells[..., place])
        torch.mul(across, along, out=weights[..., place])
    return cells.view(-1, 4), weights.view(-1, 4)


def _split(shift: Tensor, here: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The cell below ``here`` + shift, kept within the ring, and the share of the next one."""
    whole = shift.floor()
    share = shift - whole
    return whole.add_(here).nan_to_num_(0.0).clamp_(-_RING, count), share
