"""Drives the window without hands: open, forecast, scores, one lead time, a screenshot, an animation.

It waits for what the window itself waits for, so that it proves the program wherever it runs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtWidgets import QApplication

from app.exporting import ExportWish, export_request
from app.runs import DONE, Run
from app.settings import Settings
from app.window import MainWindow
from engine.errors import StormdeckError
from engine.jobs.events import Event, Failed, Finished

WATCHDOG_S = 300
LEAD_MINUTES = 30.0
SIZE = (1600, 1000)
SETTLE_MS = 60


class Demo(QObject):
    """One step after the other, each begun by a signal of the one before."""

    ended = Signal(int)

    def __init__(self, window: MainWindow, paths: Sequence[Path], folder: Path | None) -> None:
        super().__init__()
        self._window = window
        self._paths = paths
        self._folder = folder
        self._kinds = ["mp4", "gif"]
        self._reason = ""
        self._over = False
        self.written: list[Path] = []
        session = window.session
        session.failed.connect(self._on_problem)
        session.opening_ended.connect(self._on_opened)
        session.forecasting.run_ended.connect(self._on_progress)
        session.forecasting.scores_changed.connect(self._on_progress)
        self._watchdog = QTimer(self)
        self._watchdog.setSingleShot(True)
        self._watchdog.timeout.connect(self._too_long)
        self._settle = QTimer(self)
        self._settle.setInterval(SETTLE_MS)
        self._settle.timeout.connect(self._when_painted)

    def begin(self) -> None:
        self._watchdog.start(WATCHDOG_S * 1000)
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
        if self._paths:
            self._window.startup.forecast_when_open()
        self._window.startup.begin(self._paths)

    def _on_opened(self, done: bool) -> None:
        if not done:
            self._end(self._reason or "the archive was not opened")

    def _on_problem(self, error: StormdeckError) -> None:
        self._reason = str(error)
        if not self._window.session.is_opening:
            self._end(self._reason)

    def _on_progress(self, run: Run) -> None:
        """Goes on once the forecast and all its scores are there."""
        forecasting = self._window.session.forecasting
        if run.state != DONE or forecasting.scoring() or self._settle.isActive() or self._over:
            return
        session = self._window.session
        leads = [i for i, place in enumerate(session.places) if place.lead is not None]
        if not leads:
            self._end("the forecast has no lead times")
            return
        session.set_position(min(leads, key=lambda i: abs(session.places[i].minutes - LEAD_MINUTES)))
        self._settle.start()

    def _when_painted(self) -> None:
        """Pictures, coasts and curves arrive on their own; a quiet window has them all."""
        if self._window.bridge.busy() or not self._window.maps.settled:
            return
        self._settle.stop()
        self._save()

    def _save(self) -> None:
        if self._folder is None:
            self._end("" if not self._window.grab().isNull() else "the window could not be drawn")
            return
        path = self._folder / "window.png"
        if not self._window.grab().save(str(path)):
            self._end(f"{path} could not be written")
            return
        self.written.append(path)
        self._export()

    def _export(self) -> None:
        assert self._folder is not None
        kind = self._kinds.pop(0)
        wish = ExportWish(self._folder / f"animation.{kind}", kind)
        self._window.bridge.submit("export", export_request(self._window.context, wish), self._on_export)

    def _on_export(self, job: int, event: Event) -> None:
        if isinstance(event, Finished):
            self.written.append(Path(event.result["output"]))
            self._end("")
        elif isinstance(event, Failed):
            if self._kinds:
                self._export()
            else:
                self._end(str(event.error))

    def _too_long(self) -> None:
        self._end(f"not done after {WATCHDOG_S} s")

    def _end(self, reason: str) -> None:
        if self._over:
            return
        self._over = True
        self._watchdog.stop()
        self._settle.stop()
        for path in self.written:
            print(path)  # noqa: T201 - the answer of a command
        if reason:
            print(f"stormdeck: {reason}", file=sys.stderr)  # noqa: T201
        self.ended.emit(1 if reason else 0)


def run_demo(application: QApplication, settings: Settings, paths: Sequence[Path], folder: Path | None) -> int:
    """The exit code: 0 once everything named in the module's text has happened. folder: None to save nothing."""
    settings.values.geometry = settings.values.state = ""
    window = MainWindow(settings)
    window.resize(*SIZE)
    window.show()
    demo = Demo(window, paths, folder)
    demo.ended.connect(application.exit)
    QTimer.singleShot(0, demo.begin)
    code = application.exec()
    window.close()
    return code
