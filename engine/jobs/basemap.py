"""Coasts, borders and the graticule of a grid, for the map panes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from engine.jobs.events import Event, Finished
from engine.jobs.scope import Scope
from engine.radar.grid import Grid


@dataclass(frozen=True)
class BasemapRequest:
    grid: Grid


@dataclass(frozen=True)
class BasemapReady(Event):
    """lines and graticule: see :mod:`engine.display.basemap`; both empty where the grid has no projection."""

    grid: Grid
    lines: tuple[Any, ...]
    graticule: tuple[Any, ...]


def run(request: BasemapRequest, scope: Scope) -> Iterator[Event]:
    from engine.display.basemap import basemap_lines, graticule
    from resources import base_map

    if request.grid.projection is None:
        yield BasemapReady(request.grid, (), ())
    else:
        yield BasemapReady(request.grid, tuple(basemap_lines(request.grid, base_map())), tuple(graticule(request.grid)))
    yield Finished()
