"""Scores on sequences that are not trained on: errors, and hits and misses by lead time, beside persistence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from engine.losses.balanced import CLASS_EDGES_MM_H, Balanced
from engine.training.preparation import Preparation

THRESHOLDS = (0.5, 2.0, 5.0, 10.0, 30.0)
PERSISTENCE = "persistence"


@dataclass
class Counts:
    """table: (3, thresholds, leads) hits, misses, false alarms. errors: (2, leads) sums of B-MSE and B-MAE."""

    table: Tensor
    errors: Tensor
    frames: float = 0.0

    @classmethod
    def empty(cls, leads: int) -> Counts:
        return cls(torch.zeros(3, len(THRESHOLDS), leads, dtype=torch.float64), torch.zeros(2, leads,
                                                                                            dtype=torch.float64))


@dataclass
class Scores:
    """Adds up batches. ``document`` gives what was found."""

    preparation: Preparation
    leads: int
    loss: float = 0.0
    sequences: int = 0
    counts: dict[str, Counts] = field(default_factory=dict)

    def add(self, name: str, forecast: Tensor, truth: Tensor, valid: Tensor) -> None:
        """(B, T, 1, H, W) each, the last ``leads`` frames of which are scored; in the unit of the preparation."""
        forecast, truth, valid = (part[:, -self.leads:] for part in (forecast.expand_as(truth).float(), truth, valid))
        found = self.counts.setdefault(name, Counts.empty(self.leads))
        found.frames += truth.shape[0]
        for row, threshold in enumerate(THRESHOLDS):
            edge = self.preparation.unit(threshold)
            said, seen = (forecast >= edge) & valid, (truth >= edge) & valid
            for kind, events in enumerate((said & seen, ~said & seen, said & ~seen)):
                found.table[kind, row] += events.sum(dim=(0, 2, 3, 4)).double().cpu()
        edges = tuple(self.preparation.unit(edge) for edge in CLASS_EDGES_MM_H)
        for row, power in enumerate((2, 1)):
            found.errors[row] += Balanced(edges, power)(forecast, truth, valid).sum(dim=0).double().cpu()

    def gathered(self) -> None:
        """Adds up what all processes have found."""
        import torch.distributed as together

        head = torch.tensor([self.loss, float(self.sequences)], dtype=torch.float64)
        together.all_reduce(head)
        self.loss, self.sequences = float(head[0]), int(head[1])
        for name in sorted(self.counts):
            found = self.counts[name]
            frames = torch.tensor(found.frames, dtype=torch.float64)
            for tensor in (found.table, found.errors, frames):
                together.all_reduce(tensor)
            found.frames = float(frames)

    def document(self) -> dict[str, Any]:
        """loss, sequences, and per forecaster CSI by threshold and lead, B-MSE and B-MAE (sums over a frame's valid
        pixels, as the benchmark paper prints them), means over lead times. None where nothing was to be hit."""
        return {"loss": self.loss / max(1, self.sequences), "sequences": self.sequences,
                **{name: _document(found) for name, found in self.counts.items()}}


def _document(found: Counts) -> dict[str, Any]:
    hits, misses, false_alarms = found.table
    whole = hits + misses + false_alarms
    csi = [[float(h / w) if w else None for h, w in zip(row, among, strict=True)]
           for row, among in zip(hits, whole, strict=True)]
    means = [_mean(row) for row in csi]
    b_mse, b_mae = (found.errors / max(1.0, found.frames)).mean(dim=1).tolist()
    return {"thresholds_mm_h": list(THRESHOLDS), "csi": csi, "csi_mean": means, "b_mse": b_mse, "b_mae": b_mae}


def _mean(row: list[float | None]) -> float | None:
    there = [value for value in row if value is not None]
    return sum(there) / len(there) if there else None


def to_beat(document: dict[str, Any], name: str) -> float:
    """What early stopping looks at, smaller is better: B-MSE + B-MAE, or the loss where nothing was scored."""
    if name in document:
        return float(document[name]["b_mse"] + document[name]["b_mae"])
    return float(document["loss"])
