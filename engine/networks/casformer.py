"""CasFormer, the diffusion transformer of CasCast (Gong et al. 2024): blocks over each frame by itself, then over all
frames of a place side by side. Structure and sizes are those of the authors' released code."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.networks.diffusion_unet import sinusoid

TOLD = 256
PATCH = 2


class TimeEmbedding(nn.Module):
    """Diffusion steps as vectors."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(TOLD, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, step: Tensor) -> Tensor:
        return torch.as_tensor(self.layers(sinusoid(step, TOLD)))


class TransformerBlock(nn.Module):
    """Attention and two linear layers, each on what a norm without weights gives, scaled and shifted by the time and
    gated by it; the gates start at 0 (Peebles and Xie 2023)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.enter, self.leave = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width))
        self.told = nn.Linear(width, 6 * width)
        nn.init.zeros_(self.told.weight)
        nn.init.zeros_(self.told.bias)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """x: (B, N, width). told: (B, width)."""
        shift, scale, gate, feed_shift, feed_scale, feed_gate = self.told(F.silu(told))[:, None].chunk(6, dim=2)
        x = x + gate * self._attended(normed(x) * (1 + scale) + shift)
        fed: Tensor = x + feed_gate * self.feed(normed(x) * (1 + feed_scale) + feed_shift)
        return fed

    def _attended(self, x: Tensor) -> Tensor:
        query, key, value = self.enter(x).unflatten(2, (3, self.heads, -1)).transpose(1, 3).unbind(dim=2)
        mixed: Tensor = F.scaled_dot_product_attention(query, key, value)
        return torch.as_tensor(self.leave(mixed.transpose(1, 2).flatten(2)))


class CasFormer(nn.Module):
    """frames: of a forecast. latent: channels of a frame. width, heads, depth: of the blocks over single frames; joint:
    the same three of those over all frames."""

    def __init__(self, frames: int = 12, latent: int = 4, width: int = 256, heads: int = 4, depth: int = 12,
                 joint: tuple[int, int, int] = (1152, 16, 12)) -> None:
        super().__init__()
        self.frames, self.latent = frames, latent
        wide, wide_heads, wide_depth = joint
        self.enter = nn.Conv2d(2 * latent, width, PATCH, stride=PATCH)
        self.time, self.joint_time = TimeEmbedding(width), TimeEmbedding(wide)
        self.single = nn.ModuleList(TransformerBlock(width, heads) for _ in range(depth))
        self.join = nn.Linear(frames * width, wide)
        self.joint = nn.ModuleList(TransformerBlock(wide, wide_heads) for _ in range(wide_depth))
        self.told, self.leave = nn.Linear(wide, 2 * wide), nn.Linear(wide, PATCH**2 * frames * latent)
        for layer in (self.told, self.leave):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, noisy: Tensor, known: Tensor, step: Tensor) -> Tensor:
        """noisy, known: (B, T, C, h, w), even sides: the latent frames with noise, and those of the blurry forecast.
        step: (B,), counted from 0. Returns the noise, (B, T, C, h, w)."""
        batch, high, wide = noisy.shape[0], noisy.shape[-2] // PATCH, noisy.shape[-1] // PATCH
        x = self.enter(torch.cat((noisy, known), dim=2).flatten(0, 1)).flatten(2).transpose(1, 2)
        x = x + positions(high, wide, x.shape[2]).to(x)
        told = self.time(step).repeat_interleave(self.frames, dim=0)
        for block in self.single:
            x = block(x, told)
        x = self.join(x.unflatten(0, (batch, self.frames)).transpose(1, 2).flatten(2))
        told = self.joint_time(step)
        for block in self.joint:
            x = block(x, told)
        shift, scale = self.told(F.silu(told))[:, None].chunk(2, dim=2)
        out = self.leave(normed(x) * (1 + scale) + shift)
        out = out.view(batch, high, wide, PATCH, PATCH, self.frames, self.latent)
        return torch.as_tensor(out.permute(0, 5, 6, 1, 3, 2, 4).reshape(noisy.shape))


def normed(x: Tensor) -> Tensor:
    """Mean 0 and variance 1 over the channels."""
    return F.layer_norm(x, x.shape[-1:], eps=1e-6)


def positions(rows: int, columns: int, width: int) -> Tensor:
    """(rows * columns, width): fixed vectors that tell column, then row, by sines and cosines."""
    each = width // 2
    rates = 10_000.0 ** (-torch.arange(each // 2, dtype=torch.float64) / (each / 2))

    def line(count: int) -> Tensor:
        angles = torch.arange(count, dtype=torch.float64)[:, None] * rates
        return torch.cat((angles.sin(), angles.cos()), dim=1)

    across, down = line(columns)[None].expand(rows, -1, -1), line(rows)[:, None].expand(-1, columns, -1)
    return torch.cat((across, down), dim=2).flatten(0, 1).float()
