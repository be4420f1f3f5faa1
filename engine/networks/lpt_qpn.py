"""LPT-QPN (Li et al. 2023, IEEE TGRS 61, 4107119): a U of transformer blocks whose attention is among channels.

The structure is that of the authors' published code (davidlikecookies/LPT-QPN): all input frames are the channels of
one picture, four levels of 20, 40, 80 and 160 channels, squared attention with a sigmoid for the softmax, the last
frame added to every lead time. The four coefficients of the equation of advection and diffusion that the training
penalises are read from the forecast by small heads of their own.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.networks.whole_domain import WholeCosines

Numbers = tuple[int, ...]
EXPANSION = 2.66


class SquashedNorm(nn.Module):
    """Each pixel's channels brought to mean 0 and variance 1, weighted, then through the logistic function."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(dim=1, keepdim=True)
        spread = (x - mean).square().mean(dim=1, keepdim=True)
        return torch.sigmoid((x - mean) * torch.rsqrt(spread + 1e-5) * self.weight[:, None, None])


class SquaredAttention(nn.Module):
    """Channels attend to channels: a map of (width / heads) squared, whatever the grid.

    The similarity of two channels is the cosine between them over all pixels, times a learned number for each head,
    through the logistic function.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.sharpness = nn.Parameter(torch.ones(heads, 1, 1))
        self.alike = WholeCosines()
        self.enter = nn.Conv2d(width, 3 * width, 1, bias=False)
        self.mix = nn.Conv2d(3 * width, 3 * width, 3, padding=1, groups=3 * width, bias=False)
        self.leave = nn.Conv2d(width, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (part.unflatten(1, (self.heads, -1)) for part in self.mix(self.enter(x)).chunk(3, dim=1))
        gathered = torch.sigmoid(self.alike(query, key) * self.sharpness) @ value.flatten(3)
        return torch.as_tensor(self.leave(gathered.flatten(1, 2).unflatten(2, x.shape[-2:])))


class GatedFeed(nn.Module):
    """1x1, depthwise 3x3, GELU times the logistic function of the other half, 1x1."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = int(width * EXPANSION)
        self.enter = nn.Conv2d(width, 2 * inner, 1, bias=False)
        self.mix = nn.Conv2d(2 * inner, 2 * inner, 3, padding=1, groups=2 * inner, bias=False)
        self.leave = nn.Conv2d(inner, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.mix(self.enter(x)).chunk(2, dim=1)
        return torch.as_tensor(self.leave(F.gelu(value) * torch.sigmoid(gate)))


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention_norm, self.feed_norm = SquashedNorm(width), SquashedNorm(width)
        self.attention, self.feed = SquaredAttention(width, heads), GatedFeed(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
        return torch.as_tensor(x + self.feed(self.feed_norm(x)))


class Swish(nn.Module):
    """x times the logistic function of a learned multiple of x."""

    def __init__(self) -> None:
        super().__init__()
        self.steepness = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.steepness * x)


class LPTQPN(nn.Module):
    """inputs, leads: frames in and out. width: channels of the finest level, doubled from level to level. blocks,
    heads: of the levels, finest first. refinements: blocks after the last level."""

    def __init__(self, inputs: int = 5, leads: int = 20, width: int = 20, blocks: Numbers = (4, 6, 6, 8),
                 heads: Numbers = (1, 2, 4, 8), refinements: int = 2) -> None:
        super().__init__()
        coarsest = len(blocks) - 1
        widths = [width << level for level in range(coarsest + 1)]
        self.grid_multiple = 1 << coarsest
        self.enter = nn.Conv2d(inputs, width, 3, padding=1, bias=False)
        self.descent = nn.ModuleList(_blocks(widths[i], heads[i], blocks[i]) for i in range(coarsest + 1))
        self.downs = nn.ModuleList(_down(widths[i]) for i in range(coarsest))
        self.ups = nn.ModuleList(_up(widths[i + 1]) for i in range(coarsest))
        # the finest level keeps both halves of what meets there
        self.joins = nn.ModuleList(nn.Conv2d(2 * widths[i], widths[i], 1, bias=False) if i else nn.Identity()
                                   for i in range(coarsest))
        self.ascent = nn.ModuleList(_blocks(widths[max(i, 1)], heads[i], blocks[i]) for i in range(coarsest))
        self.refine = _blocks(2 * width, heads[0], refinements)
        self.head = nn.Conv2d(2 * width, leads, 3, padding=1, bias=False)
        self.leave = nn.Sequential(nn.Conv2d(leads, leads, 3, padding=1), Swish())
        self.physics = nn.ModuleList(nn.Sequential(nn.Conv2d(leads, 1, 3, padding=1), nn.ReLU()) for _ in range(4))
        self.physics_scale = nn.Parameter(torch.ones(4))

    def forward(self, frames: Tensor, leads: int) -> Tensor:
        """frames: (B, T, 1, H, W) scaled, T as built. Returns (B, leads, 1, H, W), at most as many as built."""
        x = self.enter(frames[:, :, 0])
        kept: list[Tensor] = []
        for level, down in enumerate(self.downs):
            kept.append(self.descent[level](x))
            x = down(kept[-1])
        x = self.descent[-1](x)
        for level in reversed(range(len(self.ups))):
            x = self.ascent[level](self.joins[level](torch.cat((self.ups[level](x), kept[level]), dim=1)))
        change = self.head(self.refine(x))
        return torch.as_tensor(self.leave(change + frames[:, -1])[:, :leads, None])

    def coefficients(self, forecast: Tensor) -> Tensor:
        """forecast: (B, leads, 1, H, W), all lead times. Returns (4,): of the change in time, the gradients along x
        and y, and the curvature, in the equation that the training's penalty asks the forecast to obey."""
        found = [head(forecast[:, :, 0]).mean() for head in self.physics]
        return torch.stack(found) * self.physics_scale


def _blocks(width: int, heads: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(Block(width, heads) for _ in range(count)))


def _down(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width, width // 2, 3, padding=1, bias=False), nn.PixelUnshuffle(2))


def _up(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width, 2 * width, 3, padding=1, bias=False), nn.PixelShuffle(2))
