"""The clutter mask of the open archive: found once by the engine, then switched on and off."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from app.bridge import EngineBridge
from app.session import Session
from engine.errors import StormdeckError
from engine.jobs.events import Event, Failed, Finished, Progress, Stopped


class Clutter(QObject):
    """progressed(fraction or None, text) while the mask is being found; changed: switched on or off."""

    progressed = Signal(object, str)
    ended = Signal()
    changed = Signal(bool)
    failed = Signal(object)

    def __init__(self, session: Session, bridge: EngineBridge, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._bridge = bridge
        self._job = 0
        self._paths = session.paths
        session.archive_changed.connect(self._new_archive)

    @property
    def busy(self) -> bool:
        return self._job != 0

    def set_on(self, on: bool) -> None:
        """Takes the kept mask, or has it found first."""
        session = self._session
        if on == session.masked:
            return
        if not on:
            self.cancel()
            session.set_mask(None)
            self.changed.emit(False)
            return
        if session.sequence is None or not session.paths:
            self.failed.emit(StormdeckError("There is no archive whose clutter could be found.",
                                            advice="Open an archive from files first."))
            self.changed.emit(False)
        elif not self._apply():
            self._find()

    def cancel(self) -> None:
        if self._job:
            self._bridge.cancel(self._job)

    def _apply(self) -> bool:
        from engine.jobs.denoise import kept_mask

        sequence = self._session.sequence
        mask = kept_mask(self._session.paths, sequence) if sequence is not None else None
        if mask is None:
            return False
        self._session.set_mask(mask.excluded)
        self.changed.emit(True)
        return True

    def _find(self) -> None:
        from engine.jobs.denoise import DenoiseRequest

        self._paths = self._session.paths
        self._job = self._bridge.submit("denoise", DenoiseRequest(self._paths), self._on_event, key="denoise")
        self.progressed.emit(None, "Looking for clutter…")

    def _on_event(self, job: int, event: Event) -> None:
        if job != self._job:
            return
        if isinstance(event, Progress):
            self.progressed.emit(event.fraction, event.text)
        elif isinstance(event, Finished | Failed | Stopped):
            self._job = 0
            self.ended.emit()
            if isinstance(event, Failed):
                self.failed.emit(event.error)
            if not (isinstance(event, Finished) and self._paths == self._session.paths and self._apply()):
                self.changed.emit(self._session.masked)

    def _new_archive(self) -> None:
        self.cancel()
        self.changed.emit(False)
