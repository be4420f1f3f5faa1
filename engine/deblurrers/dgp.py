"""DGP, deep generative prior (Pan et al. 2021), on radar frames: of all frames that a generator can make, the one whose
blurred version is the forecast.

The blur is the Gaussian by which the forecast's spectrum falls short of the last observation's. The best of some random
latent fields is improved by gradient; then the generator itself is fitted, first its coarsest block, then block by
block the finer ones. Frames are compared by their pixels and by what the critic sees in them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.deblurrers.protocol import Blurry, Context, Options, Sharpened
from engine.deblurrers.yardsticks import blur_width_km
from engine.networks.weighted import Weighted
from engine.radar.scaling import rain_rate_of_pixel, unit_pixel
from engine.radar.units import ZR

if TYPE_CHECKING:
    from torch import Tensor

    from engine.networks.frame_gan import FrameGAN


@dataclass(frozen=True)
class Settings:
    """candidates: random latent fields to begin with. rounds: steps for the latent field alone, then with each further
    block of the generator. rate, fit_rate: of Adam, for latent field and generator. pixels, looks: weights of the two
    comparisons."""

    candidates: int = 16
    rounds: tuple[int, ...] = (60, 30, 30, 30)
    rate: float = 0.1
    fit_rate: float = 1e-3
    pixels: float = 1.0
    looks: float = 0.02


@dataclass
class DGP(Weighted):
    """weights: a file of :mod:`engine.networks.weights` with generator and critic.

    Raises UnreadableInput where the file is damaged or does not fit its own configuration.
    """

    weights: Path
    settings: Settings = field(default_factory=Settings)
    draws = True

    def at_once(self, device: str) -> int:
        return 1

    @cached_property
    def _network(self) -> FrameGAN:
        from engine.networks.frame_gan import FrameGAN
        from engine.networks.weights import load

        network = load(self.weights)[0]
        assert isinstance(network, FrameGAN)
        return network

    def sharpen(self, blurry: Blurry, options: Options, context: Context) -> Iterator[Sharpened]:
        """Raises Cancelled between two steps."""
        import torch

        from engine.networks.rollout import padded

        zr, seen = ZR(self.header.zr_a, self.header.zr_b), blurry.observation
        sharp, network = np.nan_to_num(seen.rain_rate), self._network
        for number, frame in enumerate(blurry.frames):
            width = blur_width_km(frame, np.where(blurry.known[number], sharp, 0.0), seen.grid.pixel_km)
            sigma = tuple(width / km for km in seen.grid.pixel_km)
            unit = torch.from_numpy(np.ascontiguousarray(unit_pixel(frame, zr)))[None, None].to(context.device)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(options.seed * 1000 + number)
                found = invert(network, padded(unit, network), (sigma[0], sigma[1]), self.settings, context)
            rows, columns = frame.shape
            yield Sharpened(rain_rate_of_pixel(found[0, 0, :rows, :columns].cpu().numpy(), zr))


def invert(network: FrameGAN, wanted: Tensor, sigma: tuple[float, float], settings: Settings,
           context: Context) -> Tensor:
    """wanted: (1, 1, H, W) in [0, 1], sides as the network takes them. sigma: of the blur, in pixels down and across.
    Returns the frame found, (1, 1, H, W). The network stays as it is. Raises Cancelled."""
    import torch

    critic = copy.deepcopy(network).to(wanted.device).eval().requires_grad_(False)
    generator = copy.deepcopy(network.generator).to(wanted.device).eval().requires_grad_(False)
    aim = critic.looks(wanted)

    def distance(made: Tensor) -> Tensor:
        """(B,): how far the blurred frames are from the forecast."""
        dim = blurred(made, sigma)
        apart = [(one - other).abs().flatten(1).mean(dim=1) for one, other in zip(critic.looks(dim), aim, strict=True)]
        return settings.pixels * (dim - wanted).square().flatten(1).mean(dim=1) + settings.looks * torch.stack(
            apart).mean(dim=0)

    with torch.inference_mode(False), torch.enable_grad():
        latent = _begin(generator, wanted, distance, settings.candidates)
        blocks = [generator.enter, *generator.blocks]
        for stage, steps in enumerate(settings.rounds):
            fitted = [parameter for block in blocks[:stage] for parameter in block.parameters()]
            for parameter in fitted:
                parameter.requires_grad_(True)
            groups: list[dict[str, Any]] = [{"params": [latent], "lr": settings.rate}]
            optimiser = torch.optim.Adam(groups + ([{"params": fitted, "lr": settings.fit_rate}] if fitted else []))
            for _ in range(steps):
                context.token.check()
                optimiser.zero_grad()
                distance(generator(latent)).sum().backward()  # type: ignore[no-untyped-call]
                optimiser.step()
        return torch.as_tensor(generator(latent)).detach()


def _begin(generator: Any, wanted: Tensor, distance: Any, candidates: int) -> Tensor:
    """The best of some random latent fields, as a leaf that learns."""
    import torch

    shape = (generator.depth, wanted.shape[-2] // generator.enlarges, wanted.shape[-1] // generator.enlarges)
    with torch.no_grad():
        drawn = torch.randn(candidates, 1, *shape).to(wanted)
        apart = torch.cat([distance(generator(one)) for one in drawn])
    return drawn[int(apart.argmin())].clone().requires_grad_(True)


def blurred(frames: Tensor, sigma: tuple[float, float]) -> Tensor:
    """(B, 1, H, W) through a Gaussian, the border's values going on beyond it. sigma: down and across."""
    import torch
    from torch.nn import functional as F

    for axis, width in zip((2, 3), sigma, strict=True):
        reach = min(int(np.ceil(3 * width)), frames.shape[axis] - 1)
        if reach < 1:
            continue
        distance = torch.arange(-reach, reach + 1, device=frames.device, dtype=frames.dtype)
        bell = torch.exp(-distance.square() / (2 * width**2))
        shape = (1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1)
        pad = (0, 0, reach, reach) if axis == 2 else (reach, reach, 0, 0)
        frames = F.conv2d(F.pad(frames, pad, mode="replicate"), (bell / bell.sum()).view(shape))
    return frames
