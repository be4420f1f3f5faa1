"""One process at a time trains in a folder. The system gives the lock back however that process ends, kill -9
included, so that a lock that is free says for certain that nobody trains there."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

LOCK_FILE = "run.lock"
PATIENCE_S = 1.0
"""Somebody may just be asking whether the lock is free."""


class RunLock:
    """``take`` and ``give_back``. Where the file system knows no locks everybody gets one."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK_FILE
        self._file: int | None = None

    def take(self, patience: float = PATIENCE_S) -> bool:
        """False where another process has it."""
        until = time.monotonic() + patience
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        while not _locked(self._file):
            if time.monotonic() > until:
                self.give_back()
                return False
            time.sleep(0.02)
        return True

    def give_back(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def is_trained_in(folder: Path) -> bool:
    """Whether a process trains in the folder now."""
    if not (folder / LOCK_FILE).is_file():
        return False
    lock = RunLock(folder)
    try:
        free = lock.take(patience=0.0)
    except OSError:  # may not be opened: somebody else's, or held in a way that forbids it
        return True
    lock.give_back()
    return not free


if sys.platform == "win32":
    import errno
    import msvcrt

    def _locked(file: int) -> bool:
        os.lseek(file, 0, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError as problem:
            return problem.errno not in (errno.EACCES, errno.EDEADLK)
        return True
else:
    import fcntl

    def _locked(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # no locks on this file system
            return True
        return True


def remove(folder: Path) -> None:
    """The lock's file, where nobody holds it."""
    with suppress(OSError):
        (folder / LOCK_FILE).unlink()
