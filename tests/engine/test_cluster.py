"""Work shared out to a cluster: the same numbers whatever the number of workers and the order of arrival."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine import commands
from engine.cancel import CancelToken
from engine.errors import Cancelled, StormdeckError, UnreadableInput, WrongUsage
from engine.jobs import cluster
from engine.jobs.benchmark import BenchmarkRequest, run
from engine.jobs.events import Finished
from engine.jobs.scope import Scope

WISHES: dict[str, Any] = {"forecasters": ("persistence", "rover-nonlinear"), "lead_times": 3, "every": 2,
                          "device": "cpu"}


@pytest.fixture(scope="module")
def storms(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[Path, ...], ...]:
    """Two archives of 14 small frames: four sequences each."""
    folder = tmp_path_factory.mktemp("storms")
    for seed in (1, 2):
        assert commands.run(["sample", "-o", str(folder / f"storm{seed}.h5"), "--frames", "14", "--size", "64x64",
                             "--seed", str(seed), "--json"]) == 0
    return tuple((folder / f"storm{seed}.h5",) for seed in (1, 2))


def result(storms: tuple[tuple[Path, ...], ...], scope: Scope | None = None, **wishes: Any) -> str:
    *_, last = run(BenchmarkRequest(storms, **{**WISHES, **wishes}), scope or Scope())
    assert isinstance(last, Finished)
    return json.dumps(last.result)


# -- a cluster of which the test knows in which order it answers

class Future:
    def __init__(self, key: int, work: Callable[[], Any]) -> None:
        self.key, self._work = key, work
        self.told: Callable[[Future], None] = lambda future: None

    def add_done_callback(self, told: Callable[[Future], None]) -> None:
        self.told = told

    def result(self) -> Any:
        return self._work()


class KilledWorker(Exception):
    pass


class Client:
    """Answers everything at once, in a shuffled order, when it is first waited for."""

    def __init__(self, order: random.Random, broken: Exception | None = None) -> None:
        self.order, self.broken = order, broken
        self.futures: list[Future] = []
        self.dropped = 0

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *problem: object) -> None:
        pass

    def submit(self, function: Callable[..., Any], *arguments: Any, pure: bool) -> Future:
        def work() -> Any:
            if self.broken is not None:
                raise self.broken
            return function(*arguments)

        self.futures.append(Future(len(self.futures), work))
        return self.futures[-1]

    def answer(self) -> None:
        self.order.shuffle(self.futures)
        for future in self.futures:
            future.told(future)

    def cancel(self, futures: list[Future], force: bool) -> None:
        self.dropped = len(futures)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Client]:
    def make(order: int = 0, broken: Exception | None = None, answers: bool = True) -> Client:
        client = Client(random.Random(order), broken)
        library = SimpleNamespace(LocalCluster=lambda **settings: client, KilledWorker=KilledWorker,
                                  Client=lambda *where, **settings: client)
        monkeypatch.setattr(cluster, "_library", lambda: library)
        plain = cluster._next

        def next_one(arrived: Any, token: CancelToken) -> Any:
            if answers and client.futures:
                client.answer()
                client.futures = []
            return plain(arrived, token)

        monkeypatch.setattr(cluster, "_next", next_one)
        return client

    return make


def test_the_order_of_arrival_changes_nothing(storms: tuple[tuple[Path, ...], ...],
                                              fake: Callable[..., Client]) -> None:
    alone = result(storms)
    for order in (1, 2):
        client = fake(order)
        assert result(storms, workers=2) == alone
        assert client.dropped == 0


def test_who_waits_for_a_cluster_can_be_cancelled(storms: tuple[tuple[Path, ...], ...],
                                                  fake: Callable[..., Client]) -> None:
    client = fake(answers=False)

    class Impatient(Scope):
        def progress(self, fraction: float | None, text: str = "") -> None:
            if fraction == 0.0:
                self.token.cancel()

    with pytest.raises(Cancelled):
        result(storms, Impatient(), workers=2)
    assert client.dropped == 0  # it asked before anything was handed in

    class Later(CancelToken):
        asked = 0

        def check(self) -> None:
            self.asked += 1
            if self.asked == 60:
                self.cancel()
            super().check()

    with pytest.raises(Cancelled):
        result(storms, Scope(Later()), workers=2)
    assert client.dropped == 16


@pytest.mark.parametrize(("broken", "kind", "words"), [
    (KilledWorker(), StormdeckError, "Workers of the cluster died"),
    (ConnectionError(), StormdeckError, "connection to the cluster was lost"),
    (UnreadableInput("a.h5", "it is gone"), UnreadableInput, "it is gone"),
])
def test_what_goes_wrong_far_away_is_told(storms: tuple[tuple[Path, ...], ...], fake: Callable[..., Client],
                                          broken: Exception, kind: type[Exception], words: str) -> None:
    fake(broken=broken)
    with pytest.raises(kind, match=words):
        result(storms, workers=2)


def test_a_missing_library_names_the_extra(storms: tuple[tuple[Path, ...], ...],
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(WrongUsage) as problem:
        result(storms, workers=2)
    assert 'pip install "stormdeck[dask]"' in problem.value.advice
    result(storms, forecasters=("persistence",))  # not needed without


# -- the real one

def test_a_scheduler_that_does_not_answer_is_named(storms: tuple[tuple[Path, ...], ...],
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "ANSWER_SECONDS", 0.5)
    for address in ("tcp://127.0.0.1:9", "nonsense://x", "127.0.0.1:notaport"):
        with pytest.raises(WrongUsage, match="No Dask scheduler answers at"):
            result(storms, scheduler=address)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_one_two_and_three_workers_agree_to_the_last_bit(storms: tuple[tuple[Path, ...], ...]) -> None:
    pytest.importorskip("distributed")
    alone = result(storms)
    assert {result(storms, workers=workers) for workers in (1, 2, 3)} == {alone}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_scheduler_that_runs_already(storms: tuple[tuple[Path, ...], ...]) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as local:
        assert result(storms, scheduler=local.scheduler_address) == result(storms)


def trials_in(ledger: Path) -> int:
    if not ledger.exists():
        return 0
    with closing(sqlite3.connect(ledger)) as base:
        try:
            return int(base.execute("select count(*) from (select distinct archive, forecaster, trial from result)"
                                    ).fetchone()[0])
        except sqlite3.OperationalError:  # no table yet
            return 0


def arguments(storms: tuple[tuple[Path, ...], ...], ledger: Path) -> list[str]:
    return ["benchmark", *(str(path) for paths in storms for path in paths), "--forecasters",
            ",".join(WISHES["forecasters"]), "--lead-times", "3", "--every", "1", "--device", "cpu", "--work",
            str(ledger), "--workers", "2", "--json"]


def children(process: int) -> Iterator[Any]:
    psutil = pytest.importorskip("psutil")
    yield from psutil.Process(process).children(recursive=True)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system knows no SIGKILL")
def test_killed_and_started_again_it_goes_on(storms: tuple[tuple[Path, ...], ...], tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    psutil = pytest.importorskip("psutil")
    ledger, root = tmp_path / "kept.sqlite", Path(__file__).parents[2]
    command = [sys.executable, "-m", "engine", *arguments(storms, ledger)]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as killed:
        until = time.monotonic() + 200
        while trials_in(ledger) < 3 and time.monotonic() < until and killed.poll() is None:
            time.sleep(0.02)
        workers = list(children(killed.pid))
        os.kill(killed.pid, signal.SIGKILL)
        killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive
    before = trials_in(ledger)
    assert 3 <= before < 28
    again = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True, timeout=300)
    assert trials_in(ledger) == 28
    *_, last = run(BenchmarkRequest(storms, WISHES["forecasters"], lead_times=3, every=1, device="cpu"), Scope())
    assert isinstance(last, Finished)
    assert json.loads(again.stdout) == json.loads(json.dumps(last.result))
