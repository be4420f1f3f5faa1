"""Scores by threshold and lead time over many forecasts: accumulate tallies, then score once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.radar.scaling import RAIN_CLASSES
from engine.verification.counts import Contingency, Counts, Tally
from engine.verification.fields import FIELD_SCORES
from engine.verification.scores import EVENT_SCORES, Values


class ScoreTable:
    """Tallies by lead time. Counts are pooled over forecasts per lead time; scores follow from the pooled counts."""

    def __init__(self, thresholds: Sequence[float] = RAIN_CLASSES, lead_minutes: Iterable[float] = (), *,
                 pool: int = 1) -> None:
        """lead_minutes: lead times to show even while nothing was compared there."""
        self.thresholds = tuple(float(t) for t in thresholds)
        self.pool = pool
        self._tallies: dict[float, Tally | None] = dict.fromkeys(float(m) for m in lead_minutes)

    def expect(self, lead_minutes: float) -> None:
        """Shows a lead time, without scores until a tally is added."""
        self._tallies.setdefault(float(lead_minutes), None)

    def add(self, lead_minutes: float, tally: Tally) -> None:
        """Adds the comparison of one forecast at one lead time. Raises ValueError if its bins are others."""
        before = self._tallies.get(float(lead_minutes))
        self._tallies[float(lead_minutes)] = tally if before is None else before + tally

    def at(self, lead_minutes: float) -> Tally | None:
        """What was added at a lead time so far."""
        return self._tallies.get(float(lead_minutes))

    @property
    def lead_minutes(self) -> tuple[float, ...]:
        return tuple(sorted(self._tallies))

    @property
    def tallies(self) -> tuple[Tally | None, ...]:
        """In order of lead time; None where nothing was compared."""
        return tuple(self._tallies[lead] for lead in self.lead_minutes)

    def counts(self) -> dict[str, Counts]:
        """tp, fn, fp, tn: (threshold, lead) int64."""
        tables = [_contingency(tally, self.thresholds) for tally in self.tallies]
        shape = (len(tables), len(self.thresholds))
        return {name: np.array([getattr(table, name) for table in tables], np.int64).reshape(shape).T
                for name in ("tp", "fn", "fp", "tn")}

    def event_scores(self) -> dict[str, Values]:
        """Every row of EVENT_SCORES by name: (threshold, lead) float64, NaN where undefined."""
        counts = self.counts()
        return {score.name: score.function(counts["tp"], counts["fn"], counts["fp"], counts["tn"])
                for score in EVENT_SCORES}

    def field_scores(self) -> dict[str, Values]:
        """Every row of FIELD_SCORES by name: (lead,) float64, NaN where nothing was compared."""
        return {score.name: np.array([math.nan if tally is None else score.function(tally) for tally in self.tallies])
                for score in FIELD_SCORES}

    def classes(self) -> dict[str, list[float | None]]:
        """observed, predicted: shares of the classes that the thresholds cut, the driest first."""
        counts = {name: values.sum(axis=1) for name, values in self.counts().items()}
        pixels = sum(tally.pixels for tally in self.tallies if tally is not None)
        shares = {}
        for name, reached in (("observed", counts["tp"] + counts["fn"]), ("predicted", counts["tp"] + counts["fp"])):
            between = -np.diff(np.concatenate([[pixels], reached, [0]]))
            shares[name] = to_lists(between / pixels if pixels else np.full(between.size, np.nan))
        return shares

    def to_json(self) -> dict[str, Any]:
        """The contract's ``verify`` document; ``null`` where a score is undefined.

        ``mean`` holds each score's mean over the lead times at which it is defined, ``over_thresholds`` the mean
        over the thresholds at which it is defined (a list by lead time). ``classes``: the share of pixels between
        the thresholds, over all lead times (benchmark paper, Table 2).
        """
        events, fields = self.event_scores(), self.field_scores()
        found = [tally is not None and tally.frames > 0 for tally in self.tallies]
        return {
            "thresholds_mm_h": list(self.thresholds),
            "lead_times_min": list(self.lead_minutes),
            "counts": {name: values.tolist() for name, values in self.counts().items()},
            **{name: to_lists(values) for name, values in {**events, **fields}.items()},
            "mean": {name: to_lists(_mean_over_last(values)) for name, values in {**events, **fields}.items()},
            "over_thresholds": {name: to_lists(_mean_over_last(values.T)) for name, values in events.items()},
            "classes": self.classes(),
            "units": {score.name: score.unit for score in FIELD_SCORES},
            "frames": [0 if tally is None else tally.frames for tally in self.tallies],
            "pixels": [0 if tally is None else tally.pixels for tally in self.tallies],
            "missing_leads_min": [lead for lead, there in zip(self.lead_minutes, found, strict=True) if not there],
            "pool": self.pool,
        }


def of_one_frame(tally: Tally, thresholds: Sequence[float]) -> dict[str, Any]:
    """Every score of one comparison: lists by threshold, numbers for errors, None where undefined."""
    table = _contingency(tally, tuple(thresholds))
    events = {score.name: to_lists(score.function(table.tp, table.fn, table.fp, table.tn)) for score in EVENT_SCORES}
    return events | {score.name: to_lists(np.asarray(score.function(tally))) for score in FIELD_SCORES}


def _contingency(tally: Tally | None, thresholds: tuple[float, ...]) -> Contingency:
    if tally is not None:
        return tally.contingency(thresholds)
    none = np.zeros(len(thresholds), np.int64)
    return Contingency(thresholds, none, none, none, none)


def _mean_over_last(values: Values) -> Values:
    defined = np.isfinite(values)
    count = defined.sum(axis=-1)
    total = np.where(defined, values, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def to_lists(values: NDArray[np.float64]) -> Any:
    """Nested lists for JSON, None for what is no finite number."""
    if values.ndim == 0:
        number = float(values)
        return number if math.isfinite(number) else None
    return [to_lists(row) for row in values]
