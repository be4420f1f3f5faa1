"""Scores at other thresholds from what earlier comparisons left behind; no frame is touched unless it must be."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.forecasters.protocol import LeadFrame
from engine.jobs.events import Event, Finished, ScoreReady
from engine.jobs.forecast import score_lead
from engine.jobs.scope import Scope
from engine.radar.packed import AnyField, unpacked
from engine.radar.sequence import RadarSequence
from engine.verification.counts import Tally
from engine.verification.table import ScoreTable


@dataclass(frozen=True)
class RescoreRequest:
    """tallies: (lead time in minutes, tally) of one run. name: comes back with the scores.

    ``sequence`` and ``frames`` (lead minutes, valid time, rain rate) serve thresholds that the tallies' bins do
    not hold exactly: then the frames are counted again.
    """

    name: Hashable
    tallies: tuple[tuple[float, Tally], ...]
    thresholds: tuple[float, ...]
    sequence: RadarSequence | None = None
    frames: tuple[tuple[float, datetime, AnyField], ...] = ()


@dataclass(frozen=True)
class ScoresReady(Event):
    """document: the contract's ``verify`` document."""

    name: Hashable
    document: dict[str, Any]


def run(request: RescoreRequest, scope: Scope) -> Iterator[Event]:
    """Yields ScoresReady; where frames had to be counted again, also their new ScoreReady events."""
    tallies = dict(request.tallies)
    if request.sequence is not None and not all(t.holds(request.thresholds) for t in tallies.values()):
        for number, (lead, valid, rain_rate) in enumerate(request.frames):
            scope.token.check()
            for event in score_lead(number, LeadFrame(lead, unpacked(rain_rate)), valid, request.sequence,
                                    request.thresholds, scope.token):
                tallies[event.lead_minutes] = event.tally
                yield event
    table = ScoreTable(request.thresholds)
    for lead, tally in sorted(tallies.items()):
        table.add(lead, tally)
    yield ScoresReady(request.name, table.to_json())
    yield Finished()


__all__ = ["RescoreRequest", "ScoreReady", "ScoresReady", "run"]
