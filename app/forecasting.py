"""Forecast runs of the open archive: start, cancel, collect frames and scores as they arrive."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal

from app.bridge import EngineBridge
from app.runs import DONE, FAILED, PARTIAL, RUNNING, Run, RunFrame
from app.settings import Settings
from engine import catalogue
from engine.jobs.events import Event, Failed, Finished, FrameReady, Progress, ScoreReady, Started, Stopped, Warned
from engine.radar.packed import AnyField
from engine.radar.region import Region
from engine.radar.sequence import RadarSequence

if TYPE_CHECKING:
    from app.learning import Learning

KEPT_BYTES = 384 << 20
"""Frames of finished runs beyond this are given up, oldest run first."""

RESCORE_DELAY_MS = 40

REFINE = (2, 2, 2)
"""What a downscaler makes of a frame here: cells along y and x from one, lead times from one step."""

SHARPENED = "SHARPENED"
"""What frames wear on the map that a deblurrer has changed: the title may be too narrow to say so."""


ADAPTED, LEARNT = " online", "ONLINE-ADAPTED"
"""What stands behind the name of a forecaster that has learnt from this archive, and what its frames wear."""


class Forecasting(QObject):
    """Runs by (forecaster, reference time); those of the current reference time are on show."""

    runs_changed = Signal()
    frame_arrived = Signal(object, int)
    run_ended = Signal(object)
    progressed = Signal(object, object, str)
    scores_changed = Signal(object)
    shown_changed = Signal()
    failed = Signal(object)

    def __init__(self, bridge: EngineBridge, settings: Settings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._settings = settings
        self._sequence: RadarSequence | None = None
        self._reference = 0
        self._runs: dict[tuple[str, int], Run] = {}
        self._by_job: dict[int, Run] = {}
        self._scoring: dict[int, Run] = {}
        self._unscored: dict[int, Run] = {}
        self._shown_name = ""
        self.region: Region | None = None
        self._learning: Learning | None = None
        self._rescore_timer = QTimer(self)
        self._rescore_timer.setSingleShot(True)
        self._rescore_timer.setInterval(RESCORE_DELAY_MS)
        self._rescore_timer.timeout.connect(self._rescore_waiting)

    # -- what there is

    def runs(self) -> tuple[Run, ...]:
        """Those that start at the current reference time."""
        return tuple(run for run in self._runs.values() if run.reference == self._reference)

    @property
    def shown(self) -> Run | None:
        """The run of the predicted pane."""
        runs = self.runs()
        return next((run for run in runs if run.forecaster == self._shown_name), runs[-1] if runs else None)

    @property
    def active(self) -> Run | None:
        return next((run for run in self._by_job.values() if run.active), None)

    def lead_times(self) -> int:
        """How many lead times the time axis shows, :attr:`parts` to each step of the archive."""
        steps = max((-(-run.lead_times // run.parts) for run in self.runs()), default=self._settings.values.lead_times)
        return steps * self.parts

    @property
    def parts(self) -> int:
        """Lead times for each step of the archive: those of the run of the predicted pane."""
        return self.shown.parts if self.shown else 1

    def origin(self, run: Run | None) -> Run | None:
        """The forecast that a sharpened run was made of, None where it is not there or the run is not sharpened."""
        if run is None or not run.deblurrer or run.downscaler:
            return None
        return self._runs.get((run.method, run.reference))

    def show(self, forecaster: str) -> None:
        if forecaster != self._shown_name:
            self._shown_name = forecaster
            self.shown_changed.emit()

    def show_next(self) -> None:
        """The next run of this reference time."""
        runs = self.runs()
        if self.shown in runs:
            self.show(runs[(runs.index(self.shown) + 1) % len(runs)].forecaster)

    def use_learning(self, learning: Learning) -> None:
        """Where weights come from that were learnt online."""
        self._learning = learning

    # -- archive and reference time

    def clear(self) -> None:
        """Cancels and forgets everything."""
        self.cancel()
        self._runs.clear()
        self._by_job.clear()
        self._scoring.clear()
        self._unscored.clear()
        self._sequence = None

    def set_archive(self, sequence: RadarSequence, reference: int) -> None:
        self._sequence, self._reference = sequence, reference
        self.runs_changed.emit()
        self.shown_changed.emit()

    def extend(self, sequence: RadarSequence, reference: int, moved: Mapping[int, int]) -> None:
        """The same archive with other frames; moved: where frames stand now. Forecasts from frames that are gone go."""
        self._sequence, self._reference = sequence, reference
        runs, self._runs = self._runs, {}
        for run in runs.values():
            if run.reference in moved:
                run.reference, run.outdated = moved[run.reference], run.active
                self._runs[run.forecaster, run.reference] = run
        self.score_missing()

    def set_reference(self, reference: int) -> None:
        self._reference = reference
        self.runs_changed.emit()
        self.shown_changed.emit()

    # -- running

    def start(self) -> None:
        """Runs the forecaster of the settings; a run under way is cancelled, one of the same name replaced."""
        if self._sequence is None:
            return
        from engine.jobs.forecast import ForecastRequest

        wish = self._settings.values
        self.cancel()
        parts = REFINE[2] if wish.downscaler else 1
        network = self._learning.network(wish.forecaster) if self._learning is not None else None
        method = wish.forecaster + (ADAPTED if network is not None else "")
        run = Run(*_names(method, wish.deblurrer, wish.downscaler), self._reference, parts * wish.lead_times,
                  wish.inputs, method, wish.deblurrer, wish.downscaler, parts,
                  marks=(*((SHARPENED,) if wish.deblurrer else ()), *((LEARNT,) if network is not None else ())))
        request = ForecastRequest(
            sequence=self._sequence, forecaster=wish.forecaster, index=self._reference, inputs=wish.inputs,
            lead_times=wish.lead_times, deblurrer=wish.deblurrer or None,
            downscaler=wish.downscaler or None, refine=REFINE, device=wish.device,
            thresholds=wish.thresholds, score=True, compact=True, before=self._needs_plain(run), network=network,
            elevation=tuple(map(Path, wish.elevation)))
        run.job = self._bridge.submit("forecast", request, self._on_forecast, key="forecast", priority=5)
        for one in filter(None, (self._plain(run) if request.before else None, run)):
            self._runs.pop((one.forecaster, one.reference), None)
            self._runs[one.forecaster, one.reference] = one
        self._by_job[run.job] = run
        self._forget_old()
        self._shown_name = run.forecaster
        self.runs_changed.emit()
        self.shown_changed.emit()

    def _needs_plain(self, run: Run) -> bool:
        """Whether the forecast as it is before the deblurrer is not there yet."""
        there = self.origin(run)
        return bool(run.deblurrer) and not run.downscaler and not (
            there is not None and there.state == DONE and there.inputs == run.inputs
            and there.lead_times >= run.lead_times)

    def _plain(self, run: Run) -> Run:
        """The forecast that a sharpened run is made of; its frames come with those of the sharpened one."""
        run.plain = Run(*_names(run.method, "", ""), run.reference, run.lead_times, run.inputs, run.method,
                        marks=tuple(mark for mark in run.marks if mark == LEARNT))
        return run.plain

    def cancel(self) -> None:
        """What was computed stays, marked as partial."""
        for run in self._by_job.values():
            if run.active:
                self._bridge.cancel(run.job)

    def _on_forecast(self, job: int, event: Event) -> None:
        run = self._by_job.get(job)
        if run is None:
            return
        if isinstance(event, Started):
            for one in filter(None, (run, run.plain)):
                one.state = RUNNING
            self.runs_changed.emit()
        elif isinstance(event, Progress):
            self.progressed.emit(run, event.fraction, event.text)
        elif isinstance(event, Warned):
            run.notes = (*run.notes, event.text)
            run.marks = tuple(dict.fromkeys((*run.marks, *filter(None, (event.mark,)))))
            if run.plain is not None and event.kind != "deblurrer":
                run.plain.notes = (*run.plain.notes, event.text)
                run.plain.marks = tuple(dict.fromkeys((*run.plain.marks, *filter(None, (event.mark,)))))
            self.runs_changed.emit()
        elif isinstance(event, FrameReady):
            self._take(run, event)
        elif isinstance(event, ScoreReady):
            run.tallies[event.lead_minutes] = event.tally
            self._want_scores(run)
        elif isinstance(event, Finished | Failed | Stopped):
            self._end(run, event)

    def _take(self, run: Run, event: FrameReady) -> None:
        shown = _first_member(event.rain_rate)
        if run.plain is not None and event.before is not None:
            run.plain.frames[event.lead_index] = RunFrame(event.lead_minutes, event.valid_time,
                                                          _first_member(event.before))
        run.frames[event.lead_index] = RunFrame(event.lead_minutes, event.valid_time, shown, kernel=event.kernel) \
            if event.as_measured is None else \
            RunFrame(event.lead_minutes, event.valid_time, _first_member(event.as_measured), shown, event.grid)
        self.frame_arrived.emit(run, event.lead_index)

    def _end(self, run: Run, event: Event) -> None:
        del self._by_job[run.job]
        if isinstance(event, Finished):
            run.state, run.device = DONE, str(event.result.get("device", ""))
        elif isinstance(event, Failed):
            run.state, run.error = FAILED, event.error
        else:
            run.state = PARTIAL
        if run.plain is not None:
            run.plain.state = PARTIAL if run.state == FAILED else run.state
            run.plain.device = run.device
        for one in filter(None, (run, run.plain)):
            if one.state == PARTIAL and not one.frames and self._runs.get((one.forecaster, one.reference)) is one:
                del self._runs[one.forecaster, one.reference]
        if run.outdated and run.frames:
            self._want_scores(run)
        if run.plain is not None and run.plain.frames:
            self._want_scores(run.plain)
        self.runs_changed.emit()
        self.run_ended.emit(run)
        if isinstance(event, Failed):
            self.failed.emit(event.error)

    def _forget_old(self) -> None:
        while len(self._runs) > 1 and sum(run.nbytes for run in self._runs.values()) > KEPT_BYTES:
            self._runs.pop(next(iter(self._runs)))

    # -- scores

    def rescore_all(self) -> None:
        """After thresholds or pooling have changed; other reference times follow when they are shown again."""
        for job in self._scoring:
            self._bridge.cancel(job)
        for run in self._runs.values():
            run.scores = None
            if run.tallies:
                self._want_scores(run)

    def set_region(self, region: Region | None) -> None:
        """Where scores are counted from now on, in the grid's coordinates. What is shown stays until the new scores
        are there; they are asked for at once, those of the last region win."""
        self.region = region
        for run in self._runs.values():
            if run.tallies and run.reference != self._reference:
                run.scores = None
            elif run.tallies:
                self._unscored[run.serial] = run
        self._rescore_waiting()

    def score_missing(self) -> None:
        """After observations have come: lead times that waited for them are scored."""
        for run in self._runs.values():
            if run.frames and not run.active:
                self._want_scores(run)

    def scoring(self) -> bool:
        """Whether scores are still to come."""
        return bool(self._scoring or self._unscored)

    def _want_scores(self, run: Run) -> None:
        self._unscored[run.serial] = run
        if not self._rescore_timer.isActive():
            self._rescore_timer.start()

    def _rescore_waiting(self) -> None:
        """One job for each run; while it is under way newer wishes wait, so that each wish has an end in sight."""
        from engine.jobs.rescore import RescoreRequest

        busy = {run.serial for run in self._scoring.values()}
        waiting = {serial: run for serial, run in self._unscored.items() if serial not in busy}
        self._unscored = {serial: run for serial, run in self._unscored.items() if serial in busy}
        for serial, run in waiting.items():
            frames = tuple((f.minutes, f.time, f.rain_rate) for _, f in sorted(run.frames.items()))
            request = RescoreRequest(serial, run.counted(), self._settings.values.thresholds, self._sequence, frames,
                                     missing=not run.active, region=self.region, pool=self._settings.values.pool,
                                     tiles=tuple(run.tiles.items()))
            job = self._bridge.submit("rescore", request, self._on_scores, key=f"rescore-{serial}", priority=8)
            self._scoring[job] = run

    def _on_scores(self, job: int, event: Event) -> None:
        from engine.jobs.rescore import ScoresReady, TilesReady

        run = self._scoring.get(job)
        if run is None:
            return
        if isinstance(event, ScoreReady):
            run.tallies[event.lead_minutes] = event.tally
        elif isinstance(event, TilesReady):
            run.tiles[event.lead_minutes] = event.tiles
        elif isinstance(event, ScoresReady):
            run.scores = event.document
        elif isinstance(event, Finished | Failed | Stopped):
            del self._scoring[job]
            if isinstance(event, Failed):
                self.failed.emit(event.error)
            self.scores_changed.emit(run)
            if run.serial in self._unscored:
                self._rescore_waiting()


def _first_member(rain_rate: AnyField) -> AnyField:
    """An ensemble shows its first member."""
    return rain_rate[0] if isinstance(rain_rate, np.ndarray) and rain_rate.ndim == 3 else rain_rate


def _names(forecaster: str, deblurrer: str, downscaler: str) -> tuple[str, str]:
    """Name and title of a run."""
    chain = (("forecaster", forecaster), ("deblurrer", deblurrer), ("downscaler", downscaler))
    used = [(kind, name) for kind, name in chain if name]
    return " + ".join(name for _, name in used), " + ".join(_title(kind, name) for kind, name in used)


def _title(kind: str, name: str) -> str:
    adapted = ", online-adapted" if name.endswith(ADAPTED) else ""
    return catalogue.row(kind, name.removesuffix(ADAPTED)).title + adapted
