"""The process in which untrusted files are decoded: one request after the other, within bounds of memory and time.

It loads neither Qt nor torch. What the two ends say to each other is pickled; the contents of arrays follow as plain
bytes, so that a frame of 24 million cells costs a tenth of a second more than a direct call.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from engine import catalogue
from engine.archives.unpacked import Key, store
from engine.errors import StormdeckError

READY = "ready"
LAST_WORD_SECONDS = 2.0
"""How much longer than its time limit a request may run before the system ends the process, with the program that
asked for it gone."""
MOST_PATIENCE = 10.0
"""How many times its limit a request may take on a busy machine."""
_PASSING = (OSError, MemoryError, ImportError)
_PIECE = 4 * 1024**2


@dataclass(frozen=True)
class Request:
    """function: of a module, so that its name can be sent. folder: the working directory that paths start from.
    copies: unpacked files of the program that asks."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    seconds: float
    folder: str | None = None
    copies: Mapping[Key, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """An exception as an answer. known: one of the engine's own, which means what it says. cause: what kind of
    passing trouble is behind it, if any."""

    problem: BaseException
    known: bool
    cause: type[Exception] | None = None


def serve(connection: Connection, folder: str, memory_bytes: int) -> None:
    """The life of the process. folder: for its temporary files; whoever starts the process removes it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program, which then ends this process
    tempfile.tempdir = folder
    warnings.simplefilter("ignore")  # of libraries about damaged files, which nobody would read
    _keep_off_standard_output()
    for row in catalogue.rows("reader"):
        with contextlib.suppress(Exception):  # told when it is asked for
            catalogue.load("reader", row.name)
    _bound(memory_bytes)
    send(connection, READY)
    with contextlib.suppress(EOFError, OSError):  # the program is gone
        while True:
            request: Request = receive(connection)
            with _alarm(request.seconds + LAST_WORD_SECONDS):
                send(connection, _answer(request))
    shutil.rmtree(folder, ignore_errors=True)


def _answer(request: Request) -> Any:
    try:
        if request.folder is not None and request.folder != os.getcwd():
            os.chdir(request.folder)
        if not request.copies:
            return request.function(*request.arguments)
        with store().borrowed(request.copies):
            return request.function(*request.arguments)
    except StormdeckError as problem:
        return Failure(problem, True, next((kind for kind in _PASSING if isinstance(problem.__cause__, kind)), None))
    except MemoryError:
        return Failure(MemoryError(), False)
    except Exception as problem:  # noqa: BLE001  a process that serves survives what it is handed
        return Failure(RuntimeError(f"{type(problem).__name__}: {problem}"), False)


def _keep_off_standard_output() -> None:
    """Libraries that print must not write into the program's answer."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)


def _bound(memory_bytes: int) -> None:
    """Memory beyond what the libraries take already, where the system can bound it (Linux); no core files."""
    if sys.platform != "linux":
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = pages * resource.getpagesize() + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """The system ends this process then, whatever a library is doing (not on Windows)."""
    if sys.platform == "win32":
        yield
        return
    timers = ((signal.ITIMER_PROF, seconds), (signal.ITIMER_REAL, seconds * MOST_PATIENCE))  # of work, of waiting
    for timer, limit in timers:
        signal.setitimer(timer, limit)
    try:
        yield
    finally:
        for timer, _ in timers:
            signal.setitimer(timer, 0)


def send(connection: Connection, value: Any) -> None:
    """value: anything that can be pickled; contiguous arrays inside it go as they lie in memory."""
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    views = [buffer.raw() for buffer in buffers]
    connection.send_bytes(pickle.dumps((pickled, [view.nbytes for view in views])))
    for view in views:
        _write(connection, view)


def receive(connection: Connection) -> Any:
    """Raises EOFError and OSError if the other end is gone."""
    pickled, sizes = pickle.loads(connection.recv_bytes())
    return pickle.loads(pickled, buffers=[_read(connection, size) for size in sizes])


def _write(connection: Connection, view: memoryview) -> None:
    if sys.platform == "win32":
        for start in range(0, view.nbytes, _PIECE):
            connection.send_bytes(view[start:start + _PIECE])
        return
    while view.nbytes:  # straight from the array: a third of what Connection's own copies cost
        view = view[os.write(connection.fileno(), view):]


def _read(connection: Connection, size: int) -> Any:
    buffer = np.empty(size, np.uint8)  # a bytearray would be filled with zeros first
    view = buffer.data
    while view.nbytes:
        if sys.platform == "win32":
            count = connection.recv_bytes_into(view)
        else:
            count = os.readv(connection.fileno(), [view])
        if not count:
            raise EOFError
        view = view[count:]
    return buffer
