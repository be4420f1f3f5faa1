"""What the two maps should show at a place of the time axis: a frame, or why there is none; and what both wear."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace

from app import wording
from app.context import Context
from app.panels.map_modes import SWIPE, MapModes
from app.places import Place
from app.runs import Run
from engine.jobs.display import Wanted
from engine.radar.sequence import RadarSequence

NEIGHBOURS = 8

OTHER = ("predicted", "observed")
"""Whose contours a pane shows when they are crossed."""
BEFORE = ("sharpened", "before")
"""The same where a forecast stands beside what it was before it was sharpened."""


@dataclass(frozen=True)
class Content:
    """What a pane should show: a picture by name, or a message where there is none; titles belong to it."""

    left: str = ""
    right: str = ""
    wanted: Wanted | None = None
    message: str = ""

    @property
    def name(self) -> Hashable:
        return self.wanted.name if self.wanted else None


class MapContents:
    """Pane 0 is the observed one, 1 the predicted one."""

    def __init__(self, context: Context, modes: MapModes) -> None:
        self._context, self._session, self._modes = context, context.session, modes

    def at(self, place: Place) -> list[Content]:
        """Of both panes."""
        return [self._checked(self._observed(place)), self._checked(self._predicted(place))]

    def _observed(self, place: Place) -> Content:
        right, origin = wording.when(place), self._modes.origin
        if origin is not None and place.lead is not None:
            wanted = self.prediction(origin, place.lead)
            return Content(f"BEFORE {origin.forecaster}", right, wanted,
                           "" if wanted else wording.why_none(origin, place.lead))
        if place.frame is not None:
            return Content("OBSERVED", right, self.observation(place.frame))
        text = "No frame at this time (gap)" if place.lead is None else \
            "Between observations" if place.between else "No observation yet"
        return Content("OBSERVED", right, None, text)

    def _predicted(self, place: Place) -> Content:
        session, run = self._session, self._session.shown_run
        inputs = run.inputs if run else session.settings.values.inputs
        step = session.clock.step_minutes if session.clock else None
        left, right = wording.predicted_title(run, place, inputs, step), wording.when(place)
        if place.lead is not None:
            wanted = self.prediction(run, place.lead)
            return Content(left, right, wanted, "" if wanted else wording.why_none(run, place.lead))
        if place.frame is None:
            return Content(left, right, None, "No frame at this time (gap)")
        return Content(left, right, self.observation(place.frame))

    def _checked(self, content: Content) -> Content:
        reason = self._context.pictures.why_not(content.name) if content.wanted else None
        return replace(content, wanted=None, message=f"This frame cannot be shown:\n{reason}") if reason else content

    def observation(self, frame: int) -> Wanted:
        return Wanted(("observed", frame), sequence=self._session.sequence, index=frame)

    def prediction(self, run: Run | None, lead: int) -> Wanted | None:
        """None where that lead time is not there."""
        sequence = self._session.sequence
        if run is None or sequence is None or lead not in run.frames:
            return None
        frame = run.frames[lead]
        return Wanted(("run", run.serial, lead), rain_rate=frame.drawn, grid=frame.grid or sequence.grid)

    def neighbours(self) -> list[Wanted]:
        """Frames around the session's place, nearest first, those ahead before those behind."""
        places, here = self._session.places, self._session.position
        wanted: dict[Hashable, Wanted] = {}
        for distance in range(1, NEIGHBOURS + 1):
            for index in ((here + distance) % len(places), here - distance):
                if 0 <= index < len(places):
                    for wish in self._frames(places[index]):
                        wanted.setdefault(wish.name, wish)
        return list(wanted.values())

    def _frames(self, place: Place) -> list[Wanted]:
        """Of both panes, those that there are."""
        run, origin = self._session.shown_run, self._modes.origin
        right = self.prediction(run, place.lead) if place.lead is not None else None
        if origin is not None and place.lead is not None:
            left = self.prediction(origin, place.lead)
        else:
            left = self.observation(place.frame) if place.frame is not None else None
        return [wish for wish in (right, left) if wish is not None]

    # -- what panes wear

    def badges(self, number: int, content: Content) -> tuple[str, ...]:
        """Of the archive, of a frame that was interpolated, of a forecast because of how its network runs."""
        session = self._session
        synthetic = session.sequence is not None and session.sequence.layout.synthetic
        worn = (("SYNTHETIC DATA", synthetic), ("CLUTTER MASK", session.masked),
                ("INTERPOLATED", _is_filled(session.sequence, content)))
        return (*(badge for badge, on in worn if on), *self._marks(number))

    def _marks(self, number: int) -> tuple[str, ...]:
        place, shown = self._session.place, self._session.forecasting.shown
        if place is None or place.lead is None:
            return ()
        runs = (shown,) if number == 1 else (self._modes.origin, shown if self._modes.mode == SWIPE else None)
        return tuple(dict.fromkeys(mark for run in runs if run is not None for mark in run.marks))

    def other(self, number: int) -> str:
        """Whose contours a pane shows when they are crossed."""
        return OTHER[number] if self._modes.origin is None else BEFORE[number]


def _is_filled(sequence: RadarSequence | None, content: Content) -> bool:
    """Whether a frame is shown that was interpolated into a gap."""
    wanted = content.wanted
    return (sequence is not None and wanted is not None and wanted.sequence is not None
            and wanted.index in sequence.filled)
