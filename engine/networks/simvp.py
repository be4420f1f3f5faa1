"""SimVP (Gao et al. 2022) with its gated-attention translator (gSTA), the IncepU original, and TAU (Tan et al. 2023).

Frames are encoded one by one at a quarter of the grid, translated all together as channels, decoded one by one.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.networks.whole_domain import WholeGroupNorm, WholeMean

WIDE_OVERLAP = 192
"""Cells that neighbouring tiles share at least where kernels of 11 x 11 follow each other on a quarter of the grid."""


class ConvSC(nn.Module):
    """3x3 convolution, GroupNorm(2), SiLU; stride 2 downwards, pixel shuffle upwards."""

    def __init__(self, inputs: int, outputs: int, down: bool = False, up: bool = False) -> None:
        super().__init__()
        widened = 4 * outputs if up else outputs
        self.conv = nn.Conv2d(inputs, widened, 3, stride=2 if down else 1, padding=1)
        self.up = nn.PixelShuffle(2) if up else nn.Identity()
        self.norm = WholeGroupNorm(2, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(self.norm(self.up(self.conv(x))))


class Gate(nn.Module):
    """The large-kernel attention. squeeze=False: gSTA, a gate from 2d channels; True: TAU, times an SE vector."""

    def __init__(self, width: int, squeeze: bool) -> None:
        super().__init__()
        self.near = nn.Conv2d(width, width, 5, padding=2, groups=width)
        self.far = nn.Conv2d(width, width, 7, padding=9, dilation=3, groups=width)
        self.mix = nn.Conv2d(width, width if squeeze else 2 * width, 1)
        inner = width // max(width // 16, 4)
        self.over = WholeMean() if squeeze else None
        self.squeeze = nn.Sequential(nn.Linear(width, inner, bias=False), nn.ReLU(),
                                     nn.Linear(inner, width, bias=False), nn.Sigmoid()) if squeeze else None

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.mix(self.far(self.near(x)))
        if self.squeeze is None or self.over is None:
            value, gate = mixed.chunk(2, dim=1)
            return torch.as_tensor(value * torch.sigmoid(gate))
        weight = self.squeeze(self.over(x))[:, :, None, None]
        return torch.as_tensor(weight * mixed * x)


class Attention(nn.Module):
    """1x1, GELU, gate, 1x1, plus the shortcut."""

    def __init__(self, width: int, squeeze: bool) -> None:
        super().__init__()
        self.enter = nn.Conv2d(width, width, 1)
        self.gate = Gate(width, squeeze)
        self.leave = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(x + self.leave(self.gate(F.gelu(self.enter(x)))))


class FeedForward(nn.Module):
    """1x1 to ratio times the width, depthwise 3x3, GELU, 1x1 back."""

    def __init__(self, width: int, ratio: int) -> None:
        super().__init__()
        inner = ratio * width
        self.enter = nn.Conv2d(width, inner, 1)
        self.depthwise = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.leave = nn.Conv2d(inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.leave(F.gelu(self.depthwise(self.enter(x)))))


class Block(nn.Module):
    """x + g1 A(BN x), then x + g2 F(BN x), g initialised 0.01; a 1x1 convolution where the width changes."""

    def __init__(self, inputs: int, outputs: int, squeeze: bool, ratio: int) -> None:
        super().__init__()
        self.first_norm, self.second_norm = nn.BatchNorm2d(inputs), nn.BatchNorm2d(inputs)
        self.attention = Attention(inputs, squeeze)
        self.feed = FeedForward(inputs, ratio)
        self.first_scale = nn.Parameter(torch.full((inputs,), 0.01))
        self.second_scale = nn.Parameter(torch.full((inputs,), 0.01))
        self.fit = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.first_scale[:, None, None] * self.attention(self.first_norm(x))
        x = x + self.second_scale[:, None, None] * self.feed(self.second_norm(x))
        return torch.as_tensor(self.fit(x))


class GatedTranslator(nn.Sequential):
    """depth blocks of the given width over (B, T * S, H/4, W/4)."""

    def __init__(self, channels: int, width: int, depth: int, squeeze: bool, ratio: int = 8) -> None:
        widths = (channels, *[width] * (depth - 1), channels)
        super().__init__(*(Block(a, b, squeeze, ratio) for a, b in itertools.pairwise(widths)))


class Inception(nn.Module):
    """1x1, then group convolutions of sides 3, 5, 7, 11 with GroupNorm(8) and leaky ReLU 0.2, summed."""

    def __init__(self, inputs: int, inner: int, outputs: int, groups: int = 8) -> None:
        super().__init__()
        self.enter = nn.Conv2d(inputs, inner, 1)
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Conv2d(inner, outputs, side, padding=side // 2, groups=groups),
                          WholeGroupNorm(groups, outputs), nn.LeakyReLU(0.2)) for side in (3, 5, 7, 11))
        for branch in list(self.branches)[:-1]:
            branch[1].ends_round = False  # type: ignore[index]

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        return torch.stack([branch(x) for branch in self.branches]).sum(dim=0)


class InceptionTranslator(nn.Module):
    """A U-shaped chain of depth inception blocks down and depth up, joined by skips."""

    def __init__(self, channels: int, width: int, depth: int) -> None:
        super().__init__()
        inner = width // 2
        self.down = nn.ModuleList(Inception(channels if i == 0 else width, inner, width) for i in range(depth))
        self.up = nn.ModuleList(
            Inception(width if i == 0 else 2 * width, inner, channels if i == depth - 1 else width)
            for i in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        skips: list[Tensor] = []
        for block in self.down:
            x = block(x)
            skips.append(x)
        x = self.up[0](skips.pop())
        for block in self.up[1:]:
            x = block(torch.cat((x, skips.pop()), dim=1))
        return x


class SimVP(nn.Module):
    """frames: how many go in, and how many come out at a time. translator: "gsta", "tau" or "incepu".
    spatial, temporal: channels of a frame, of the translator. depth: its blocks (incepu: down, and as many up).
    halvings: of the grid before it."""

    def __init__(self, frames: int, translator: str = "gsta", spatial: int = 64, temporal: int = 512,
                 depth: int = 8, halvings: int = 2) -> None:
        super().__init__()
        self.frames, self.grid_multiple = frames, 2**halvings
        self.tile_overlap = WIDE_OVERLAP if translator == "incepu" else 0
        self.enter = ConvSC(1, spatial)
        self.down = nn.Sequential(*(ConvSC(spatial, spatial, down=k % 2 == 0) for k in range(2 * halvings - 1)))
        channels = frames * spatial
        self.translator: nn.Module = InceptionTranslator(channels, temporal, depth) if translator == "incepu" else (
            GatedTranslator(channels, temporal, depth, squeeze=translator == "tau"))
        self.up = nn.Sequential(*(ConvSC(spatial, spatial, up=k % 2 == 0) for k in range(2 * halvings - 1)))
        self.leave = ConvSC(spatial, spatial)
        self.head = nn.Conv2d(spatial, 1, 1)

    def forward(self, frames: Tensor, leads: int) -> Tensor:
        """frames: (B, T, 1, H, W) scaled, T as built. Returns (B, leads, 1, H, W), at most T frames."""
        batch, count, channels, height, width = frames.shape
        early = self.enter(frames.reshape(batch * count, channels, height, width))
        coded = self.down(early)
        moved = self.translator(coded.reshape(batch, -1, *coded.shape[-2:])).reshape(coded.shape)
        out = self.head(self.leave(self.up(moved) + early))
        return torch.as_tensor(out).reshape(batch, count, 1, height, width)[:, :leads]
