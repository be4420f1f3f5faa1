"""What the verification panels share: the runs that are compared, what is chosen, and results beyond the counts.

Scores of events and errors come from the runs, which hold what the session scored last (thresholds, pooling, region).
What follows from other comparisons (neighbourhoods, spectra, similarity) is asked of the engine lead time
by lead time, the one on show first, and kept, so that scrubbing moves marks and computes nothing.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.bridge import EngineBridge
from app.plots.styles import ModelStyles
from app.runs import Run
from app.session import Session
from app.wishes import Wish, Wishes
from engine.jobs.diagnosis import SIMILARITY, SPECTRUM, Diagnosed, DiagnoseRequest
from engine.jobs.events import Event
from engine.radar.packed import AnyField
from engine.radar.region import Region


@dataclass(frozen=True)
class Pair:
    """A lead time of a run that was observed. frame: index of the observed frame."""

    lead: int
    minutes: float
    frame: int
    rain_rate: AnyField


class Verification(QObject):
    """changed: another threshold was chosen. arrived: a result that was wished for is there."""

    changed = Signal()
    arrived = Signal()

    def __init__(self, bridge: EngineBridge, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._wishes = Wishes(bridge, self)
        self.styles = ModelStyles()
        self._threshold: float | None = None
        self._wishes.arrived.connect(self._on_arrived)
        session.archive_changed.connect(self._wishes.clear)
        session.sequence_changed.connect(self._wishes.clear)

    def _on_arrived(self, name: Hashable) -> None:
        self.arrived.emit()

    # -- what is chosen

    @property
    def threshold(self) -> float:
        """The one threshold of panels that show one, mm/h."""
        thresholds = self._session.thresholds
        return self._threshold if self._threshold in thresholds else thresholds[min(1, len(thresholds) - 1)]

    def set_threshold(self, threshold: float) -> None:
        if threshold != self.threshold:
            self._threshold = threshold
            self.changed.emit()

    # -- what is compared

    def runs(self) -> tuple[Run, ...]:
        return self._session.forecasting.runs()

    def axis(self) -> tuple[float, ...]:
        """The lead times in minutes that the time axis shows; nothing is observed between the archive's steps."""
        return tuple(place.minutes for place in self._session.places if place.lead is not None and not place.between)

    def minutes(self) -> float | None:
        """The lead time on show, None in history."""
        place = self._session.place
        return place.minutes if place is not None and place.lead is not None else None

    def pairs(self, run: Run) -> tuple[Pair, ...]:
        """The lead times of a run that are there and were observed, the nearest to the one on show first."""
        frames = {round(place.minutes, 3): place.frame for place in self._session.places if place.lead is not None}
        found = [Pair(lead, frame.minutes, truth, frame.rain_rate) for lead, frame in run.frames.items()
                 if (truth := frames.get(round(frame.minutes, 3))) is not None]
        here = self.minutes() or 0.0
        return tuple(sorted(found, key=lambda pair: abs(pair.minutes - here)))

    # -- results

    def want(self, owner: object, wishes: list[Wish]) -> None:
        self._wishes.want(owner, wishes)

    def get(self, name: Hashable) -> Any:
        return self._wishes.get(name)

    def why_not(self, name: Hashable) -> str:
        return self._wishes.why_not(name)

    def idle(self) -> bool:
        """Whether nothing that is wished for is still to come."""
        return self._wishes.idle()

    def diagnosis(self, what: str, run: Run, pair: Pair) -> Wish:
        """A wish for :mod:`engine.jobs.diagnose` about one lead time of a run, in the session's region."""
        thresholds = () if what == SIMILARITY else self._session.thresholds
        name = (what, run.serial, pair.lead, thresholds, self._session.region)
        return self._wish(name, what, (pair.rain_rate,), pair.frame)

    def spectra(self, lead: int) -> tuple[tuple[Run, ...], Wish] | None:
        """The runs that hold an observed lead time and the wish for their spectra over the cells that all have."""
        found = [(run, pair) for run in self.runs() for pair in self.pairs(run) if pair.lead == lead]
        if not found:
            return None
        name = (SPECTRUM, lead, tuple(run.serial for run, _ in found), self._session.region)
        wish = self._wish(name, SPECTRUM, tuple(pair.rain_rate for _, pair in found), found[0][1].frame)
        return tuple(run for run, _ in found), wish

    def _wish(self, name: Hashable, what: str, predicted: tuple[AnyField, ...], frame: int) -> Wish:
        return Wish(name, "diagnose", partial(self._diagnose, name, what, predicted, frame,
                                              self._session.region), _diagnosed)

    def _diagnose(self, name: Hashable, what: str, predicted: tuple[AnyField, ...], frame: int,
                  region: Region | None) -> DiagnoseRequest:
        assert self._session.sequence is not None
        return DiagnoseRequest(name, what, self._session.sequence, frame, predicted, self._session.thresholds,
                               region=region)

    def document(self, run: Run) -> dict[str, Any] | None:
        """The scores of a run at the session's thresholds, pooling and region, as in the contract's verify document;
        None while there are none."""
        document = run.scores
        return document if document and tuple(document["thresholds_mm_h"]) == self._session.thresholds else None


def _diagnosed(event: Event) -> Any:
    return event.result if isinstance(event, Diagnosed) else None
