"""The guarded process: what it is handed may crash, hang, grow, print; the program gets an error and goes on."""

from __future__ import annotations

import ctypes
import gzip
import logging
import multiprocessing
import os
import pickle
import re
import signal
import subprocess
import sys
import tarfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

import resources
from engine.archives import guard, open_archive
from engine.archives.guard import Guard
from engine.archives.unpacked import Unpacked
from engine.cancel import CancelToken
from engine.errors import Cancelled, NotEnoughInput, UnreadableInput
from tests import builders
from tests.source_tree import ROOT

HERE = Path("some.file")
NOON = datetime(2020, 7, 1, 12, 0, tzinfo=UTC)
CODES = np.array([[0, 1, 2, 255], [10, 20, 30, 40], [0, 0, 100, 254]], np.uint8)
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded on Linux only")
ON_POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals")


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guard]:
    made = Guard(processes=1, memory_bytes=512 * 1024**2)
    made.call(os.getpid, (), HERE, 60, "warm")
    yield made
    made.close()


def asked(guarded: Guard, function: Callable[..., object], *arguments: object, seconds: float = 30) -> object:
    return guarded.call(function, arguments, HERE, seconds, "warm")


def touch_nothing() -> None:
    ctypes.string_at(0)


def kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def hold_the_interpreter() -> None:
    re.match(r"(a+)+$", "a" * 60 + "b")


def allocate(megabytes: int) -> int:
    return int(np.ones(megabytes * 1024**2, np.uint8).sum())


def fall_over() -> None:
    raise IndexError("no such thing")


def refuse(cause: type[Exception]) -> None:
    raise UnreadableInput("a.h5", "it is odd", tried="ODIM") from cause("the disk")


def too_few() -> None:
    raise NotEnoughInput("One frame only.")


def doubled(field: NDArray[np.float32]) -> tuple[str, NDArray[np.float32]]:
    return "done", field * 2


def talk() -> int:
    print("noise")  # noqa: T201
    sys.stdout.flush()
    os.write(1, b"more noise")
    return 1


def wait_and_name(seconds: float, name: str) -> str:
    time.sleep(seconds)
    return name


def asked_until_stopped(guarded: Guard, token: CancelToken) -> None:
    """More than once, as the other thread may not have begun yet."""
    while True:
        asked(guarded, wait_and_name, 0, "short")
        token.check()


def looked_up(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("deed", [touch_nothing, pytest.param(kill_itself, marks=ON_POSIX)])
def test_a_crash_is_an_error_and_the_next_file_is_read(guarded: Guard, deed: Callable[[], None]) -> None:
    before = asked(guarded, os.getpid)
    with pytest.raises(UnreadableInput, match=r"some\.file: reading it crashed the decoder"):
        asked(guarded, deed)
    assert asked(guarded, os.getpid) not in (before, os.getpid())


@pytest.mark.parametrize("deed", [(time.sleep, 100), (hold_the_interpreter,)], ids=["sleeping", "computing"])
def test_what_takes_too_long_is_ended(guarded: Guard, deed: tuple[Callable[..., object], ...]) -> None:
    with pytest.raises(UnreadableInput, match=r"took longer than 0\.3 s") as caught:
        asked(guarded, *deed, seconds=0.3)
    assert isinstance(caught.value.__cause__, TimeoutError)
    assert asked(guarded, doubled, np.float32([1]))


@ON_LINUX
def test_memory_is_bounded(guarded: Guard) -> None:
    assert asked(guarded, allocate, 100) == 100 * 1024**2
    before = asked(guarded, os.getpid)
    with pytest.raises(UnreadableInput, match="more memory than there is"):
        asked(guarded, allocate, 800)
    assert asked(guarded, os.getpid) == before


def test_other_exceptions_become_the_contracts(guarded: Guard) -> None:
    with pytest.raises(UnreadableInput, match=r"damaged or truncated \(IndexError: no such thing\)"):
        asked(guarded, fall_over)


def test_the_engines_own_errors_stay_what_they_are(guarded: Guard) -> None:
    with pytest.raises(NotEnoughInput, match="One frame only"):
        asked(guarded, too_few)
    for cause, kept in ((FileNotFoundError, OSError), (ModuleNotFoundError, ImportError), (KeyError, type(None))):
        with pytest.raises(UnreadableInput, match=r"Cannot read a\.h5 as ODIM: it is odd") as caught:
            asked(guarded, refuse, cause)
        assert isinstance(caught.value.__cause__, kept)


@pytest.mark.parametrize("shape", [(0, 3), (3, 4), (1500, 1100)])
def test_arrays_arrive_as_they_were(guarded: Guard, shape: tuple[int, int]) -> None:
    field = np.random.default_rng(5).random(shape, np.float32)
    for sent in (field, field[::-1, ::-2], np.asfortranarray(field)):
        word, back = asked(guarded, doubled, sent)  # type: ignore[misc]
        assert word == "done"
        np.testing.assert_array_equal(back, sent * 2)
        assert back.flags.writeable


def test_what_libraries_print_stays_out_of_the_answer(guarded: Guard, capfd: pytest.CaptureFixture[str]) -> None:
    assert asked(guarded, talk) == 1
    assert capfd.readouterr().out == ""


def test_paths_start_where_the_program_is(guarded: Guard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here.txt").write_text("found", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert asked(guarded, looked_up, Path("here.txt")) == "found"


def test_one_who_waits_can_leave_and_the_next_gets_his_own_answer(guarded: Guard) -> None:
    token = CancelToken()
    threading.Timer(0.1, token.cancel).start()
    before = asked(guarded, os.getpid)
    started = time.process_time()
    with token.takes_charge(), pytest.raises(Cancelled):
        asked(guarded, wait_and_name, 0.6, "first")
    assert asked(guarded, wait_and_name, 0, "second") == "second"
    assert asked(guarded, os.getpid) == before
    assert time.process_time() - started < 0.5


def test_one_who_left_a_file_that_hangs_does_not_block_the_next(guarded: Guard) -> None:
    token = CancelToken()
    token.cancel()
    with token.takes_charge(), pytest.raises(Cancelled):
        asked(guarded, time.sleep, 100, seconds=0.5)
    assert asked(guarded, wait_and_name, 0, "second") == "second"


def test_one_who_waits_for_the_only_process_can_leave(guarded: Guard) -> None:
    other = threading.Thread(target=asked, args=(guarded, wait_and_name, 1.0, "long"))
    other.start()
    token = CancelToken()
    threading.Timer(0.2, token.cancel).start()
    with token.takes_charge(), pytest.raises(Cancelled):
        asked_until_stopped(guarded, token)
    other.join()


def test_two_threads_have_a_process_each_and_no_more() -> None:
    made = Guard(processes=2)
    both = threading.Barrier(4)
    seen: list[object] = []

    def work() -> None:
        both.wait()
        for _ in range(5):
            seen.append(asked(made, os.getpid))
            asked(made, wait_and_name, 0.02, "")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made.close()
    assert len(seen) == 20
    assert 1 <= len(set(seen)) <= 2


def test_nothing_is_left_when_it_is_closed() -> None:
    made = Guard()
    asked(made, os.getpid)
    helper = made._idle[0]
    assert helper.folder.is_dir()
    made.close()
    assert not helper.process.is_alive()
    assert not helper.folder.exists()
    assert helper.process not in multiprocessing.active_children()


def test_without_a_process_files_are_read_directly(monkeypatch: pytest.MonkeyPatch,
                                                   caplog: pytest.LogCaptureFixture) -> None:
    def forbidden(memory_bytes: int) -> None:
        raise PermissionError("no processes here")

    monkeypatch.setattr(guard, "_start", forbidden)
    made = Guard()
    with caplog.at_level(logging.WARNING):
        assert asked(made, os.getpid) == asked(made, os.getpid) == os.getpid()
    assert [record.getMessage() for record in caplog.records] == [
        "Files are read without protection: no process could be started (PermissionError: no processes here)"]


def test_a_worker_process_reads_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)  # type: ignore[attr-defined]
    assert guard.call(os.getpid, path=HERE, seconds=1) == os.getpid()


def test_archives_are_opened_and_read_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = builders.odim(tmp_path / "a.h5", [CODES], [NOON])
    monkeypatch.setattr(h5py, "File", None)
    sequence = open_archive(path)
    np.testing.assert_array_equal(sequence.native(0)[0], np.float32([0, 0.5, 1, np.nan]))
    assert pickle.loads(pickle.dumps(sequence)).native(0).shape == (3, 4)


def test_a_file_that_keeps_its_library_busy_for_ever_is_given_up(tmp_path: Path,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    """The heap of HDF5's text of variable length is a chain; a piece of no length leads back to itself."""
    good = builders.odim(tmp_path / "a.h5", [CODES], [NOON], wrap=lambda v: v.decode() if isinstance(v, bytes) else v)
    assert open_archive(good).native(0).shape == (3, 4)
    monkeypatch.setattr(guard, "SCAN_SECONDS", 0.5)
    content = bytearray(good.read_bytes())
    heap = content.find(b"GCOL")
    content[heap + 16:heap + 32] = bytes(16)
    good.write_bytes(content)
    with pytest.raises(UnreadableInput, match=r"took longer than 0\.5 s"):
        open_archive(good)


def test_the_sample_needs_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "_guard_of", None)
    sequence = open_archive(resources.sample_archive())
    assert sequence.native(0).shape == sequence.grid.shape


@pytest.mark.parametrize("ending", ["gz", "tar.gz"])
def test_compressed_files_reach_it(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = builders.odim(tmp_path / "a.h5", [CODES], [NOON])
    bundle = tmp_path / f"a.h5.{ending}"
    if ending == "gz":
        bundle.write_bytes(gzip.compress(plain.read_bytes()))
    else:
        with tarfile.open(bundle, "w:gz") as tar:
            tar.add(plain, "days/a.h5")
            tar.add(plain, "days/b.h5")
    monkeypatch.setattr(h5py, "File", None)
    sequence = open_archive(bundle)
    assert sequence.frames[0].path.is_relative_to(bundle)
    np.testing.assert_array_equal(sequence.native(0)[0], np.float32([0, 0.5, 1, np.nan]))


def test_unpacked_files_are_lent(tmp_path: Path) -> None:
    ours, theirs = (Unpacked(tmp_path / name) for name in ("a", "b"))
    ours.folder.mkdir()
    origin = tmp_path / "bundle.tar"
    key = (str(origin), 1, 2, "member")
    with ours.file(key, "m", lambda: (ROOT / "LICENSE").open("rb"), lambda: None):
        pass
    with ours.lent(origin) as copies, theirs.borrowed(copies):
        def never() -> None:
            raise AssertionError

        with theirs.file(key, "m", never, lambda: None) as file:  # type: ignore[arg-type]
            assert file == copies[key]
    with ours.lent(tmp_path / "other.tar") as copies:
        assert copies == {}


SCRIPT = """
import sys
from pathlib import Path
from engine.archives import guard, open_archive
print("running", flush=True)
sequence = open_archive({path!r})
print(sequence.native(0).shape, "torch" in sys.modules, flush=True)
print(guard._guard_of(__import__("os").getpid())._idle[0].folder, flush=True)
"""


def test_a_script_is_not_run_twice_and_ends_clean(tmp_path: Path) -> None:
    path = builders.odim(tmp_path / "a.h5", [CODES], [NOON])
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(path=str(path)), encoding="utf-8")
    done = subprocess.run([sys.executable, "-W", "error", script], capture_output=True, text=True, timeout=100,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    running, shape, folder = done.stdout.splitlines()
    assert (running, shape) == ("running", "(3, 4) False")
    assert not Path(folder).exists()


ORPHAN = """
import os, re
from pathlib import Path
from engine.archives.guard import Guard
made = Guard()
print(made.call(os.getpid, (), Path(), 60, "warm"), flush=True)
made.call(re.match, (r"(a+)+$", "a" * 60 + "b"), Path(), 1, "warm")
"""


@ON_LINUX
def test_it_does_not_outlive_a_killed_program(tmp_path: Path) -> None:
    program = subprocess.Popen([sys.executable, "-c", textwrap.dedent(ORPHAN)], stdout=subprocess.PIPE, text=True,
                               env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)})
    assert program.stdout is not None
    child = Path("/proc") / program.stdout.readline().strip()
    program.kill()
    program.communicate()
    for _ in range(400):
        if not child.exists() or "State:\tZ" in (child / "status").read_text(encoding="ascii"):
            return
        time.sleep(0.05)
    pytest.fail("the process is still there")
