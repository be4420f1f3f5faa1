"""What the open file holds beside what is shown: SEVIR's hundreds of events, say. Asked for once it is open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.bridge import EngineBridge
from app.session import Session
from engine.jobs.events import Event

if TYPE_CHECKING:
    from engine.jobs.parts import PartInfo


class Parts(QObject):
    """known: the sequences of the open file, none where there is nothing to choose."""

    changed = Signal()

    def __init__(self, session: Session, bridge: EngineBridge, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._bridge = bridge
        self._job = 0
        self.file = Path()
        self.known: tuple[PartInfo, ...] = ()
        session.archive_changed.connect(self._ask)

    @property
    def current(self) -> str:
        """The name of the one on show, the first where none was named."""
        _, _, name = self._session.paths[0].name.partition("#") if self._session.paths else ("", "", "")
        return name or (self.known[0].name if self.known else "")

    def open(self, name: str) -> None:
        self._session.open([self.file.with_name(f"{self.file.name}#{name}")])

    def _ask(self) -> None:
        from engine.jobs.parts import PartsRequest

        paths = self._session.paths
        if len(paths) == 1 and self.known and paths[0].name.startswith(f"{self.file.name}#") \
                and paths[0].parent == self.file.parent:
            return  # another one of the same file
        self.known = ()
        self.changed.emit()
        if len(paths) == 1:
            self._job = self._bridge.submit("parts", PartsRequest(paths[0]), self._on_event, key="parts")

    def _on_event(self, job: int, event: Event) -> None:
        from engine.jobs.parts import PartsReady

        if job == self._job and isinstance(event, PartsReady):
            self.file, self.known = event.file, event.parts if len(event.parts) > 1 else ()
            self.changed.emit()
