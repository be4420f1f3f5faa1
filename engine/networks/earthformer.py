"""Earthformer (Gao et al. 2022) as released for SEVIR: axial cuboid attention on two levels, eight global vectors.

Its tables of positions belong to a grid; a network is built for one and takes no other. Frames of other sizes are
forecast in tiles of that size.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.networks.cuboid_attention import AxialBlock, CrossAttention, Cube

LEAK = 0.1
HEADS = 4


class Earthformer(nn.Module):
    """frames_in, frames_out: their numbers. grid: (rows, columns) of the frames. stages: channels of the initial
    encoder's stages, shrink: by how much each shrinks the grid. vectors: number of global vectors, 0 for none.
    separate: own projections between field and vectors for each direction, as in the released weights."""

    def __init__(self, frames_in: int = 5, frames_out: int = 5, grid: tuple[int, int] = (160, 160),
                 stages: tuple[int, ...] = (16, 64, 128), shrink: tuple[int, ...] = (3, 2, 2), vectors: int = 8,
                 separate: bool = False, drop: float = 0.1) -> None:
        super().__init__()
        self.fixed_grid, self.frames_out = grid, frames_out
        sizes = [grid]
        for factor in (*shrink, 2):
            sizes.append((math.ceil(sizes[-1][0] / factor), math.ceil(sizes[-1][1] / factor)))
        fine, coarse = (frames_in, *sizes[-2]), (frames_in, *sizes[-1])
        width = stages[-1]
        some = vectors > 0
        self.enter = nn.ModuleList(Stage(a, b, factor) for a, b, factor in zip((1, *stages), stages, shrink,
                                                                               strict=False))
        self.vectors = nn.Parameter(torch.empty(vectors, width).normal_(std=0.02)) if some else None
        self.place = Positions(width, fine)
        self.fine = AxialBlock(width, HEADS, fine, some, separate, drop)
        self.merge = Merge(width, 2 * width, 2)
        self.merge_vectors = nn.Linear(width, 2 * width) if some else None
        self.coarse = AxialBlock(2 * width, HEADS, coarse, some, separate, drop)
        self.forecast_place = Positions(2 * width, (frames_out, *sizes[-1]))
        self.begin = nn.Linear(2 * width, 2 * width)
        self.ask_coarse = CrossAttention(2 * width, HEADS, frames_in + frames_out, drop)
        self.grow = Enlarge(2 * width, width, sizes[-2])
        self.refine = AxialBlock(width, HEADS, fine, False, separate, drop)
        self.ask_fine = CrossAttention(width, HEADS, frames_in + frames_out, drop)
        leaving = tuple(reversed(stages))
        self.leave = nn.ModuleList(
            nn.Sequential(Enlarge(a, a, size), Convolutions(a, b))
            for a, b, size in zip((leaving[0], *leaving), leaving, reversed(sizes[:-2]), strict=False))
        self.head = nn.Linear(stages[0], 1)

    def forward(self, frames: Tensor, leads: int) -> Tensor:
        """frames: (B, T, 1, H, W) scaled, T and grid as built. Returns (B, leads, 1, H, W), at most as many as
        built."""
        if frames.shape[-2:] != self.fixed_grid:
            raise ValueError(f"this network takes frames of {self.fixed_grid}, not {tuple(frames.shape[-2:])}")
        x = frames.movedim(2, -1)
        for stage in self.enter:
            x = stage(x)
        vectors = None if self.vectors is None else self.vectors.expand(x.shape[0], -1, -1)
        fine, vectors = self.fine(self.place(x), vectors)
        vectors = None if self.merge_vectors is None else self.merge_vectors(vectors)
        coarse, _ = self.coarse(self.merge(fine), vectors)
        empty = coarse.new_zeros(1, self.frames_out, *coarse.shape[2:])
        out = self.begin(self.forecast_place(empty)).expand(x.shape[0], -1, -1, -1, -1)
        out = self.grow(self.ask_coarse(out, coarse))
        out = self.ask_fine(self.refine(out, None)[0], fine)
        for stage in self.leave:
            out = stage(out)
        return torch.as_tensor(self.head(out).movedim(-1, 2)[:, :leads])


class Positions(nn.Module):
    """Adds a learned vector for each time, row and column."""

    def __init__(self, width: int, shape: Cube) -> None:
        super().__init__()
        self.time, self.rows, self.columns = (nn.Parameter(torch.empty(size, width).normal_(std=0.02))
                                              for size in shape)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, H, W, C)"""
        return x + self.time[:, None, None] + self.rows[:, None] + self.columns


class Convolutions(nn.Module):
    """Twice 3x3, GroupNorm with four channels to a group, leaky ReLU; frame by frame."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        groups = max(1, outputs // 4)
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1), nn.GroupNorm(groups, outputs), nn.LeakyReLU(LEAK),
            nn.Conv2d(outputs, outputs, 3, padding=1), nn.GroupNorm(groups, outputs), nn.LeakyReLU(LEAK))

    def forward(self, x: Tensor) -> Tensor:
        return by_frame(self.layers, x)


class Merge(nn.Module):
    """factor x factor neighbours side by side, LayerNorm, linear without bias; zeros where the grid ends early."""

    def __init__(self, inputs: int, outputs: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.norm = nn.LayerNorm(factor**2 * inputs)
        self.reduce = nn.Linear(factor**2 * inputs, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        factor = self.factor
        x = F.pad(x, (0, 0, 0, -x.shape[3] % factor, 0, -x.shape[2] % factor))
        batch, count, rows, columns, width = x.shape
        parts = x.reshape(batch, count, rows // factor, factor, columns // factor, factor, width).transpose(3, 4)
        return torch.as_tensor(self.reduce(self.norm(parts.flatten(4))))


class Stage(nn.Module):
    """A stage of the initial encoder."""

    def __init__(self, inputs: int, outputs: int, factor: int) -> None:
        super().__init__()
        self.convolutions = Convolutions(inputs, outputs)
        self.merge = Merge(outputs, outputs, factor)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.merge(self.convolutions(x)))


class Enlarge(nn.Module):
    """The nearest cell's value on a grid of another size, then a 3x3 convolution."""

    def __init__(self, inputs: int, outputs: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Upsample(size=size, mode="nearest"), nn.Conv2d(inputs, outputs, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return by_frame(self.layers, x)


def by_frame(layers: nn.Module, x: Tensor) -> Tensor:
    """Layers for (N, C, H, W) on (B, T, H, W, C)."""
    out = layers(x.flatten(0, 1).movedim(-1, 1))
    return torch.as_tensor(out.movedim(1, -1).reshape(*x.shape[:2], *out.shape[2:], out.shape[1]))
