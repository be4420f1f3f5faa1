"""Temporary copies of what was unpacked: bounded in size, the longest unused go first, gone when the program ends."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from multiprocessing import util
from pathlib import Path
from typing import BinaryIO

from engine.errors import UnreadableInput

STORE_BYTES = 6 * 1024**3
KEPT = 0.9
"""Part of the limit that is left after making room, so that room is not made for every single file."""
PIECE = 1024**2

Key = tuple[object, ...]
Check = Callable[[], None]


@dataclass
class _Copy:
    path: Path
    size: int
    users: int = 0


@dataclass
class Unpacked:
    """Files of one folder, by a key that changes when their origin does. Safe to use from several threads."""

    folder: Path
    limit: int = STORE_BYTES
    _copies: OrderedDict[Key, _Copy] = field(default_factory=OrderedDict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _count: int = 0
    _bytes: int = 0

    @contextmanager
    def file(self, key: Key, name: str, opened: Callable[[], BinaryIO], check: Check) -> Iterator[Path]:
        """The copy, made now if there is none; it stays at least until the end of the block.

        name: what the copy is called. opened: gives the stream to copy. Raises UnreadableInput if it is full.
        """
        copy = self._taken(key)
        if copy is None:
            made = self._make(name, opened, check)
            with self._lock:
                copy = self._taken(key)
                if copy is None:
                    copy = self._copies[key] = _Copy(made, made.stat().st_size, users=1)
                    self._bytes += copy.size
                    self._shrink()
                else:
                    _remove(made)
        try:
            yield copy.path
        finally:
            with self._lock:
                copy.users -= 1

    @contextmanager
    def lent(self, file: Path) -> Iterator[dict[Key, Path]]:
        """The copies of what a file on disk holds, for another process; they stay until the end of the block."""
        with self._lock:
            copies = {key: copy for key, copy in self._copies.items() if key[0] == str(file)}
            for copy in copies.values():
                copy.users += 1
        try:
            yield {key: copy.path for key, copy in copies.items()}
        finally:
            with self._lock:
                for copy in copies.values():
                    copy.users -= 1

    @contextmanager
    def borrowed(self, copies: Mapping[Key, Path]) -> Iterator[None]:
        """What another process lends counts as this one's until the end of the block."""
        with self._lock:
            new = {key: _Copy(path, 0, users=1) for key, path in copies.items() if key not in self._copies}
            self._copies.update(new)
        try:
            yield
        finally:
            with self._lock:
                for key in new:
                    del self._copies[key]

    def _taken(self, key: Key) -> _Copy | None:
        with self._lock:
            copy = self._copies.get(key)
            if copy is not None:
                self._copies.move_to_end(key)
                copy.users += 1
            return copy

    def _make(self, name: str, opened: Callable[[], BinaryIO], check: Check) -> Path:
        with self._lock:
            self._count += 1
            path = self.folder / str(self._count) / _plain(name)
        try:
            path.parent.mkdir()
            with opened() as source, path.open("wb") as target:
                while piece := source.read(PIECE):
                    check()
                    target.write(piece)
        except OSError as problem:
            _remove(path)
            if problem.errno == errno.ENOSPC:
                raise UnreadableInput(name, "there is no room in the temporary folder to unpack it",
                                      advice="Free some space on the disk of the temporary folder.") from problem
            raise
        except BaseException:
            _remove(path)
            raise
        return path

    def _shrink(self) -> None:
        """Removes the longest unused copies; those in use stay, so that the limit may be passed for a while."""
        if self._bytes <= self.limit:
            return
        for key in [key for key, copy in self._copies.items() if copy.users == 0]:
            copy = self._copies.pop(key)
            self._bytes -= copy.size
            _remove(copy.path)
            if self._bytes <= self.limit * KEPT:
                return


def _plain(name: str) -> str:
    """A file name without folders, not too long for any disk, with the end that says what it is."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1].replace(":", "_").replace("\0", "_")
    if last in ("", ".", "..") or len(last.encode()) > 200:
        return hashlib.sha256(name.encode()).hexdigest()[:16] + Path(last[-20:]).suffix
    return last


def _remove(path: Path) -> None:
    shutil.rmtree(path.parent, ignore_errors=True)


def store() -> Unpacked:
    """The one of this process."""
    return _store_of(os.getpid())


@lru_cache(maxsize=1)
def _store_of(process: int) -> Unpacked:
    """process: a forked child must not share the folder that its parent clears. Workers of multiprocessing end
    without atexit, so that their finalisers are used, which also know the process they belong to."""
    folder = Path(tempfile.mkdtemp(prefix=f"stormdeck-{process}-"))
    util.Finalize(None, shutil.rmtree, args=(folder, True), exitpriority=10)
    return Unpacked(folder)
