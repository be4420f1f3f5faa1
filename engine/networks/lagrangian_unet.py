"""A U-Net that works in the moving frame and says how likely each threshold is to be reached.

The frames it reads were carried along the motion to the reference time, so that what is left for it to learn is how
rain grows, decays and becomes unpredictable with lead time. It returns exceedance probabilities, from which
:func:`quantile_field` reads the rain rate that has the best chance of hitting every threshold. Our own design;
docs/models.md has its scores.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

THRESHOLDS_MM_H = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""The rain rates (mm/h) whose exceedance is predicted."""
NO_DATA_CHANNELS = 1
PIXEL_CHANNELS = 1
_DRY_MARGIN = -2.95
"""Logits below the decision for the lowest threshold from which on a cell is dry: a tenth of that threshold."""


class _Block(nn.Module):
    """Two 3 x 3 convolutions; no normalisation over space, so that a tile forecasts what the whole would."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.skip(x) + self.second(nnf.silu(self.first(nnf.silu(x)))))


class LagrangianUNet(nn.Module):
    """inputs, leads: frames in and out. widths: channels from full resolution downwards; full resolution has one
    convolution each way only, the rest of the work is done on coarser grids."""

    decision: Tensor

    def __init__(self, inputs: int, leads: int, widths: tuple[int, ...] = (16, 40, 80, 112, 128)) -> None:
        super().__init__()
        self.inputs, self.leads = inputs, leads
        self.grid_multiple = 2 ** (len(widths) - 1)
        self.stem = nn.Conv2d(inputs + NO_DATA_CHANNELS + PIXEL_CHANNELS, widths[0], 3, padding=1)
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList(_Block(fine, coarse) for fine, coarse in pairs)
        self.middle = _Block(widths[-1], widths[-1])
        self.narrow = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for fine, coarse in reversed(pairs))
        self.up = nn.ModuleList(_Block(fine, fine) for fine in widths[-2:0:-1])
        self.last = nn.Conv2d(widths[0], 24, 3, padding=1)
        self.head = nn.Conv2d(24, leads * len(THRESHOLDS_MM_H), 1)
        self.register_buffer("decision", torch.full((leads, len(THRESHOLDS_MM_H)), 0.35))

    def forward(self, frames: Tensor, pixel_km: Tensor, chosen: Tensor | None = None) -> Tensor:
        """frames: (B, inputs + 1, H, W): the frames scaled 0..1 in the moving frame, then 1 where the last has data;
        H and W multiples of ``grid_multiple``. pixel_km: (B,). chosen: numbers of the lead times that are wanted,
        from 0. Returns logits (B, leads, thresholds, H, W) that fall with the threshold."""
        pixel = torch.log2(pixel_km)[:, None, None, None].expand(-1, 1, *frames.shape[-2:])
        x = self.stem(torch.cat((frames, pixel), dim=1))
        kept: list[Tensor] = []
        for block in self.down:
            kept.append(x)
            x = block(nnf.avg_pool2d(x, 2))
        x = self.middle(x)
        for narrow, block in zip(self.narrow, (*self.up, self.last), strict=True):
            x = nnf.interpolate(narrow(x), scale_factor=2, mode="bilinear", align_corners=False) + kept.pop()
            x = block(nnf.silu(x)) if block is self.last else block(x)
        return self._falling(self._headed(nnf.silu(x), chosen))

    def _headed(self, x: Tensor, chosen: Tensor | None) -> Tensor:
        if chosen is None:
            return torch.as_tensor(self.head(x))
        count = len(THRESHOLDS_MM_H)
        weight = self.head.weight.view(self.leads, count, -1, 1, 1)[chosen].flatten(0, 1)
        bias = torch.as_tensor(self.head.bias).view(self.leads, count)[chosen].flatten()
        return nnf.conv2d(x, weight, bias)

    def _falling(self, raw: Tensor) -> Tensor:
        """The first threshold's logit, then what each higher one takes away."""
        batch, _, height, width = raw.shape
        raw = raw.reshape(batch, -1, len(THRESHOLDS_MM_H), height, width)
        return torch.cat((raw[:, :, :1], -nnf.softplus(raw[:, :, 1:])), dim=2).cumsum(dim=2)


def quantile_field(logits: Tensor, decision: Tensor) -> Tensor:
    """(K, H, W) logits and the probability (K,) from which on a threshold counts as reached -> (H, W) mm/h.

    The field is at or above a threshold exactly where that threshold and all lower ones count as reached; in between
    it follows how far the next one is, in logits; below the lowest it goes to nought.
    """
    limit = torch.logit(decision)
    wet = logits[0] - limit[0] > _DRY_MARGIN
    rain = torch.zeros(logits.shape[1:], dtype=logits.dtype, device=logits.device)
    rain[wet] = _between(logits[:, wet] - limit[:, None])
    return rain


def _between(margin: Tensor) -> Tensor:
    """(K, N) -> (N,) mm/h"""
    level = torch.cumprod((margin >= 0).to(torch.uint8), dim=0).sum(dim=0)
    limits = torch.tensor((0.0, *THRESHOLDS_MM_H, 1.5 * THRESHOLDS_MM_H[-1]), device=margin.device)
    lower, upper = limits[level], limits[level + 1]
    guarded = torch.cat((torch.full_like(margin[:1], 4.0), margin, torch.full_like(margin[:1], -4.0)))
    over = guarded.gather(0, level[None])[0].clamp(0.0, 4.0)
    under = -guarded.gather(0, level[None] + 1)[0].clamp(-4.0, -1e-4)
    share = (over / (over + under)).clamp(max=0.999)
    below = THRESHOLDS_MM_H[0] * (2.0 * torch.sigmoid(margin[0])).clamp(max=0.999)
    return torch.where(level == 0, below, lower * (upper / lower.clamp(min=1e-3)) ** share)
