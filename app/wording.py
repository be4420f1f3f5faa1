"""Times, lead times and values as the window writes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from math import isnan
from pathlib import Path

from app.places import Place
from app.runs import DONE, FAILED, PARTIAL, RUNNING, WAITING, Run
from engine.radar import times
from engine.radar.units import NO_ECHO_DBZ, ZR

STATES = {WAITING: "waiting", RUNNING: "running", DONE: "done", PARTIAL: "partial", FAILED: "failed"}


def clock(time: datetime) -> str:
    return f"{times.clock(time)} UTC"


def date_and_clock(time: datetime) -> str:
    return f"{time:%Y-%m-%d} {times.clock(time)} UTC"


def lead(minutes: float) -> str:
    """+30 min"""
    return f"{round(minutes, 1):+g} min" if minutes else "T0"


def number(value: float) -> str:
    """0.5, 2, 12.5"""
    return f"{value:g}"


def rain(value: float | None, zr: ZR) -> str:
    """A rain rate with its reflectivity."""
    if value is None:
        return "–"
    if isnan(value):
        return "no data"
    dbz = zr.dbz_of(value)
    text = f"{value:.1f} mm/h" if value < 100 else f"{value:.0f} mm/h"
    return text if dbz <= NO_ECHO_DBZ else f"{text}  {dbz:.1f} dBZ"


def degrees(lon: float, lat: float) -> str:
    return f"{abs(lat):.2f}° {'N' if lat >= 0 else 'S'}  {abs(lon):.2f}° {'E' if lon >= 0 else 'W'}"


def predicted_title(run: Run | None, place: Place, inputs: int, step: float | None) -> str:
    """A forecast frame is never shown without its model and lead time, an input never as a forecast."""
    if place.lead is not None:
        return f"PREDICTED {run.forecaster}" if run else "PREDICTED"
    is_input = step is not None and -place.minutes <= (inputs - 1) * step + 1e-6
    return "OBSERVED input" if is_input else "OBSERVED history"


def when(place: Place) -> str:
    """Valid time and lead time."""
    return f"{clock(place.time)}  {lead(place.minutes)}"


def run_line(run: Run) -> str:
    count = f"{len(run.frames)}/{run.lead_times}"
    return f"{run.forecaster}   {count}   {STATES[run.state]}"


def why_none(run: Run | None, lead: int) -> str:
    """Why a lead time is not on show."""
    if run is None:
        return "No forecast from this reference time yet.\nPress R to run one."
    if lead >= run.lead_times:
        return f"{run.forecaster} was run for {run.lead_times} lead times only."
    if run.state == FAILED:
        return "The forecast failed."
    if run.state == PARTIAL:
        return "Cancelled before this lead time."
    return "Computing this lead time…"


def told_apart(paths: Sequence[Path]) -> list[str]:
    """Each path's name and, in brackets, its folder; more folders where two would look alike."""
    told: list[str] = []
    for path in paths:
        alike = [other for other in paths if other != path and other.name == path.name]
        depth = 1
        while depth < len(path.parts) - 1 and any(_above(other, depth) == _above(path, depth) for other in alike):
            depth += 1
        told.append(f"{path.name}   ({_above(path, depth)})")
    return told


def _above(path: Path, depth: int) -> str:
    return "/".join(path.parent.parts[-depth:])
