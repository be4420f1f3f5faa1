"""``stormdeck.toml``: the description of a folder of pictures as a file beside them (keys: docs/image-folders.md)."""

from __future__ import annotations

import difflib
import os
import tomllib
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.archives.description import Description, GridLaw, TimeLaw, ValueLaw
from engine.errors import UnreadableInput, UnwritableOutput
from engine.radar.units import ZR, Quantity

NAME = "stormdeck.toml"
TITLE = "described images"
MAX_BYTES = 2_000_000
LEVELS = 5
"""A description covers the folder it lies in and this many below, less one."""


def find(path: Path) -> Path | None:
    """The description that covers a file or folder: in the folder itself or the nearest one above."""
    for folder in (path, *path.parents)[:LEVELS + 1]:
        candidate = folder / NAME
        try:
            if candidate.is_file():
                return candidate
        except OSError:
            continue
    return None


def read_description(path: Path) -> Description:
    """Raises UnreadableInput that names the file and what is wrong in it."""
    try:
        state = path.stat()
    except OSError as problem:
        raise UnreadableInput(path, problem.strerror or str(problem), tried=TITLE) from problem
    if state.st_size > MAX_BYTES:
        raise UnreadableInput(path, "it is too large for a description", tried=TITLE)
    return _read(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=64)
def _read(path: Path, changed: int, size: int) -> Description:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as problem:  # TOML and Unicode errors are ValueErrors
        raise UnreadableInput(path, str(problem), tried=TITLE,
                              advice="Correct the description; its keys are listed in docs/image-folders.md.") from None


def parse(text: str) -> Description:
    """From the text of a description. Raises ValueError."""
    table = tomllib.loads(text)
    value, time, grid = (_section(table, name) for name in ("value", "time", "grid"))
    zr = _section(table, "zr")
    rest = _Taker("", {k: v for k, v in table.items() if k not in ("value", "time", "grid", "zr")})
    description = Description(
        title=rest.text("title"), time=_time(time), value=_value(value), grid=_grid(grid),
        zr=ZR(zr.number("a", 200.0), zr.number("b", 1.6)),
        zr_source=zr.text("source", "given in the description" if zr.known else "assumed: Marshall-Palmer"),
        variable=rest.text("variable", _quantity(value).value), step_minutes=rest.maybe_number("step_minutes"),
        source=rest.text("source", ""), masks=rest.text("masks", "none"), synthetic=rest.flag("synthetic"))
    for taker, sections in ((value, ()), (time, ()), (grid, ()), (zr, ()), (rest, ("value", "time", "grid", "zr"))):
        taker.nothing_left(sections)
    return description


def _value(value: _Taker) -> ValueLaw:
    return ValueLaw(
        quantity=_quantity(value), law=value.text("law", "linear"), gain=value.number("gain", 1.0),
        offset=value.number("offset", 0.0), minutes=value.maybe_number("minutes"),
        table=value.pairs("table", _as_number), colours=value.pairs("colours", _as_text),
        missing=value.numbers("missing"), no_echo=value.numbers("no_echo"), palette=value.text("palette", "index"))


def _quantity(value: _Taker) -> Quantity:
    text = value.text("quantity", "reflectivity")
    try:
        return Quantity(text)
    except ValueError:
        raise ValueError(f"[value] quantity '{text}' is neither reflectivity nor rain_rate") from None


def _time(time: _Taker) -> TimeLaw:
    return TimeLaw(time.maybe_text("pattern"), time.maybe_text("strptime"), time.moment("start"),
                   time.number("utc_offset_minutes", 0.0))


def _grid(grid: _Taker) -> GridLaw:
    usual = GridLaw()
    return GridLaw(grid.maybe_text("crs"), grid.pair("pixel", usual.pixel), grid.text("place", usual.place),
                   grid.pair("at", usual.at), grid.flag("lonlat"), grid.text("rows", usual.rows))


def _section(table: Mapping[str, Any], name: str) -> _Taker:
    section = table.get(name, {})
    if not isinstance(section, dict):
        raise ValueError(f"'{name}' must be a section: [{name}]")
    return _Taker(name, section)


def _as_number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e18:
        raise ValueError("a number is needed")
    return float(value)


def _as_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a text is needed")
    return value


class _Taker:
    """Hands out the keys of one section in the wished type and refuses those that nobody asked for."""

    def __init__(self, name: str, table: Mapping[str, Any]) -> None:
        self.name, self.known = name, table
        self._asked: dict[str, None] = {}

    def _take(self, key: str, turn: Callable[[Any], Any], default: Any) -> Any:
        self._asked[key] = None
        if key not in self.known:
            return default
        try:
            return turn(self.known[key])
        except (ValueError, TypeError) as problem:
            raise ValueError(f"{self._called(key)}: {problem}") from None

    def _called(self, key: str) -> str:
        return f"[{self.name}] {key}" if self.name else key

    def text(self, key: str, default: str | None = None) -> str:
        if default is None and key not in self.known:
            raise ValueError(f"the key '{self._called(key)}' is missing")
        return str(self._take(key, _as_text, default))

    def maybe_text(self, key: str) -> str | None:
        found = self._take(key, _as_text, None)
        return None if found is None else str(found)

    def number(self, key: str, default: float) -> float:
        return float(self._take(key, _as_number, default))

    def maybe_number(self, key: str) -> float | None:
        found = self._take(key, _as_number, None)
        return None if found is None else float(found)

    def flag(self, key: str) -> bool:
        def turn(value: Any) -> bool:
            if not isinstance(value, bool):
                raise ValueError("true or false is needed")
            return value
        return bool(self._take(key, turn, False))

    def numbers(self, key: str) -> tuple[float, ...]:
        def turn(value: Any) -> tuple[float, ...]:
            return tuple(_as_number(v) for v in (value if isinstance(value, list) else [value]))
        return tuple(self._take(key, turn, ()))

    def pair(self, key: str, default: tuple[float, float]) -> tuple[float, float]:
        def turn(value: Any) -> tuple[float, float]:
            first, second = value if isinstance(value, list) else (value, value)
            return _as_number(first), _as_number(second)
        first, second = self._take(key, turn, default)
        return first, second

    def pairs(self, key: str, first: Callable[[Any], Any]) -> tuple[tuple[Any, float], ...]:
        def turn(value: Any) -> tuple[tuple[Any, float], ...]:
            return tuple((first(a), _as_number(b)) for a, b in value)
        return tuple(self._take(key, turn, ()))

    def moment(self, key: str) -> datetime | None:
        def turn(value: Any) -> datetime:
            if not isinstance(value, datetime):
                raise ValueError("a date and time like 2020-07-01T12:00:00Z is needed")
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        found = self._take(key, turn, None)
        return found if isinstance(found, datetime) else None

    def nothing_left(self, sections: Iterable[str] = ()) -> None:
        allowed = [*self._asked, *sections]
        for key in self.known:
            if key not in allowed:
                close = difflib.get_close_matches(key, allowed, n=1)
                advice = f"did you mean '{close[0]}'?" if close else f"known are {', '.join(allowed)}"
                raise ValueError(f"the key '{self._called(key)}' is not known; {advice}")


def as_toml(description: Description) -> str:
    """The text of a description; :func:`parse` gives the same description back."""
    value, time, grid = description.value, description.time, description.grid
    lines = ["# How the images in this folder are to be read (see docs/image-folders.md).",
             f"title = {_toml(description.title)}", f"variable = {_toml(description.variable)}"]
    lines += _unless({"source": "", "step_minutes": None, "masks": "none", "synthetic": False}, description)
    lines += ["", "[value]", f"quantity = {_toml(value.quantity.value)}", f"law = {_toml(value.law)}"]
    lines += [f"gain = {_toml(value.gain)}", f"offset = {_toml(value.offset)}"] if value.law == "linear" else []
    lines += _unless({"minutes": None, "table": (), "colours": (), "missing": (), "no_echo": (),
                      "palette": "index"}, value)
    lines += ["", "[time]"]
    lines += _unless({"pattern": None, "strptime": None, "start": None, "utc_offset_minutes": 0.0}, time)
    lines += ["", "[grid]", *_unless({"crs": None}, grid)]
    lines += [f"{name} = {_toml(getattr(grid, name))}" for name in ("pixel", "place", "at", "lonlat", "rows")]
    lines += ["", "[zr]", f"a = {_toml(description.zr.a)}", f"b = {_toml(description.zr.b)}",
              f"source = {_toml(description.zr_source)}", ""]
    return "\n".join(lines)


def _unless(usual: Mapping[str, Any], part: object) -> list[str]:
    return [f"{name} = {_toml(getattr(part, name))}" for name, left_out in usual.items()
            if getattr(part, name) != left_out]


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = "".join(f"\\u{ord(c):04x}" if ord(c) < 32 or ord(c) == 127 else c
                          for c in value.replace("\\", "\\\\").replace('"', '\\"'))
        return f'"{escaped}"'
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(part) for part in value)}]"
    return repr(value)


def write_description(folder: Path, description: Description) -> Path:
    """Writes ``stormdeck.toml`` into the folder, whole or not at all; an older one is replaced.

    Returns its path. Raises UnwritableOutput.
    """
    path = folder / NAME
    if not folder.is_dir():
        raise UnwritableOutput(path, "there is no such folder")
    part = folder / f".{NAME}-{uuid.uuid4().hex[:12]}.part"
    try:
        part.write_text(as_toml(description), encoding="utf-8")
        os.replace(part, path)
    except OSError as problem:
        raise UnwritableOutput(path, problem.strerror or str(problem)) from problem
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return path
