"""How many cells of a grid lie in a region."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.jobs.events import Event, Finished
from engine.jobs.scope import Scope
from engine.radar.grid import Grid
from engine.radar.region import Region


@dataclass(frozen=True)
class RegionCellsRequest:
    region: Region
    grid: Grid


def run(request: RegionCellsRequest, scope: Scope) -> Iterator[Event]:
    """Finished.result: cells, share of the grid's."""
    scope.token.check()
    cells = int(np.count_nonzero(request.region.mask(request.grid)))
    high, wide = request.grid.shape
    yield Finished({"cells": cells, "share": cells / (high * wide)})
