"""What jobs say: frozen events, in the order in which things happen.

Arrays in events are never written again, so that they may cross threads as they are. Every event can be
pickled, so that they may cross processes too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import StormdeckError
from engine.radar.grid import Grid
from engine.radar.packed import AnyField
from engine.radar.sequence import RadarSequence


@dataclass(frozen=True)
class Event:
    """Base of all events."""


@dataclass(frozen=True)
class Started(Event):
    pass


@dataclass(frozen=True)
class Progress(Event):
    """fraction in [0, 1], or None where the end is not known."""

    fraction: float | None
    text: str = ""


@dataclass(frozen=True)
class ArchiveOpened(Event):
    sequence: RadarSequence


@dataclass(frozen=True)
class FrameReady(Event):
    """A lead time of a forecast. rain_rate as in :class:`engine.forecasters.protocol.LeadFrame`; large frames
    packed where the request asked for that. After a downscaler it lies on ``grid``, and ``as_measured`` holds its
    means over the archive's cells, which is what scores compare; without one both are None. before, kernel: as in a
    LeadFrame; the first only where the request asked for it."""

    lead_index: int
    lead_minutes: float
    valid_time: datetime
    rain_rate: AnyField
    grid: Grid | None = None
    as_measured: AnyField | None = None
    before: AnyField | None = None
    kernel: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class ScoreReady(Event):
    """The comparison of one lead time with what was observed. ``tally`` is an
    :class:`engine.verification.counts.Tally` from which scores at any threshold follow."""

    lead_index: int
    lead_minutes: float
    tally: Any


@dataclass(frozen=True)
class TrainingStep(Event):
    """A step of a training run. values: loss, its parts by name, learning_rate, gradient_norm,
    sequences_per_second."""

    step: int
    steps: int
    epoch: float
    values: dict[str, float]


@dataclass(frozen=True)
class TrainingValidated(Event):
    """scores: of the network and of persistence on sequences that are not trained on; better: than ever before."""

    step: int
    scores: dict[str, Any]
    better: bool


@dataclass(frozen=True)
class SampleShown(Event):
    """What the network in training makes of one sequence, (T, ny, nx) each as pixel/255, NaN where not measured."""

    step: int
    observed: NDArray[np.float32]
    forecast: NDArray[np.float32]


@dataclass(frozen=True)
class Warned(Event):
    """Something the user should know, which stops nothing. mark: a few words that the forecast wears on the map
    because of it. kind: of the model it is about, where it is about one of several."""

    text: str
    mark: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Told(Event):
    """A line about what was done, for jobs that go on and on."""

    text: str


@dataclass(frozen=True)
class Finished(Event):
    """The last event of a job that went well. ``result`` is what the terminal prints as JSON."""

    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Failed(Event):
    """The last event of a job that did not. ``detail`` is the traceback, for the log."""

    error: StormdeckError
    detail: str = ""


@dataclass(frozen=True)
class Stopped(Event):
    """The last event of a job that was cancelled."""


TERMINAL = (Finished, Failed, Stopped)
