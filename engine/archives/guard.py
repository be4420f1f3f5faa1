"""Untrusted files are decoded in another process, so that a file that makes a C library crash, hang or grow costs an
error message and not the program.

The process is started when it is first needed and kept; a second one joins it when two threads read at once. It has
a limit of time for every request and, on Linux, of memory. Whoever waits can be cancelled at any moment. Where no
process can be started, and inside worker processes, which must not start others, files are read directly.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import multiprocessing
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, cast

from engine import cancel
from engine.archives import wrapped
from engine.archives.guarded_process import MOST_PATIENCE, READY, Failure, Request, receive, send, serve
from engine.archives.unpacked import Key, store
from engine.cancel import CancelToken
from engine.errors import Cancelled, UnreadableInput

log = logging.getLogger(__name__)
T = TypeVar("T")

SCAN_SECONDS = 5.0
READ_SECONDS = 5.0
READ_SECONDS_PER_CELL = 15.0 / 24e6
"""So that a frame of 24 million cells may take 20 s."""
FIRST_SECONDS = 10.0
"""More time for the first request of a kind: libraries are loaded for it."""
START_SECONDS = 60.0
MEMORY_BYTES = 2 * 1024**3
PROCESSES = 2
ASK_SECONDS = 0.05
"""How often one who waits asks whether to stop."""
_END_SECONDS = 0.5
_STARTING, _CHOOSING = threading.Lock(), threading.Lock()


UNGUARDED = frozenset({"dwd-radolan", "dwd-radolan-ascii", "taasrad19-ascii", "meteoswiss-gif", "fmi-pgm",
                       "image-folder", "meteonet"})
"""Readers of plain bytes, of text and of simple pictures. All others rely on libraries that damaged files can crash
or hang."""
OPENED_TO_BE_KNOWN = (b"\x89HDF", b"II", b"MM")
"""How HDF5 and TIFF begin: readers open such a file to see whether it is theirs."""
_SHIPPED = Path(__file__).resolve().parents[2] / "resources"


def is_needed(name: str | None, path: Path) -> bool:
    """Whether a file is read in the guarded process. name: of its reader, None where nobody knows it yet."""
    return name not in UNGUARDED and _SHIPPED not in path.parents


@contextlib.contextmanager
def at_hand(path: Path, whole: bool) -> Iterator[Mapping[Key, Path]]:
    """What has been unpacked of the file that a path leads into, for :func:`call`. whole: unpacked now if need be."""
    with contextlib.ExitStack() as held:
        file = held.enter_context(wrapped.as_file(path, cancel.in_charge().check)) if whole else path
        plain = file == path and path.exists()
        yield {} if plain else held.enter_context(store().lent(wrapped.real_file(path)))


class _Gone(ChildProcessError):
    """The process ended or could not be started."""


def call(function: Callable[..., T], *arguments: Any, path: Path, seconds: float, kind: str = "",
         copies: Mapping[Key, Path] | None = None) -> T:
    """``function(*arguments)``, done in the guarded process.

    function: of a module; arguments and result can be pickled. path: the file that errors name. seconds: the time
    limit. kind: what is read, first requests of a kind get more time. copies: see :meth:`Unpacked.lent`.
    Stops within a fifth of a second when the token in charge of this thread is cancelled.

    The cause of an error is kept as far as whether it was an OSError, MemoryError or ImportError, which may pass.

    Raises what the function raises of the engine's errors, UnreadableInput for a crash, a time-out, too little memory
    and any other exception, Cancelled.
    """
    if multiprocessing.current_process().daemon:
        return function(*arguments)
    with _CHOOSING:  # two first callers share one
        guard = _guard_of(os.getpid())
    return guard.call(function, arguments, path, seconds, kind, copies)


@lru_cache(maxsize=1)
def _guard_of(process: int) -> Guard:
    """process: a forked child must not speak through the pipes of its parent."""
    guard = Guard()
    atexit.register(guard.close)
    return guard


@dataclass(frozen=True)
class _Until:
    """A limit of time. What the process stood in the queue for a processor does not count where the system tells
    (Linux), so that a busy machine, one that trains a network, does not make good files unreadable."""

    process: int
    seconds: float
    start: float
    queued: float

    @classmethod
    def within(cls, seconds: float, process: int) -> _Until:
        return cls(process, seconds, time.monotonic(), _queued(process))

    def left(self) -> float:
        passed = time.monotonic() - self.start
        if self.seconds <= passed < self.seconds * MOST_PATIENCE:
            passed -= _queued(self.process) - self.queued
        return self.seconds - passed


def _queued(process: int) -> float:
    """Seconds that a process has been ready to run and was not let."""
    try:
        return int(Path(f"/proc/{process}/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


@dataclass(eq=False)
class _Helper:
    """One guarded process. owed_until: when it must have answered the request that nobody waits for any more."""

    process: Any
    connection: Connection
    folder: Path
    owed_until: _Until | None = None

    def within(self, seconds: float) -> _Until:
        return _Until.within(seconds, self.process.pid)

    def gone(self) -> None:
        """Ends the process, now if need be."""
        with contextlib.suppress(OSError):
            self.connection.close()
        self.process.join(0 if self.owed_until is not None else _END_SECONDS)
        if self.process.is_alive():
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(eq=False)
class Guard:
    """Up to ``processes`` helpers, lent to one thread at a time. Safe to use from several threads."""

    processes: int = PROCESSES
    memory_bytes: int = MEMORY_BYTES
    _idle: list[_Helper] = field(default_factory=list)
    _count: int = 0
    _kinds: set[str] = field(default_factory=set)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _owner: int = field(default_factory=os.getpid)
    _useless: bool = False

    def call(self, function: Callable[..., T], arguments: tuple[Any, ...], path: Path, seconds: float, kind: str = "",
             copies: Mapping[Key, Path] | None = None) -> T:
        """See :func:`call`."""
        token = cancel.in_charge()
        more = 0.0 if kind in self._kinds else FIRST_SECONDS
        try:
            helper = self._take(token)
        except _Gone as problem:
            if not self._useless:
                log.warning("Files are read without protection: no process could be started (%s)", problem)
                self._useless = True
            return function(*arguments)
        try:
            answer = self._ask(helper, Request(function, arguments, seconds + more, _here(), copies or {}), token)
        except _Gone as problem:
            raise UnreadableInput(path, "reading it crashed the decoder") from problem
        except TimeoutError as problem:
            raise UnreadableInput(path, f"reading it took longer than {seconds:g} s") from problem
        finally:
            self._give_back(helper)
        self._kinds.add(kind)
        return cast(T, _unwrapped(answer, path))

    def close(self) -> None:
        """Ends the processes; called when the program ends."""
        if self._owner != os.getpid():
            return
        with self._changed:
            self._useless = True
            helpers, self._idle = self._idle, []
        for helper in helpers:
            helper.gone()

    def _take(self, token: CancelToken) -> _Helper:
        """A helper that owes nothing. A free one, else a new one, else one that must first end what it does."""
        while True:
            if self._useless:
                raise _Gone
            with self._changed:
                helper = next((h for h in self._idle if h.owed_until is None), None)
                fresh = helper is None and self._count < self.processes
                if fresh:
                    self._count += 1
                elif helper is None and self._idle:
                    helper = self._idle[0]
                if helper is not None:
                    self._idle.remove(helper)
                elif not fresh:
                    self._changed.wait(ASK_SECONDS)
            if fresh:
                return self._started(token)
            if helper is not None and self._settled(helper, token):
                return helper
            token.check()

    def _started(self, token: CancelToken) -> _Helper:
        try:
            helper = _start(self.memory_bytes)
            try:
                _await(helper, helper.within(START_SECONDS), token)
                if receive(helper.connection) != READY:
                    raise _Gone("it said something unexpected")
            except BaseException:
                helper.kill()
                raise
        except BaseException as problem:
            with self._changed:
                self._count -= 1
                self._changed.notify()
            if isinstance(problem, Cancelled | KeyboardInterrupt | SystemExit):
                raise
            raise _Gone(f"{type(problem).__name__}: {problem}") from problem
        return helper

    def _settled(self, helper: _Helper, token: CancelToken) -> bool:
        """Takes the answer that a helper owes to one who has left; False if that ended it."""
        if helper.owed_until is None:
            return True
        try:
            _await(helper, helper.owed_until, token)
            receive(helper.connection)
            helper.owed_until = None
        except Cancelled:
            self._give_back(helper)
            raise
        except (_Gone, TimeoutError, EOFError, OSError):
            helper.kill()
            self._give_back(helper)
            return False
        except BaseException:
            helper.kill()
            self._give_back(helper)
            raise
        return True

    def _ask(self, helper: _Helper, request: Request, token: CancelToken) -> Any:
        until = helper.within(request.seconds)
        try:
            send(helper.connection, request)
            _await(helper, until, token)
            return receive(helper.connection)
        except Cancelled:
            helper.owed_until = until
            raise
        except (EOFError, OSError, TimeoutError) as problem:
            helper.kill()
            if isinstance(problem, TimeoutError):
                raise
            raise _Gone from problem
        except BaseException:
            helper.kill()
            raise

    def _give_back(self, helper: _Helper) -> None:
        with self._changed:
            if helper.connection.closed or self._useless:
                self._count -= 1
                if not helper.connection.closed:
                    helper.gone()
            else:
                self._idle.append(helper)
            self._changed.notify()


def _start(memory_bytes: int) -> _Helper:
    context = multiprocessing.get_context("spawn")  # no copy of the window's threads and locks
    folder = Path(tempfile.mkdtemp(prefix=f"stormdeck-{os.getpid()}-reader-"))
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, str(folder), memory_bytes), name="stormdeck-reader",
                              daemon=True)
    try:
        with _STARTING, _no_main_module():
            process.start()
    except BaseException:
        ours.close()
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        theirs.close()
    return _Helper(process, ours, folder)


@contextlib.contextmanager
def _no_main_module() -> Iterator[None]:
    """The process needs nothing of the program's main module, and a script must not be run a second time in it."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _await(helper: _Helper, until: _Until, token: CancelToken) -> None:
    """Until there is an answer, or the end of the process, to be received. Raises TimeoutError, Cancelled."""
    while not helper.connection.poll(ASK_SECONDS):
        token.check()
        if until.left() <= 0:
            raise TimeoutError


def _unwrapped(answer: Any, path: Path) -> Any:
    if not isinstance(answer, Failure):
        return answer
    if answer.known:
        raise answer.problem from None if answer.cause is None else answer.cause()
    if isinstance(answer.problem, MemoryError):
        raise UnreadableInput(path, "it asks for more memory than there is") from MemoryError()
    raise UnreadableInput(path, f"damaged or truncated ({answer.problem})")


def _here() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None
