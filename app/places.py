"""The places of the time axis: history up to the reference time, then one lead time after another."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.radar.sequence import RadarSequence

TOLERANCE = 0.2
"""Share of a step by which a frame may miss its time."""

MAX_GAP_PLACES = 12
"""A longer gap is one place."""


@dataclass(frozen=True)
class Place:
    """One stop of the scrubber. frame: index of the observed frame of that valid time, None where there is none
    (a gap in history, no observation yet in the future). lead: 0-based number of the lead time, None in history.
    minutes: from the reference time, negative before. between: lies between the archive's steps."""

    time: datetime
    frame: int | None
    lead: int | None
    minutes: float
    between: bool = False


class Clock:
    """A sequence's times, looked up quickly."""

    def __init__(self, sequence: RadarSequence) -> None:
        self.times = sequence.times
        self.step: timedelta | None = sequence.step

    @property
    def step_minutes(self) -> float | None:
        return None if self.step is None else self.step.total_seconds() / 60.0

    def at(self, time: datetime) -> int | None:
        """The frame at a time, a fifth of a step off at most."""
        place = bisect.bisect_left(self.times, time)
        near = [i for i in (place - 1, place) if 0 <= i < len(self.times)]
        best = min(near, key=lambda i: abs(self.times[i] - time))
        slack = (self.step or timedelta(minutes=1)) * TOLERANCE
        return best if abs(self.times[best] - time) <= slack else None

    def possible_references(self, inputs: int) -> tuple[int, ...]:
        """Frames that have ``inputs`` gapless frames up to and with themselves."""
        if self.step is None:
            return ()
        return tuple(i for i, time in enumerate(self.times)
                     if all(self.at(time - back * self.step) is not None for back in range(1, inputs)))

    def places(self, reference: int, lead_times: int, parts: int = 1) -> tuple[Place, ...]:
        """History, with a place for each missing frame, and the lead times of a frame, ``parts`` to a step."""
        start = self.times[reference]
        past: list[Place] = []
        for i, time in enumerate(self.times[: reference + 1]):
            past.extend(_place(missing, start) for missing in self._missing_before(i))
            past.append(_place(time, start, frame=i))
        if self.step is None:
            return tuple(past)
        leads = [start + (k + 1) * self.step / parts for k in range(lead_times)]
        return (*past, *(_place(time, start, frame=self.at(time), lead=k, between=(k + 1) % parts > 0)
                         for k, time in enumerate(leads)))

    def _missing_before(self, index: int) -> list[datetime]:
        if self.step is None or index == 0 or self.times[index] - self.times[index - 1] <= 1.5 * self.step:
            return []
        before, after = self.times[index - 1], self.times[index]
        count = round((after - before) / self.step) - 1
        if count > MAX_GAP_PLACES:
            return [before + (after - before) / 2]
        return [before + (k + 1) * self.step for k in range(count)]


def _place(time: datetime, start: datetime, frame: int | None = None, lead: int | None = None,
           between: bool = False) -> Place:
    return Place(time, frame, lead, (time - start).total_seconds() / 60.0, between)


def first_reference(possible: tuple[int, ...], frames: int, lead_times: int) -> int:
    """Where a forecast is worth starting: the middle, earlier if the truth would end too soon."""
    wish = min(frames // 2, frames - 1 - lead_times)
    return min(possible, key=lambda i: abs(i - wish)) if possible else frames - 1
