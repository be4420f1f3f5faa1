"""Scores at other thresholds, of another region or pooling, from what earlier comparisons left behind.

No frame is looked at unless it must be: thresholds follow from the joint histogram of each lead time; a region and
pooling from tiles that a first pass makes (:mod:`engine.verification.tiles`) and the request brings along afterwards.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.forecasters.protocol import LeadFrame
from engine.jobs.events import Event, Finished, ScoreReady
from engine.jobs.forecast import score_lead
from engine.jobs.scope import Scope
from engine.jobs.verify import describe
from engine.radar.packed import AnyField, unpacked
from engine.radar.region import Region
from engine.radar.sequence import RadarSequence
from engine.verification.counts import Tally
from engine.verification.table import ScoreTable
from engine.verification.tiles import Selection, Tiles, region_tally, select, tile_pair

Frames = tuple[tuple[float, datetime, AnyField], ...]


@dataclass(frozen=True)
class RescoreRequest:
    """tallies: (lead time in minutes, tally) of one run. name: comes back with the scores.

    ``sequence`` and ``frames`` (lead minutes, valid time, rain rate) serve what the tallies do not hold: thresholds
    that are no edge of their bins, a region, pooling. missing: also compare frames without a tally whose observation
    has come since. region: in the coordinates of the sequence's grid; the whole grid where None. tiles: (lead minutes,
    tiles) of earlier jobs; those made at other settings are made anew.
    """

    name: Hashable
    tallies: tuple[tuple[float, Tally], ...]
    thresholds: tuple[float, ...]
    sequence: RadarSequence | None = None
    frames: Frames = ()
    missing: bool = False
    region: Region | None = None
    pool: int = 1
    tiles: tuple[tuple[float, Tiles], ...] = ()


@dataclass(frozen=True)
class ScoresReady(Event):
    """document: the contract's ``verify`` document."""

    name: Hashable
    document: dict[str, Any]


@dataclass(frozen=True)
class TilesReady(Event):
    """What the first pass over one lead time leaves, for the next request."""

    name: Hashable
    lead_minutes: float
    tiles: Tiles


def run(request: RescoreRequest, scope: Scope) -> Iterator[Event]:
    """Yields ScoresReady; ScoreReady for lead times that were counted anew, TilesReady after each first pass."""
    tallies = dict(request.tallies)
    for event in _counted(request, tallies, scope):
        tallies[event.lead_minutes] = event.tally
        yield event
    table = ScoreTable(request.thresholds, pool=request.pool)
    mask = None
    if request.sequence is None or (request.region is None and request.pool == 1):
        for lead, tally in sorted(tallies.items()):
            table.add(lead, tally)
    else:
        mask = None if request.region is None else request.region.mask(request.sequence.grid)
        selection = select(mask, request.sequence.grid.shape, request.pool)
        yield from _regional(request, request.sequence, selection, table, scope)
    yield ScoresReady(request.name, table.to_json() | {"region": describe(request.region, mask)})
    yield Finished()


def _counted(request: RescoreRequest, tallies: dict[float, Tally], scope: Scope) -> Iterator[ScoreReady]:
    """Frames that must be compared: all where the bins do not hold the thresholds, else those without a tally."""
    if request.sequence is None:
        return
    held = all(tally.holds(request.thresholds) for tally in tallies.values())
    for number, (lead, valid, rain_rate) in enumerate(request.frames):
        if held and not (request.missing and lead not in tallies):
            continue
        scope.token.check()
        yield from score_lead(number, LeadFrame(lead, unpacked(rain_rate)), valid, request.sequence,
                              request.thresholds, scope.token)


def _regional(request: RescoreRequest, sequence: RadarSequence, selection: Selection, table: ScoreTable,
              scope: Scope) -> Iterator[TilesReady]:
    """Fills the table with the region's tallies."""
    kept = dict(request.tiles)
    for lead, valid, rain_rate in request.frames:
        scope.token.check()
        truth = sequence.packed_rain_rate_at(valid)
        if truth is None:
            continue
        tiles = kept.get(lead)
        if tiles is None or not tiles.fits(request.thresholds, request.pool, sequence.zr):
            tiles = tile_pair(truth, rain_rate, request.thresholds, zr=sequence.zr, pool=request.pool,
                              check=scope.token.check)
            yield TilesReady(request.name, lead, tiles)
        table.add(lead, region_tally(tiles, selection, truth, rain_rate))


__all__ = ["RescoreRequest", "ScoreReady", "ScoresReady", "TilesReady", "run"]
