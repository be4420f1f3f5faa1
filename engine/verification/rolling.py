"""Scores of forecasts whose observation came later, kept in one small SQLite file.

A row stands for one lead time of one forecast at one threshold, so that the same observation coming twice changes
nothing and windows of time are sums of rows. The oldest rows go when there are too many. A file that cannot be
understood is put aside under another name, with a message, and begun anew. Several programs may use it at once.
"""

from __future__ import annotations

import logging
import math
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, TypeVar

from engine.errors import UnwritableOutput
from engine.verification.counts import Tally
from engine.verification.scores import csi

log = logging.getLogger(__name__)

T = TypeVar("T")
VERSION = 1
MOST_ROWS = 400_000
"""Some 60 MB: two weeks of one forecaster with 20 lead times at five thresholds every five minutes."""
PATIENCE_S = 10.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_TABLES = """
CREATE TABLE IF NOT EXISTS score (archive TEXT, forecaster TEXT, weights TEXT, reference INTEGER, lead REAL,
    threshold REAL, valid INTEGER, tp INTEGER, fn INTEGER, fp INTEGER, tn INTEGER,
    PRIMARY KEY (archive, forecaster, weights, reference, lead, threshold)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS error (archive TEXT, forecaster TEXT, weights TEXT, reference INTEGER, lead REAL,
    valid INTEGER, pixels INTEGER, squared REAL, absolute REAL, balanced_squared REAL, balanced_absolute REAL,
    squared_mm_h REAL, absolute_mm_h REAL,
    PRIMARY KEY (archive, forecaster, weights, reference, lead)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_time ON score (archive, valid);
"""


class Key(NamedTuple):
    """A lead time of a forecast. weights: SHA-256 of the weight file, empty for forecasters that need none."""

    archive: str
    forecaster: str
    weights: str
    reference: datetime
    lead_minutes: float


@dataclass(frozen=True)
class Entry:
    """A lead time that was compared with its observation at ``valid``; tally holds ``thresholds`` (mm/h) exactly."""

    key: Key
    valid: datetime
    tally: Tally
    thresholds: tuple[float, ...]


@dataclass(frozen=True)
class RecentScore:
    """A forecaster's pooled score over a window of time. csi: None where undefined. count: compared lead times.
    longest: of those lead times, minutes."""

    forecaster: str
    weights: str
    csi: float | None
    count: int
    longest: float


class RollingScores:
    """The file at ``path``, made when it is first written. ``messages``: what a user should know of, such as a
    damaged file that was put aside."""

    def __init__(self, path: Path, most_rows: int = MOST_ROWS) -> None:
        self.path = path
        self.messages: list[str] = []
        self._most = most_rows

    def enter(self, entries: Sequence[Entry]) -> None:
        """All of them or none; what is there already is replaced by what is the same. Raises UnwritableOutput."""
        scores = [row for entry in entries for row in _score_rows(entry)]
        errors = [(*_place(entry.key), _seconds(entry.valid), entry.tally.pixels, *astuple(entry.tally.sums))
                  for entry in entries]

        def write(base: sqlite3.Connection) -> None:
            base.executemany(f"INSERT OR REPLACE INTO score VALUES ({','.join('?' * 11)})", scores)
            base.executemany(f"INSERT OR REPLACE INTO error VALUES ({','.join('?' * 13)})", errors)
            self._bound(base)

        try:
            self._do(write)
        except (sqlite3.Error, OSError) as problem:
            raise UnwritableOutput(self.path, str(problem)) from problem

    def known(self, archive: str) -> frozenset[Key]:
        """Lead times that are in the file; none where it cannot be read."""
        def read(base: sqlite3.Connection) -> frozenset[Key]:
            rows = base.execute("SELECT archive, forecaster, weights, reference, lead FROM error WHERE archive = ?",
                                (archive,))
            return frozenset(Key(row[0], row[1], row[2], _moment(row[3]), row[4]) for row in rows)

        return self._read(read, frozenset())

    def recent(self, archive: str, threshold: float, until: datetime, hours: float,
               most_lead_minutes: float = 60.0) -> tuple[RecentScore, ...]:
        """CSI at a threshold (mm/h) over valid times in the last ``hours``, pooled over lead times up to a limit, so
        that forecasters of different reach are set side by side. Of each forecaster its newest weights count."""
        def read(base: sqlite3.Connection) -> tuple[RecentScore, ...]:
            rows = base.execute(
                "SELECT forecaster, weights, SUM(tp), SUM(fn), SUM(fp), SUM(tn), COUNT(*), MAX(lead) FROM score "
                "WHERE archive = ? AND threshold = ? AND valid > ? AND valid <= ? AND lead <= ? "
                "GROUP BY forecaster, weights ORDER BY MAX(reference)",
                (archive, float(threshold), _seconds(until - timedelta(hours=hours)), _seconds(until),
                 most_lead_minutes))
            newest = {row[0]: _recent(row) for row in rows}
            return tuple(newest.values())

        return self._read(read, ())

    def _bound(self, base: sqlite3.Connection) -> None:
        count = base.execute("SELECT COUNT(*) FROM score").fetchone()[0]
        if count <= self._most:
            return
        surplus = count - self._most * 9 // 10
        limit = base.execute("SELECT valid FROM score ORDER BY valid LIMIT 1 OFFSET ?", (surplus - 1,)).fetchone()[0]
        for table in ("score", "error"):
            base.execute(f"DELETE FROM {table} WHERE valid <= ?", (limit,))

    def _read(self, work: Callable[[sqlite3.Connection], T], without: T) -> T:
        try:
            return self._do(work) if self.path.exists() else without
        except (sqlite3.Error, OSError) as problem:
            log.warning("the rolling scores cannot be read: %s", problem)
            return without

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Runs it in a transaction; once more on a new file if the one there is damaged."""
        try:
            with self._opened() as base:
                return work(base)
        except sqlite3.OperationalError:  # locked for too long, no room, read-only
            raise
        except sqlite3.DatabaseError as problem:
            self._put_aside(str(problem))
            with self._opened() as base:
                return work(base)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=PATIENCE_S, isolation_level=None)) as base:
            base.execute("BEGIN IMMEDIATE")
            version = base.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, VERSION):
                raise sqlite3.DatabaseError(f"it is of version {version}, not {VERSION}")
            for statement in _TABLES.split(";"):
                base.execute(statement)
            base.execute(f"PRAGMA user_version = {VERSION}")
            yield base
            base.execute("COMMIT")

    def _put_aside(self, reason: str) -> None:
        """Unless another program has done so in the meantime."""
        with suppress(sqlite3.DatabaseError), self._opened() as base:
            if base.execute("PRAGMA quick_check").fetchone()[0] == "ok":
                return
        aside = self.path.with_name(f"{self.path.stem}-damaged-{datetime.now(UTC):%Y%m%dT%H%M%S}{self.path.suffix}")
        with suppress(FileNotFoundError):
            self.path.replace(aside)
        self.path.with_name(self.path.name + "-journal").unlink(missing_ok=True)
        self.messages.append(f"The file of rolling scores was damaged ({reason}); it was put aside as {aside.name} "
                             "and begun anew.")
        log.warning("%s", self.messages[-1])


def _score_rows(entry: Entry) -> Iterator[tuple[object, ...]]:
    table = entry.tally.contingency(entry.thresholds)
    for row, threshold in enumerate(entry.thresholds):
        yield (*_place(entry.key), float(threshold), _seconds(entry.valid),
               *(int(counts[row]) for counts in (table.tp, table.fn, table.fp, table.tn)))


def _place(key: Key) -> tuple[object, ...]:
    return (key.archive, key.forecaster, key.weights, _seconds(key.reference), float(key.lead_minutes))


def _recent(row: tuple[str, str, int, int, int, int, int, float]) -> RecentScore:
    score = float(csi(*row[2:6]))
    return RecentScore(row[0], row[1], score if math.isfinite(score) else None, row[6], row[7])


def _seconds(time: datetime) -> int:
    return round((time - _EPOCH).total_seconds())


def _moment(seconds: int) -> datetime:
    return _EPOCH + timedelta(seconds=seconds)
