"""Following the open archive: new files are noticed, the frames they hold join those on show.

A watch on the archive's folders and a look every half minute, for file systems that tell nothing. Files may still be
being written when they are noticed: what cannot be read yet is read at a later look.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QFileSystemWatcher, QObject, QTimer, Signal

from app.bridge import EngineBridge
from app.session import Session
from app.settings import Settings
from engine.jobs.events import TERMINAL, ArchiveOpened, Event, Failed

LOOK_MS = 30_000
SETTLE_MS = 800
"""After a change one waits so long for the next: files come in several pieces, and often in groups."""


class Following(QObject):
    """changed: switched on or off."""

    changed = Signal(bool)

    def __init__(self, session: Session, bridge: EngineBridge, settings: Settings,
                 parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._bridge, self._settings = session, bridge, settings
        self._state: Any = None
        self._job = 0
        self._again = False
        self._watcher = QFileSystemWatcher(self)
        self._watcher.directoryChanged.connect(self._noticed)
        self._look = QTimer(self)
        self._look.setInterval(LOOK_MS)
        self._look.timeout.connect(self.look)
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._settle.timeout.connect(self.look)
        session.archive_changed.connect(self._new_archive)

    @property
    def on(self) -> bool:
        return self._settings.values.follow

    def set_on(self, on: bool) -> None:
        if on != self.on:
            self._settings.values.follow = on
            self._new_archive()
            self.changed.emit(on)

    def stop(self) -> None:
        """At the end of the window."""
        self._look.stop()
        self._settle.stop()
        self._unwatch()

    def look(self) -> None:
        """Looks now; if it is looked at already, once more afterwards."""
        from engine.jobs.refresh import RefreshRequest

        session = self._session
        if not self.on or session.sequence is None or not self._is_followable():
            return
        if self._job or session.is_opening:
            self._again = bool(self._job)
            return
        request = RefreshRequest(session.paths, self._state, session.polar)
        self._job = self._bridge.submit("refresh", request, self._on_event, key="refresh", priority=-5)

    def _is_followable(self) -> bool:
        return any(path.is_dir() for path in self._session.paths)

    def _new_archive(self) -> None:
        self._bridge.cancel(self._job)
        self._job, self._state, self._again = 0, None, False
        self._unwatch()
        self._settle.stop()
        if self.on and self._session.sequence is not None and self._is_followable():
            self._look.start()
            QTimer.singleShot(0, self.look)
        else:
            self._look.stop()

    def _noticed(self, path: str) -> None:
        if not self._settle.isActive():
            self._settle.start()

    def _on_event(self, job: int, event: Event) -> None:
        from engine.jobs.refresh import Looked

        if job != self._job:
            return
        if isinstance(event, Looked):
            self._state = event.state
            self._watch(event.folders)
        elif isinstance(event, ArchiveOpened):
            self._session.extend(event.sequence)
        elif isinstance(event, TERMINAL):
            self._job = 0
            if isinstance(event, Failed):  # nothing readable just now; the next look may find more
                self._state = frozenset()
            if self._again:
                self._again = False
                self._settle.start()

    def _watch(self, folders: Sequence[Path]) -> None:
        wanted, known = {str(folder) for folder in folders}, set(self._watcher.directories())
        if known - wanted:
            self._watcher.removePaths(sorted(known - wanted))
        if wanted - known:
            self._watcher.addPaths(sorted(wanted - known))

    def _unwatch(self) -> None:
        if self._watcher.directories():
            self._watcher.removePaths(self._watcher.directories())
