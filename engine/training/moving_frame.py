"""What a network in the moving frame is taught: from packs cut with ``--moving-frame``."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from engine.errors import WrongUsage
from engine.networks.lagrangian_unet import THRESHOLDS_MM_H, quantile_field
from engine.radar.scaling import unit_pixel
from engine.radar.units import ZR
from engine.training.preparation import Example, Preparation, Sample, Taught, Teaching, unit_table
from engine.training.recipe import DataPart


class MovingFrame(Preparation):
    """Inputs: the frames scaled 0..1 (no data as 0), where the last has data, and the pixel size. Targets: the later
    frames, scaled alike. leads_at_once: lead times that a training step looks at, drawn at random; 0: all."""

    def __init__(self, data: DataPart, leads_at_once: int = 0) -> None:
        super().__init__(data)
        self.leads_at_once = leads_at_once
        if leads_at_once < 0 or leads_at_once > data.leads:
            raise WrongUsage(f"leads_at_once lies between 0 and {data.leads}.")

    def prepare(self, sample: Sample, draw: np.random.Generator) -> Example:
        frames = torch.from_numpy(unit_table(sample.codes.dtype, sample.zr, ZR(*self.data.zr)).take(sample.codes))
        valid = ~torch.isnan(frames)
        frames = frames.nan_to_num(0.0)
        count = self.data.inputs
        shown = torch.cat((frames[:count], valid[count - 1:count].to(frames.dtype)))
        return Example((shown, torch.tensor(sample.pixel_km)), frames[count:, None], valid[count:, None])

    def unit(self, rain_rate: float) -> float:
        return float(unit_pixel(np.array([rain_rate]), ZR(*self.data.zr))[0])

    def taught(self, network: nn.Module, batch: Example, teaching: Teaching) -> Taught:
        frames, pixel = batch.inputs
        if not network.training or not self.leads_at_once:
            return Taught([network(frames, pixel)], batch.targets, batch.valid)
        chosen = torch.randperm(self.data.leads, generator=teaching.draw)[:self.leads_at_once].sort().values
        chosen = chosen.to(frames.device)
        return Taught([network(frames, pixel, chosen)], batch.targets[:, chosen], batch.valid[:, chosen])

    def forecast(self, taught: Taught) -> Tensor | None:
        """The fields that the decision read from the probabilities would be, with one decision for all thresholds
        while the network's own is not set yet."""
        logits = taught.readouts[0]
        decision = torch.full((len(THRESHOLDS_MM_H),), 0.35, device=logits.device)
        zr = ZR(*self.data.zr)
        fields = [[unit_pixel(quantile_field(lead, decision).cpu().numpy(), zr) for lead in one] for one in logits]
        return torch.from_numpy(np.array(fields, np.float32))[:, :, None].to(logits.device)

    def persistence(self, batch: Example) -> Tensor | None:
        return batch.inputs[0][:, None, self.data.inputs - 1:self.data.inputs]
