"""Results of the engine by name: what panels wish for, one after another, kept until there are too many."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.bridge import EngineBridge
from engine.jobs.events import TERMINAL, Event, Failed

KEPT = 1200


@dataclass(frozen=True)
class Wish:
    """request: makes the request when its turn has come. take: the result from an event, None from others."""

    name: Hashable
    kind: str
    request: Callable[[], Any]
    take: Callable[[Event], Any]


class Wishes(QObject):
    """The owners' newest wishes replace their earlier ones; what nobody wants any more is cancelled."""

    arrived = Signal(object)

    def __init__(self, bridge: EngineBridge, parent: QObject | None = None, kept: int = KEPT) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self.kept = kept
        self._store: OrderedDict[Hashable, Any] = OrderedDict()
        self._bad: dict[Hashable, str] = {}
        self._wanted: dict[int, tuple[Wish, ...]] = {}
        self._now: Wish | None = None
        self._job = 0

    def get(self, name: Hashable) -> Any:
        """The result, None where it is not there (yet)."""
        if name in self._store:
            self._store.move_to_end(name)
        return self._store.get(name)

    def why_not(self, name: Hashable) -> str:
        """The reason for which there will be no result."""
        return self._bad.get(name, "")

    def want(self, owner: object, wishes: Sequence[Wish]) -> None:
        """In order of urgency; replaces what this owner wanted before."""
        self._wanted[id(owner)] = tuple(wish for wish in wishes if self._lacks(wish))
        wanted = {wish.name for wishes_of_one in self._wanted.values() for wish in wishes_of_one}
        if self._now is not None and self._now.name not in wanted:
            self._bridge.cancel(self._job)
            self._now, self._job = None, 0
        self._next()

    def idle(self) -> bool:
        return self._now is None

    def clear(self) -> None:
        self._bridge.cancel(self._job)
        self._store.clear()
        self._bad.clear()
        self._wanted.clear()
        self._now, self._job = None, 0

    def _lacks(self, wish: Wish) -> bool:
        return wish.name not in self._store and wish.name not in self._bad

    def _next(self) -> None:
        if self._now is not None:
            return
        for wishes in self._wanted.values():
            wish = next((wish for wish in wishes if self._lacks(wish)), None)
            if wish is not None:
                self._now = wish
                self._job = self._bridge.submit(wish.kind, wish.request(), self._on_event, priority=3)
                return

    def _on_event(self, job: int, event: Event) -> None:
        if job != self._job or self._now is None:
            return
        if isinstance(event, TERMINAL):
            wish, self._now, self._job = self._now, None, 0
            if isinstance(event, Failed):
                self._bad[wish.name] = str(event.error)
                self.arrived.emit(wish.name)
            elif wish.name not in self._store:
                self._bad[wish.name] = "it was stopped"
            self._next()
            return
        result = self._now.take(event)
        if result is not None:
            self._store[self._now.name] = result
            while len(self._store) > self.kept:
                self._store.popitem(last=False)
            self.arrived.emit(self._now.name)
