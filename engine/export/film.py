"""Which moments an export shows, and their frames, read one after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from engine.errors import WrongUsage
from engine.export.line_layer import ContourLike
from engine.export.sheet import SheetFrame
from engine.radar.grid import Grid
from engine.radar.packed import AnyField, unpacked
from engine.radar.sequence import Field, RadarSequence
from engine.radar.units import MARSHALL_PALMER, ZR

MakeContours = Callable[[Field, Grid], tuple[ContourLike, ...]]


@dataclass(frozen=True)
class Prediction:
    """A forecast to show. read: the frame of a lead time, (ny, nx) or (member, ny, nx) mm/h, on ``grid``."""

    grid: Grid
    lead_minutes: tuple[float, ...]
    valid_times: tuple[datetime, ...]
    read: Callable[[int], NDArray[np.float32]]
    forecaster: str
    reference_time: datetime
    zr: ZR = MARSHALL_PALMER
    synthetic: bool = False
    members: int | None = None


@dataclass(frozen=True)
class Moment:
    """observed, predicted: number of the frame in the archive and of the lead time; None where there is none."""

    valid_time: datetime
    lead_minutes: float
    observed: int | None
    predicted: int | None


@dataclass(frozen=True)
class Film:
    moments: tuple[Moment, ...]
    sequence: RadarSequence | None
    prediction: Prediction | None

    def frame(self, moment: Moment, contours: MakeContours) -> SheetFrame:
        """Reads and contours what the panes show at a moment. Raises UnreadableInput."""
        observed = predicted = None
        lines: list[tuple[ContourLike, ...]] = [(), ()]
        if self.sequence is not None and moment.observed is not None:
            observed = self.sequence.rain_rate(moment.observed)
            lines[0] = contours(observed, self.sequence.grid)
        if self.prediction is not None and moment.predicted is not None:
            predicted = one_field(self.prediction.read(moment.predicted))
            lines[1] = contours(predicted, self.prediction.grid)
        return SheetFrame(moment.valid_time, moment.lead_minutes, observed, predicted, lines[0], lines[1])

    @property
    def grid(self) -> Grid:
        if self.sequence is not None:
            return self.sequence.grid
        if self.prediction is None:
            raise ValueError("a film shows an archive, a forecast or both")
        return self.prediction.grid


def make_film(sequence: RadarSequence | None, prediction: Prediction | None, history: int = 5,
              leads: tuple[float, float] | None = None) -> Film:
    """``history`` frames before the reference time and that one, then the lead times within ``leads`` (minutes, both
    ends included). Without a forecast: the whole archive. Raises WrongUsage where nothing is left to show."""
    if prediction is None:
        moments = _archive(sequence)
    else:
        moments = _history(sequence, prediction.reference_time, history) + _leads(sequence, prediction)
    if leads is not None:
        moments = [moment for moment in moments if leads[0] <= moment.lead_minutes <= leads[1]]
    if not moments:
        raise WrongUsage("There is nothing to export: no frame lies in what was asked for.")
    return Film(tuple(moments), sequence, prediction)


def one_field(rain_rate: NDArray[np.float32]) -> Field:
    """The frame itself, or the first member of an ensemble (a mean has other extremes than any member)."""
    return rain_rate if rain_rate.ndim == 2 else np.asarray(rain_rate[0], np.float32)


def _archive(sequence: RadarSequence | None) -> list[Moment]:
    if sequence is None:
        raise WrongUsage("An export needs an archive, a forecast or both.")
    return [Moment(frame.time, 0.0, number, None) for number, frame in enumerate(sequence.frames)]


def _history(sequence: RadarSequence | None, reference: datetime, count: int) -> list[Moment]:
    if sequence is None:
        return []
    before = [number for number, frame in enumerate(sequence.frames) if frame.time <= reference]
    chosen = before[-(count + 1):] if count >= 0 else []
    return [Moment(sequence.frames[number].time, _minutes(sequence.frames[number].time - reference), number, None)
            for number in chosen]


def _leads(sequence: RadarSequence | None, prediction: Prediction) -> list[Moment]:
    moments = []
    for number, (valid, lead) in enumerate(zip(prediction.valid_times, prediction.lead_minutes, strict=True)):
        observed = None if sequence is None else sequence.index_exactly_at(valid)
        moments.append(Moment(valid, lead, observed, number))
    return moments


def _minutes(gap: timedelta) -> float:
    return gap.total_seconds() / 60.0


def in_memory(frames: Sequence[tuple[float, datetime, AnyField]], grid: Grid, forecaster: str,
              reference_time: datetime) -> Prediction:
    """From (lead minutes, valid time, rain rate) of each lead time."""
    return Prediction(grid, tuple(frame[0] for frame in frames), tuple(frame[1] for frame in frames),
                      lambda number: unpacked(frames[number][2]), forecaster, reference_time)
