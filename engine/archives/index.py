"""The index of a large archive: what its files were found to hold, so that only new and changed ones are scanned.

One SQLite file for each archive in the user's cache folder. A file counts as known while its size and time of
change are as they were; the whole index counts only for the same version of the readers and the same descriptions
beside the files. What cannot be understood is forgotten and scanned again. Several programs may use an index at
once; where it cannot be used at all the archive opens without it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from engine import __version__, catalogue
from engine.archives.plain_values import as_text, from_text
from engine.errors import StormdeckError, UnreadableInput
from engine.radar.sequence import FrameRef, Layout, Skipped

log = logging.getLogger(__name__)

SCHEMA = 1
SMALL = 200
"""Archives of fewer files are scanned every time."""
CACHE_VARIABLE = "STORMDECK_CACHE"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_BATCH, _BATCH_SECONDS = 2000, 2.0
_PATIENCE_S = 5.0
_LONG_TEXT = 24
_RUN = 4000

_TABLES = """
CREATE TABLE IF NOT EXISTS about (stamp TEXT);
CREATE TABLE IF NOT EXISTS texts (id TEXT PRIMARY KEY, body TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, size INTEGER, changed INTEGER, reader TEXT, layout TEXT,
                                  moment INTEGER, key TEXT, body TEXT);
"""


class Listed(NamedTuple):
    """A file as the folder lists it. name: below the archive's root; empty for what is never remembered (folders
    that are a format themselves). changed: ns. plain: not to be looked into as a bundle."""

    path: Path
    name: str = ""
    size: int = -1
    changed: int = -1
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """What a reader found in a file, in a member of a bundle, or in a run of files alike. name: the reader's."""

    name: str
    path: Path
    layout: Layout
    frames: tuple[FrameRef, ...]
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """All that is known of one file."""

    parts: tuple[Part, ...]
    failures: tuple[tuple[Path, StormdeckError], ...] = ()


Row = tuple[str, int, int, str | None, str | None, int | None, str | None, str | None]


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
    """An open index; used by one thread. ``known`` answers, ``learn`` remembers, both never fail."""

    database: sqlite3.Connection | None
    rows: dict[str, Row] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    _values: dict[str | None, object] = field(default_factory=dict)
    _new: list[Row] = field(default_factory=list)
    _new_texts: dict[str, str] = field(default_factory=dict)
    _written: float = field(default_factory=time.monotonic)

    def runs(self, files: list[Listed], alone: Callable[[str], bool]) -> Iterator[tuple[int, Part | None]]:
        """(number of files, their frames as one part) of neighbours that hold one frame each and are known, alike and
        unchanged; (1, None) for a file to be asked for by itself. alone: readers whose files are not put together.

        A hundred thousand files come out in a fraction of a second, because nothing is made for each but its frame.
        """
        refs: list[FrameRef] = []
        kind: tuple[str | None, str | None] = (None, None)
        singles = set() if self.database is None else {
            name for name in {row[3] for row in self.rows.values()} if name is not None and not alone(name)}
        for file in files:
            row = self.rows.get(file.name)
            frame = None
            if row is not None and row[3] in singles and row[2] == file.changed and row[1] == file.size:
                frame = self._frame(file.path, row)
            if refs and (frame is None or row is None or (row[3], row[4]) != kind or len(refs) >= _RUN):
                yield len(refs), Part(kind[0] or "", refs[0].path, self._layout(kind[1]), tuple(refs))
                refs = []
            if frame is None or row is None:
                yield 1, None
            else:
                kind = row[3], row[4]
                refs.append(frame)
        if refs:
            yield len(refs), Part(kind[0] or "", refs[0].path, self._layout(kind[1]), tuple(refs))

    def _frame(self, path: Path, row: Row) -> FrameRef | None:
        """The one frame of a file, None where the row is not understood."""
        text, layout, known = row[6], row[4], self._values
        try:
            if layout not in known or (text is not None and text not in known):
                self._layout(layout)
                key = None if text is None else self._value(text)
            else:
                key = None if text is None else known[text]
            return FrameRef(_EPOCH + timedelta(0, 0, row[5] or 0), path, key)
        except (ValueError, TypeError, KeyError, OverflowError):
            return None

    def known(self, file: Listed) -> Found | None:
        """What was found in the file when it last looked like this, or None."""
        row = self.rows.get(file.name)
        if row is None or row[1] != file.size or row[2] != file.changed:
            return None
        try:
            if row[7] is not None:
                return self._several(file.path, row[7])
            frame = self._frame(file.path, row)
            return None if frame is None else Found((Part(str(row[3]), file.path, self._layout(row[4]), (frame,)),))
        except (ValueError, TypeError, KeyError, OverflowError):
            log.info("the index is not understood for %s", file.path)
            return None

    def _several(self, path: Path, body: str) -> Found:
        stored = from_text(body)
        if isinstance(stored, Failure):
            return Found((), ((path, UnreadableInput(path, stored.reason, tried=stored.tried,
                                                     advice=stored.advice or None)),))
        parts = []
        for reader, below, layout, frames, skipped in stored:
            where = path.joinpath(below) if below else path
            refs = tuple(FrameRef(_EPOCH + int(moment) * _MICROSECOND, where, key) for moment, key in frames)
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
            self._values[text] = from_text(self.texts[text[1:]] if text.startswith("#") else text)
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
        if name not in self.texts:
            self.texts[name] = self._new_texts[name] = text
        return f"#{name}"

    def write(self) -> None:
        """Puts what was learnt into the file; gives the index up for this time if that fails."""
        self._written = time.monotonic()
        if self.database is None or not self._new:
            return
        try:
            with _transaction(self.database):
                self.database.executemany("INSERT OR REPLACE INTO texts VALUES (?, ?)", self._new_texts.items())
                self.database.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)", self._new)
        except sqlite3.Error as problem:
            log.warning("the archive's index cannot be written: %s", problem)
            self.database = None
        self._new, self._new_texts = [], {}

    def forget_others(self, names: Iterable[str]) -> None:
        """Forgets files that are gone."""
        gone = self.rows.keys() - set(names)
        if self.database is None or not gone:
            return
        with suppress(sqlite3.Error), _transaction(self.database):
            self.database.executemany("DELETE FROM files WHERE name = ?", ((name,) for name in gone))


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
    return (when - _EPOCH) // _MICROSECOND


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


@contextmanager
def opened(folder: Path, stamp: str, options: object = None) -> Iterator[ArchiveIndex]:
    """The index in this folder, made or made anew where there is none that counts. What was learnt is written at the
    end, also when the block raises (a scan that was cancelled)."""
    name = f"index-{hashlib.sha256(repr(options).encode()).hexdigest()[:8]}.sqlite"
    index = _load(folder / name, stamp)
    try:
        yield index
    finally:
        index.write()
        if index.database is not None:
            with suppress(sqlite3.Error):
                index.database.close()


def _load(path: Path, stamp: str) -> ArchiveIndex:
    for _ in (1, 2):
        try:
            return _connected(path, stamp)
        except sqlite3.OperationalError as problem:  # locked by others, no room, read-only
            log.warning("the archive's index cannot be used: %s", problem)
            break
        except (sqlite3.DatabaseError, ValueError, TypeError) as problem:
            log.warning("the archive's index is damaged and made anew: %s", problem)
            try:
                path.unlink(missing_ok=True)
            except OSError:
                break
        except OSError as problem:
            log.warning("the archive's index cannot be used: %s", problem)
            break
    return ArchiveIndex(None)


def _connected(path: Path, stamp: str) -> ArchiveIndex:
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None)
    try:
        with _transaction(database):
            for statement in _TABLES.split(";"):
                database.execute(statement)
            stored = [row[0] for row in database.execute("SELECT stamp FROM about")]
            if stored != [stamp]:
                for table in ("about", "texts", "files"):
                    database.execute(f"DELETE FROM {table}")
                database.execute("INSERT INTO about VALUES (?)", (stamp,))
        texts = dict(database.execute("SELECT id, body FROM texts"))
        rows = {row[0]: row for row in database.execute("SELECT * FROM files")}
    except BaseException:
        database.close()
        raise
    return ArchiveIndex(database, rows, texts)
