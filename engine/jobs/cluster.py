"""Pieces of a benchmark shared out to a Dask cluster: processes of this machine, or one that runs elsewhere."""

from __future__ import annotations

import asyncio
import logging
import queue
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from engine.cancel import CancelToken
from engine.errors import StormdeckError, WrongUsage
from engine.jobs.benchmark_units import Result, Unit, work_off

ANSWER_SECONDS = 10.0
"""How long a scheduler has to answer."""
_ASK_SECONDS = 0.1


@dataclass(frozen=True)
class Crew:
    """workers: processes of one thread each on this machine. scheduler: the address of a cluster that runs already,
    such as tcp://host:8786, instead of them; its workers must find the archives under the same paths."""

    workers: int = 1
    scheduler: str | None = None


def share_out(units: Sequence[Unit], crew: Crew, token: CancelToken) -> Iterator[tuple[Unit, list[Result]]]:
    """Each piece with its results, in the order in which they arrive.

    Raises WrongUsage where Dask is not installed or no scheduler answers, StormdeckError where the cluster is lost,
    Cancelled, and what the pieces raise; pieces that nobody has begun are dropped then.
    """
    distributed = _library()
    token.check()
    with _connected(distributed, crew) as client:
        arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
        waiting = {}
        for unit in units:
            future = client.submit(work_off, unit, pure=False)
            future.add_done_callback(arrived.put)
            waiting[future.key] = (unit, future)
        try:
            while waiting:
                future = _next(arrived, token)
                unit, _ = waiting.pop(future.key)
                yield unit, _result(distributed, future)
        finally:
            client.cancel([future for _, future in waiting.values()], force=True)


def _next(arrived: queue.SimpleQueue[Any], token: CancelToken) -> Any:
    while True:
        token.check()
        try:
            return arrived.get(timeout=_ASK_SECONDS)
        except queue.Empty:
            continue


def _result(distributed: ModuleType, future: Any) -> list[Result]:
    try:
        results: list[Result] = future.result()
    except StormdeckError:
        raise
    except distributed.KilledWorker as problem:
        raise StormdeckError("Workers of the cluster died over one of the sequences.",
                             advice="Perhaps memory ran out: start again with fewer workers; what is done is kept.",
                             ) from problem
    except (CancelledError, asyncio.CancelledError, OSError) as problem:
        raise StormdeckError("The connection to the cluster was lost.",
                             advice="Start again with the same --work file: what is done is kept.") from problem
    return results


def _library() -> ModuleType:
    try:
        import distributed
    except ImportError as problem:
        raise WrongUsage("Sharing out the work needs Dask, which is not installed.",
                         advice='Install it with: pip install "stormdeck[dask]"') from problem
    found: ModuleType = distributed
    return found


@contextmanager
def _connected(distributed: ModuleType, crew: Crew) -> Iterator[Any]:
    if crew.scheduler is not None:
        with _client(distributed, crew.scheduler) as client:
            yield client
        return
    with (distributed.LocalCluster(n_workers=crew.workers, threads_per_worker=1, processes=True, memory_limit=0,
                                   dashboard_address=None, silence_logs=logging.ERROR) as local,
          distributed.Client(local, set_as_default=False) as client):
        yield client


def _client(distributed: ModuleType, address: str) -> Any:
    try:
        return distributed.Client(address, timeout=ANSWER_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as problem:
        raise WrongUsage(f"No Dask scheduler answers at {address}.",
                         advice="Name the address that the scheduler printed when it started, such as "
                                "tcp://host:8786.") from problem
