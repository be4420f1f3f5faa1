"""The two discriminators that train DGMR (Ravuri et al. 2021): single frames, and the clip as a whole.

They give scores without bound; training compares them with the hinge loss.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from engine.networks.dgmr import DownBlock


class Judge(nn.Module):
    """Blocks over single fields, the sum over the grid, a norm, one number."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(DownBlock(a, b) for a, b in itertools.pairwise(widths)),
                                    DownBlock(widths[-1], widths[-1], shrink=False))
        self.norm = nn.BatchNorm1d(widths[-1])
        self.leave = spectral_norm(nn.Linear(widths[-1], 1))

    def forward(self, fields: Tensor) -> Tensor:
        """(B, T, C, H, W) to (B, 1): the sum over the fields."""
        found = F.relu(self.blocks(fields.flatten(0, 1))).sum(dim=(2, 3))
        scores: Tensor = self.leave(self.norm(found)).view(*fields.shape[:2], 1)
        return scores.sum(dim=1)


class SpatialDiscriminator(nn.Module):
    """frames: how many are drawn of a clip. width: channels after the first block, doubled by each that follows."""

    def __init__(self, frames: int = 8, width: int = 48, blocks: int = 5) -> None:
        super().__init__()
        self.frames = frames
        self.enter = DownBlock(4, width, relu=False)
        self.judge = Judge(tuple(width << k for k in range(blocks)))

    def forward(self, clip: Tensor) -> Tensor:
        """(B, T, 1, H, W) to (B, 1)."""
        drawn = clip[:, torch.randint(clip.shape[1], (self.frames,))]
        halved = F.pixel_unshuffle(F.avg_pool2d(drawn.flatten(0, 1), 2), 2)
        found: Tensor = self.enter(halved)
        return torch.as_tensor(self.judge(found.view(*drawn.shape[:2], *found.shape[1:])))


class TemporalDiscriminator(nn.Module):
    """width: channels after the first block, doubled by each that follows."""

    def __init__(self, width: int = 48, blocks: int = 5) -> None:
        super().__init__()
        self.enter = nn.Sequential(DownBlock(4, width, relu=False, dims=3), DownBlock(width, 2 * width, dims=3))
        self.judge = Judge(tuple(width << k for k in range(1, blocks)))

    def forward(self, clip: Tensor) -> Tensor:
        """(B, T, 1, H, W), T at least 4, to (B, 1)."""
        halved = F.pixel_unshuffle(F.avg_pool2d(clip.flatten(0, 1), 2), 2)
        found = self.enter(halved.view(*clip.shape[:2], *halved.shape[1:]).transpose(1, 2)).transpose(1, 2)
        return torch.as_tensor(self.judge(found))


class ClipDiscriminators(nn.Module):
    """inputs: observed frames in front of a clip, which only the temporal one sees."""

    def __init__(self, inputs: int = 4, width: int = 48, blocks: int = 5, frames: int = 8) -> None:
        super().__init__()
        self.inputs = inputs
        self.spatial = SpatialDiscriminator(frames, width, blocks)
        self.temporal = TemporalDiscriminator(width, blocks)

    def forward(self, clip: Tensor) -> Tensor:
        """(B, inputs + leads, 1, H, W), sides multiples of 2 ** (blocks + 2), to (B, 2): spatial, temporal score."""
        return torch.cat((self.spatial(clip[:, self.inputs:]), self.temporal(clip)), dim=1)
