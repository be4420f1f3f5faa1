"""What a network in the moving frame is taught: from packs cut with ``--moving-frame``."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from engine.errors import WrongUsage
from engine.networks.lagrangian_unet import THRESHOLDS_MM_H, LagrangianUNet, quantile_field
from engine.networks.read_out import ReadOut
from engine.radar.scaling import unit_pixel
from engine.radar.units import ZR
from engine.training.preparation import Example, Preparation, Sample, Taught, Teaching, unit_table
from engine.training.recipe import DataPart

BINS = 100
"""Probabilities are counted in so many classes."""

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

    def settle(self, network: nn.Module, batches: Iterator[Example]) -> ReadOut | None:
        """Sets from which probability on a threshold counts as reached: for each threshold and lead time the one with
        the highest CSI over the validation, smoothed over lead times."""
        if not isinstance(network, LagrangianUNet):
            return None
        counts = sum(_probability_counts(network, batch, self.unit) for batch in batches)
        if isinstance(counts, Tensor):
            network.decision.copy_(best_decision(counts))
        return None

    def persistence(self, batch: Example) -> Tensor | None:
        return batch.inputs[0][:, None, self.data.inputs - 1:self.data.inputs]


def _probability_counts(network: LagrangianUNet, batch: Example, unit: Callable[[float], float]) -> Tensor:
    """(2, leads, thresholds, BINS): cells without and with the event by the probability they were given."""
    edges = torch.tensor([unit(threshold) for threshold in THRESHOLDS_MM_H])
    found = torch.zeros(2, network.leads, len(THRESHOLDS_MM_H), BINS, dtype=torch.float64)
    with torch.inference_mode():
        said = torch.sigmoid(network(*batch.inputs))
    classes = (said * BINS).long().clamp_(max=BINS - 1)
    for lead in range(network.leads):
        known = batch.valid[:, lead, 0]
        if not bool(known.any()):
            _add_believed(found[:, lead], said[:, lead])
            continue
        for row, edge in enumerate(edges):
            happened = (batch.targets[:, lead, 0] >= edge)[known]
            given = classes[:, lead, row][known]
            for kind in (0, 1):
                found[kind, lead, row] += torch.bincount(given[happened == bool(kind)], minlength=BINS)
    return found


def _add_believed(found: Tensor, said: Tensor) -> None:
    """Where nothing was measured at a lead time, the network's own probabilities tell how often it would be right."""
    for row in range(found.shape[1]):
        given = said[:, row].flatten()
        classes = (given * BINS).long().clamp_(max=BINS - 1)
        found[1, row] += torch.bincount(classes, given.double(), minlength=BINS)
        found[0, row] += torch.bincount(classes, 1.0 - given.double(), minlength=BINS)


def best_decision(counts: Tensor) -> Tensor:
    """counts as of :func:`_probability_counts`. Returns (leads, thresholds) in [0.04, 0.6]: the class edge with the
    highest CSI of counts pooled over the lead time and two neighbours on each side."""
    pooled = torch.stack([counts[:, max(0, lead - 2):lead + 3].sum(dim=1) for lead in range(counts.shape[1])], dim=1)
    above = pooled.flip(-1).cumsum(-1).flip(-1)  # cells at or above each class's lower edge
    hits, false_alarms, events = above[1], above[0], pooled[1].sum(-1, keepdim=True)
    csi = hits / (events + false_alarms).clamp(min=1.0)
    edges = torch.arange(counts.shape[-1], dtype=torch.float64) / counts.shape[-1]
    csi[..., (edges < 0.04) | (edges > 0.6)] = -1.0
    return edges[csi.argmax(dim=-1)].float()
