"""Where a forecast hit, missed and gave false alarm, prepared for the screen."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from engine.display.contingency import EventCounts, contingency_bins, contingency_picture, count_kinds
from engine.display.picture import Picture
from engine.jobs.events import Event, Finished
from engine.jobs.scope import Scope
from engine.radar.packed import AnyField, unpacked
from engine.radar.region import Region
from engine.radar.sequence import RadarSequence
from engine.verification.pooling import pool_pair


@dataclass(frozen=True)
class ContingencyRequest:
    """predicted: (ny, nx) mm/h on the sequence's grid. index: the observed frame. threshold: mm/h. pool: windows of
    pool x pool cells are compared by their maxima. region: cells outside are left out. colours: 256 of
    :func:`engine.display.contingency.contingency_colours`. ``name`` comes back with the picture."""

    name: Hashable
    predicted: AnyField
    sequence: RadarSequence
    index: int
    threshold: float
    colours: NDArray[np.uint32]
    pool: int = 1
    region: Region | None = None

    @cached_property
    def valid(self) -> NDArray[np.bool_] | None:
        """(ny, nx), False for the cells that are left out; found by the job, not by who asks."""
        return None if self.region is None else self.region.mask(self.sequence.grid)


@dataclass(frozen=True)
class ContingencyReady(Event):
    name: Hashable
    picture: Picture
    counts: EventCounts


def run(request: ContingencyRequest, scope: Scope) -> Iterator[Event]:
    """One ContingencyReady. Raises UnreadableInput if the observed frame cannot be read."""
    scope.token.check()
    observed, predicted = request.sequence.rain_rate(request.index), unpacked(request.predicted)
    valid = request.valid
    if request.pool > 1:
        observed, predicted = pool_pair(observed, predicted, request.pool, valid)
        valid = None
    scope.token.check()
    bins = contingency_bins(observed, predicted, request.threshold, valid)
    scope.token.check()
    picture = contingency_picture(bins, request.sequence.grid, request.colours, request.predicted, request.pool)
    yield ContingencyReady(request.name, picture, count_kinds(bins))
    yield Finished()
