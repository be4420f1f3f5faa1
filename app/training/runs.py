"""The training runs that the window knows: looked at now and then, begun, asked, and their weights taken into use."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from app.bridge import EngineBridge
from engine.jobs.events import Event, Failed, Finished, Stopped
from engine.jobs.promote import PromoteRequest
from engine.jobs.training_desk import ADD, FORGET, AskRequest, StartRequest, ask
from engine.jobs.training_look import PAUSE, RUNNING, STARTING, STOP, LookRequest, RunsSeen, RunView

log = logging.getLogger(__name__)

WATCH_MS, GLANCE_MS = 1000, 10_000
"""Between two looks: while somebody watches, and while runs go on unwatched."""


class TrainingRuns(QObject):
    """changed: runs came, went or stand otherwise. begun: a process was started in a folder. promoted: what the job
    promote says. working: weights are being taken into use."""

    changed = Signal()
    begun = Signal(object)
    promoted = Signal(dict)
    working = Signal(bool)
    failed = Signal(object)

    def __init__(self, bridge: EngineBridge, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._runs: dict[Path, RunView] = {}
        self._own: set[Path] = set()
        self._look_job = self._promoting = 0
        self._starting: dict[int, Path] = {}
        self._again = self._watched = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.look)

    # -- what there is

    def all(self) -> tuple[RunView, ...]:
        """Those begun last first."""
        return tuple(self._runs.values())

    def get(self, folder: Path | None) -> RunView | None:
        return None if folder is None else self._runs.get(folder)

    def under_way(self) -> tuple[RunView, ...]:
        return tuple(run for run in self.all() if is_under_way(run))

    def own_under_way(self) -> tuple[RunView, ...]:
        """Those that this window has begun."""
        return tuple(run for run in self.under_way() if run.folder in self._own)

    # -- looking

    def watch(self, watched: bool) -> None:
        """Whether somebody looks at the runs."""
        self._watched = watched
        if watched:
            self.look()

    def look(self) -> None:
        """Looks now; if it is looked at already, once more afterwards."""
        if self._look_job:
            self._again = True
            return
        request = LookRequest({folder: run.known for folder, run in self._runs.items()})
        self._look_job = self._bridge.submit("training-look", request, self._on_look, key="training-look")

    def stop(self) -> None:
        """At the end of the window."""
        self._watched = False
        self._timer.stop()

    def _on_look(self, job: int, event: Event) -> None:
        if job != self._look_job:
            return
        if isinstance(event, RunsSeen):
            self._take(event.runs)
        elif isinstance(event, Finished | Failed | Stopped):
            self._look_job = 0
            if self._again:
                self._again = False
                self.look()
            elif self._watched or self.under_way():
                self._timer.start(WATCH_MS if self._watched else GLANCE_MS)

    def _take(self, seen: tuple[RunView, ...]) -> None:
        before = {run.folder: _looks(run) for run in self.all()}
        self._runs = {run.folder: run for run in seen}
        if before != {run.folder: _looks(run) for run in seen} or list(before) != list(self._runs):
            self.changed.emit()

    # -- what is done

    def start(self, request: StartRequest) -> None:
        """Begins a run, or goes on with one."""
        job = self._bridge.submit("training-start", request, self._on_started)
        self._starting[job] = request.output.absolute()

    def go_on(self, folder: Path, device: str = "auto") -> None:
        self.start(StartRequest(folder, device=device))

    def pause(self, folder: Path) -> None:
        self._ask(folder, PAUSE)

    def pause_now(self, runs: tuple[RunView, ...]) -> None:
        """Asks before the window ends and its jobs with it; a small file each."""
        for run in runs:
            try:
                ask(run.folder, PAUSE)
            except OSError as problem:
                log.warning("%s could not be asked to pause: %s", run.folder, problem)

    def end(self, folder: Path) -> None:
        """The run ends here, with the weights that it has."""
        self._ask(folder, STOP)

    def forget(self, folder: Path) -> None:
        self._ask(folder, FORGET)

    def add(self, folder: Path) -> None:
        self._ask(folder, ADD)

    def _ask(self, folder: Path, wish: str) -> None:
        self._bridge.submit("training-ask", AskRequest(folder, wish), self._on_asked)

    def promote(self, folder: Path, checkpoint: str) -> None:
        """checkpoint: "best" or "last"."""
        if not self._promoting:
            self._promoting = self._bridge.submit("promote", PromoteRequest(folder, checkpoint), self._on_promoted)
            self.working.emit(True)

    def _on_started(self, job: int, event: Event) -> None:
        if isinstance(event, Finished):
            folder = self._starting.pop(job)
            self._own.add(folder)
            self.begun.emit(folder)
            self.look()
        elif isinstance(event, Failed | Stopped):
            self._starting.pop(job)
            self._tell(event)

    def _on_asked(self, job: int, event: Event) -> None:
        self._tell(event)
        if isinstance(event, Finished | Failed):
            self.look()

    def _on_promoted(self, job: int, event: Event) -> None:
        self._tell(event)
        if isinstance(event, Finished | Failed | Stopped):
            self._promoting = 0
            self.working.emit(False)
            if isinstance(event, Finished):
                self.promoted.emit(event.result)

    def _tell(self, event: Event) -> None:
        if isinstance(event, Failed):
            self.failed.emit(event.error)


def is_under_way(run: RunView) -> bool:
    return run.status.state in (STARTING, RUNNING)


def _looks(run: RunView) -> Any:
    """What of a run is on show."""
    return run.status, run.known.offset, run.samples, run.checkpoints, run.best, run.weights


