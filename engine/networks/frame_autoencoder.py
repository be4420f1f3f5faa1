"""An autoencoder of single frames with a few channels on a coarser grid (Rombach et al. 2022, the KL variant), as
CasCast uses it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.networks.diffusion_unet import Attention, doubled

Numbers = tuple[int, ...]


class Residual(nn.Module):
    """Twice group norm, SiLU, 3 x 3 convolution; plus what came in."""

    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.GroupNorm(groups, inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1),
                                    nn.GroupNorm(groups, outputs), nn.SiLU(), nn.Conv2d(outputs, outputs, 3, padding=1))
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.layers(x) + self.skip(x))


class Middle(nn.Module):
    """Residual block, attention among all cells, residual block."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.first, self.second = Residual(width, width, groups), Residual(width, width, groups)
        self.attention = Attention(width, width, groups)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return torch.as_tensor(self.second(x + self.attention(x)))


class Shrink(nn.Module):
    """3 x 3 convolution of stride 2; a row of zeros below and a column to the right."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.layer(F.pad(x, (0, 1, 0, 1))))


class Grow(nn.Module):
    """Each value four times, 3 x 3 convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.layer(doubled(x)))


class FrameAutoencoder(nn.Module):
    """widths: channels of the levels, finest first. blocks: residual ones of a level; the decoder has one more. latent:
    channels in the middle."""

    def __init__(self, widths: Numbers = (128, 256, 512, 512), blocks: int = 2, latent: int = 4,
                 groups: int = 32) -> None:
        super().__init__()
        self.latent, self.shrink = latent, 2 ** (len(widths) - 1)
        last = widths[-1]
        down: list[nn.Module] = [nn.Conv2d(1, widths[0], 3, padding=1)]
        for level, width in enumerate(widths):
            down += [Residual(widths[max(level - 1, 0)] if k == 0 else width, width, groups) for k in range(blocks)]
            down += [Shrink(width)] if level < len(widths) - 1 else []
        self.encoder = nn.Sequential(*down, Middle(last, groups), nn.GroupNorm(groups, last), nn.SiLU(),
                                     nn.Conv2d(last, 2 * latent, 3, padding=1), nn.Conv2d(2 * latent, 2 * latent, 1))
        up: list[nn.Module] = [nn.Conv2d(latent, latent, 1), nn.Conv2d(latent, last, 3, padding=1),
                               Middle(last, groups)]
        for level, width in reversed(list(enumerate(widths))):
            before = widths[min(level + 1, len(widths) - 1)]
            up += [Residual(before if k == 0 else width, width, groups) for k in range(blocks + 1)]
            up += [Grow(width)] if level else []
        self.decoder = nn.Sequential(*up, nn.GroupNorm(groups, widths[0]), nn.SiLU(),
                                     nn.Conv2d(widths[0], 1, 3, padding=1))

    def encode(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """frames: (N, 1, H, W) in [-1, 1]. Returns mean and logarithm of the variance, (N, latent, H / shrink,
        W / shrink) each."""
        mean, spread = self.encoder(frames).chunk(2, dim=1)
        return mean, spread.clamp(-30, 20)

    def decode(self, latent: Tensor) -> Tensor:
        """(N, latent, h, w) to (N, 1, H, W)."""
        return torch.as_tensor(self.decoder(latent))


def divergence(mean: Tensor, spread: Tensor) -> Tensor:
    """(N,): Kullback-Leibler divergence from the standard normal law, summed over all numbers of a frame."""
    return 0.5 * (mean.square() + spread.exp() - 1 - spread).flatten(1).sum(dim=1)
