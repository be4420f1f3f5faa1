"""What has to be known about a folder of pictures before it is radar: value law, times, place on the map.

The parts are plain frozen dataclasses that check themselves (ValueError with a sentence for the user). How they are
written in ``stormdeck.toml`` stands in :mod:`engine.archives.description_file` and in ``docs/image-folders.md``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from engine.archives import projections
from engine.archives.decoding import Law
from engine.cancel import in_charge
from engine.radar.grid import Grid
from engine.radar.scaling import PIXEL_DBZ_MIN, PIXEL_DBZ_RANGE
from engine.radar.sequence import Field
from engine.radar.units import MARSHALL_PALMER, ZR, Quantity

MAX_TEXT = 2000
MAX_CODES = 65_536
MAX_DAYS = 400 * 365
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class ValueLaw:
    """From stored pixels to dBZ or mm/h.

    law: "linear" (gain * v + offset), "hko7" (v / 255 * 70 - 10 dBZ, 0 is no echo: the benchmark paper's law with
    its sign put right), "table" (pairs of stored value and value) or "colours" (pairs of "#rrggbb" and value; other
    colours are no data). minutes: set where the values are mm accumulated in so many minutes. missing, no_echo:
    stored values. palette: what pictures with a palette store, the "index" or the "grey" level of its colours.
    Transparent pixels are no data.
    """

    quantity: Quantity = Quantity.REFLECTIVITY
    law: str = "linear"
    gain: float = 1.0
    offset: float = 0.0
    minutes: float | None = None
    table: tuple[tuple[float, float], ...] = ()
    colours: tuple[tuple[str, float], ...] = ()
    missing: tuple[float, ...] = ()
    no_echo: tuple[float, ...] = ()
    palette: str = "index"

    PALETTES: ClassVar[tuple[str, ...]] = ("index", "grey")
    LAWS: ClassVar[tuple[str, ...]] = ("linear", "hko7", "table", "colours")

    def __post_init__(self) -> None:
        if self.law not in self.LAWS:
            raise ValueError(f"the value law '{self.law}' is none of {', '.join(self.LAWS)}")
        if self.palette not in self.PALETTES:
            raise ValueError(f"palette must be one of {', '.join(self.PALETTES)}")
        if not all(math.isfinite(number) for number in (self.gain, self.offset, *self.missing, *self.no_echo)):
            raise ValueError("gain, offset and codes must be finite numbers")
        if (self.law == "table") != bool(self.table) or (self.law == "colours") != bool(self.colours):
            raise ValueError("a table belongs to the law 'table', colours belong to the law 'colours'")
        if max(len(self.table), len(self.colours), len(self.missing), len(self.no_echo)) > MAX_CODES:
            raise ValueError("it lists too many codes")
        if self.minutes is not None and (self.quantity is not Quantity.RAIN_RATE or not 0 < self.minutes <= 1e6):
            raise ValueError("minutes are the time in which mm of rain were accumulated: a rain rate, and positive")
        if self.law == "hko7" and self.quantity is not Quantity.REFLECTIVITY:
            raise ValueError("the law 'hko7' gives reflectivity")
        for colour, _ in self.colours:
            if not _COLOUR.fullmatch(colour):
                raise ValueError(f"'{colour}' is no colour like '#20a0ff'")

    @property
    def unit(self) -> str:
        """As the files store it, for show."""
        return "mm" if self.minutes is not None else self.quantity.unit

    @cached_property
    def decode(self) -> Callable[[NDArray[np.generic]], Field]:
        """(ny, nx) stored numbers, or (ny, nx, 3) uint8 for the law "colours", to physical values."""
        factor = 1.0 if self.minutes is None else 60.0 / self.minutes
        if self.law in ("table", "colours"):
            plain = Law(self.quantity, factor=factor)
            look_up = self._colour_values if self.law == "colours" else self._table_values
            return lambda stored: plain(look_up(stored))
        hko7 = self.law == "hko7"
        return Law(self.quantity, PIXEL_DBZ_RANGE / 255 if hko7 else self.gain,
                   PIXEL_DBZ_MIN if hko7 else self.offset, factor, self.missing,
                   (0.0, *self.no_echo) if hko7 else self.no_echo)

    def _listed(self) -> dict[float, float]:
        nothing = Law(self.quantity).nothing
        return {**dict(self.table), **dict.fromkeys(self.no_echo, nothing), **dict.fromkeys(self.missing, math.nan)}

    def _table_values(self, stored: NDArray[np.generic]) -> Field:
        """Stored numbers that the table does not list are no data."""
        listed = self._listed()
        codes = np.array(sorted(listed), np.float64)
        values = np.array([listed[code] for code in codes.tolist()], np.float32)
        raw = stored.astype(np.float64)
        place = np.minimum(np.searchsorted(codes, raw), codes.size - 1)
        return np.where(codes[place] == raw, values[place], np.float32(np.nan)).astype(np.float32)

    def _colour_values(self, stored: NDArray[np.generic]) -> Field:
        codes = np.array([int(colour[1:], 16) for colour, _ in self.colours], np.int64)
        order = np.argsort(codes, kind="stable")
        codes, values = codes[order], np.array([value for _, value in self.colours], np.float32)[order]
        rgb = stored.astype(np.int64)
        raw = (rgb[..., 0] << 16) | (rgb[..., 1] << 8) | rgb[..., 2]
        place = np.minimum(np.searchsorted(codes, raw), codes.size - 1)
        return np.where(codes[place] == raw, values[place], np.float32(np.nan)).astype(np.float32)


_GROUPS = ("year", "month", "day", "doy", "hour", "minute", "second", "number", "event")


@dataclass(frozen=True)
class TimeLaw:
    """When a picture was taken, from its path relative to the described folder (with "/" between folders).

    pattern: a regular expression, searched for, with groups named year (2 or 4 digits), month and day or doy (day of
    the year), hour, minute, second; or number, counted in steps from start (from the start of the day where a date
    is given too). A group event numbers independent events: they are laid after each other with a gap between.
    strptime: instead of pattern, a format for the whole path. Neither: pictures in order of name, a step apart.
    start: of number 0, UTC. utc_offset_minutes: of local times; subtracted.
    """

    pattern: str | None = None
    strptime: str | None = None
    start: datetime | None = None
    utc_offset_minutes: float = 0.0

    def __post_init__(self) -> None:
        if self.pattern is not None and self.strptime is not None:
            raise ValueError("give pattern or strptime, not both")
        if max(len(self.pattern or ""), len(self.strptime or "")) > MAX_TEXT:
            raise ValueError("the time pattern is absurdly long")
        if not abs(self.utc_offset_minutes) <= 24 * 60:
            raise ValueError("utc_offset_minutes must lie within a day")
        if self.pattern is not None:
            names = set(self.compiled.groupindex)
            unknown = names.difference(_GROUPS)
            if unknown:
                raise ValueError(f"the time pattern has a group '{min(unknown)}'; known are {', '.join(_GROUPS)}")
            if not self.has_date and "number" not in names:
                raise ValueError("the time pattern needs the groups year, month and day (or year and doy), or number")
        if self.strptime is None and not self.has_date and self.start is None:
            raise ValueError("numbered pictures need the start time")

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        return _compiled(self.pattern or "")

    @cached_property
    def has_date(self) -> bool:
        names = set(self.compiled.groupindex) if self.pattern is not None else set()
        return "year" in names and ({"month", "day"} <= names or "doy" in names)

    @property
    def needs_step(self) -> bool:
        return self.strptime is None and (self.pattern is None or "number" in self.compiled.groupindex)

    def times(self, names: Sequence[str], step: timedelta) -> list[datetime | None]:
        """The time of each relative path, UTC; None where it does not match."""
        if self.strptime is not None:
            return [self._parsed(name, self.strptime) for name in names]
        if self.pattern is None:
            return [self._start + k * step for k in range(len(names))]
        found = [self.compiled.search(name) for name in names]
        events, token, times = self._events(found, step), in_charge(), []
        for match in found:
            token.check()
            times.append(None if match is None else self._time(match.groupdict(), step, events))
        return times

    @property
    def _start(self) -> datetime:
        assert self.start is not None
        return self.start if self.start.tzinfo is not None else self.start.replace(tzinfo=UTC)

    def _parsed(self, name: str, form: str) -> datetime | None:
        try:
            time = datetime.strptime(name, form)
        except ValueError:
            return None
        return self._utc(time.replace(tzinfo=None)) if time.tzinfo is None else time.astimezone(UTC)

    def _utc(self, time: datetime) -> datetime | None:
        try:
            return time.replace(tzinfo=timezone(timedelta(minutes=self.utc_offset_minutes))).astimezone(UTC)
        except OverflowError:
            return None

    def _events(self, found: Sequence[re.Match[str] | None], step: timedelta) -> Mapping[str, timedelta]:
        """When each event begins after the start: whole days apart, so that none touches the next."""
        if "event" not in self.compiled.groupindex or self.has_date:
            return {}
        matches = [match for match in found if match is not None]
        last = max((int(match["number"]) for match in matches), default=0)
        days = ((last + 2) * step) // timedelta(days=1) + 1
        names = sorted({match["event"] or "" for match in matches})
        if days * len(names) > MAX_DAYS:
            raise ValueError("its numbers give times that are absurdly far apart")
        return {name: timedelta(days=k * days) for k, name in enumerate(names)}

    def _time(self, parts: dict[str, str | None], step: timedelta, events: Mapping[str, timedelta]) -> datetime | None:
        try:
            after = int(parts.get("number") or 0) * step
            if not self.has_date:
                return self._start + events.get(parts.get("event") or "", timedelta()) + after
            year = int(parts["year"] or "")
            if year < 100:
                year += 1900 if year >= 80 else 2000
            day = datetime(year, int(parts.get("month") or 1), int(parts.get("day") or 1))
            if parts.get("doy"):
                day = datetime(year, 1, 1) + timedelta(days=int(parts["doy"] or 1) - 1)
            hour, minute, second = (int(parts.get(name) or 0) for name in ("hour", "minute", "second"))
            if not (hour < 25 and minute < 60 and second < 61):
                return None
            return self._utc(day + timedelta(hours=hour, minutes=minute, seconds=second) + after)
        except (ValueError, OverflowError):
            return None


def _compiled(pattern: str) -> re.Pattern[str]:
    """A regular expression that answers at once: repeats are few and stand after no group. Raises ValueError."""
    plain = re.sub(r"\\.|\[\^?\]?[^\]]*\]", "x", pattern)
    repeats, options = len(re.findall(r"[*+]|\{\d*,", plain)), len(re.findall(r"(?<!\()\?", plain))
    if re.search(r"\)[*+{]", plain) or repeats > 2 or options > 6:
        raise ValueError("the time pattern may hold at most two of * and + and {m,n}, none after a group, and six ?")
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as problem:
        raise ValueError(f"the time pattern is no regular expression ({problem})") from problem


@dataclass(frozen=True)
class GridLaw:
    """Where the pictures lie.

    crs: anything PROJ understands, None where it is not known. pixel: width and height of a cell in the units of the
    crs (metres where there is none). place and at: the point ``at`` (x, y; longitude and latitude where ``lonlat``)
    is the picture's "centre", an outer corner ("upper-left", "lower-left") or the centre of a corner's cell
    ("upper-left-cell", "lower-left-cell"). rows: "north-first" or "south-first", as in the pictures.
    """

    crs: str | None = None
    pixel: tuple[float, float] = (1000.0, 1000.0)
    place: str = "centre"
    at: tuple[float, float] = (0.0, 0.0)
    lonlat: bool = False
    rows: str = "north-first"

    PLACES: ClassVar[tuple[str, ...]] = ("centre", "upper-left", "lower-left", "upper-left-cell", "lower-left-cell")
    ROWS: ClassVar[tuple[str, ...]] = ("north-first", "south-first")

    def __post_init__(self) -> None:
        if self.place not in self.PLACES:
            raise ValueError(f"place must be one of {', '.join(self.PLACES)}")
        if self.rows not in self.ROWS:
            raise ValueError(f"rows must be one of {', '.join(self.ROWS)}")
        if not all(0 < size < 1e7 for size in self.pixel) or not all(abs(v) < 1e9 for v in self.at):
            raise ValueError("pixel must be two positive sizes and at two coordinates")
        if self.lonlat and self.crs is None:
            raise ValueError("a place in degrees needs a crs")
        if self.crs is not None:
            projections.in_metres(self.crs)

    def grid(self, shape: tuple[int, int]) -> Grid:
        """Of pictures with (ny, nx) pixels. Raises ValueError where the place cannot be projected."""
        crs, scale = (None, 1.0) if self.crs is None else projections.in_metres(self.crs)
        (ny, nx), (dx, dy) = shape, (size * scale for size in self.pixel)
        if crs is not None and self.lonlat:
            x, y = projections.project(crs, *self.at)
        else:
            x, y = (value * scale for value in self.at)
        half = 0.5 if self.place.endswith("-cell") else 0.0
        left, top = x - half * dx, y + half * dy
        if self.place == "centre":
            left, top = x - nx * dx / 2, y + ny * dy / 2
        elif self.place.startswith("lower"):
            top = y - half * dy + ny * dy
        return Grid.regular(left=left, top=top, dx=dx, dy=dy, nx=nx, ny=ny, crs=crs)


@dataclass(frozen=True)
class Description:
    """All of it. step_minutes: needed for numbered pictures. masks: "hko7" where masks lie beside the pictures as
    in the HKO-7 data set, else "none"."""

    title: str
    time: TimeLaw
    value: ValueLaw = field(default_factory=ValueLaw)
    grid: GridLaw = field(default_factory=GridLaw)
    zr: ZR = MARSHALL_PALMER
    zr_source: str = "assumed: Marshall-Palmer"
    variable: str = "reflectivity"
    step_minutes: float | None = None
    source: str = ""
    masks: str = "none"
    synthetic: bool = False

    MASKS: ClassVar[tuple[str, ...]] = ("none", "hko7")

    def __post_init__(self) -> None:
        if not self.title or max(len(text) for text in (self.title, self.source, self.zr_source,
                                                        self.variable)) > MAX_TEXT:
            raise ValueError("it needs a title; texts must not be absurdly long")
        if self.step_minutes is not None and not 0 < self.step_minutes <= 1e6:
            raise ValueError("step_minutes must be positive")
        if self.step_minutes is None and self.time.needs_step:
            raise ValueError("numbered pictures need step_minutes")
        if self.masks not in self.MASKS:
            raise ValueError(f"masks must be one of {', '.join(self.MASKS)}")

    def times(self, names: Sequence[str]) -> list[datetime | None]:
        """The time of each path relative to the described folder; None where it is no picture of the archive."""
        return self.time.times(names, timedelta(minutes=self.step_minutes or 0.0))
