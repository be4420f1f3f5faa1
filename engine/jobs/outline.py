"""Read outlines from a file and lay them on a grid, for the window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.archives.outlines import Outlines, read_outlines
from engine.errors import NotEnoughInput
from engine.jobs.events import Event, Finished
from engine.jobs.scope import Scope
from engine.radar.grid import Grid
from engine.radar.region import Region


@dataclass(frozen=True)
class OutlineRequest:
    """path: GeoJSON, shapefile or KML. grid: of the archive."""

    path: Path
    grid: Grid


@dataclass(frozen=True)
class OutlinesReady(Event):
    """regions: in the grid's coordinates; where a file holds several, all of them together come first."""

    path: Path
    regions: tuple[Region, ...]


def run(request: OutlineRequest, scope: Scope) -> Iterator[Event]:
    """Yields OutlinesReady with the outlines that hold a cell of the grid.

    Raises UnreadableInput, NotEnoughInput where none does or nothing says where the grid lies.
    """
    scope.progress(None, f"reading {request.path.name}")
    outlines = read_outlines(request.path)
    regions = tuple(region for region in _laid(outlines, request.grid, scope) if region.mask(request.grid).any())
    if not regions:
        raise NotEnoughInput(f"No outline of {request.path.name} holds a cell of the archive.",
                             advice="Choose outlines that lie on the archive's map.")
    yield OutlinesReady(request.path, regions)
    yield Finished({"outlines": len(regions)})


def _laid(outlines: Outlines, grid: Grid, scope: Scope) -> Iterator[Region]:
    names = tuple(dict.fromkeys(outlines.names))
    try:
        for name in ("", *names) if len(names) > 1 else ("",):
            scope.token.check()
            yield outlines.region(name).on(grid)
    except ValueError as problem:
        raise NotEnoughInput(str(problem), advice="Choose an archive that has a projection.") from problem
