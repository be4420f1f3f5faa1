"""Prepare frames for the screen: decode, bin, colour, contour, newest wish first."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.display.picture import Picture, Window, make_picture
from engine.errors import UnreadableInput
from engine.jobs.events import Event, Finished, Warned
from engine.jobs.scope import Scope
from engine.radar.grid import Grid
from engine.radar.packed import AnyField, packed
from engine.radar.sequence import RadarSequence


@dataclass(frozen=True)
class Wanted:
    """One frame to draw: either frame ``index`` of a sequence or a field of its own on a grid.
    ``name`` comes back with the picture.

    window: (rows, columns) of the part to draw, two slices with start and stop. A frame wider or higher than
    :data:`engine.display.picture.MAX_SIDE` cells is drawn in blocks; a window of it no larger than that, cell by
    cell. ``picture.grid`` says where the part lies, ``picture.rain_rate`` stays the whole frame.
    """

    name: Hashable
    sequence: RadarSequence | None = None
    index: int = 0
    rain_rate: AnyField | None = None
    grid: Grid | None = None
    window: Window | None = None


@dataclass(frozen=True)
class DisplayRequest:
    """colours: 256 opaque uint32 0xffRRGGBB. thresholds: mm/h; they get contours and exact bins."""

    wanted: tuple[Wanted, ...]
    colours: NDArray[np.uint32]
    thresholds: tuple[float, ...]


@dataclass(frozen=True)
class PictureReady(Event):
    name: Hashable
    picture: Picture


@dataclass(frozen=True)
class PictureFailed(Event):
    """A frame that cannot be shown; the others go on."""

    name: Hashable
    reason: str


def run(request: DisplayRequest, scope: Scope) -> Iterator[Event]:
    """Yields a PictureReady or PictureFailed for each frame, in the order in which they are wanted."""
    for wanted in request.wanted:
        scope.token.check()
        try:
            picture = _picture(wanted, request)
        except UnreadableInput as problem:
            yield PictureFailed(wanted.name, problem.reason)
            yield Warned(str(problem))
        else:
            yield PictureReady(wanted.name, picture)
    yield Finished()


def _picture(wanted: Wanted, request: DisplayRequest) -> Picture:
    field: AnyField
    if wanted.sequence is not None:
        field, grid = wanted.sequence.packed_rain_rate(wanted.index), wanted.sequence.grid
    elif wanted.rain_rate is not None and wanted.grid is not None:
        field, grid = packed(wanted.rain_rate), wanted.grid
    else:
        raise ValueError("a wanted frame needs a sequence or a field with its grid")
    return make_picture(field, grid, request.colours, request.thresholds, window=wanted.window)
