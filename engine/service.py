"""The engine's threads: jobs by priority, progress, cancel, results one by one, errors as values.

Work is done in lanes. The device lane is the engine thread proper, which runs forecasts. Lighter lanes keep the window
fed while it works: files (scan, export), display (decode, colour, contour), scores (what takes longer than a picture
may wait), runs (training processes are looked at) and packs (archives are cut for training, which takes minutes that no
archive should wait to be opened). In the lane learning a copy of a network learns from new frames, on the same device
and with nothing shared. Each lane is one thread with one queue, so jobs of a lane never overlap.

Requests and events can be pickled and the only callback is ``deliver``; the same interface can therefore stand
in front of a child process.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from engine import catalogue, device
from engine.cancel import CancelToken
from engine.errors import Cancelled, StormdeckError
from engine.jobs.events import TERMINAL, Event, Failed, Started, Stopped
from engine.jobs.scope import Scope

log = logging.getLogger(__name__)

DEFAULT_LANE = "device"
LANES = (DEFAULT_LANE, "files", "display", "scores", "runs", "learning", "packs")
JOIN_SECONDS = 5.0


@dataclass(frozen=True)
class Envelope:
    """An event with its sender: the job's number and the key under which newer jobs replace older ones."""

    job: int
    key: str
    event: Event


@dataclass(order=True)
class _Job:
    order: tuple[int, int]
    number: int = field(compare=False)
    kind: str = field(compare=False)
    key: str = field(compare=False)
    request: Any = field(compare=False)
    token: CancelToken = field(compare=False)


Deliver = Callable[[Envelope], None]


class EngineService:
    """Submit requests, get envelopes. ``deliver`` is called in the lanes' threads, one envelope at a time."""

    def __init__(self, deliver: Deliver) -> None:
        device.calm_threads()
        self._deliver_outside = deliver
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._current: dict[str, _Job] = {}
        self._jobs: dict[int, _Job] = {}
        self._lanes = {name: _Lane(name, self._run) for name in LANES}

    def submit(self, kind: str, request: Any, *, key: str = "", priority: int = 0) -> int:
        """Queues a job and returns its number.

        kind: a job of the catalogue. key: a job with the same non-empty key that is still waiting or running is
        cancelled, and none of its later events is delivered. priority: higher runs first.
        """
        lane = catalogue.row("job", kind).family or DEFAULT_LANE
        number = next(self._numbers)
        job = _Job((-priority, number), number, kind, key, request, CancelToken())
        with self._lock:
            replaced = self._current.get(key) if key else None
            if key:
                self._current[key] = job
            self._jobs[number] = job
        if replaced is not None:
            replaced.token.cancel()
        self._lanes[lane].put(job)
        return number

    def cancel(self, number: int) -> None:
        """Asks a job to stop; its last event will be Stopped. Unknown and finished numbers are ignored."""
        with self._lock:
            job = self._jobs.get(number)
        if job is not None:
            job.token.cancel()

    def busy(self) -> bool:
        with self._lock:
            return bool(self._jobs)

    def close(self) -> bool:
        """Cancels everything and joins the threads; False if one did not come to rest in time."""
        with self._lock:
            for job in self._jobs.values():
                job.token.cancel()
        for lane in self._lanes.values():
            lane.stop()
        return all([lane.join(JOIN_SECONDS) for lane in self._lanes.values()])

    def _run(self, job: _Job) -> None:
        try:
            with job.token.takes_charge():
                for event in self._events(job):
                    self._send(job, event)
        finally:
            with self._lock:
                self._jobs.pop(job.number, None)
                if self._current.get(job.key) is job:
                    del self._current[job.key]

    def _events(self, job: _Job):  # type: ignore[no-untyped-def]
        """The job's events; always ends with exactly one terminal event."""
        try:
            job.token.check()
            yield Started()
            scope = Scope(job.token, lambda event: self._send(job, event))
            events = catalogue.load("job", job.kind)(job.request, scope)
            for event in events:
                yield event
                if isinstance(event, TERMINAL):
                    return
                job.token.check()
            raise RuntimeError(f"job {job.kind} ended without a result")
        except Cancelled:
            yield Stopped()
        except StormdeckError as error:
            log.info("job %s failed: %s", job.kind, error)
            yield Failed(error, traceback.format_exc())
        except MemoryError:
            yield Failed(StormdeckError("There is not enough memory for this.",
                                        advice="Choose fewer lead times or a smaller area."), traceback.format_exc())
        except Exception as error:
            log.exception("job %s broke", job.kind)
            yield Failed(StormdeckError(f"Something went wrong in '{job.kind}': {error}",
                                        advice="The log has the details."), traceback.format_exc())

    def _send(self, job: _Job, event: Event) -> None:
        with self._lock:
            replaced = bool(job.key) and self._current.get(job.key) is not job
        if replaced and not isinstance(event, TERMINAL):
            return
        self._deliver_outside(Envelope(job.number, job.key, event))


class _Lane:
    """One thread and its queue."""

    def __init__(self, name: str, work: Callable[[_Job], None]) -> None:
        self._work = work
        self._queue: list[_Job] = []
        self._wake = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._loop, name=f"engine-{name}", daemon=True)
        self._thread.start()

    def put(self, job: _Job) -> None:
        with self._wake:
            heapq.heappush(self._queue, job)
            self._wake.notify()

    def stop(self) -> None:
        with self._wake:
            self._stopping = True
            self._wake.notify()

    def join(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _loop(self) -> None:
        while True:
            with self._wake:
                while not self._queue and not self._stopping:
                    self._wake.wait()
                if not self._queue:
                    return
                job = heapq.heappop(self._queue)
            self._work(job)
            del job
