"""What the program remembers between two starts: one JSON file, every value with a default and a check.

A value that does not pass is dropped with a warning; settings never stop the program.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

FOLDER_VARIABLE = "STORMDECK_SETTINGS"
MAX_RECENT = 12
MAX_THRESHOLDS = 8
DEVICES = ("auto", "cpu", "cuda", "mps")
POOLS = (1, 4, 16)
"""Sides of the windows of which the maxima are scored."""
CONTOUR_MODES = ("own", "crossed", "off")


@dataclass
class Values:
    """The settings and their defaults."""

    recent: tuple[str, ...] = ()
    thresholds: tuple[float, ...] = (0.5, 2.0, 5.0, 10.0, 30.0)
    pool: int = 1
    drawn: tuple[float, ...] = (0.5, 10.0)
    forecaster: str = "rover-nonlinear"
    deblurrer: str = ""
    downscaler: str = ""
    elevation: tuple[str, ...] = ()
    inputs: int = 5
    lead_times: int = 20
    device: str = "auto"
    theme: str = "dark"
    contours: str = "own"
    palette: str = ""
    smooth: bool = False
    speed: int = 8
    loop: bool = True
    follow: bool = True
    live_forecasts: bool = False
    learn: bool = False
    training_at_close: str = "ask"
    geometry: str = ""
    state: str = ""
    keys: dict[str, str] = field(default_factory=dict)
    scores: tuple[str, ...] = ("csi", "hss")


def _keys(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(v, str) for pair in value.items() for v in pair):
        raise ValueError("texts by name are needed")
    return dict(value)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
        raise ValueError("a list of texts is needed")
    return tuple(value[:MAX_RECENT])


def check_thresholds(value: Any) -> tuple[float, ...]:
    """Rising, distinct thresholds in mm/h; raises ValueError with a sentence for the user."""
    try:
        numbers = sorted({float(v) for v in value})
    except (TypeError, ValueError):
        raise ValueError("Thresholds are numbers in mm/h.") from None
    if not 1 <= len(numbers) <= MAX_THRESHOLDS:
        raise ValueError(f"Between one and {MAX_THRESHOLDS} thresholds are possible.")
    if not all(0.05 <= n <= 300 for n in numbers):
        raise ValueError("Thresholds lie between 0.05 and 300 mm/h.")
    if any(b / a < 1.02 for a, b in itertools.pairwise(numbers)):
        raise ValueError("Two thresholds lie too close together.")
    return tuple(numbers)


def _pool(value: Any) -> int:
    if value not in POOLS or isinstance(value, bool):
        raise ValueError(f"one of {', '.join(map(str, POOLS))} is needed")
    return int(value)


def _drawn(value: Any) -> tuple[float, ...]:
    return check_thresholds(value) if value else ()


def _one_of(*known: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in known:
            raise ValueError(f"one of {', '.join(known)} is needed")
        return str(value)

    return check


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high} is needed")
        return value

    return check


def _kind(kind: type) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if not isinstance(value, kind):
            raise ValueError(f"{kind.__name__} is needed")
        return value

    return check


CHECKS: dict[str, Callable[[Any], Any]] = {
    "recent": _texts, "thresholds": check_thresholds, "drawn": _drawn, "forecaster": _kind(str),
    "deblurrer": _kind(str), "downscaler": _kind(str), "elevation": _texts,
    "pool": _pool, "inputs": _whole(1, 60), "lead_times": _whole(1, 240), "device": _one_of(*DEVICES),
    "theme": _one_of("dark", "light"), "contours": _one_of(*CONTOUR_MODES), "palette": _kind(str),
    "smooth": _kind(bool), "speed": _whole(1, 30), "loop": _kind(bool),
    "follow": _kind(bool), "live_forecasts": _kind(bool), "learn": _kind(bool),
    "training_at_close": _one_of("ask", "keep", "pause"), "geometry": _kind(str), "state": _kind(str),
    "keys": _keys, "scores": _texts,
}


def default_folder() -> Path:
    """Where settings live: the folder that the environment names, else the system's place for them."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_config_dir("stormdeck", appauthor=False))


class Settings:
    """``values`` may be read and set freely; :meth:`save` writes them."""

    def __init__(self, folder: Path | None = None) -> None:
        self.path = (folder or default_folder()) / "settings.json"
        self.values = Values()
        self._load()

    def save(self) -> None:
        """Never raises: a full disk must not keep the window from closing."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self.path.with_suffix(".tmp")
            temporary.write_text(json.dumps(asdict(self.values), indent=1), "utf-8")
            temporary.replace(self.path)
        except OSError as problem:
            log.warning("the settings could not be saved: %s", problem)

    def reset(self) -> None:
        """Defaults from now on; the file is removed."""
        self.values = Values()
        self.path.unlink(missing_ok=True)

    def remember(self, path: str) -> None:
        """Puts a path on top of the recent ones."""
        rest = tuple(p for p in self.values.recent if p != path)
        self.values.recent = (path, *rest)[:MAX_RECENT]

    def _load(self) -> None:
        try:
            stored = json.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return
        except (OSError, ValueError) as problem:
            log.warning("the settings in %s cannot be read and are ignored: %s", self.path, problem)
            return
        known = {f.name for f in fields(Values)}
        for key, value in stored.items() if isinstance(stored, dict) else ():
            if key not in known:
                log.warning("setting '%s' is unknown and was dropped", key)
                continue
            try:
                setattr(self.values, key, CHECKS[key](value))
            except ValueError as problem:
                log.warning("setting '%s' was dropped: %s", key, problem)
