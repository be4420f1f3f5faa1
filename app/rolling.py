"""Rolling verification in the window: forecasts are kept for their observations, the last hours' scores are known."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Signal

from app.bridge import EngineBridge
from app.runs import DONE, PARTIAL, Run
from app.session import Session
from engine.jobs.events import TERMINAL, Event, Finished

SOON_MS = 200


class Rolling(QObject):
    """changed: the scores of the last hours are others."""

    changed = Signal()

    def __init__(self, session: Session, bridge: EngineBridge, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._bridge = session, bridge
        self._lines: dict[str, tuple[str, str]] = {}
        self._job = 0
        self._keeping: set[int] = set()
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(SOON_MS)
        self._soon.timeout.connect(self._update)
        session.archive_changed.connect(self._new_archive)
        session.frames_added.connect(self._soon.start)
        session.thresholds_changed.connect(self._soon.start)
        session.forecasting.run_ended.connect(self._on_run)

    def short(self, forecaster: str) -> str:
        """A few words about a forecaster's last hours, empty where nothing is known."""
        return self._lines.get(forecaster, ("", ""))[0]

    def line(self, forecaster: str) -> str:
        """CSI 0.5 mm/h, last 3 h: 0.62 (n=24)"""
        return self._lines.get(forecaster, ("", ""))[1]

    def stop(self) -> None:
        self._soon.stop()

    def _new_archive(self) -> None:
        if self._lines:
            self._lines = {}
            self.changed.emit()
        self._soon.start()

    def _on_run(self, run: Run) -> None:
        """What is still to be observed waits in a file."""
        from engine.jobs.rolling import KeepRequest

        session = self._session
        if session.sequence is None or not session.paths or run.state not in (DONE, PARTIAL) or session.clock is None:
            return
        times = session.clock.times
        frames = tuple((frame.minutes, frame.time, frame.rain_rate) for lead, frame in sorted(run.frames.items())
                       if (lead + 1) % run.parts == 0)  # nothing is observed in between
        if run.reference < len(times) and any(time > times[-1] for _, time, _ in frames):
            request = KeepRequest(session.paths, session.sequence, run.forecaster, times[run.reference], run.inputs,
                                  frames)
            self._keeping.add(self._bridge.submit("keep", request, self._on_kept))

    def _on_kept(self, job: int, event: Event) -> None:
        if isinstance(event, TERMINAL):
            self._keeping.discard(job)
            if isinstance(event, Finished):
                self._soon.start()

    def _update(self) -> None:
        from engine.jobs.rolling import RollingRequest

        session = self._session
        if session.sequence is None or not session.paths:
            return
        request = RollingRequest(session.paths, session.sequence, session.thresholds[0], session.thresholds)
        self._job = self._bridge.submit("rolling", request, self._on_event, key="rolling")

    def _on_event(self, job: int, event: Event) -> None:
        from engine.jobs.rolling import RecentReady

        if job == self._job and isinstance(event, RecentReady):
            lines = {}
            for score in event.scores:
                value = "–" if score.csi is None else f"{score.csi:.2f}"
                lines[score.forecaster] = (
                    f"{value}  (n={score.count})",
                    f"CSI {event.threshold:g} mm/h, last {event.hours:g} h: {value} (n={score.count})")
            if lines != self._lines:
                self._lines = lines
                self.changed.emit()
