"""The one door to the engine: jobs go in, their events come out in the GUI thread.

The engine calls ``deliver`` in its own threads. There the bridge only emits one private signal; Qt queues it to
a bound method of the bridge, which hands the event to the QObject method that asked for the job. Closures would
run in the engine's thread, so that anything but a QObject's method is refused.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, Qt, QThread, Signal

from engine.jobs.events import TERMINAL, Event, Failed, Warned
from engine.service import EngineService, Envelope

log = logging.getLogger(__name__)

SWITCH_SECONDS = 0.001
"""How long an engine thread may keep the interpreter while the window waits for it; Python's own 5 ms, one for each
thread, added up to gaps that a hand feels."""

Receiver = Callable[[int, Event], None]
"""Gets the job's number and an event; a method of a QObject."""


class EngineBridge(QObject):
    """Owns the engine service. All methods belong to the GUI thread."""

    warned = Signal(str)
    job_ended = Signal(int)
    _arrived = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        sys.setswitchinterval(SWITCH_SECONDS)
        self._receivers: dict[int, Receiver] = {}
        self._newest: dict[str, int] = {}
        self._closed = False
        self._arrived.connect(self._route, Qt.ConnectionType.QueuedConnection)
        self._service = EngineService(self._arrived.emit)

    def submit(self, kind: str, request: Any, receiver: Receiver, *, key: str = "", priority: int = 0) -> int:
        """Queues a job and returns its number; 0 once the bridge is closed.

        receiver: gets Started, the job's events and one terminal event. key: a newer job of the same key ends
        the older one, of which only the terminal event still arrives.
        """
        self._assert_gui_thread()
        if not isinstance(getattr(receiver, "__self__", None), QObject):
            raise TypeError("events are delivered to methods of QObjects only")
        if self._closed:
            return 0
        number = self._service.submit(kind, request, key=key, priority=priority)
        self._receivers[number] = receiver
        if key:
            self._newest[key] = number
        return number

    def cancel(self, number: int) -> None:
        self._service.cancel(number)

    def busy(self) -> bool:
        """Whether an event may still come."""
        return bool(self._receivers)

    def close(self) -> bool:
        """Cancels and joins; events that were under way are dropped. False if a thread would not stop."""
        self._assert_gui_thread()
        if self._closed:
            return True
        self._closed = True
        at_rest = self._service.close()
        self._receivers.clear()
        if not at_rest:
            log.warning("an engine thread did not stop in time")
        return at_rest

    def _route(self, envelope: Envelope) -> None:
        self._assert_gui_thread()
        receiver = self._receivers.get(envelope.job)
        if receiver is None or self._closed:
            return
        event, ended = envelope.event, isinstance(envelope.event, TERMINAL)
        if not ended and envelope.key and self._newest.get(envelope.key) != envelope.job:
            return
        if ended:
            self._forget(envelope)
        if isinstance(event, Warned):
            log.warning("%s", event.text)
            self.warned.emit(event.text)
        if isinstance(event, Failed):
            log.error("%s\n%s", event.error, event.detail)
        receiver(envelope.job, event)
        if ended:
            self.job_ended.emit(envelope.job)

    def _forget(self, envelope: Envelope) -> None:
        del self._receivers[envelope.job]
        if self._newest.get(envelope.key) == envelope.job:
            del self._newest[envelope.key]

    def _assert_gui_thread(self) -> None:
        assert QThread.currentThread() is self.thread(), "the bridge belongs to the GUI thread"
