"""Pictures of frames for the panes: the visible ones first, their neighbours after, the latest used kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from app.bridge import EngineBridge
from engine.display.picture import Picture
from engine.jobs.display import DisplayRequest, PictureFailed, PictureReady, Wanted
from engine.jobs.events import TERMINAL, Event

BUDGET_BYTES = 256 << 20
LARGE_BYTES = 8 << 20
CHUNK = 4
"""Neighbours asked for at once, so that scores and visible frames never wait long behind them."""


class Pictures(QObject):
    """A store with a byte budget. Names are the caller's; a change of colours or thresholds empties it."""

    arrived = Signal(object)
    failed = Signal(object, str)

    def __init__(self, bridge: EngineBridge, parent: QObject | None = None, budget: int = BUDGET_BYTES) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._budget = budget
        self._store: OrderedDict[Hashable, Picture] = OrderedDict()
        self._used = 0
        self._bad: dict[Hashable, str] = {}
        self._waiting: list[Wanted] = []
        self._wished: set[Hashable] = set()
        self._urgent: tuple[Hashable, ...] = ()
        self._job = 0
        self._colours: NDArray[np.uint32] | None = None
        self._thresholds: tuple[float, ...] = ()

    def get(self, name: Hashable) -> Picture | None:
        picture = self._store.get(name)
        if picture is not None:
            self._store.move_to_end(name)
        return picture

    def why_not(self, name: Hashable) -> str | None:
        """The reason for which a frame cannot be drawn, if there is one."""
        return self._bad.get(name)

    def restyle(self, colours: NDArray[np.uint32], thresholds: tuple[float, ...]) -> None:
        """New colours (256 of uint32 0xffRRGGBB) or thresholds (mm/h): all pictures are made anew on demand."""
        self._colours, self._thresholds = colours, thresholds
        self.clear()

    @property
    def style(self) -> tuple[NDArray[np.uint32], tuple[float, ...]]:
        """The colours and thresholds of all pictures."""
        assert self._colours is not None
        return self._colours, self._thresholds

    def clear(self) -> None:
        self._bridge.cancel(self._job)
        self._store.clear()
        self._bad.clear()
        self._waiting.clear()
        self._urgent = ()
        self._used, self._job = 0, 0

    def want(self, visible: Iterable[Wanted], neighbours: Iterable[Wanted]) -> None:
        """Replaces all earlier wishes. neighbours: nearest first; so many are made as there is room for."""
        seen, near = list(visible), list(neighbours)
        for wish in (*reversed(near), *reversed(seen)):  # what is wished for goes last
            self.get(wish.name)
        self._wished = {wish.name for wish in (*seen, *near)}
        urgent = [w for w in seen if self._lacks(w)]
        self._waiting = [w for w in near if self._lacks(w)]
        names = tuple(w.name for w in urgent)
        if urgent and names != self._urgent:
            self._urgent = names
            self._submit(urgent, 10)
        elif not urgent and self._job == 0:
            self._next()

    def idle(self) -> bool:
        return self._job == 0

    def _room(self) -> int:
        """How many neighbours to make next: none that would push out another one, which would go on for ever; large
        ones one by one, so that what is visible waits for no more than one."""
        if not self._store:
            return 1
        each = self._used / len(self._store)
        kept = sum(picture.nbytes for name, picture in self._store.items() if name in self._wished)
        return min(CHUNK if each < LARGE_BYTES else 1, int((self._budget - kept) / max(each, 1.0)))

    def _lacks(self, wanted: Wanted) -> bool:
        return wanted.name not in self._store and wanted.name not in self._bad

    def _submit(self, wanted: list[Wanted], priority: int) -> None:
        if self._colours is None:
            return
        request = DisplayRequest(tuple(wanted), self._colours, self._thresholds)
        self._job = self._bridge.submit("display", request, self._on_display, key="display", priority=priority)

    def _next(self) -> None:
        wanted = [w for w in self._waiting if self._lacks(w)][:max(0, self._room())]
        if wanted:
            self._submit(wanted, 0)

    def _on_display(self, job: int, event: Event) -> None:
        if job != self._job:
            return
        if isinstance(event, PictureReady):
            self._keep(event.name, event.picture)
            self.arrived.emit(event.name)
        elif isinstance(event, PictureFailed):
            self._bad[event.name] = event.reason
            self.failed.emit(event.name, event.reason)
        elif isinstance(event, TERMINAL):
            self._job, self._urgent = 0, ()
            self._next()

    def _keep(self, name: Hashable, picture: Picture) -> None:
        before = self._store.pop(name, None)
        self._used += picture.nbytes - (before.nbytes if before else 0)
        self._store[name] = picture
        while self._used > self._budget and len(self._store) > 2:
            _, oldest = self._store.popitem(last=False)
            self._used -= oldest.nbytes
