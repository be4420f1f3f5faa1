"""DGMR, the deep generative model of radar (Ravuri et al. 2021, methods and supplement A): a generator of frames.

The observed frames become states on four grids, a field of random numbers becomes what the coarsest recurrent layer
sees at every step, and the states go on through as many steps as lead times. What is left open there is as in the
released code of openclimatefix: halves of channels, attention with a learned gain, one set of weights for all steps.
"""

from __future__ import annotations

import itertools
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import cached

from engine.networks.cells.concat_gru import ConcatGRU
from engine.networks.noise import Noise

LATENT_GRID = 32
"""Pixels along a cell of the field of random numbers."""
EPSILON = 1e-4


def bounded(inputs: int, outputs: int, kernel: int = 3, dims: int = 2, epsilon: float = 1e-12) -> nn.Module:
    """A 'same' convolution whose weights are divided by their largest singular value."""
    kind = nn.Conv2d if dims == 2 else nn.Conv3d
    return spectral_norm(kind(inputs, outputs, kernel, padding=kernel // 2), eps=epsilon)


_generating = partial(bounded, epsilon=EPSILON)


class DownBlock(nn.Module):
    """ReLU, 3 x 3, ReLU, 3 x 3, means of 2 x 2, plus a 1 x 1 convolution of what came in (itself, where channels and
    grid stay). relu: False leaves out the first. dims: 3 for clips, whose frames are halved too."""

    def __init__(self, inputs: int, outputs: int, relu: bool = True, shrink: bool = True, dims: int = 2) -> None:
        super().__init__()
        self.relu, self.shrink, self.dims = relu, shrink, dims
        self.shortcut = nn.Identity() if inputs == outputs else bounded(inputs, outputs, 1, dims)
        self.first, self.second = bounded(inputs, outputs, 3, dims), bounded(outputs, outputs, 3, dims)

    def forward(self, x: Tensor) -> Tensor:
        fresh = self.second(F.relu(self.first(F.relu(x) if self.relu else x)))
        return self._smaller(self.shortcut(x)) + self._smaller(fresh)

    def _smaller(self, x: Tensor) -> Tensor:
        if not self.shrink:
            return x
        return F.avg_pool2d(x, 2) if self.dims == 2 else F.avg_pool3d(x, 2)


class UpBlock(nn.Module):
    """Norm, ReLU, 3 x 3, norm, ReLU, 3 x 3, plus a 1 x 1 convolution of what came in (itself, where nothing changes).
    enlarge: twice the grid before the first convolution."""

    def __init__(self, inputs: int, outputs: int, enlarge: bool) -> None:
        super().__init__()
        self.enlarge = enlarge
        self.first_norm, self.second_norm = nn.BatchNorm2d(inputs), nn.BatchNorm2d(inputs)
        self.shortcut = _generating(inputs, outputs, 1) if enlarge or inputs != outputs else nn.Identity()
        self.first, self.second = _generating(inputs, inputs), _generating(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        fresh = self.first(self._larger(F.relu(self.first_norm(x))))
        fresh = self.second(F.relu(self.second_norm(fresh)))
        grown: Tensor = fresh + self.shortcut(self._larger(x))
        return grown

    def _larger(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2.0, mode="nearest") if self.enlarge else x


class LatentBlock(nn.Module):
    """ReLU, 3 x 3, ReLU, 3 x 3, plus what came in and a 1 x 1 convolution of it for the channels that are new."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.more = nn.Conv2d(inputs, outputs - inputs, 1) if outputs > inputs else None
        self.first, self.second = nn.Conv2d(inputs, outputs, 3, padding=1), nn.Conv2d(outputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        fresh: Tensor = self.second(F.relu(self.first(F.relu(x))))
        return fresh + (x if self.more is None else torch.cat((x, self.more(x)), dim=1))


class SpatialAttention(nn.Module):
    """Every cell looks at all cells; what it gives is added with a learned gain that starts at 0."""

    def __init__(self, channels: int, ratio: int = 8) -> None:
        super().__init__()
        inner = channels // ratio
        self.query, self.key, self.value = (nn.Conv2d(channels, inner, 1, bias=False) for _ in range(3))
        self.leave = nn.Conv2d(inner, channels, 1, bias=False)
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (part(x).flatten(2).transpose(1, 2) for part in (self.query, self.key, self.value))
        mixed = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        added = self.leave(mixed.transpose(1, 2).reshape(x.shape[0], -1, *x.shape[-2:]))
        return torch.as_tensor(x + self.gain * added)


class ContextStack(nn.Module):
    """Frames to states on grids 1/4, 1/8, 1/16 and 1/32, finest first. widest: channels of the coarsest state."""

    def __init__(self, inputs: int, widest: int) -> None:
        super().__init__()
        widths = [widest * 2 // inputs // 8 * factor for factor in (1, 2, 4, 8)]
        self.down = nn.ModuleList(DownBlock(a, b) for a, b in zip((4, *widths), widths, strict=False))
        self.mix = nn.ModuleList(bounded(inputs * width, inputs * width // 2) for width in widths)

    def forward(self, frames: Tensor) -> list[Tensor]:
        """frames: (B, T, 1, H, W)."""
        batch, count = frames.shape[:2]
        x, states = F.pixel_unshuffle(frames.flatten(0, 1), 2), []
        for down, mix in zip(self.down, self.mix, strict=True):
            x = down(x)
            beside = x.unflatten(0, (batch, count)).transpose(1, 2).flatten(1, 2)  # channel by channel, all frames
            states.append(F.relu(mix(beside)))
        return states


class DGMR(nn.Module):
    """inputs: frames seen. leads: frames given at once. latent: channels that the coarsest layer sees. context:
    channels of its state. depth: channels of the random field."""

    grid_multiple = LATENT_GRID
    draws = True

    def __init__(self, inputs: int = 4, leads: int = 18, latent: int = 768, context: int = 384, depth: int = 8) -> None:
        super().__init__()
        self.leads, self.depth = leads, depth
        self.context = ContextStack(inputs, context)
        steps = (depth, latent // 32, latent // 16, latent // 4)
        self.latent = nn.Sequential(bounded(depth, depth), *(LatentBlock(a, b) for a, b in itertools.pairwise(steps)),
                                    SpatialAttention(steps[-1]), LatentBlock(steps[-1], latent))
        seen = [latent >> level for level in range(5)]
        kept = [context >> level for level in range(4)]
        self.cells = nn.ModuleList(ConcatGRU(x, h, F.relu, _generating) for x, h in zip(seen, kept, strict=False))
        self.fits = nn.ModuleList(bounded(h, x, 1) for x, h in zip(seen, kept, strict=False))
        self.grows = nn.ModuleList(nn.Sequential(UpBlock(a, a, False), UpBlock(a, b, True))
                                   for a, b in itertools.pairwise(seen))
        self.norm, self.leave = nn.BatchNorm2d(seen[-1]), bounded(seen[-1], 4, 1)

    def forward(self, frames: Tensor, leads: int, noise: Noise | None = None) -> Tensor:
        """frames: (B, T, 1, H, W) scaled. Returns (B, leads, 1, H, W), at most as many as built: one sample."""
        noise = noise or Noise()
        grid = (frames.shape[-2] // LATENT_GRID, frames.shape[-1] // LATENT_GRID)
        with cached():
            states = self.context(frames)[::-1]
            drawn = self.latent(noise.normal((frames.shape[0], self.depth, *grid), frames, LATENT_GRID))
            made = [self._step(drawn, states) for _ in range(min(leads, self.leads))]
        return torch.stack(made, dim=1)

    def _step(self, x: Tensor, states: list[Tensor]) -> Tensor:
        """A frame; the states, coarsest first, are replaced by the next ones."""
        for level, (cell, fit, grow) in enumerate(zip(self.cells, self.fits, self.grows, strict=True)):
            states[level] = cell(x, states[level])
            x = grow(fit(states[level]))
        return F.pixel_shuffle(self.leave(F.relu(self.norm(x))), 2)
