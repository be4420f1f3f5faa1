"""Say what a folder of pictures means: a guess to begin with, a look at pictures under it, and the file beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.archives import description_file, image_folder
from engine.archives.description import Description, GridLaw, TimeLaw, ValueLaw
from engine.archives.image_folder import with_place
from engine.archives.image_proposal import Doubt, propose
from engine.display.picture import Picture, make_picture
from engine.errors import UnreadableInput
from engine.jobs.events import Event, Finished
from engine.jobs.scope import Scope
from engine.radar.sequence import Field
from engine.radar.units import NO_ECHO_DBZ, ZR, Quantity

__all__ = ["ZR", "Description", "Doubt", "GridLaw", "Quantity", "TimeLaw", "ValueLaw", "with_place"]


@dataclass(frozen=True)
class ProposeRequest:
    folder: Path


@dataclass(frozen=True)
class PreviewRequest:
    """pictures: of the folder; all get a time, the one at ``index`` is drawn. colours, thresholds: see
    :class:`engine.jobs.display.DisplayRequest`."""

    folder: Path
    description: Description
    pictures: tuple[Path, ...]
    index: int
    colours: NDArray[np.uint32]
    thresholds: tuple[float, ...] = ()


@dataclass(frozen=True)
class DescribeRequest:
    folder: Path
    description: Description


@dataclass(frozen=True)
class Proposed(Event):
    """replaces: whether a description lies in the folder already."""

    folder: Path
    description: Description
    pictures: tuple[Path, ...]
    doubts: tuple[Doubt, ...]
    replaces: bool = False


@dataclass(frozen=True)
class Previewed(Event):
    """picture: None where it cannot be drawn; ``error`` says why and ``about`` which part is to blame ("value" or
    "grid"). times: of the request's pictures, UTC, None where a name does not fit; ``time_error`` if there are none
    at all. low, high: least and greatest echo in the description's unit, None without any. size: (ny, nx)."""

    index: int
    times: tuple[datetime | None, ...]
    time_error: str = ""
    picture: Picture | None = None
    low: float | None = None
    high: float | None = None
    size: tuple[int, int] | None = None
    about: str = ""
    error: str = ""


def run(request: ProposeRequest | PreviewRequest | DescribeRequest, scope: Scope) -> Iterator[Event]:
    """Yields Proposed or Previewed; Finished.result of a DescribeRequest: output.

    Raises UnreadableInput (no picture in the folder), UnwritableOutput, Cancelled.
    """
    with scope.token.takes_charge():
        if isinstance(request, ProposeRequest):
            found = propose(request.folder)
            replaces = (request.folder / description_file.NAME).exists()
            yield Proposed(request.folder, found.description, found.pictures, found.doubts, replaces)
            yield Finished()
        elif isinstance(request, PreviewRequest):
            yield _previewed(request, scope)
            yield Finished()
        else:
            yield Finished({"output": str(description_file.write_description(request.folder, request.description))})


def _previewed(request: PreviewRequest, scope: Scope) -> Previewed:
    times, time_error = _times(request)
    scope.token.check()
    index = request.index
    path = request.pictures[index]
    try:
        field = image_folder.preview(request.description, path)
    except UnreadableInput as problem:
        return Previewed(index, times, time_error, about="value", error=problem.reason)
    shape, (low, high) = (field.shape[0], field.shape[1]), _range(field, request.description.value.quantity)
    scope.token.check()
    try:
        picture = _picture(request, field, shape)
    except ValueError as problem:
        return Previewed(index, times, time_error, None, low, high, shape, "grid", str(problem))
    return Previewed(index, times, time_error, picture, low, high, shape)


def _times(request: PreviewRequest) -> tuple[tuple[datetime | None, ...], str]:
    names = [path.relative_to(request.folder).as_posix() for path in request.pictures]
    try:
        times = request.description.times(names)
    except ValueError as problem:
        return (None,) * len(names), str(problem)
    if not any(times):
        return tuple(times), f"The name '{names[0]}' does not fit."
    known = [time for time in times if time is not None]
    return tuple(times), "Several pictures get the same time." if len(set(known)) < len(known) else ""


def _range(field: Field, quantity: Quantity) -> tuple[float | None, float | None]:
    echo = field[field > (0.0 if quantity is Quantity.RAIN_RATE else NO_ECHO_DBZ)]
    return (float(echo.min()), float(echo.max())) if echo.size else (None, None)


def _picture(request: PreviewRequest, field: Field, shape: tuple[int, int]) -> Picture:
    description = request.description
    rain_rate = field if description.value.quantity is Quantity.RAIN_RATE else description.zr.rain_rate(field)
    return make_picture(rain_rate, description.grid.grid(shape), request.colours, request.thresholds)
