"""What a diffusion model is taught: the noise in single radar frames, of packs of any kind (postcast paper, A.3)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from engine.deblurrers.diffusion import Schedule
from engine.errors import WrongUsage
from engine.radar.scaling import unit_pixel
from engine.radar.units import ZR
from engine.training.preparation import Example, Preparation, Sample, Taught, Teaching, resized, unit_table
from engine.training.recipe import DataPart


class Noising(Preparation):
    """Inputs: a frame of the sequence, drawn at random, in [-1, 1] (no data as no rain) with noise of a step that is
    drawn too, (C, H, W), and that step. Targets: the noise, (C, 1, H, W): its channels stand where others have lead
    times. channels: of the network; the frame is the same in all, the noise is not. steps: of the linear schedule.
    weighting: "noise" counts the noise alike at all steps (the papers'); "velocity" counts it by one over the signal's
    share, which is the error of the velocity and cares for the steps where hardly anything but noise is left."""

    def __init__(self, data: DataPart, channels: int = 1, steps: int = 1000, weighting: str = "noise") -> None:
        super().__init__(data)
        if channels < 1 or steps < 2:
            raise WrongUsage("Noising needs at least one channel and two steps.")
        if weighting not in ("noise", "velocity"):
            raise WrongUsage(f"Noising is weighted by noise or velocity, not by '{weighting}'.")
        self.channels, self.schedule, self.weighting = channels, Schedule.linear(steps), weighting

    def prepare(self, sample: Sample, draw: np.random.Generator) -> Example:
        codes = sample.codes[int(draw.integers(len(sample.codes)))]
        frame = torch.from_numpy(unit_table(codes.dtype, sample.zr, ZR(*self.data.zr)).take(codes))[None, None]
        valid = ~torch.isnan(frame)
        frame = frame.nan_to_num(0.0)
        if self.data.resize:
            frame, valid = resized(frame, valid, (self.data.resize[0], self.data.resize[1]))
        step = int(draw.integers(len(self.schedule)))
        noise = torch.from_numpy(draw.standard_normal((self.channels, *frame.shape[2:]), np.float32))
        noisy: Tensor = self.schedule.noised(2 * frame[0] - 1, step, noise)
        return Example((noisy, torch.tensor(step)), noise[:, None], valid.repeat(self.channels, 1, 1, 1))

    def unit(self, rain_rate: float) -> float:
        return 2 * float(unit_pixel(np.array([rain_rate]), ZR(*self.data.zr))[0]) - 1

    def taught(self, network: nn.Module, batch: Example, teaching: Teaching) -> Taught:
        noisy, step = batch.inputs
        weight = self._weight(step).to(noisy)[:, None, None, None, None]
        return Taught([weight * network(noisy, step)[:, :, None]], weight * batch.targets, batch.valid)

    def _weight(self, step: Tensor) -> Tensor:
        """(B,) of the noise, before it is squared."""
        if self.weighting == "noise":
            return torch.ones(len(step))
        return torch.from_numpy(self.schedule.signal)[step.cpu()].rsqrt()

    def forecast(self, taught: Taught) -> Tensor | None:
        """Noise is no forecast; validation goes by the loss."""
        return None
