"""The index of a large archive: what its files were found to hold, so that only new and changed ones are scanned.

One SQLite file for each archive in the user's cache folder. A file counts as known while its size and time of
change are as they were; of a folder that is trusted (:mod:`engine.archives.folders`) they are not even asked for. The
whole index counts only for the same version of the readers and the same descriptions beside the files. What cannot be
understood is forgotten and scanned again. Several programs may use an index at once; where it cannot be used at all
the archive opens without it.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine import __version__, catalogue
from engine.archives import index_file
from engine.archives.folders import ALONE, UNKNOWN, Block, FileFrames, Listed, Record, Row, Seen
from engine.archives.plain_values import as_text, from_text
from engine.errors import StormdeckError, UnreadableInput
from engine.radar.sequence import EPOCH, MICROSECOND, FrameRef, Layout, Skipped

__all__ = ["SMALL", "ArchiveIndex", "Found", "Listed", "Part", "cache_folder", "opened", "stamp_of"]
log = logging.getLogger(__name__)

SCHEMA = 2
SMALL = 200
"""Archives of fewer files are scanned every time."""
CACHE_VARIABLE = "STORMDECK_CACHE"
_BATCH, _BATCH_SECONDS = 2000, 2.0
_LONG_TEXT = 24
_Kinds = tuple[list[int], list[tuple[str, Layout]], dict[int, object]]


@dataclass(frozen=True, slots=True)
class Part:
    """What a reader found in a file, in a member of a bundle, or in a run of files alike. name: the reader's."""

    name: str
    path: Path
    layout: Layout
    frames: Sequence[FrameRef]
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """All that is known of one file, or of a run of files alike."""

    parts: tuple[Part, ...]
    failures: tuple[tuple[Path, StormdeckError], ...] = ()


def cache_folder(paths: Iterable[Path]) -> Path:
    """Where everything about an archive is kept: its index and its outlier mask. It may not exist yet."""
    roots = "\n".join(sorted({str(_root(path)) for path in paths}))
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        base = Path(named)
    else:
        import platformdirs

        base = Path(platformdirs.user_cache_dir("stormdeck", appauthor=False))
    return base / "archives" / hashlib.sha256(roots.encode("utf-8", "surrogateescape")).hexdigest()[:24]


def _root(path: Path) -> Path:
    whole = path.resolve()
    return whole if whole.is_dir() else whole.parent


def stamp_of(described: Iterable[tuple[str, int, int]], options: object) -> str:
    """The state of everything but the files themselves: readers, their options, descriptions beside the files."""
    readers = [(row.name, row.target) for row in catalogue.rows("reader")]
    folder = Path(__file__).parent
    code = [(entry.name, entry.stat().st_size, entry.stat().st_mtime_ns) for entry in sorted(folder.glob("*.py"))]
    state = repr((SCHEMA, __version__, readers, code, sorted(described), options))
    return hashlib.sha256(state.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass
class ArchiveIndex:
    """An open index; used by one thread. ``known`` answers, ``learn`` remembers, both never fail. path: where it is
    or would be made, None where it cannot be used."""

    path: Path | None = None
    database: sqlite3.Connection | None = None
    stored: index_file.Stored = field(default_factory=index_file.Stored)
    _records: dict[str, Record] = field(default_factory=dict)
    _values: dict[str | None, object] = field(default_factory=dict)
    _new: list[Row] = field(default_factory=list)
    _new_texts: dict[str, str] = field(default_factory=dict)
    _has_learnt: bool = False
    _written: float = field(default_factory=time.monotonic)

    @property
    def packed(self) -> Mapping[str, Record]:
        """Folders that may be trusted, as far as the index counts."""
        return self.stored.packed

    def counts(self, stamp: str) -> bool:
        return self.stored.stamp == stamp

    def begin(self, stamp: str) -> None:
        """Before anything is asked: makes the index where there is none, forgets what counts no more."""
        if self.path is None or (self.database is not None and self.counts(stamp)):
            return
        try:
            if self.database is None:
                self.database = index_file.connected(self.path)
            index_file.begin(self.database, stamp)
        except (sqlite3.Error, OSError) as problem:
            log.warning("the archive's index cannot be used: %s", problem)
            self.close()
        self.stored = index_file.Stored(stamp)

    def record(self, folder: str) -> Record:
        """What is known of a folder's files."""
        if folder not in self._records:
            record = self.stored.packed.get(folder) or Record()
            self._records[folder] = record.with_rows(self.stored.loose.get(folder, ()))
        return self._records[folder]

    def known(self, block: Block, alone: Callable[[str], bool]) -> Iterator[tuple[int, Found | None]]:
        """(number of files, what was found in them when they last looked like this) in the block's order; (1, None)
        for a file to be scanned. Neighbours that hold one frame each and are alike come as one part. alone: readers
        whose files are not put together.

        A hundred thousand files come out in a fraction of a second, because nothing is made for each.
        """
        record = self.record(block.root)
        places = record.places(block)
        groups, shared, keys = self._kinds(record, alone)
        of_file = np.array([*groups, UNKNOWN])[np.where(places < 0, len(groups), self._numbers(record, places))]
        edges = [0, *(np.flatnonzero(np.diff(of_file)) + 1).tolist(), len(of_file)]
        for start, stop in itertools.pairwise(edges):
            group = int(of_file[start]) if start < stop else UNKNOWN
            if group < 0:
                for at in range(start, stop):
                    yield 1, self._single(block, at, record, int(places[at])) if group == ALONE else None
                continue
            name, layout = shared[group]
            numbers = record.numbers[:, places[start:stop]]
            frames = FileFrames(block.folder, block.names[start:stop], numbers[2], keys, numbers[3])
            yield stop - start, Found((Part(name, block.folder / block.names[start], layout, frames),))

    @staticmethod
    def _numbers(record: Record, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Number of the kind of each file, anything where it is not known."""
        return record.numbers[3, places] if record.names else places

    def _kinds(self, record: Record, alone: Callable[[str], bool]) -> _Kinds:
        """For each kind the group it is put together with, ALONE, or UNKNOWN where it is not understood; reader and
        layout of each group; the readers' keys."""
        groups: list[int] = []
        numbers: dict[tuple[str, str | None], int] = {}
        shared: list[tuple[str, Layout]] = []
        keys: dict[int, object] = {}
        for reader, layout, key, body in record.kinds:
            try:
                if body is not None or reader is None or alone(reader):
                    groups.append(ALONE)
                    continue
                keys[len(groups)] = None if key is None else self._value(key)
                whole = self._layout(layout)
            except (ValueError, TypeError, KeyError, OverflowError):
                log.info("the index is not understood for files of %s", reader)
                groups.append(UNKNOWN)
                continue
            if (reader, layout) not in numbers:
                numbers[reader, layout] = len(shared)
                shared.append((reader, whole))
            groups.append(numbers[reader, layout])
        return groups, shared, keys

    def _single(self, block: Block, at: int, record: Record, place: int) -> Found | None:
        """What is known of one file, None where it is not understood."""
        path = block.folder / block.names[at]
        _, _, _, reader, layout, moment, key, body = record.row(block.root, place)
        try:
            if body is not None:
                return self._several(path, body)
            ref = FrameRef(EPOCH + (moment or 0) * MICROSECOND, path, None if key is None else self._value(key))
            return Found((Part(str(reader), path, self._layout(layout), (ref,)),))
        except (ValueError, TypeError, KeyError, OverflowError):
            log.info("the index is not understood for %s", path)
            return None

    def _several(self, path: Path, body: str) -> Found:
        stored = from_text(body)
        if isinstance(stored, Failure):
            return Found((), ((path, UnreadableInput(path, stored.reason, tried=stored.tried,
                                                     advice=stored.advice or None)),))
        parts = []
        for reader, below, layout, frames, skipped in stored:
            where = path.joinpath(below) if below else path
            refs = tuple(FrameRef(EPOCH + int(moment) * MICROSECOND, where, key) for moment, key in frames)
            parts.append(Part(str(reader), where, self._layout(layout), refs,
                              tuple(Skipped(str(where), str(reason)) for reason in skipped)))
        return Found(tuple(parts))

    def _layout(self, name: str | None) -> Layout:
        layout = self._value(name or "")
        if not isinstance(layout, Layout):
            raise ValueError("no layout")
        return layout

    def _value(self, text: str) -> object:
        """Decoded once, so that equal layouts and keys are one object."""
        if text not in self._values:
            self._values[text] = from_text(self.stored.texts[text[1:]] if text.startswith("#") else text)
        return self._values[text]

    def learn(self, file: Listed, found: Found) -> None:
        """Remembers a file; written in batches, all of it when the index is closed."""
        if self.database is None or not file.name or not file.name.isprintable():
            return  # names that are no text cannot stand in the database
        try:
            row = self._row(file.path, file, found)
        except TypeError as problem:
            log.debug("not kept in the index: %s (%s)", file.path, problem)
            row = None
        if row is not None:
            self._new.append(row)
            self._has_learnt = True
            if len(self._new) >= _BATCH or time.monotonic() - self._written > _BATCH_SECONDS:
                self.write()

    def _row(self, path: Path, file: Listed, found: Found) -> Row | None:
        start = (file.name, file.size, file.changed)
        if found.failures:
            failure = _lasting(found)
            return None if failure is None else (*start, None, None, None, None, as_text(failure))
        own = [part for part in found.parts if part.path == path]
        refs = own[0].frames if len(found.parts) == 1 and own and not own[0].skipped else ()
        if len(refs) == 1 and refs[0].path == path:
            part, frame = own[0], refs[0]
            key = None if frame.key is None else self._text(as_text(frame.key))
            return (*start, part.name, self._text(as_text(part.layout)), _moment(frame.time), key, None)
        return (*start, None, None, None, None, as_text(tuple(self._entry(path, part) for part in found.parts)))

    def _entry(self, path: Path, part: Part) -> tuple[object, ...]:
        if any(ref.path != part.path for ref in part.frames) or any(s.path != str(part.path) for s in part.skipped):
            raise TypeError("it leads to other files")
        below = "" if part.path == path else part.path.relative_to(path).as_posix() if part.path.is_relative_to(
            path) else None
        if below is None:
            raise TypeError("it leads to other files")
        frames = tuple((_moment(ref.time), ref.key) for ref in part.frames)
        return (part.name, below, self._text(as_text(part.layout)), frames,
                tuple(skipped.reason for skipped in part.skipped))

    def _text(self, text: str) -> str:
        """Long texts are kept once and named by what they say."""
        if len(text) <= _LONG_TEXT and not text.startswith("#"):
            return text
        name = hashlib.sha256(text.encode()).hexdigest()[:24]
        if name not in self.stored.texts:
            self.stored.texts[name] = self._new_texts[name] = text
        return f"#{name}"

    def write(self) -> None:
        """Puts what was learnt into the file; gives the index up for this time if that fails."""
        self._written = time.monotonic()
        if self.database is None or not self._new:
            return
        try:
            index_file.add(self.database, self._new_texts.items(), self._new)
        except sqlite3.Error as problem:
            log.warning("the archive's index cannot be written: %s", problem)
            self.close()
        self._new, self._new_texts = [], {}

    def settle(self, seen: Mapping[str, Seen], others: set[str]) -> None:
        """After a whole archive was gone through: packs what is old, forgets what is gone. seen: the folders listed;
        others: names of folders that were not, because they are trusted."""
        self.write()
        packed, loose = self.stored.packed, self.stored.loose
        gone = (packed.keys() | loose.keys()) - seen.keys() - others
        if self.database is None or not (self._has_learnt or gone or any(
                index_file.is_due(folder, self.record(name), len(loose.get(name, ())))
                for name, folder in seen.items())):
            return
        try:
            index_file.settle(self.database, seen, others)
        except (sqlite3.Error, ValueError, TypeError) as problem:
            log.warning("the archive's index cannot be put in order: %s", problem)

    def close(self) -> None:
        if self.database is not None:
            with suppress(sqlite3.Error):
                self.database.close()
        self.database = None


@dataclass(frozen=True)
class Failure:
    """Why a file could not be read."""

    reason: str
    tried: str = ""
    advice: str = ""


def _lasting(found: Found) -> Failure | None:
    """The failure, if it lies in the file: not in a library that is missing or a folder that was closed just then."""
    if found.parts or len(found.failures) != 1:
        return None
    _, problem = found.failures[0]
    passing = isinstance(problem.__cause__, OSError | MemoryError | ImportError) or "pip install" in problem.advice
    if passing or not isinstance(problem, UnreadableInput):
        return None
    return Failure(problem.reason, problem.tried, problem.advice)


def _moment(when: datetime) -> int:
    return (when - EPOCH) // MICROSECOND


@contextmanager
def opened(folder: Path, options: object = None) -> Iterator[ArchiveIndex]:
    """The index in this folder; none is made before it begins. What was learnt is written at the end, also when the
    block raises (a scan that was cancelled)."""
    name = f"index-{hashlib.sha256(repr(options).encode()).hexdigest()[:8]}.sqlite"
    index = _load(folder / name)
    try:
        yield index
    finally:
        index.write()
        index.close()


def _load(path: Path) -> ArchiveIndex:
    index = ArchiveIndex(path)
    try:
        if path.is_file():
            index.database = index_file.connected(path)
            index.stored = index_file.stored(index.database)
        return index
    except (sqlite3.OperationalError, OSError) as problem:  # locked by others, no room, read-only
        log.warning("the archive's index cannot be used: %s", problem)
    except (sqlite3.DatabaseError, ValueError, TypeError) as problem:
        log.warning("the archive's index is damaged and made anew: %s", problem)
        index.close()
        with suppress(OSError):
            path.unlink(missing_ok=True)
            return ArchiveIndex(path)
    index.close()
    return ArchiveIndex()
