"""Predicted minus observed, or minus another forecast, prepared for the screen."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.display.difference import difference_picture
from engine.jobs.display import PictureReady
from engine.jobs.events import Event, Finished
from engine.jobs.scope import Scope
from engine.radar.packed import AnyField
from engine.radar.sequence import RadarSequence


@dataclass(frozen=True)
class DifferenceRequest:
    """predicted: (ny, nx) mm/h on the sequence's grid. index: the observed frame, unless there is ``other``, a field
    like ``predicted``. colours: 256 opaque uint32 of :func:`engine.display.difference.difference_colours`. ``name``
    comes back with the picture."""

    name: Hashable
    predicted: AnyField
    sequence: RadarSequence
    index: int | None
    colours: NDArray[np.uint32]
    other: AnyField | None = None


def run(request: DifferenceRequest, scope: Scope) -> Iterator[Event]:
    """One PictureReady. Raises UnreadableInput if the observed frame cannot be read."""
    scope.token.check()
    other = request.other
    if other is None:
        assert request.index is not None
        other = request.sequence.rain_rate(request.index)
    yield PictureReady(request.name, difference_picture(request.predicted, other, request.sequence.grid,
                                                        request.colours))
    yield Finished()
