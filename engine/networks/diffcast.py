"""DiffCast (Yu et al. 2024): a deterministic network gives the mean, a diffusion model what is missing in it.

The residual is drawn in segments of as many frames as are seen, each knowing the one before, by a U-Net that also sees
states of a recurrent network that has gone through all observed and mean frames. Structure and sizes are those of the
authors' released code, which forecasts only; what the training does is inferred (docs/models.md).
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.networks.cells.concat_gru import ConcatGRU
from engine.networks.diffusion_unet import doubled, sinusoid
from engine.networks.noise import Noise
from engine.networks.noise_schedule import Schedule
from engine.networks.rollout import lead_frames
from engine.networks.simvp import Attention as TemporalAttention
from engine.networks.simvp import SimVP

Numbers = tuple[int, ...]
GROUPS = 8


class ResidualBlock(nn.Module):
    """Twice 3 x 3 convolution, group norm, SiLU; the first scaled and shifted by what is told; plus what came in."""

    def __init__(self, inputs: int, outputs: int, told: int = 0) -> None:
        super().__init__()
        self.told = nn.Linear(told, 2 * outputs) if told else None
        self.first, self.second = nn.Conv2d(inputs, outputs, 3, padding=1), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.first_norm, self.second_norm = nn.GroupNorm(GROUPS, outputs), nn.GroupNorm(GROUPS, outputs)
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, told: Tensor | None = None) -> Tensor:
        """x: (B, inputs, H, W). told: (B, told)."""
        fresh = self.first_norm(self.first(x))
        if self.told is not None and told is not None:
            scale, shift = self.told(F.silu(told))[:, :, None, None].chunk(2, dim=1)
            fresh = fresh * (scale + 1) + shift
        fresh = F.silu(self.second_norm(self.second(F.silu(fresh))))
        return torch.as_tensor(fresh + self.skip(x))


class ScaledNorm(nn.Module):
    """Each pixel's channels brought to a root mean square of 1, weighted."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(F.normalize(x, dim=1) * self.weight * x.shape[1] ** 0.5)


class FullAttention(nn.Module):
    """Among all pixels, four heads of 32 channels."""

    def __init__(self, width: int, heads: int = 4, head: int = 32) -> None:
        super().__init__()
        self.heads = heads
        self.enter, self.leave = nn.Conv2d(width, 3 * heads * head, 1, bias=False), nn.Conv2d(heads * head, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        batch, _, high, wide = x.shape
        parts = self.enter(x).view(batch, 3, self.heads, -1, high * wide).transpose(3, 4).unbind(dim=1)
        mixed = F.scaled_dot_product_attention(*parts).transpose(2, 3)
        return torch.as_tensor(self.leave(mixed.reshape(batch, -1, high, wide)))


class Added(nn.Module):
    """What a layer gives of the normalised field is added to the field."""

    def __init__(self, width: int, layer: nn.Module) -> None:
        super().__init__()
        self.norm, self.layer = ScaledNorm(width), layer

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(x + self.layer(self.norm(x)))


class Halve(nn.Module):
    """2 x 2 pixels side by side, 1 x 1 convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(4 * inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.mix(F.pixel_unshuffle(x, 2)))


class Double(nn.Module):
    """Each value four times, 3 x 3 convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.mix(doubled(x)))


class ContextNet(nn.Module):
    """Goes through frames; its states on each grid are what the denoiser knows of the situation."""

    def __init__(self, width: int, multipliers: Numbers) -> None:
        super().__init__()
        widths = [width, *(width * factor for factor in multipliers[:-1])]
        self.enter = nn.Conv2d(1, width, 7, padding=3)
        self.blocks = nn.ModuleList(ResidualBlock(w, w) for w in widths)
        self.cells = nn.ModuleList(ConcatGRU(w, w) for w in widths)
        self.downs = nn.ModuleList(Halve(a, b) for a, b in itertools.pairwise(widths))

    def forward(self, frames: Tensor, early: int) -> tuple[list[Tensor], list[Tensor]]:
        """frames: (B, T, 1, H, W) in [-1, 1]. Returns the states after frame ``early`` and after the last one, finest
        first."""
        states: list[Tensor | None] = [None] * len(self.cells)
        kept: list[Tensor] = []
        for number in range(frames.shape[1]):
            x, after = self.enter(frames[:, number]), []
            for level, (block, cell) in enumerate(zip(self.blocks, self.cells, strict=True)):
                x = block(x)
                before = states[level]
                x = cell(x, torch.zeros_like(x) if before is None else before)
                after.append(x)
                if level < len(self.downs):
                    x = self.downs[level](x)
            states = list(after)
            if number == early:
                kept = list(after)
        return kept or after, after


class Stage(nn.Module):
    """Of one level: two residual blocks, of ``first`` and of ``second`` channels to ``width``, attention, and the way
    to the next level."""

    def __init__(self, first: int, second: int, width: int, told: int, onwards: nn.Module) -> None:
        super().__init__()
        self.one, self.two = ResidualBlock(first, width, told), ResidualBlock(second, width, told)
        self.attend, self.onwards = Added(width, TemporalAttention(width, squeeze=True)), onwards


class Denoiser(nn.Module):
    """A U-Net over the frames of a segment as channels. frames: of a segment."""

    def __init__(self, frames: int, width: int, multipliers: Numbers) -> None:
        super().__init__()
        self.width, told = width, 8 * width
        widths = [width, *(width * factor for factor in multipliers)]
        pairs = list(itertools.pairwise(widths))
        last = len(pairs) - 1
        self.enter = nn.Conv2d(2 * frames, width, 7, padding=3)
        self.time, self.place = (nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, 4 * width))
                                 for _ in range(2))
        self.down = nn.ModuleList(Stage(2 * a, a, a, told, nn.Conv2d(a, b, 3, padding=1) if level == last
                                        else Halve(a, b)) for level, (a, b) in enumerate(pairs))
        self.middle = nn.ModuleList([ResidualBlock(widths[-1], widths[-1], told),
                                     Added(widths[-1], FullAttention(widths[-1])),
                                     ResidualBlock(widths[-1], widths[-1], told)])
        self.up = nn.ModuleList(Stage(a + b, a + b, b, told, nn.Conv2d(b, a, 3, padding=1) if level == 0
                                      else Double(b, a)) for level, (a, b) in reversed(list(enumerate(pairs))))
        self.refine, self.leave = ResidualBlock(2 * width, width, told), nn.Conv2d(width, frames, 1)

    def forward(self, noisy: Tensor, before: Tensor, step: Tensor, context: list[Tensor], segment: Tensor) -> Tensor:
        """noisy, before: (B, T, H, W), the segment and the residual of the one before. step, segment: (B,). Returns the
        velocity, (B, T, H, W)."""
        told = torch.cat((self.time(sinusoid(step, self.width).to(noisy.dtype)),
                          self.place(sinusoid(segment, self.width).to(noisy.dtype))), dim=1)
        field = first = self.enter(torch.cat((before, noisy), dim=1))
        skips: list[Tensor] = []
        for stage, known in zip(self.down, context, strict=True):
            assert isinstance(stage, Stage)
            field = stage.one(torch.cat((field, known), dim=1), told)
            skips.append(field)
            field = stage.attend(stage.two(field, told))
            skips.append(field)
            field = stage.onwards(field)
        field = self.middle[2](self.middle[1](self.middle[0](field, told)), told)
        for stage in self.up:
            assert isinstance(stage, Stage)
            field = stage.one(torch.cat((field, skips.pop()), dim=1), told)
            field = stage.two(torch.cat((field, skips.pop()), dim=1), told)
            field = stage.onwards(stage.attend(field))
        return torch.as_tensor(self.leave(self.refine(torch.cat((field, first), dim=1), told)))


class Lesson(NamedTuple):
    """mean: (B, leads, 1, H, W) in [0, 1]. velocity, wanted: (B, T, 1, H, W) of one segment, predicted and true.
    first: the lead frame with which the segment begins."""

    mean: Tensor
    velocity: Tensor
    wanted: Tensor
    first: int


class DiffCast(nn.Module):
    """inputs: frames seen, and those of a segment. leads: lead times, whole segments. width, multipliers: of the
    denoiser. spatial, temporal, depth: of the network of the mean, SimVP with IncepU. steps: of the full schedule;
    sampling: those that a forecast takes."""

    draws = True

    def __init__(self, inputs: int = 5, leads: int = 20, width: int = 64, multipliers: Numbers = (1, 2, 4, 8),
                 spatial: int = 64, temporal: int = 256, depth: int = 6, steps: int = 1000,
                 sampling: int = 250) -> None:
        super().__init__()
        if leads % inputs:
            raise ValueError(f"{leads} lead times are no whole segments of {inputs}")
        self.inputs, self.leads = inputs, leads
        self.grid_multiple = 2 ** (len(multipliers) - 1)
        self.schedule = Schedule.sigmoid(steps)
        self.short = self.schedule.respaced(sampling)
        self.mean = SimVP(inputs, "incepu", spatial, temporal, depth, halvings=1)
        self.context = ContextNet(width, multipliers)
        self.denoiser = Denoiser(inputs, width, multipliers)

    def forward(self, frames: Tensor, leads: int, noise: Noise | None = None) -> Tensor:
        """frames: (B, T, 1, H, W) scaled. Returns (B, leads, 1, H, W), at most as many as built: one sample."""
        noise, mean = noise or Noise(), self.means(frames)
        early, late = self.contexts(frames, mean)
        residual = torch.zeros_like(frames[:, :, 0])
        made: list[Tensor] = []
        for number in range(-(-min(leads, self.leads) // self.inputs)):
            residual = self._drawn(residual, early if number == 0 else late, number, noise)
            made.append(residual)
        forecast = mean[:, : len(made) * self.inputs] + torch.cat(made, dim=1)[:, :, None] / 2
        return forecast.clamp(0, 1)[:, :leads]

    def means(self, frames: Tensor) -> Tensor:
        """(B, leads, 1, H, W): the deterministic forecast, which sees its own frames again and again."""
        return torch.stack(list(lead_frames(self.mean, frames, self.leads)), dim=1)

    def contexts(self, frames: Tensor, mean: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Of the first segment, which knows all observed frames and the first of the mean, and of the others."""
        early, late = self.context(2 * torch.cat((frames, mean), dim=1) - 1, self.inputs)
        return early, late

    def lesson(self, frames: Tensor, truth: Tensor, noise: Noise) -> Lesson:
        """What one draw of a segment, a step and noise teaches. truth: (B, leads, 1, H, W) scaled."""
        mean = self.means(frames)
        early, late = self.contexts(frames, mean)
        number = int(noise.below(self.leads // self.inputs, (1,), frames))
        first = number * self.inputs
        residual = 2 * (truth - mean.detach())[:, :, 0]
        wanted = residual[:, first : first + self.inputs]
        before = residual[:, first - self.inputs : first] if number else torch.zeros_like(wanted)
        steps = noise.below(len(self.schedule), (frames.shape[0],), frames)
        fresh = noise.normal(tuple(wanted.shape), wanted)
        share = torch.from_numpy(self.schedule.signal).to(wanted)[steps][:, None, None, None]
        noisy, velocity = (share.sqrt() * wanted + (1 - share).sqrt() * fresh,
                           share.sqrt() * fresh - (1 - share).sqrt() * wanted)
        told = self.denoiser(noisy, before, steps, early if number == 0 else late,
                             torch.full_like(steps, number))
        return Lesson(mean, told[:, :, None], velocity[:, :, None], first)

    def _drawn(self, before: Tensor, context: list[Tensor], number: int, noise: Noise) -> Tensor:
        """The residual of a segment, (B, T, H, W) in [-1, 1]; steps are taken without new noise."""
        field = noise.normal(tuple(before.shape), before)
        place = torch.full((before.shape[0],), number, device=before.device)
        for step in reversed(range(len(self.short))):
            told = torch.full_like(place, self.short.steps[step])
            velocity = self.denoiser(field, before, told, context, place)
            clean = self.short.clean_of_velocity(field, step, velocity).clamp(-1, 1)
            field = self.short.implicit_mean(clean, field, step)
        return field
