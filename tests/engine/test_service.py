"""The engine's threads: order, replacement, cancelling, errors as values, nothing left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from engine import catalogue
from engine.errors import NotEnoughInput, StormdeckError
from engine.jobs.events import TERMINAL, Event, Failed, Finished, Progress, Started, Stopped
from engine.jobs.scope import Scope
from engine.service import EngineService, Envelope

PATIENCE_S = 20.0


class Listener:
    """Collects envelopes and lets a test wait for the end of a job."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self._news = threading.Condition()

    def __call__(self, envelope: Envelope) -> None:
        with self._news:
            self.envelopes.append(envelope)
            self._news.notify_all()

    def of(self, job: int) -> list[Event]:
        return [e.event for e in self.envelopes if e.job == job]

    def wait_for(self, true: Callable[[], bool]) -> None:
        with self._news:
            assert self._news.wait_for(true, PATIENCE_S)

    def end_of(self, job: int) -> Event:
        self.wait_for(lambda: any(isinstance(e, TERMINAL) for e in self.of(job)))
        return self.of(job)[-1]


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Jobs by name, added by the test; all run in the device lane unless named 'display-...'."""
    known: dict[str, Any] = {}
    monkeypatch.setattr(catalogue, "row", lambda kind, name: SimpleNamespace(
        family="display" if name.startswith("display") else "", title=name))
    monkeypatch.setattr(catalogue, "load", lambda kind, name: known[name])
    return known


@pytest.fixture
def service() -> Iterator[tuple[EngineService, Listener]]:
    before = set(threading.enumerate())
    listener = Listener()
    engine = EngineService(listener)
    yield engine, listener
    assert engine.close()
    assert set(threading.enumerate()) <= before


def gate_job(opened: threading.Event, entered: threading.Event) -> Any:
    def run(request: Any, scope: Scope) -> Iterator[Event]:
        entered.set()
        while not opened.wait(0.005):
            scope.token.check()
        yield Finished({"request": request})

    return run


def quick(request: Any, scope: Scope) -> Iterator[Event]:
    scope.progress(0.5, "half")
    yield Finished({"request": request})


def test_a_job_starts_reports_and_ends(service, jobs) -> None:
    engine, heard = service
    jobs["quick"] = quick
    number = engine.submit("quick", 7)
    assert heard.end_of(number) == Finished({"request": 7})
    assert heard.of(number) == [Started(), Progress(0.5, "half"), Finished({"request": 7})]


def test_waiting_jobs_run_by_priority_then_age(service, jobs) -> None:
    engine, heard = service
    opened, entered = threading.Event(), threading.Event()
    jobs.update(gate=gate_job(opened, entered), quick=quick)
    engine.submit("gate", None)
    assert entered.wait(PATIENCE_S)
    low, high, also_low = (engine.submit("quick", n, priority=p) for n, p in ((1, 0), (2, 5), (3, 0)))
    opened.set()
    heard.end_of(also_low)
    order = [e.job for e in heard.envelopes if isinstance(e.event, Started)][1:]
    assert order == [high, low, also_low]


def test_lanes_do_not_wait_for_each_other(service, jobs) -> None:
    engine, heard = service
    opened, entered = threading.Event(), threading.Event()
    jobs.update({"gate": gate_job(opened, entered), "display-quick": quick})
    engine.submit("gate", None)
    assert entered.wait(PATIENCE_S)
    assert isinstance(heard.end_of(engine.submit("display-quick", 1)), Finished)
    opened.set()


def test_a_newer_job_of_the_same_key_replaces_the_older(service, jobs) -> None:
    engine, heard = service
    opened, entered = threading.Event(), threading.Event()
    jobs.update(gate=gate_job(opened, entered), quick=quick)
    old = engine.submit("gate", "old", key="forecast")
    assert entered.wait(PATIENCE_S)
    waiting = engine.submit("quick", "never", key="forecast")
    new = engine.submit("quick", "new", key="forecast")
    assert heard.end_of(new) == Finished({"request": "new"})
    assert heard.end_of(old) == Stopped()
    assert heard.of(waiting) == [Stopped()]


def test_late_events_of_a_replaced_job_are_dropped(service, jobs) -> None:
    engine, heard = service
    go_on, entered = threading.Event(), threading.Event()

    def stubborn(request: Any, scope: Scope) -> Iterator[Event]:
        entered.set()
        assert go_on.wait(PATIENCE_S)
        scope.emit(Progress(0.9, "late"))
        yield Finished({"late": True})

    jobs.update(stubborn=stubborn, quick=quick)
    old = engine.submit("stubborn", None, key="k")
    assert entered.wait(PATIENCE_S)
    new = engine.submit("quick", None, key="k")
    go_on.set()
    heard.end_of(new)
    assert Progress(0.9, "late") not in heard.of(old)


def test_cancel_stops_within_the_promised_time(service, jobs) -> None:
    engine, heard = service
    opened, entered = threading.Event(), threading.Event()
    jobs["gate"] = gate_job(opened, entered)
    number = engine.submit("gate", None)
    assert entered.wait(PATIENCE_S)
    engine.cancel(number)
    assert heard.end_of(number) == Stopped()
    assert not opened.is_set()


def test_errors_arrive_as_values_and_the_lane_lives_on(service, jobs) -> None:
    engine, heard = service

    def gap(request: Any, scope: Scope) -> Iterator[Event]:
        raise NotEnoughInput("archive: the frame at 12:00 UTC is missing")
        yield

    def broken(request: Any, scope: Scope) -> Iterator[Event]:
        yield Progress(0.1)
        raise ZeroDivisionError("oops")

    jobs.update(gap=gap, broken=broken, quick=quick)
    first = heard.end_of(engine.submit("gap", None))
    assert isinstance(first, Failed)
    assert first.error.exit_code == 4
    assert "12:00" in str(first.error)
    second = heard.end_of(engine.submit("broken", None))
    assert isinstance(second, Failed)
    assert isinstance(second.error, StormdeckError)
    assert "ZeroDivisionError" in second.detail
    assert isinstance(heard.end_of(engine.submit("quick", None)), Finished)


def test_a_job_without_a_last_word_is_an_error(service, jobs) -> None:
    engine, heard = service
    jobs["mute"] = lambda request, scope: iter(())
    assert isinstance(heard.end_of(engine.submit("mute", None)), Failed)


def test_closing_cancels_what_runs_and_what_waits(jobs) -> None:
    opened, entered = threading.Event(), threading.Event()
    jobs["gate"] = gate_job(opened, entered)
    heard = Listener()
    engine = EngineService(heard)
    numbers = [engine.submit("gate", n) for n in range(3)]
    assert entered.wait(PATIENCE_S)
    assert engine.close()
    assert [heard.of(n)[-1] for n in numbers] == [Stopped()] * 3
    assert not engine.busy()


def test_progress_is_thinned_but_its_end_always_passes() -> None:
    seen: list[Event] = []
    scope = Scope(emit=seen.append)
    end = time.monotonic() + 0.2
    count = 0
    while time.monotonic() < end:
        scope.progress(0.4, "work")
        count += 1
    scope.progress(1.0, "done")
    assert seen[-1] == Progress(1.0, "done")
    assert len(seen) < min(count, 20)
