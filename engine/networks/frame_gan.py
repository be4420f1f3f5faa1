"""A generator of single frames and its critic, the prior of DGP (Pan et al. 2021): what radar frames look like.

The original is BigGAN on photographs; here both are built of DGMR's blocks, without classes, and fully convolutional:
any grid whose sides are multiples of ``grid_multiple``.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.networks.dgmr import UpBlock, bounded
from engine.networks.dgmr_discriminators import SpatialDiscriminator

Numbers = tuple[int, ...]


class FrameGenerator(nn.Module):
    """depth: channels of the field of random numbers. widths: coarsest first; each further one doubles the grid."""

    def __init__(self, depth: int, widths: Numbers) -> None:
        super().__init__()
        self.depth, self.enlarges = depth, 2 ** (len(widths) - 1)
        self.enter = bounded(depth, widths[0])
        self.blocks = nn.ModuleList(UpBlock(a, b, True) for a, b in itertools.pairwise(widths))
        self.norm, self.leave = nn.BatchNorm2d(widths[-1]), bounded(widths[-1], 1)

    def forward(self, latent: Tensor) -> Tensor:
        """(B, depth, h, w) of about standard normal numbers to (B, 1, H, W) in [0, 1]."""
        x = self.enter(latent)
        for block in self.blocks:
            x = block(x)
        return torch.sigmoid(self.leave(F.relu(self.norm(x))))


class FrameGAN(nn.Module):
    """width, critic_blocks: of the critic."""

    def __init__(self, depth: int = 32, widths: Numbers = (96, 64, 48, 32, 16), width: int = 16,
                 critic_blocks: int = 4) -> None:
        super().__init__()
        self.generator = FrameGenerator(depth, widths)
        self.critic = SpatialDiscriminator(1, width, critic_blocks)
        self.grid_multiple = max(self.generator.enlarges, 4)

    def forward(self, latent: Tensor) -> Tensor:
        """As the generator."""
        return torch.as_tensor(self.generator(latent))

    def looks(self, frames: Tensor) -> list[Tensor]:
        """What the critic's blocks see of frames (B, 1, H, W), finest first; by these DGP compares two frames."""
        x = self.critic.enter(F.pixel_unshuffle(F.avg_pool2d(frames, 2), 2))
        seen = [x]
        for block in list(self.critic.judge.blocks)[:-1]:
            x = block(x)
            seen.append(x)
        return seen
