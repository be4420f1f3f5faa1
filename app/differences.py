"""Difference pictures for their pane, made by the engine when asked for, the last ones kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from PySide6.QtCore import QObject, Signal

from app.appearance import Appearance
from app.bridge import EngineBridge
from engine.display.picture import Picture
from engine.jobs.difference import DifferenceRequest
from engine.jobs.display import PictureReady
from engine.jobs.events import TERMINAL, Event, Failed
from engine.radar.packed import AnyField
from engine.radar.sequence import RadarSequence

KEPT = 48
KEPT_BYTES = 192 << 20


class Differences(QObject):
    """The newest wish replaces earlier ones."""

    arrived = Signal(object)
    failed = Signal(object, str)

    def __init__(self, bridge: EngineBridge, appearance: Appearance, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._appearance = appearance
        self._store: OrderedDict[Hashable, Picture] = OrderedDict()
        self._wanted: Hashable = None
        self._job = 0

    def get(self, name: Hashable) -> Picture | None:
        return self._store.get(name)

    def clear(self) -> None:
        self._store.clear()
        self._bridge.cancel(self._job)
        self._wanted, self._job = None, 0

    def want(self, name: Hashable, predicted: AnyField, sequence: RadarSequence, index: int | None,
             other: AnyField | None = None) -> None:
        """Asks for a picture unless it is there or on its way: minus ``other``, or minus the frame of that index."""
        if name in self._store or name == self._wanted:
            return
        self._wanted = name
        request = DifferenceRequest(name, predicted, sequence, index, self._appearance.difference_colours(), other)
        self._job = self._bridge.submit("difference", request, self._on_event, key="difference", priority=9)

    def _on_event(self, job: int, event: Event) -> None:
        if job != self._job:
            return
        if isinstance(event, PictureReady):
            self._store[event.name] = event.picture
            while len(self._store) > 1 and (len(self._store) > KEPT or self._used() > KEPT_BYTES):
                self._store.popitem(last=False)
            self.arrived.emit(event.name)
        elif isinstance(event, TERMINAL):
            name, self._wanted = self._wanted, None
            if isinstance(event, Failed):
                self.failed.emit(name, str(event.error))

    def _used(self) -> int:
        return sum(picture.nbytes for picture in self._store.values())
