"""The U-Net that predicts the noise in a noisy field (Dhariwal and Nichol 2021, section 3; PostCast paper, A.3).

Residual blocks with the time embedding as scale and shift, attention where the grid is coarse, residual blocks that
resample. Fully convolutional: any grid whose sides are multiples of ``grid_multiple``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GROUPS = 32


class DiffusionUNet(nn.Module):
    """base: channels of the finest level. multipliers: of the base, one per level. blocks: residual blocks per level
    going down, one more going up. attention: levels (0 is the finest) with attention. head: channels of an attention
    head. channels_out: more than channels_in where the network was made to tell a variance too; noise are the first.
    fold: 2 lays the cells of 2 x 2 into channels, so that the finest level is half as wide and a pass costs a quarter.
    velocity: inside, the network gives how the field turns from clean to noise (Salimans and Ho 2022, appendix D) and
    the noise is told from that: an error of it then never grows when the clean field is told from the noise, however
    little is left of the field; of the linear schedule.
    """

    def __init__(self, channels_in: int = 1, channels_out: int = 1, base: int = 256,
                 multipliers: tuple[int, ...] = (1, 1, 2, 2, 4, 4), blocks: int = 2,
                 attention: tuple[int, ...] = (3, 4, 5), head: int = 64, groups: int = GROUPS,
                 dropout: float = 0.0, fold: int = 1, velocity: bool = False) -> None:
        super().__init__()
        self.channels_in, self.base, self.fold = channels_in, base, fold
        self.grid_multiple = fold * 2 ** (len(multipliers) - 1)
        self.signal = signal_shares() if velocity else None
        told = 4 * base
        self.time = nn.Sequential(nn.Linear(base, told), nn.SiLU(), nn.Linear(told, told))

        def residual(inside: int, outside: int, resample: Callable[[Tensor], Tensor] | None = None) -> Residual:
            return Residual(inside, outside, told, groups, dropout, resample)

        def stage(inside: int, outside: int, level: int) -> Stage:
            return Stage(residual(inside, outside), Attention(outside, head, groups) if level in attention else None)

        self.enter = nn.Conv2d(channels_in * fold**2, base, 3, padding=1)
        skips, width = [base], base
        self.down = nn.ModuleList()
        for level, factor in enumerate(multipliers):
            for _ in range(blocks):
                self.down.append(stage(width, factor * base, level))
                width = factor * base
                skips.append(width)
            if level < len(multipliers) - 1:
                self.down.append(Stage(residual(width, width, halved), None))
                skips.append(width)
        self.middle = nn.ModuleList([Stage(residual(width, width), Attention(width, head, groups)),
                                     Stage(residual(width, width), None)])
        self.up = nn.ModuleList()
        for level, factor in reversed(list(enumerate(multipliers))):
            for number in range(blocks + 1):
                self.up.append(stage(width + skips.pop(), factor * base, level))
                width = factor * base
                if level and number == blocks:
                    self.up.append(Stage(residual(width, width, doubled), None))
        self.leave = nn.Sequential(nn.GroupNorm(groups, width), nn.SiLU(),
                                   zeroed(nn.Conv2d(width, channels_out * fold**2, 3, padding=1)))

    def forward(self, noisy: Tensor, step: Tensor) -> Tensor:
        """noisy: (B, C, H, W) in about [-1, 1]. step: (B,), diffusion steps counted from 0. Returns the noise,
        (B, C, H, W)."""
        told = self.time(sinusoid(step, self.base).to(noisy.dtype))
        field = self.enter(F.pixel_unshuffle(noisy, self.fold))
        skips = [field]
        for stage in self.down:
            field = stage(field, told)
            skips.append(field)
        for stage in self.middle:
            field = stage(field, told)
        for stage in self.up:
            field = stage(field if stage.resamples else torch.cat((field, skips.pop()), dim=1), told)
        told_last: Tensor = F.pixel_shuffle(self.leave(field), self.fold)[:, :self.channels_in]
        return told_last if self.signal is None else self.noise_of(told_last, noisy, step)

    def noise_of(self, velocity: Tensor, noisy: Tensor, step: Tensor) -> Tensor:
        """(B, C, H, W): velocity is sqrt(signal) times noise minus sqrt(1 - signal) times the clean field."""
        assert self.signal is not None
        share = self.signal.to(noisy)[step.long()][:, None, None, None]
        return share.sqrt() * velocity + (1 - share).sqrt() * noisy


class Stage(nn.Module):
    """A residual block, and attention after it where there is some."""

    def __init__(self, residual: Residual, attention: Attention | None) -> None:
        super().__init__()
        self.residual, self.attention = residual, attention
        self.resamples = residual.resample is not None

    def forward(self, field: Tensor, told: Tensor) -> Tensor:
        field = self.residual(field, told)
        return field if self.attention is None else field + self.attention(field)


class Residual(nn.Module):
    """resample: applied to both paths before the first convolution."""

    def __init__(self, inside: int, outside: int, told: int, groups: int, dropout: float,
                 resample: Callable[[Tensor], Tensor] | None) -> None:
        super().__init__()
        self.resample = resample
        self.norm_in, self.conv_in = nn.GroupNorm(groups, inside), nn.Conv2d(inside, outside, 3, padding=1)
        self.told = nn.Linear(told, 2 * outside)
        self.norm_out, self.dropout = nn.GroupNorm(groups, outside), nn.Dropout(dropout)
        self.conv_out = zeroed(nn.Conv2d(outside, outside, 3, padding=1))
        self.skip = nn.Identity() if inside == outside else nn.Conv2d(inside, outside, 1)

    def forward(self, field: Tensor, told: Tensor) -> Tensor:
        """field: (B, inside, H, W). told: (B, T), the time embedding."""
        fresh = F.silu(self.norm_in(field))
        if self.resample is not None:
            fresh, field = self.resample(fresh), self.resample(field)
        scale, shift = self.told(F.silu(told))[:, :, None, None].chunk(2, dim=1)
        fresh = self.norm_out(self.conv_in(fresh)) * (1 + scale) + shift
        sharper: Tensor = self.skip(field) + self.conv_out(self.dropout(F.silu(fresh)))
        return sharper


class Attention(nn.Module):
    """Among all cells of a field; what it gives is added to the field. head: channels of each head."""

    def __init__(self, channels: int, head: int, groups: int) -> None:
        super().__init__()
        self.heads = max(1, channels // head)
        self.norm = nn.GroupNorm(groups, channels)
        self.triple, self.leave = nn.Conv1d(channels, 3 * channels, 1), zeroed(nn.Conv1d(channels, channels, 1))

    def forward(self, field: Tensor) -> Tensor:
        batch, channels, high, wide = field.shape
        triple = self.triple(self.norm(field).flatten(2))
        query, key, value = triple.view(batch, 3, self.heads, channels // self.heads, high * wide) \
            .transpose(-1, -2).unbind(dim=1)
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(-1, -2)
        added: Tensor = self.leave(mixed.reshape(batch, channels, high * wide))
        return added.reshape(field.shape)


def signal_shares(steps: int = 1000) -> Tensor:
    """(T,) what is left of a clean field's variance after each step of the linear schedule."""
    return torch.cumprod(1 - torch.linspace(1e-4, 0.02, steps, dtype=torch.float64), dim=0)


def sinusoid(step: Tensor, channels: int) -> Tensor:
    """(B,) to (B, channels): cosines, then sines, of wavelengths from 2 pi to 10 000 times that (Vaswani 2017)."""
    half = channels // 2
    rates = torch.exp(-math.log(10_000) * torch.arange(half, device=step.device, dtype=torch.float32) / half)
    angles = step.float()[:, None] * rates
    return torch.cat((angles.cos(), angles.sin()), dim=1)


def zeroed(layer: nn.Conv2d | nn.Conv1d) -> nn.Module:
    """The same layer, which at first gives nothing."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def halved(field: Tensor) -> Tensor:
    """Means of 2 x 2."""
    return F.avg_pool2d(field, 2)


def doubled(field: Tensor) -> Tensor:
    """Each value four times."""
    return F.interpolate(field, scale_factor=2.0, mode="nearest")
