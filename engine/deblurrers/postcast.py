"""PostCast: a diffusion model of radar frames alone, never of pairs, that finds the blur of a forecast and undoes it
(postcast paper, section 3). Any forecaster, any lead time, any domain: large ones are denoised in overlapping tiles,
with one kernel for the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.deblurrers.protocol import Blurry, Context, Observation, Options, Sharpened, told_of_pixels
from engine.forecasters.tiles import cut
from engine.networks.weighted import Weighted
from engine.radar.scaling import rain_rate_of_pixel, unit_pixel
from engine.radar.sequence import Field
from engine.radar.units import ZR

if TYPE_CHECKING:
    from torch import Tensor, nn

    from engine.deblurrers.guidance import Denoiser, Guided, Settings

_OVERLAP = 64
SMALL_STEPS = 25


@dataclass
class PostCast(Weighted):
    """weights: a file of :mod:`engine.networks.weights`. settings: of the sampling; the paper's if None is given.

    Raises UnreadableInput where the file is damaged or does not fit its own configuration.
    """

    weights: Path
    settings: Settings | None = None
    draws = True
    side, margin = 256, 0
    """Cells of a tile, and of the mirrored field beyond the edges, where the convolution sees no rain otherwise."""

    def at_once(self, device: str) -> int:
        """A GPU takes all lead times as one batch."""
        return 1 if device == "cpu" else 0

    @cached_property
    def _network(self) -> nn.Module:
        from engine.networks.weights import load

        return load(self.weights)[0]

    def notes(self, observation: Observation) -> tuple[str, ...]:
        """What the user should know about this archive and these weights."""
        return told_of_pixels(self.header.name, self.header.pixel_km, observation)

    def sampling(self) -> Settings:
        """The settings that are used."""
        from engine.deblurrers.guidance import Settings

        return self.settings or Settings()

    def sharpen(self, blurry: Blurry, options: Options, context: Context) -> Iterator[Sharpened]:
        """Yields all frames of ``blurry``, drawn as one batch. Asks the token before every layer of every step."""
        zr = ZR(self.header.zr_a, self.header.zr_b)
        context.progress(0.0, f"loading {self.header.name}")
        run = self._guided(unit_pixel(blurry.frames, zr), blurry.known, options.seed, context)
        field, kernel = _last(run, context)
        rows, columns = (slice(self.margin, self.margin + side) for side in blurry.frames.shape[1:])
        unit = ((field.mean(dim=1) + 1) / 2).clamp(0.0, 1.0)[:, rows, columns].cpu().numpy()
        for frame, found in zip(unit, run.weights(kernel).cpu().numpy(), strict=True):
            yield Sharpened(rain_rate_of_pixel(frame, zr), np.asarray(found, np.float32))

    def _guided(self, unit: NDArray[np.float32], known: NDArray[np.bool_], seed: int, context: Context) -> Guided:
        import torch

        from engine.deblurrers.guidance import Guided

        network = self._network.to(context.device)
        multiple, channels = int(network.grid_multiple), int(network.channels_in)  # type: ignore[arg-type]
        mirrored = [(0, 0), (self.margin, self.margin), (self.margin, self.margin)]
        unit = np.asarray(np.pad(unit, mirrored, mode="symmetric"), np.float32)
        known = np.asarray(np.pad(known, mirrored, mode="symmetric"), np.bool_)
        places = [(0, 0), *((0, -side % multiple) for side in unit.shape[1:])]
        target = torch.from_numpy(np.pad(unit, places)).to(context.device)[:, None].repeat(1, channels, 1, 1)
        counted = torch.from_numpy(np.pad(known, places, constant_values=True)).to(context.device)[:, None]
        draws = [torch.Generator().manual_seed(seed + number) for number in range(len(unit))]
        return Guided(tiled(network, context.token.check, self.side), target, counted, self.sampling(), draws)


class PostCastSmall(PostCast):
    """Fewer steps; in each the clean field is led to the blurry one until it fits, and the kernel follows a hundred
    times as fast and twenty times: at the paper's rate its shape hardly leaves the start, in however many steps. The
    kernel starts with a sum that keeps the total. matched: the result's ranks take the values of the last observation
    (:class:`engine.deblurrers.yardsticks.ProbabilityMatching`), since what the small network draws is too strong in
    places."""

    side, margin = 304, 16
    matched = True

    def sharpen(self, blurry: Blurry, options: Options, context: Context) -> Iterator[Sharpened]:
        drawn = super().sharpen(blurry, options, context)
        if not self.matched:
            yield from drawn
            return
        for result, known in zip(drawn, blurry.known, strict=True):
            yield replace(result, rain_rate=matched(result.rain_rate, known, blurry.observation))

    def sampling(self) -> Settings:
        from engine.deblurrers.guidance import Settings

        return self.settings or Settings(steps=SMALL_STEPS, led="clean", field_updates=8, kernel_mean=1.0,
                                         kernel_rate=2e-2, kernel_updates=20)


def matched(rain_rate: Field, known: NDArray[np.bool_], observation: Observation) -> Field:
    """With the values of the last observation; as it is where nothing rained there."""
    from engine.deblurrers.yardsticks import ProbabilityMatching

    rained = bool((np.nan_to_num(observation.rain_rate) > 0).any())
    return ProbabilityMatching().sharper(rain_rate, known, observation) if rained else rain_rate


def _last(run: Guided, context: Context) -> tuple[Tensor, Tensor]:
    """Field and kernel after all steps."""
    total, results = len(run.schedule), run.run()
    for number in range(1, total + 1):
        result = next(results)
        context.token.check()
        context.progress(number / total, f"sharpening: step {number} of {total}")
    return result.field, result.kernel


def tiled(network: nn.Module, check: Callable[[], None], side: int, overlap: int = _OVERLAP) -> Denoiser:
    """The network as a denoiser of any grid whose sides are its multiples: larger ones in overlapping tiles, the
    noise of which is blended, so that what is sampled has no seam."""
    import torch

    from engine.networks.rollout import asking

    def denoise(noisy: Tensor, step: int) -> Tensor:
        high, wide = noisy.shape[-2:]
        steps = torch.full((noisy.shape[0],), step, device=noisy.device)
        whole = torch.zeros_like(noisy)
        with asking(network, check):
            for tile in cut((high, wide), (side, side), overlap, int(network.grid_multiple)):  # type: ignore[arg-type]
                rows, columns = tile.place
                weights = torch.from_numpy(tile.weights).to(noisy)
                whole[..., rows, columns] += network(noisy[..., rows, columns], steps) * weights
        return whole

    return denoise
