"""The read-out of a network that forecasts frames (:mod:`engine.networks.read_out`), from sequences it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from engine.networks.read_out import MM_H, ReadOut, rising

BINS = 256
_NEIGHBOURS = 1
_FEWEST = 200
"""Cells with an event that a lead time must have for its level to be its own."""
_WIDEST = 3.0
"""So many times as many cells as had the event may be forecast: without skill, rain everywhere has the highest CSI."""
Unit = Callable[[float], float]


def best_read_out(forecasts: Iterable[tuple[Tensor, Tensor, Tensor]], unit: Unit) -> ReadOut | None:
    """forecasts: values, truth and what is known of it, each (B, leads, 1, H, W). unit: of a threshold in mm/h.
    None where there are no forecasts."""
    with torch.inference_mode():
        counts = [_counts(values, truth, valid, unit) for values, truth, valid in forecasts]
    if not counts:
        return None
    units = tuple(unit(threshold) for threshold in MM_H)
    return ReadOut(units, rising(best_levels(torch.stack(counts).sum(dim=0), units).numpy()))


def _counts(values: Tensor, truth: Tensor, valid: Tensor, unit: Unit) -> Tensor:
    """(2, leads, thresholds, BINS): cells without and with the event by the value they were given."""
    given = (values.clamp(0.0, 1.0) * BINS).long().clamp_(max=BINS - 1).cpu()
    return torch.stack([_of_lead(given[:, lead], truth[:, lead].cpu(), valid[:, lead].cpu(), unit)
                        for lead in range(given.shape[1])], dim=1)


def _of_lead(given: Tensor, truth: Tensor, valid: Tensor, unit: Unit) -> Tensor:
    known, value = given[valid], truth[valid]
    rows = []
    for threshold in MM_H:
        happened = value >= unit(threshold)
        rows.append(torch.stack([torch.bincount(known[happened == bool(kind)], minlength=BINS) for kind in (0, 1)]))
    return torch.stack(rows, dim=1).double()


def best_levels(counts: Tensor, units: tuple[float, ...]) -> Tensor:
    """counts: (2, leads, thresholds, BINS). Returns (leads, thresholds) values in [0, 1]: the lower edge of the class
    with the highest CSI, counted with the neighbouring lead times; the threshold itself, or the level of the lead time
    before, where there were too few events, and the threshold too where only far too wide areas would hit. Never more
    than the threshold: nothing is read as less than it says."""
    pooled = torch.stack([counts[:, max(0, lead - _NEIGHBOURS):lead + _NEIGHBOURS + 1].sum(dim=1)
                          for lead in range(counts.shape[1])], dim=1)
    above = pooled.flip(-1).cumsum(-1).flip(-1)
    events = pooled[1].sum(-1)
    csi = above[1] / (events[..., None] + above[0]).clamp(min=1.0)
    csi[..., 0] = -1.0
    csi[above.sum(dim=0) > _WIDEST * events[..., None]] = -1.0
    highest = counts.shape[-1] - 1 - csi.flip(-1).argmax(dim=-1)  # of several that are alike
    levels = highest.double() / counts.shape[-1]
    last = torch.tensor(units, dtype=torch.float64)
    for lead in range(levels.shape[0]):
        few = events[lead] < _FEWEST
        levels[lead] = torch.where(few, last, torch.minimum(levels[lead], torch.tensor(units, dtype=torch.float64)))
        last = levels[lead]
    return levels
