"""What the readers of polar formats share: the outline of a file, and rounds of sweeps that lie in several files."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from engine.archives.decoding import Law
from engine.radar.gridding import PolarOptions, Site
from engine.radar.units import MARSHALL_PALMER, ZR, Quantity

MAX_ROUND = timedelta(minutes=30)
"""A round of single sweeps that repeats more slowly than this is none."""
_LATE = 0.1
"""A round may begin this share of its period before its nominal time."""


@dataclass(frozen=True)
class SweepHead:
    """A sweep without its values. place: where the file holds it. reach_m: ground distance of its far edge."""

    place: str
    elevation: float
    reach_m: float
    start: datetime


@dataclass(frozen=True)
class Outline:
    """What a polar file holds: the sweeps that turn (RHI are left out), and the moment that is shown of them.

    time: the nominal time of the volume. complete: False where only the first sweep has been looked at.
    """

    format: str
    moment: str
    site: Site
    time: datetime
    sweeps: tuple[SweepHead, ...]
    source: str = ""
    zr: ZR = MARSHALL_PALMER
    zr_source: str = "assumed: Marshall-Palmer"
    synthetic: bool = False
    complete: bool = True

    @property
    def single(self) -> bool:
        """Whether the file holds one sweep, which may be part of a volume."""
        return self.complete and len(self.sweeps) == 1

    @property
    def lowest(self) -> SweepHead:
        return min(self.sweeps, key=lambda sweep: (round(sweep.elevation, 1), -sweep.reach_m))


@dataclass(frozen=True)
class PolarKey:
    """What is read for one frame: the files of its volume in order of time, and how they are gridded."""

    paths: tuple[Path, ...]
    outline: Outline
    options: PolarOptions


def reflectivity_law(gain: float, offset: float, *, nothing: float | None = None, missing: float | None = None,
                     low: float | None = None, high: float | None = None) -> Law:
    """dBZ = gain * stored + offset; ``nothing`` is the code for no echo. Where a format has one code for "no echo"
    and "no data", it is taken for no echo."""
    return Law(Quantity.REFLECTIVITY, gain, offset, undetect=() if nothing is None else (nothing,),
               missing=() if missing is None or missing == nothing else (missing,), low=low, high=high)


def rounds(single: Sequence[tuple[Path, Outline]]) -> list[tuple[datetime, tuple[tuple[Path, Outline], ...]]]:
    """(nominal time, files) of the rounds that single sweeps of one radar make, in order of time.

    A new round begins where an elevation comes again, where the order of elevations turns back (from the lowest
    to the highest, say), and where the period has passed. The period is the time after which the most frequent
    elevation comes again; nominal times are its multiples since midnight.
    """
    ordered = sorted(single, key=lambda pair: (pair[1].sweeps[0].start, pair[0]))
    period = _period([outline.sweeps[0] for _, outline in ordered])
    course = _course([outline.sweeps[0].elevation for _, outline in ordered])
    groups: list[list[tuple[Path, Outline]]] = []
    for pair in ordered:
        if not groups or _begins(groups[-1], pair[1].sweeps[0], course, period):
            groups.append([])
        groups[-1].append(pair)
    return [(_nominal(group[0][1], period), tuple(group)) for group in groups]


def _key(elevation: float) -> int:
    return round(elevation * 10)


def _period(heads: Sequence[SweepHead]) -> timedelta | None:
    """Whole minutes where it is nearly so; None where nothing comes again."""
    by_elevation: dict[int, list[datetime]] = {}
    for head in heads:
        by_elevation.setdefault(_key(head.elevation), []).append(head.start)
    times = max(by_elevation.values(), key=len)
    steps = [(b - a).total_seconds() for a, b in itertools.pairwise(times) if b > a]
    if not steps or min(steps) > MAX_ROUND.total_seconds():
        return None
    seconds = statistics.median_low([step for step in steps if step <= MAX_ROUND.total_seconds()])
    minutes = max(1, round(seconds / 60))
    return timedelta(minutes=minutes) if abs(seconds - 60 * minutes) < 0.1 * seconds else timedelta(seconds=seconds)


def _course(elevations: Sequence[float]) -> int:
    """1 where most sweeps are higher than the one before, -1 where most are lower, 0 where neither."""
    ups = sum(b > a for a, b in itertools.pairwise(elevations))
    downs = sum(b < a for a, b in itertools.pairwise(elevations))
    return (ups > downs) - (ups < downs)


def _begins(group: list[tuple[Path, Outline]], head: SweepHead, course: int, period: timedelta | None) -> bool:
    heads = [outline.sweeps[0] for _, outline in group]
    if any(_key(head.elevation) == _key(known.elevation) for known in heads):
        return True
    if course and (head.elevation - heads[-1].elevation) * course < 0:
        return True
    return head.start - heads[0].start >= (period * 0.98 if period else MAX_ROUND)


def _nominal(first: Outline, period: timedelta | None) -> datetime:
    start = first.sweeps[0].start
    if period is None:
        return (start + timedelta(seconds=30)).replace(second=0, microsecond=0)
    midnight = datetime(start.year, start.month, start.day, tzinfo=UTC)
    return midnight + ((start - midnight + period * _LATE) // period) * period
