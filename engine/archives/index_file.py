"""The SQLite file of an archive's index: a row for each folder, and one for each file that is not packed with its
folder yet. What was just found is written file by file; :func:`settle` packs what is old and drops what is gone."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from engine.archives.folders import QUIET_NS, Record, Row, Seen, Trust

log = logging.getLogger(__name__)

_PATIENCE_S = 5.0
_SHARE_PACKED_AGAIN = 50
"""A folder is packed anew when its loose rows are one in so many."""
_TABLES = {
    "about": "(stamp TEXT)",
    "texts": "(id TEXT PRIMARY KEY, body TEXT) WITHOUT ROWID",
    "files": "(name TEXT PRIMARY KEY, size INTEGER, changed INTEGER, reader TEXT, layout TEXT, moment INTEGER, "
             "key TEXT, body TEXT)",
    "folders": "(name TEXT PRIMARY KEY, names TEXT, kinds TEXT, numbers BLOB, trust TEXT)",
}


@dataclass
class Stored:
    """What the file holds. packed: by folder; loose: rows of files by folder, which count where both know one."""

    stamp: str | None = None
    texts: dict[str, str] = field(default_factory=dict)
    packed: dict[str, Record] = field(default_factory=dict)
    loose: dict[str, list[Row]] = field(default_factory=dict)


def connected(path: Path) -> sqlite3.Connection:
    """The file with its tables, made where there is none. Raises sqlite3.Error, OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None)
    try:
        with transaction(database):
            for name, columns in _TABLES.items():
                database.execute(f"CREATE TABLE IF NOT EXISTS {name} {columns}")
    except BaseException:
        database.close()
        raise
    return database


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def stored(database: sqlite3.Connection) -> Stored:
    """All of it; folders that are not understood are left out. Raises sqlite3.Error, ValueError, TypeError."""
    found = Stored()
    stamps = [row[0] for row in database.execute("SELECT stamp FROM about")]
    found.stamp = stamps[0] if len(stamps) == 1 else None
    found.texts = dict(database.execute("SELECT id, body FROM texts"))
    for name, *columns in database.execute("SELECT * FROM folders"):
        try:
            found.packed[name] = Record.read(*columns)
        except ValueError:
            log.info("the index is not understood for the folder %s", name)
    for row in database.execute("SELECT * FROM files"):
        found.loose.setdefault("".join(row[0].rpartition("/")[:2]), []).append(row)
    return found


def begin(database: sqlite3.Connection, stamp: str) -> None:
    """Forgets everything, unless it counts under this stamp."""
    with transaction(database):
        if [row[0] for row in database.execute("SELECT stamp FROM about")] != [stamp]:
            for table in _TABLES:
                database.execute(f"DELETE FROM {table}")
            database.execute("INSERT INTO about VALUES (?)", (stamp,))


def add(database: sqlite3.Connection, texts: Iterable[tuple[str, str]], rows: Iterable[Row]) -> None:
    with transaction(database):
        database.executemany("INSERT OR REPLACE INTO texts VALUES (?, ?)", texts)
        database.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)


def is_due(seen: Seen, record: Record, loose: int) -> bool:
    """Whether :func:`settle` has anything to do for a folder. record: all that is known; loose: rows of its own."""
    if record.names != seen.names and not set(record.names) <= set(seen.names):
        return True
    trust = Trust.of(seen)
    if trust.looked and not record.trust.holds(seen.state, seen.began):
        return True
    return bool(loose) and _is_packed_again(loose, len(record.names)) and seen.began - seen.newest_file > QUIET_NS


def _is_packed_again(loose: int, known: int) -> bool:
    return loose * _SHARE_PACKED_AGAIN >= known


def settle(database: sqlite3.Connection, seen: Mapping[str, Seen], others: set[str]) -> None:
    """After a whole archive was gone through: packs old files, drops what is gone, says which folders are trusted.

    seen: folders that were listed; others: the names of those that were not, because they are trusted.
    Raises sqlite3.Error, ValueError.
    """
    with transaction(database):
        found = stored(database)
        gone = (found.packed.keys() | found.loose.keys()) - seen.keys() - others
        database.executemany("DELETE FROM folders WHERE name = ?", ((name,) for name in gone))
        _drop(database, (row for name in gone for row in found.loose.get(name, ())))
        for name, folder in seen.items():
            record = found.packed.get(name) or Record()
            rows = found.loose.get(name, [])
            settled, packed = _settled(record, rows, folder)
            if settled is not record:
                database.execute("INSERT OR REPLACE INTO folders VALUES (?, ?, ?, ?, ?)", (name, *settled.stored()))
            _drop(database, packed)


def _drop(database: sqlite3.Connection, rows: Iterable[Row]) -> None:
    database.executemany("DELETE FROM files WHERE name = ?", ((row[0],) for row in rows))


def _settled(record: Record, rows: list[Row], seen: Seen) -> tuple[Record, list[Row]]:
    """(what is packed from now on, the rows that go)."""
    listed = set(seen.names)
    gone = [row for row in rows if row[0][len(seen.root):] not in listed]
    there = [row for row in rows if row[0][len(seen.root):] in listed] if gone else rows
    old = [row for row in there if isinstance(row[2], int) and row[2] <= seen.began - QUIET_NS]
    trust = record.trust if record.trust.holds(seen.state, seen.began) else Trust.of(seen)
    if not trust.looked and not _is_packed_again(len(old), len(record.names)):
        old = []
    kept = record if listed.issuperset(record.names) else record.only(listed)
    both = kept.with_rows(old) if old else kept
    if len(old) < len(there) or not both.knows_all(seen):
        trust = Trust()
    if both is record and trust == record.trust:
        return record, gone
    return both.in_order(trust), gone + old
