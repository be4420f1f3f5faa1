"""What an archive's folders hold: as they are listed, and as they are remembered in columns, a row for each file.

A folder is listed and every file in it asked for its size and time of change, unless it is *trusted*: when it was
last looked at, nothing in it had changed for a day (``TRUSTED_NS``), it held no links, and all its files were known.
It is trusted while its inode and its own time of change stay as they were, which any file added, removed, renamed or
replaced alters, for a day after that look. A file rewritten in place in an old folder is therefore noticed within a
day, or by ``open_archive(..., fresh=True)`` at once.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from engine.radar.sequence import EPOCH, MICROSECOND, FrameRef

QUIET_NS = 600 * 10**9
"""Files that have not changed for so long are packed."""
TRUSTED_NS = 86_400 * 10**9
UNKNOWN, ALONE = -1, -2

Row = tuple[str, int, int, str | None, str | None, int | None, str | None, str | None]
"""A file: name, size, changed (ns), reader, layout, time (microseconds), key, body; see ArchiveIndex."""
Kind = tuple[str | None, str | None, str | None, str | None]
"""Reader, layout, key and body, which many files share."""
Described = tuple[str, int, int]
_EARLIEST = (datetime.min.replace(tzinfo=UTC) - EPOCH) // MICROSECOND
_LATEST = (datetime.max.replace(tzinfo=UTC) - EPOCH) // MICROSECOND


class Listed(NamedTuple):
    """A file as the folder lists it. name: below the archive's root; empty for what is never remembered (folders
    that are a format themselves). changed: ns. plain: not to be looked into as a bundle."""

    path: Path
    name: str = ""
    size: int = -1
    changed: int = -1
    plain: bool = False


@dataclass
class Block:
    """Neighbouring files of one folder. root: the folder's name below the archive's root, empty or with "/" at its
    end. sizes and changed (ns): None in a trusted folder, where they are as remembered."""

    folder: Path
    root: str
    names: list[str]
    sizes: list[int] | None = None
    changed: list[int] | None = None

    def add(self, name: str, state: os.stat_result) -> None:
        """One more."""
        self.names.append(name)
        if self.sizes is not None and self.changed is not None:
            self.sizes.append(state.st_size)
            self.changed.append(state.st_mtime_ns)

    def file(self, at: int, is_known: bool = False) -> Listed:
        """One of them; one that is not known is asked for its size and time of change if it was not yet."""
        name = self.names[at]
        path = self.folder / name
        if self.sizes is not None and self.changed is not None:
            return Listed(path, self.root + name, self.sizes[at], self.changed[at])
        try:
            state = None if is_known else path.stat()
        except OSError:  # gone meanwhile: it is told when the file is scanned
            state = None
        return Listed(path) if state is None else Listed(path, self.root + name, state.st_size, state.st_mtime_ns)


@dataclass
class Seen:
    """A folder as it was just listed. state: its inode and time of change (ns), of before it was listed, so that
    whatever comes meanwhile alters it; began: when that was (ns). inside: folders in it, each with the number of files
    before it. described: descriptions in it, with names below the archive's root."""

    folder: Path
    root: str
    state: tuple[str, int]
    began: int
    names: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)
    inside: list[tuple[int, str]] = field(default_factory=list)
    described: list[Described] = field(default_factory=list)
    has_links: bool = False

    @classmethod
    def at(cls, folder: Path, root: str) -> Seen:
        """Raises OSError."""
        state = os.stat(folder)
        return cls(folder, root, (str(state.st_ino), state.st_mtime_ns), time.time_ns())

    @cached_property
    def newest_file(self) -> int:
        """When a file in it changed last (ns)."""
        return max(self.changed, default=0)

    def is_quiet_for(self, ns: int) -> bool:
        """Whether nothing has changed in it for so long."""
        newest = max(self.state[1], self.newest_file, max((row[2] for row in self.described), default=0))
        return newest <= self.began - ns

    def block(self, start: int, stop: int) -> Block:
        """Some of its files."""
        return Block(self.folder, self.root, self.names[start:stop], self.sizes[start:stop], self.changed[start:stop])


@dataclass(frozen=True)
class Trust:
    """How a folder was when all its files were last looked at. looked: when (ns), 0 where it may not be trusted."""

    state: tuple[str, int] = ("", 0)
    looked: int = 0
    inside: tuple[tuple[int, str], ...] = ()
    described: tuple[Described, ...] = ()

    @classmethod
    def of(cls, seen: Seen) -> Trust:
        """For a folder all of whose files are known."""
        if seen.has_links or not seen.is_quiet_for(TRUSTED_NS):
            return cls()
        return cls(seen.state, seen.began, tuple(seen.inside), tuple(seen.described))

    def holds(self, state: tuple[str, int], now: int) -> bool:
        return self.looked > 0 and self.state == state and 0 <= now - self.looked < TRUSTED_NS

    def text(self) -> str:
        return json.dumps((self.state, self.looked, self.inside, self.described))

    @classmethod
    def read(cls, text: str) -> Trust:
        """Raises ValueError."""
        try:
            (inode, changed), looked, inside, described = json.loads(text)
            return cls((str(inode), int(changed)), int(looked), tuple((int(at), str(name)) for at, name in inside),
                       tuple((str(name), int(size), int(when)) for name, size, when in described))
        except (TypeError, RecursionError, OverflowError) as problem:
            raise ValueError("what is remembered of a folder is not understood") from problem


@dataclass
class Record:
    """What is known of a folder's files. numbers: (4, n) int64 of sizes, times of change (ns), times of the frame
    (microseconds since 1970) and numbers in ``kinds``."""

    names: list[str] = field(default_factory=list)
    numbers: NDArray[np.int64] = field(default_factory=lambda: np.zeros((4, 0), np.int64))
    kinds: list[Kind] = field(default_factory=list)
    trust: Trust = field(default_factory=Trust)

    @classmethod
    def read(cls, names: str, kinds: str, numbers: bytes, trust: str) -> Record:
        """Raises ValueError where it is damaged."""
        try:
            if numbers[-4:] != _check(names, kinds, numbers[:-4]):
                raise ValueError("what is remembered of a folder is damaged")
            columns = np.frombuffer(numbers[:-4], "<i8").reshape(4, -1).astype(np.int64, copy=False)
            record = cls(names.split("\n") if names else [], columns, [_kind(kind) for kind in json.loads(kinds)],
                         Trust.read(trust))
        except (TypeError, AttributeError, RecursionError) as problem:
            raise ValueError("what is remembered of a folder is not understood") from problem
        _, _, moments, numbers_of_kinds = columns
        if len(record.names) != columns.shape[1] or (columns.size and not (
                0 <= numbers_of_kinds.min() <= numbers_of_kinds.max() < len(record.kinds)
                and _EARLIEST <= moments.min() <= moments.max() <= _LATEST)):
            raise ValueError("what is remembered of a folder does not fit together")
        return record

    def stored(self) -> tuple[str, str, bytes, str]:
        """Names, kinds, numbers and trust, as :meth:`read` takes them."""
        names, kinds = "\n".join(self.names), json.dumps(self.kinds, separators=(",", ":"))
        numbers = self.numbers.astype("<i8").tobytes()
        return names, kinds, numbers + _check(names, kinds, numbers), self.trust.text()

    def with_rows(self, rows: Iterable[Row]) -> Record:
        """With files added, or put right where they are known otherwise; rows that cannot be are left out."""
        numbers_of_kinds = {kind: number for number, kind in enumerate(self.kinds)}
        names, columns = [], []
        for name, size, changed, reader, layout, moment, key, body in rows:
            if not all(isinstance(value, int) for value in (size, changed, moment or 0)) or (
                    not _EARLIEST <= (moment or 0) <= _LATEST):
                continue
            kind = numbers_of_kinds.setdefault((reader, layout, key, body), len(numbers_of_kinds))
            names.append(name.rpartition("/")[2])
            columns.append((size, changed, moment or 0, kind))
        if not names:
            return self
        new = set(names)
        kept = self if new.isdisjoint(self.names) else self.only(set(self.names) - new)
        both = np.concatenate((kept.numbers, np.array(columns, np.int64).T), axis=1)
        return Record(kept.names + names, both, list(numbers_of_kinds), self.trust)

    def only(self, names: set[str]) -> Record:
        """Without the other files."""
        places = [at for at, name in enumerate(self.names) if name in names]
        return Record([self.names[at] for at in places], self.numbers[:, places], self.kinds, self.trust)

    def in_order(self, trust: Trust) -> Record:
        """In order of name, as a folder is listed, without kinds that no file has."""
        order = sorted(range(len(self.names)), key=self.names.__getitem__)
        numbers = self.numbers[:, order]
        used, numbers[3] = np.unique(numbers[3], return_inverse=True)
        return Record([self.names[at] for at in order], numbers, [self.kinds[kind] for kind in used], trust)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: at for at, name in enumerate(self.names)}

    def places(self, block: Block) -> NDArray[np.int64]:
        """Where each file of a block stands, UNKNOWN where it is new or has changed."""
        if block.names == self.names:
            places = np.arange(len(self.names))
        else:
            places = np.array([self._places.get(name, UNKNOWN) for name in block.names], np.int64)
        if block.sizes is not None and self.names:
            same = ((self.numbers[0, places] == np.array(block.sizes, np.int64))
                    & (self.numbers[1, places] == np.array(block.changed, np.int64)))
            places[~same] = UNKNOWN
        return places

    def knows_all(self, seen: Seen) -> bool:
        """Whether it knows every file of a folder as it was just listed."""
        return bool((self.places(seen.block(0, len(seen.names))) != UNKNOWN).all())

    def row(self, root: str, at: int) -> Row:
        """One file."""
        size, changed, moment, kind = (int(number) for number in self.numbers[:, at])
        reader, layout, key, body = self.kinds[kind]
        return root + self.names[at], size, changed, reader, layout, moment, key, body


def _check(names: str, kinds: str, numbers: bytes) -> bytes:
    """A sum that tells whether they are as they were written."""
    return zlib.crc32(numbers, zlib.crc32(f"{names}\n{kinds}".encode())).to_bytes(4, "little")


def _kind(value: Any) -> Kind:
    reader, layout, key, body = value
    if not all(part is None or isinstance(part, str) for part in value):
        raise ValueError("what is remembered of a folder is not understood")
    return reader, layout, key, body



class FileFrames(Sequence[FrameRef]):
    """One frame from each of neighbouring files, made when it is asked for.

    names: of the files in ``folder``. moments: (n,) int64, microseconds since 1970. keys: what the reader needs, by
    number; kinds: (n,) int, that number for each file.
    """

    def __init__(self, folder: Path, names: list[str], moments: NDArray[np.int64], keys: dict[int, Any],
                 kinds: NDArray[np.int64]) -> None:
        self.folder, self.names, self.moments, self.keys, self.kinds = folder, names, moments, keys, kinds

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> FrameRef: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[FrameRef]: ...

    def __getitem__(self, index: int | slice) -> FrameRef | Sequence[FrameRef]:
        if isinstance(index, slice):
            return FileFrames(self.folder, self.names[index], self.moments[index], self.keys, self.kinds[index])
        time = EPOCH + int(self.moments[index]) * MICROSECOND
        return FrameRef(time, self.folder / self.names[index], self.keys[int(self.kinds[index])])
