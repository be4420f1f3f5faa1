"""What networks that draw are taught (docs/models.md says what is inferred)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.errors import WrongUsage
from engine.networks.cascast import CasCast
from engine.networks.diffcast import DiffCast
from engine.networks.frame_autoencoder import divergence
from engine.networks.frame_gan import FrameGAN
from engine.networks.noise import Noise
from engine.training.preparation import Example, Taught, Teaching, UnitPixels
from engine.training.recipe import DataPart


class DrawnClips(UnitPixels):
    """For DGMR: observed frames and forecast as one clip. Read-outs: the mean of ``samples`` draws, which the
    grid-cell loss compares with the truth, and one draw, which the discriminators see."""

    def __init__(self, data: DataPart, samples: int = 6) -> None:
        super().__init__(data)
        if samples < 1:
            raise WrongUsage("At least one sample is drawn.")
        self.samples = samples

    def taught(self, network: nn.Module, batch: Example, teaching: Teaching) -> Taught:
        frames = batch.inputs[0]
        noises = [Noise() for _ in range(self.samples)] if network.training else [Noise(0)]
        drawn = [network(frames, self.data.leads, noise) for noise in noises]
        truth = torch.cat((frames[:, :1], batch.targets), dim=1)
        valid = torch.cat((torch.ones_like(batch.valid[:, :1]), batch.valid), dim=1)
        seen = truth[:, : frames.shape[1]]
        clips = [torch.cat((seen, forecast.to(seen.dtype)), dim=1) for forecast in (torch.stack(drawn).mean(dim=0),
                                                                                    drawn[-1])]
        return Taught(clips, truth, valid)


class ResidualDiffusion(UnitPixels):
    """For DiffCast: the velocity of one segment's noisy residual, and the mean, of equal weight. The read-out holds the
    segment's frames first, scaled so that their mean square counts as much as that of all lead times."""

    def taught(self, network: nn.Module, batch: Example, teaching: Teaching) -> Taught:
        frames, truth, valid = batch.inputs[0], batch.targets[:, -self.data.leads:], batch.valid[:, -self.data.leads:]
        assert isinstance(network, DiffCast)
        lesson = network.lesson(frames, truth, Noise() if network.training else Noise(0))
        segment = slice(lesson.first, lesson.first + lesson.wanted.shape[1])
        weight = (truth.shape[1] / lesson.wanted.shape[1]) ** 0.5
        return Taught([torch.cat((weight * lesson.velocity, lesson.mean), dim=1)],
                      torch.cat((weight * lesson.wanted, truth), dim=1), torch.cat((valid[:, segment], valid), dim=1))


class Cascade(UnitPixels):
    """For CasCast, whose three parts learn one after the other. stage: "autoencoder" learns frames, one of each
    sequence, with ``weight`` times the Kullback-Leibler divergence per pixel; "mean" the blurry forecast;
    "diffusion" the noise in the latents of the true frames, the blurry forecast left out with chance ``dropped``."""

    def __init__(self, data: DataPart, stage: str = "diffusion", weight: float = 1e-6, dropped: float = 0.1) -> None:
        super().__init__(data)
        if stage not in ("autoencoder", "mean", "diffusion"):
            raise WrongUsage(f"The cascade learns by the stages autoencoder, mean and diffusion, not '{stage}'.")
        self.stage, self.weight, self.dropped = stage, weight, dropped

    def taught(self, network: nn.Module, batch: Example, teaching: Teaching) -> Taught:
        assert isinstance(network, CasCast)
        frames, truth, valid = batch.inputs[0], batch.targets[:, -self.data.leads:], batch.valid[:, -self.data.leads:]
        noise = Noise() if network.training else Noise(0)
        if self.stage == "autoencoder":
            return self._coded(network, truth, valid, noise)
        if self.stage == "mean":
            return Taught([network.means(frames)], truth, valid)
        if network.training:
            network.settle(truth)
        told, wanted = (part.flatten(1, 2)[:, :, None] for part in network.lesson(frames, truth, noise, self.dropped))
        return Taught([told], wanted, torch.ones_like(wanted, dtype=torch.bool))

    def forecast(self, taught: Taught) -> Tensor | None:
        """Neither a frame coded and decoded nor noise is one."""
        return taught.readouts[-1] if self.stage == "mean" else None

    def _coded(self, network: CasCast, truth: Tensor, valid: Tensor, noise: Noise) -> Taught:
        """The second frame stands for the divergence: the mean of its squares is its share of the loss."""
        place = int(noise.below(truth.shape[1], (1,), truth))
        frame = 2 * truth[:, place] - 1
        mean, spread = network.autoencoder.encode(frame)
        drawn = mean + (spread / 2).exp() * noise.normal(tuple(mean.shape), mean)
        pixels = frame.shape[-2] * frame.shape[-1]
        penalty = (self.weight * divergence(mean, spread) / pixels + 1e-12).sqrt()[:, None, None, None].expand_as(frame)
        both = torch.stack((network.autoencoder.decode(drawn), penalty), dim=1)
        seen = valid[:, place]
        return Taught([both], torch.stack((frame, torch.zeros_like(frame)), dim=1),
                      torch.stack((seen, torch.ones_like(seen)), dim=1))


class DrawnFrames(UnitPixels):
    """For DGP's prior: a frame out of random numbers, and a true one for the critic."""

    def taught(self, network: nn.Module, batch: Example, teaching: Teaching) -> Taught:
        assert isinstance(network, FrameGAN)
        truth, valid = batch.targets[:, -1:], batch.valid[:, -1:]
        noise, generator = Noise() if network.training else Noise(0), network.generator
        grid = (truth.shape[-2] // generator.enlarges, truth.shape[-1] // generator.enlarges)
        drawn = generator(noise.normal((truth.shape[0], generator.depth, *grid), truth))
        return Taught([drawn[:, None]], truth, valid)

    def forecast(self, taught: Taught) -> Tensor | None:
        """What is drawn has nothing to do with the truth."""
        return None
