"""Guesses for the description of a folder of pictures nobody has described: a beginning for the user's form.

What can be seen is guessed from the pictures (times from the digits in the names, the step, which colours there
are); what cannot (what a pixel is worth, where the pictures lie) is a usual value that the user must check.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from engine.archives import image_folder, pictures
from engine.archives.description import Description, GridLaw, TimeLaw, ValueLaw
from engine.errors import UnreadableInput

LOOKED_AT = 200
MAX_COLOURS = 64
USUAL_STEP = 6.0
START = datetime(2000, 1, 1, tzinfo=UTC)
_DAY = r"(?P<year>(?:19|20)\d{2})[-_./]?(?P<month>[01]\d)[-_./]?(?P<day>[0-3]\d)"
_TIME = r"(?P<hour>[0-2]\d)[-_:.]?(?P<minute>[0-5]\d)"
_PATTERNS = (
    rf"(?<!\d){_DAY}[-_T.]?{_TIME}[-_:.]?(?P<second>[0-5]\d)(?!\d)",
    rf"(?<!\d){_DAY}[-_T.]?{_TIME}(?!\d)",
    r"(?<!\d)(?P<year>\d{2})(?P<month>[01]\d)(?P<day>[0-3]\d)(?P<hour>[0-2]\d)(?P<minute>[0-5]\d)"
    r"(?P<second>[0-5]\d)(?!\d)",
    r"(?<!\d)(?P<year>\d{2})(?P<month>[01]\d)(?P<day>[0-3]\d)(?P<hour>[0-2]\d)(?P<minute>[0-5]\d)(?!\d)",
    r"(?<!\d)(?P<year>\d{2})(?P<doy>[0-3]\d{2})(?P<hour>[0-2]\d)(?P<minute>[0-5]\d)(?!\d)",
    rf"(?<!\d){_DAY}/(?:[^/\d]*){_TIME}(?!\d)",
)
_NUMBERED = r"(?P<number>\d{1,6})\.[A-Za-z]{3,4}$"


@dataclass(frozen=True)
class Doubt:
    """What was not seen but assumed. about: "value", "time" or "grid". text: a sentence."""

    about: str
    text: str


@dataclass(frozen=True)
class Proposal:
    """description: to be completed. pictures: some of the folder's, in order of name, for a preview."""

    description: Description
    pictures: tuple[Path, ...]
    doubts: tuple[Doubt, ...]


def propose(folder: Path) -> Proposal:
    """A description that is written or known, or a guess. Raises UnreadableInput where there is no picture."""
    found = tuple(itertools.islice(sorted(image_folder.some_pictures(folder)), LOOKED_AT))
    if not found:
        raise UnreadableInput(folder, "it holds no PNG, GIF, PGM or TIFF picture", tried=image_folder.TITLE)
    known = image_folder.describe(folder)
    if known is not None:
        return Proposal(known, found, ())
    names = [path.relative_to(folder).as_posix() for path in found]
    time, times, told = _time_law(names)
    step = _usual_step(times)
    value, seen = _value_law(found)
    place = "The pictures' place and cell size are not known: cells of 1 km without a map."
    doubts = (*(Doubt("time", text) for text in told), *(Doubt("value", text) for text in seen), Doubt("grid", place))
    description = Description(title=folder.resolve().name or "images", time=time, value=value, grid=GridLaw(),
                              step_minutes=step)
    return Proposal(description, found, doubts)


def _time_law(names: list[str]) -> tuple[TimeLaw, list[datetime], tuple[str, ...]]:
    """The pattern under which every name has a time of its own; of several the one with the likeliest step."""
    fitting = []
    for pattern in _PATTERNS:
        law = TimeLaw(pattern=pattern)
        times = [time for time in law.times(names, timedelta()) if time is not None]
        if len(set(times)) == len(names):
            fitting.append((law, times))
    if fitting:  # 200701120500 may be 2007-01-12 05:00 or 2020-07-01 12:05:00
        law, times = min(fitting, key=lambda candidate: abs(math.log(_usual_step(candidate[1]) / USUAL_STEP)))
        return law, times, ()
    guess = ("Their names hold no times: the start and the step are assumed.",)
    numbered = TimeLaw(pattern=_NUMBERED, start=START)
    found = [match is not None for match in map(numbered.compiled.search, names)]
    if all(found) and len(set(numbered.times(names, timedelta(minutes=USUAL_STEP)))) == len(names):
        return numbered, [], guess
    return TimeLaw(start=START), [], guess


def _usual_step(times: list[datetime]) -> float:
    """Minutes; the most frequent, the shortest of equals."""
    steps = Counter((b - a).total_seconds() / 60 for a, b in itertools.pairwise(sorted(times)))
    return min(steps, key=lambda step: (-steps[step], step)) if steps else USUAL_STEP


def _value_law(found: tuple[Path, ...]) -> tuple[ValueLaw, tuple[str, ...]]:
    """From the first picture that can be read."""
    for path in _spread(found):
        try:
            look = pictures.look(path)
            if not look.is_grey and _is_coloured(path):
                return _colours(path)
            stored, _ = pictures.stored(path)
        except UnreadableInput:
            continue
        if stored.dtype.kind == "f":
            return ValueLaw(), ("Their numbers are taken as dBZ.",)
        top = 255.0 if stored.dtype == np.uint8 else max(float(stored.max()), 1.0)
        return (ValueLaw(gain=70.0 / top, no_echo=(0.0,)),
                (f"What a pixel is worth is assumed: v / {top:g} * 70 dBZ, 0 is no echo.",))
    raise UnreadableInput(found[0], "none of the pictures looked at can be read", tried=image_folder.TITLE)


def _spread(found: tuple[Path, ...]) -> Iterator[Path]:
    yield from found[::max(1, len(found) // 5)]


def _is_coloured(path: Path) -> bool:
    rgb, _ = pictures.stored(path, coloured=True)
    return bool((rgb != rgb[..., :1]).any())


def _colours(path: Path) -> tuple[ValueLaw, tuple[str, ...]]:
    """The most frequent colours, each with the value 0 until the user says better."""
    rgb, _ = pictures.stored(path, coloured=True)
    wide = rgb.astype(np.int64)
    codes, counts = np.unique((wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MAX_COLOURS]
    listed = tuple((f"#{int(code):06x}", 0.0) for code in codes[order])
    return ValueLaw(law="colours", colours=listed), ("The values of the colours are not known: each is 0 as yet.",)
