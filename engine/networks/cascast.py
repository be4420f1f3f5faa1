"""CasCast (Gong et al. 2024): a deterministic forecast, and a diffusion transformer that draws, in the latent space of
an autoencoder of frames, what the forecast has lost in detail."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.networks.casformer import PATCH, CasFormer
from engine.networks.earthformer import Earthformer
from engine.networks.frame_autoencoder import FrameAutoencoder
from engine.networks.noise import Noise
from engine.networks.noise_schedule import Schedule
from engine.networks.rollout import lead_frames
from engine.networks.simvp import SimVP

Numbers = tuple[int, ...]
MOMENTUM = 0.01


class CasCast(nn.Module):
    """inputs, leads: frames. mean: "earthformer" on ``grid``, or "simvp" with spatial and temporal channels and depth
    ``coder``. widths, blocks, groups: of the autoencoder. single, joint: width, heads and depth of the transformer's
    two parts. steps, sampling: of the full schedule, and those that a forecast takes. guidance: how far to go from what
    is drawn without the blurry forecast to what is drawn with it, and beyond; 1 is with it."""

    draws = True

    def __init__(self, inputs: int = 13, leads: int = 12, mean: str = "earthformer", grid: tuple[int, int] = (384, 384),
                 coder: tuple[int, int, int] = (64, 512, 8), widths: Numbers = (128, 256, 512, 512), blocks: int = 2,
                 groups: int = 32, single: tuple[int, int, int] = (256, 4, 12),
                 joint: tuple[int, int, int] = (1152, 16, 12), steps: int = 1000, sampling: int = 20,
                 guidance: float = 1.0) -> None:
        super().__init__()
        self.leads, self.guidance = leads, guidance
        self.mean: nn.Module
        if mean == "earthformer":
            self.fixed_grid, self.mean = grid, Earthformer(inputs, leads, grid, separate=True)
        else:
            self.mean = SimVP(inputs, "gsta", *coder)
        self.autoencoder = FrameAutoencoder(widths, blocks, groups=groups)
        self.grid_multiple = self.autoencoder.shrink * PATCH
        self.former = CasFormer(leads, self.autoencoder.latent, *single, joint)
        self.schedule = Schedule.linear(steps)
        self.short = self.schedule.respaced(sampling)
        self.middle, self.spread = (nn.Buffer(torch.full((1, self.autoencoder.latent, 1, 1), start))
                                    for start in (0.0, 1.0))

    def forward(self, frames: Tensor, leads: int, noise: Noise | None = None) -> Tensor:
        """frames: (B, T, 1, H, W) scaled. Returns (B, leads, 1, H, W), at most as many as built: one sample."""
        noise = noise or Noise()
        known = self.latents(self.means(frames))
        field = noise.normal(tuple(known.shape), known, self.autoencoder.shrink)
        for step in reversed(range(len(self.short))):
            told = torch.full((frames.shape[0],), self.short.steps[step], device=frames.device)
            clean = self.short.clean(field, step, self._noise(field, known, told))
            field = self.short.implicit_mean(clean, field, step)
        drawn = self.autoencoder.decode((field.flatten(0, 1) * self.spread) + self.middle)
        return ((drawn.view(*field.shape[:2], *drawn.shape[1:]) + 1) / 2).clamp(0, 1)[:, :leads]

    def means(self, frames: Tensor) -> Tensor:
        """(B, leads, 1, H, W): the blurry forecast."""
        return torch.stack(list(lead_frames(self.mean, frames, self.leads))[: self.leads], dim=1)

    def latents(self, frames: Tensor) -> Tensor:
        """(B, T, 1, H, W) scaled to (B, T, C, h, w), about standard normal."""
        mean, _ = self.autoencoder.encode(2 * frames.flatten(0, 1) - 1)
        return ((mean - self.middle) / self.spread).view(*frames.shape[:2], *mean.shape[1:])

    def settle(self, frames: Tensor) -> None:
        """Counts the latents of a batch into the mean and deviation by which all are brought to about standard normal.
        frames: (B, T, 1, H, W) scaled."""
        with torch.no_grad():
            mean, _ = self.autoencoder.encode(2 * frames.flatten(0, 1) - 1)
            self.middle.lerp_(mean.mean(dim=(0, 2, 3), keepdim=True), MOMENTUM)
            self.spread.lerp_(mean.std(dim=(0, 2, 3), keepdim=True).clamp(min=1e-3), MOMENTUM)

    def lesson(self, frames: Tensor, truth: Tensor, noise: Noise, dropped: float = 0.1) -> tuple[Tensor, Tensor]:
        """The noise in the latents of the truth, predicted and true, (B, T, C, h, w) each; the autoencoder and the
        deterministic part learn nothing. dropped: how often the blurry forecast is not shown."""
        with torch.no_grad():
            known, clean = self.latents(self.means(frames)), self.latents(truth)
        steps = noise.below(len(self.schedule), (frames.shape[0],), frames)
        shown = noise.below(1000, (frames.shape[0],), frames) >= 1000 * dropped
        fresh = noise.normal(tuple(clean.shape), clean)
        share = torch.from_numpy(self.schedule.signal).to(clean)[steps][:, None, None, None, None]
        noisy = share.sqrt() * clean + (1 - share).sqrt() * fresh
        return self.former(noisy, known * shown[:, None, None, None, None], steps), fresh

    def _noise(self, field: Tensor, known: Tensor, step: Tensor) -> Tensor:
        told = self.former(field, known, step)
        if self.guidance == 1.0:
            return torch.as_tensor(told)
        free = self.former(field, torch.zeros_like(known), step)
        return torch.as_tensor(torch.lerp(free, told, self.guidance))
