"""MeteoNet's static fields: land-sea mask (lsm) and elevation (p3008) of a zone, GRIB at 0.025 degrees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from engine.errors import StormdeckError, UnreadableInput
from engine.radar.grid import Grid
from engine.radar.static_fields import ELEVATION, LAND_SEA, StaticField

TITLE = "MeteoNet static fields"
MAX_CELLS = 10_000_000
MAX_MESSAGES = 100
FIELDS: Mapping[int, tuple[str, str]] = MappingProxyType({172: (LAND_SEA, "1"), 3008: (ELEVATION, "m")})
"""The parameter's number in the meteorological tables (paramId): name and unit."""


def static_fields(path: Path) -> tuple[StaticField, ...]:
    """The land-sea mask and elevation of a GRIB file, on their own grid
    (:func:`engine.radar.static_fields.regridded` brings them to the radar's). Raises UnreadableInput; StormdeckError
    where the library for GRIB is not installed."""
    try:
        import eccodes
    except (ImportError, RuntimeError) as problem:
        raise StormdeckError("GRIB files need the library ecCodes.",
                             advice='Install it: pip install "stormdeck[grib]"') from problem
    found: dict[str, StaticField] = {}
    try:
        with path.open("rb") as file:
            for message in _messages(eccodes, file):
                known = FIELDS.get(int(eccodes.codes_get(message, "paramId")))
                if known is not None:
                    found.setdefault(known[0], _field(eccodes, path, message, *known))
    except UnreadableInput:
        raise
    except (OSError, ValueError, eccodes.CodesInternalError) as problem:
        raise UnreadableInput(path, f"damaged or truncated ({problem})", tried=TITLE) from problem
    if not found:
        raise UnreadableInput(path, "it holds neither a land-sea mask nor an elevation", tried=TITLE)
    return tuple(found.values())


def _messages(eccodes: Any, file: Any) -> Iterator[Any]:
    for _ in range(MAX_MESSAGES):
        with _message(eccodes, file) as message:
            if message is None:
                return
            yield message


@contextmanager
def _message(eccodes: Any, file: Any) -> Iterator[Any]:
    message = eccodes.codes_grib_new_from_file(file)
    try:
        yield message
    finally:
        if message is not None:
            eccodes.codes_release(message)


def _field(eccodes: Any, path: Path, message: Any, name: str, unit: str) -> StaticField:
    nx, ny = (int(eccodes.codes_get(message, key)) for key in ("Ni", "Nj"))
    if min(nx, ny) < 2 or nx * ny > MAX_CELLS or eccodes.codes_get(message, "gridType") != "regular_ll":
        raise UnreadableInput(path, f"{name} lies on no regular grid of a bearable size", tried=TITLE)
    eccodes.codes_set(message, "missingValue", 1e30)
    values = np.asarray(eccodes.codes_get_values(message), np.float64).reshape(ny, nx)
    north, west, south, east = (float(eccodes.codes_get(message, f"{key}InDegrees")) for key in (
        "latitudeOfFirstGridPoint", "longitudeOfFirstGridPoint", "latitudeOfLastGridPoint",
        "longitudeOfLastGridPoint"))
    if eccodes.codes_get(message, "jScansPositively"):
        north, south, values = south, north, values[::-1]
    west, east = ((lon + 180) % 360 - 180 for lon in (west, east))
    grid = Grid(np.linspace(west, east, nx), np.linspace(north, south, ny), "EPSG:4326")
    values[values == 1e30] = np.nan
    return StaticField(name, np.ascontiguousarray(values, np.float32), unit, "METEO FRANCE, MeteoNet", grid)
