"""Scores of ensembles, for ``verify`` of forecast files that hold members: CRPS, rank histogram, reliability, ROC."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.radar.sequence import Field
from engine.verification.ensembles import Reliability, crps, rank_histogram, reliability


@dataclass
class _Sums:
    """Of one lead time. squared: of the Brier scores, by threshold."""

    crps: float = 0.0
    cells: int = 0
    ranks: NDArray[np.int64] | None = None
    tables: list[Reliability] = field(default_factory=list)
    squared: list[float] = field(default_factory=list)


@dataclass
class MemberScores:
    """Accumulates frames by lead time. thresholds: mm/h. Ensembles of different sizes are not mixed: the first one's
    size counts, others are left out and counted in ``left_out``. Ties of ranks are broken by ``seed``."""

    thresholds: Sequence[float]
    check: Callable[[], None] = lambda: None
    seed: int = 0
    members: int = 0
    left_out: int = 0
    _leads: dict[float, _Sums] = field(default_factory=dict)

    def add(self, lead: float, observed: Field, members: NDArray[np.float32], valid: NDArray[np.bool_] | None) -> None:
        """One frame. observed: (ny, nx) mm/h; members: (m, ny, nx) mm/h; valid: (ny, nx) cells that count."""
        self.members = self.members or len(members)
        if len(members) != self.members:
            self.left_out += 1
            return
        truth = observed if valid is None else np.where(valid, observed, np.float32(np.nan))
        sums = self._leads.setdefault(lead, _Sums())
        self.check()
        total, cells = crps(truth, members)
        sums.crps, sums.cells = sums.crps + total, sums.cells + cells
        self.check()
        ranks = rank_histogram(truth, members, np.random.default_rng([self.seed, round(lead), sums.cells]))
        sums.ranks = ranks if sums.ranks is None else sums.ranks + ranks
        self._add_reliability(sums, truth, members)

    def _add_reliability(self, sums: _Sums, truth: Field, members: NDArray[np.float32]) -> None:
        for row, threshold in enumerate(self.thresholds):
            self.check()
            table, squared = reliability(truth, members, threshold)
            if row == len(sums.tables):
                sums.tables.append(table)
                sums.squared.append(squared)
            else:
                sums.tables[row] = sums.tables[row] + table
                sums.squared[row] += squared

    def to_json(self, leads: Sequence[float]) -> dict[str, Any] | None:
        """None without an ensemble. Lists by lead time: ``crps`` in mm/h, ``rank_histogram``; [threshold][lead]:
        ``brier``, ``roc_area``, ``roc`` and ``reliability`` as points."""
        if not self.members:
            return None
        found = [self._leads.get(lead) for lead in leads]
        by_threshold = range(len(self.thresholds))
        return {
            "members": self.members, "left_out": self.left_out,
            "crps": [None if sums is None else _number(sums.crps / sums.cells if sums.cells else math.nan)
                     for sums in found],
            "rank_histogram": [None if sums is None or sums.ranks is None else sums.ranks.tolist() for sums in found],
            "brier": [[None if sums is None else _number(sums.tables[row].brier(sums.squared[row]))
                       for sums in found] for row in by_threshold],
            "roc_area": [[None if sums is None else _number(sums.tables[row].roc()[2]) for sums in found]
                         for row in by_threshold],
            "roc": [[None if sums is None else _roc(sums.tables[row]) for sums in found] for row in by_threshold],
            "reliability": [[None if sums is None else _reliability(sums.tables[row]) for sums in found]
                            for row in by_threshold],
        }


def _roc(table: Reliability) -> dict[str, Any]:
    alarms, hits, _ = table.roc()
    return {"false_alarm_rate": _numbers(alarms), "hit_rate": _numbers(hits)}


def _reliability(table: Reliability) -> dict[str, Any]:
    return {"forecast": _numbers(table.forecast), "observed": _numbers(table.observed), "cells": table.total.tolist()}


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    return [_number(value) for value in values.tolist()]


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
