"""The bridge: events arrive in the GUI thread, in order, at QObject methods only; closing drops the rest."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from PySide6.QtCore import QObject, Signal
from pytestqt.qtbot import QtBot

from app.bridge import EngineBridge
from engine import catalogue
from engine.errors import NotEnoughInput
from engine.jobs.events import TERMINAL, Event, Failed, Finished, Progress, Started, Stopped, Warned
from engine.jobs.scope import Scope
from tests.app.storms import Relay


def counting(request: int, scope: Scope) -> Iterator[Event]:
    for number in range(request):
        yield Progress(number / request)
    yield Finished({"count": request})


def endless(request: Any, scope: Scope) -> Iterator[Event]:
    while True:
        scope.token.check()
        time.sleep(0.005)
        yield Progress(None)


def failing(request: Any, scope: Scope) -> Iterator[Event]:
    yield Warned("odd")
    raise NotEnoughInput("too short")


@pytest.fixture
def bridge(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineBridge]:
    jobs = {"count": counting, "endless": endless, "fail": failing}
    monkeypatch.setattr(catalogue, "row", lambda kind, name: SimpleNamespace(family="", title=name))
    monkeypatch.setattr(catalogue, "load", lambda kind, name: jobs[name])
    before = set(threading.enumerate())
    made = EngineBridge()
    yield made
    assert made.close()
    assert set(threading.enumerate()) <= before


def ended(relay: Relay) -> bool:
    return bool(relay.events) and isinstance(relay.events[-1], TERMINAL)


def test_events_come_in_order_and_in_the_gui_thread(bridge: EngineBridge, qtbot: QtBot) -> None:
    relay = Relay()
    bridge.submit("count", 50, relay.take)
    qtbot.waitUntil(lambda: ended(relay))
    assert relay.kinds() == [Started, *[Progress] * 50, Finished]
    assert relay.elsewhere == 0
    assert not bridge.busy()


def test_only_methods_of_qobjects_may_receive(bridge: EngineBridge) -> None:
    with pytest.raises(TypeError, match="QObject"):
        bridge.submit("count", 1, lambda job, event: None)
    with pytest.raises(TypeError, match="QObject"):
        bridge.submit("count", 1, [].append)  # type: ignore[arg-type]


def test_a_cancelled_job_ends_with_stopped(bridge: EngineBridge, qtbot: QtBot) -> None:
    relay = Relay()
    number = bridge.submit("endless", None, relay.take)
    qtbot.waitUntil(lambda: Progress in relay.kinds())
    bridge.cancel(number)
    qtbot.waitUntil(lambda: ended(relay))
    assert isinstance(relay.events[-1], Stopped)


def test_nothing_but_its_end_arrives_from_a_replaced_job(bridge: EngineBridge, qtbot: QtBot) -> None:
    old, new = Relay(), Relay()
    bridge.submit("endless", None, old.take, key="same")
    qtbot.waitUntil(lambda: len(old.events) > 3)
    bridge.submit("count", 5, new.take, key="same")
    seen = len(old.events)
    qtbot.waitUntil(lambda: ended(new) and ended(old))
    assert [type(event) for event in old.events[seen:]] == [Stopped]
    assert len(new.events) == 7


def test_errors_and_warnings_are_events(bridge: EngineBridge, qtbot: QtBot) -> None:
    relay, warnings = Relay(), []
    bridge.warned.connect(warnings.append)
    bridge.submit("fail", None, relay.take)
    qtbot.waitUntil(lambda: ended(relay))
    last = relay.events[-1]
    assert isinstance(last, Failed)
    assert str(last.error) == "too short"
    assert warnings == ["odd"]


def test_closing_cancels_joins_and_drops_what_is_late(qtbot: QtBot, bridge: EngineBridge) -> None:
    relay = Relay()
    bridge.submit("endless", None, relay.take)
    qtbot.waitUntil(lambda: Progress in relay.kinds())
    assert bridge.close()
    seen = len(relay.events)
    qtbot.wait(30)
    assert len(relay.events) == seen
    assert bridge.submit("count", 1, relay.take) == 0


def test_a_signal_emitted_often_loses_no_reference(qtbot: QtBot) -> None:
    """PySide6 6.12.0 dropped a reference of True and None at each emit before Python 3.12."""

    class Sender(QObject):
        yes = Signal(bool)
        nothing = Signal(object)

        def __init__(self) -> None:
            super().__init__()
            self.count = 0

        def take(self, value: object) -> None:
            self.count += 1

    sender = Sender()
    sender.yes.connect(sender.take)
    sender.nothing.connect(sender.take)
    before = sys.getrefcount(True), sys.getrefcount(None)
    for _ in range(5000):
        sender.yes.emit(True)
        sender.nothing.emit(None)
    after = sys.getrefcount(True), sys.getrefcount(None)
    assert sender.count == 10_000
    assert after[0] >= before[0] - 50
    assert after[1] >= before[1] - 50
