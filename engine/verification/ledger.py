"""Results of a long benchmark, kept trial by trial so that a killed run goes on where it stopped.

One SQLite file. The sums of errors are floating point, so they are always added in the order of the trials,
never in the order in which workers finish: the result does not depend on how the work was shared out.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.verification.counts import ErrorSums, Tally

_SCHEMA = """
create table if not exists result (
    archive text, forecaster text, trial integer, lead integer,
    joint blob, frames integer, pixels integer, sums blob, covered integer,
    primary key (archive, forecaster, trial, lead));
create table if not exists plan (key text primary key, value text);
"""


@dataclass(frozen=True)
class Entry:
    """One lead time of one trial, counted from 0, negative for the inputs. covered: scored pixels for which the
    forecast had a value of its own."""

    lead: int
    tally: Tally
    covered: int


Row = tuple[int, bytes, int, int, bytes, int]
"""An entry as it is stored: lead, joint histogram, frames, pixels, sums, covered. Small enough to be sent about."""


def stored(entry: Entry) -> Row:
    """Done where the entry was made, so that whoever collects only has to write."""
    tally = entry.tally
    return (entry.lead, _packed(tally.joint), tally.frames, tally.pixels,
            np.array(astuple(tally.sums), np.float64).tobytes(), entry.covered)


class Ledger:
    """Opens or makes the file; ``edges`` are those of the bins in use. Safe for several processes."""

    def __init__(self, path: Path, edges: NDArray[np.float32]) -> None:
        self.path, self.edges = path, edges
        with closing(self._connect()) as base, base:
            base.executescript(_SCHEMA)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=60.0)

    def agree_on(self, plan: str) -> bool:
        """True if the file is new or was made for the same plan."""
        with closing(self._connect()) as base, base:
            base.execute("insert or ignore into plan values ('plan', ?)", (plan,))
            return bool(base.execute("select value from plan where key = 'plan'").fetchone()[0] == plan)

    def done(self, archive: str, forecaster: str) -> frozenset[int]:
        """Trials that are in the file, whole."""
        with closing(self._connect()) as base:
            rows = base.execute("select distinct trial from result where archive = ? and forecaster = ?",
                                (archive, forecaster))
            return frozenset(row[0] for row in rows)

    def enter(self, archive: str, forecaster: str, trial: int, rows: Sequence[Row]) -> None:
        """All lead times of a trial at once, or none. Only one process should write."""
        with closing(self._connect()) as base, base:
            base.executemany("insert or replace into result values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                             [(archive, forecaster, trial, *row) for row in rows])

    def entries(self, archive: str, forecaster: str, trials: int) -> Iterator[Entry]:
        """Of the first ``trials`` trials, in order of trial, then lead time."""
        with closing(self._connect()) as base:
            rows = base.execute("select lead, joint, frames, pixels, sums, covered from result "
                                "where archive = ? and forecaster = ? and trial < ? order by trial, lead",
                                (archive, forecaster, trials))
            for lead, joint, frames, pixels, sums, covered in rows:
                values = np.frombuffer(sums, np.float64)
                tally = Tally(_unpacked(joint), self.edges, frames, pixels, ErrorSums(*(float(v) for v in values)))
                yield Entry(lead, tally, covered)


def _packed(joint: NDArray[np.int64]) -> bytes:
    return zlib.compress(np.ascontiguousarray(joint).tobytes(), 1)


def _unpacked(blob: bytes) -> NDArray[np.int64]:
    return np.frombuffer(zlib.decompress(blob), np.int64).reshape(256, 256)
