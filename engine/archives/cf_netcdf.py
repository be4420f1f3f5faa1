"""CF NetCDF (NetCDF-3 and NetCDF-4): any field of rain or reflectivity on a regular map.

After the CF conventions 1.10: quantity from ``standard_name`` and ``units``, place from coordinate variables and
``grid_mapping``, times from a time coordinate, accumulations over their time bounds. ``start_time`` and
``valid_time`` beside a field without a time dimension (Rainfields of the Bureau of Meteorology) are understood.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.archives.cf_grid import FieldGrid, find_grid
from engine.archives.decoding import Law
from engine.archives.netcdf_tools import axis, check_variable, law_values, numbers, opened, read_field, text, times
from engine.archives.probe import Probe
from engine.archives.reader import Scan
from engine.errors import UnreadableInput
from engine.radar.sequence import Field, FrameRef, Layout
from engine.radar.units import MARSHALL_PALMER, ZR, Quantity

TITLE = "CF NetCDF"

_RATES = {"mm/h": 1.0, "kgm-2h-1": 1.0, "kgm-2s-1": 3600.0, "mm/s": 3600.0, "m/s": 3.6e6, "m/h": 1000.0}
_AMOUNTS = {"mm": 1.0, "kgm-2": 1.0, "m": 1000.0}
_UNSURE = frozenset({"m/s", "m", "m/h"})
"""Units that rain shares with too much else: a standard name or a telling name must confirm them."""

_STANDARD_NAMES = (
    frozenset({"rainfall_rate", "lwe_precipitation_rate", "precipitation_flux", "rainfall_flux"}),
    frozenset({"precipitation_amount", "rainfall_amount", "lwe_thickness_of_precipitation_amount",
               "thickness_of_rainfall_amount"}),
    frozenset({"equivalent_reflectivity_factor"}),
)
_TELLING = re.compile(r"precip|rain|prcp", re.IGNORECASE)
_POLAR = frozenset({"azimuth", "elevation", "sweep_number", "sweep_mode", "sweep_fixed_angle", "sweep_group_name"})


@dataclass(frozen=True)
class _Candidate:
    """A variable that can be shown. rank: the smaller, the better known."""

    variable: Any
    grid: FieldGrid
    quantity: Quantity
    factor: float
    amount: bool
    rank: int


def recognises(probe: Probe) -> bool:
    """A NetCDF file that is none of the other formats built on it (ODIM, KNMI, CfRadial, forecast files)."""
    if probe.is_netcdf3:
        named = (name for name in _POLAR if len(name).to_bytes(4, "big") + name.encode() in probe.head)
        return len(list(named)) < 2
    names = probe.hdf5_outline
    if "@stormdeck_version" in names or {"what", "dataset1"} <= names or {"overview", "image1"} <= names:
        return False
    if len(names & _POLAR) >= 2:
        return False
    return "@_NCProperties" in names or "@Conventions" in names or bool({"x", "y"} <= names or {"lat", "lon"} <= names)


def scan(path: Path) -> Scan:
    """Raises UnreadableInput; where several variables are equally likely, it names them."""
    with opened(path, TITLE) as file:
        return scan_dataset(path, file)


def scan_dataset(path: Path, file: Any) -> Scan:
    """The same for an open dataset, or for what answers like one."""
    chosen = _choose(path, file)
    variable = chosen.variable
    grid = chosen.grid.grid(file, variable)
    frames = _frames(path, file, chosen)
    source = text(file, "source") or text(file, "institution")
    zr, zr_source = _pair(file)
    layout = Layout(TITLE, variable.name, chosen.quantity, text(variable, "units"), grid, zr, zr_source,
                    source=source[:500],
                    synthetic=text(file, "synthetic").lower() in ("true", "1", "yes"))
    return Scan(layout, frames)


def read(ref: FrameRef, layout: Layout) -> Field:
    with opened(ref.path, TITLE) as file:
        return read_dataset(ref, layout, file)


def read_dataset(ref: FrameRef, layout: Layout, file: Any) -> Field:
    """The same from an open dataset, or from what answers like one."""
    place, law, transposed, flip_y, flip_x = ref.key
    variable = file.variables[layout.variable]
    if len(variable.shape) != len(place):
        raise UnreadableInput(ref.path, f"'{layout.variable}' has other dimensions than before", tried=TITLE)
    values = read_field(variable, tuple(slice(None) if part is None else part for part in place), law)
    if transposed:
        values = values.T
    return values[::-1 if flip_y else 1, ::-1 if flip_x else 1]


def _pair(file: Any) -> tuple[ZR, str]:
    """The Z-R pair where a file of ours says it."""
    try:
        a, b = numbers(file, "zr_a")[0], numbers(file, "zr_b")[0]
        if a < 1e6 and b < 100:
            return ZR(a, b), text(file, "zr_source") or "the file"
    except (AttributeError, IndexError, ValueError):
        pass
    return MARSHALL_PALMER, "assumed: Marshall-Palmer"


def _unit(written: str) -> str:
    """One spelling for each unit: mm/h, kgm-2s-1, mm, dBZ ..."""
    unit = re.sub(r"[\s.*^]", "", written.lower())
    unit = re.sub(r"(hours?|hrs?|hr)(?=-1|$)", "h", unit)
    unit = re.sub(r"^(mm|m)(h|s)-1$", r"\1/\2", unit)
    return unit.replace("kg/m2/s", "kgm-2s-1").replace("kg/m2", "kgm-2")


def _is_reflectivity(unit: str) -> bool:
    return unit in ("dbz", "dbze") or unit.startswith("10log10")


def _choose(path: Path, file: Any) -> _Candidate:
    candidates = []
    for variable in file.variables.values():
        candidate = _candidate(file, variable)
        if candidate is not None:
            candidates.append(candidate)
    if not candidates:
        raise UnreadableInput(path, "no variable holds rain or reflectivity on a map with coordinates", tried=TITLE)
    best = min(candidate.rank for candidate in candidates)
    chosen = [candidate for candidate in candidates if candidate.rank == best]
    if len(chosen) > 1:
        names = ", ".join(sorted(candidate.variable.name for candidate in chosen))
        raise UnreadableInput(path, f"several variables could be meant: {names}", tried=TITLE)
    return chosen[0]


def _candidate(file: Any, variable: Any) -> _Candidate | None:
    if len(variable.shape) < 2 or variable.dtype == str or variable.dtype.kind not in "iuf":
        return None
    standard, unit = text(variable, "standard_name").split(" ")[0], _unit(text(variable, "units"))
    if "status_flag" in text(variable, "standard_name") or "standard_error" in text(variable, "standard_name"):
        return None
    rank = next((k for k, names in enumerate(_STANDARD_NAMES) if standard in names), None)
    telling = _TELLING.search(f"{variable.name} {text(variable, 'long_name')}") is not None
    if rank is None and ((standard and not telling) or (unit in _UNSURE and not telling)):
        return None
    kinds = ((unit in _RATES, _RATES.get(unit, 1.0)), (unit in _AMOUNTS, _AMOUNTS.get(unit, 1.0)),
             (_is_reflectivity(unit), 1.0))
    kind = next((k for k, (fits, _) in enumerate(kinds) if fits), None)
    grid = None if kind is None else find_grid(file, variable)
    if kind is None or grid is None:
        return None
    quantity = Quantity.REFLECTIVITY if kind == 2 else Quantity.RAIN_RATE
    return _Candidate(variable, grid, quantity, kinds[kind][1], kind == 1, kind if rank is not None else 10 + kind)


def _frames(path: Path, file: Any, chosen: _Candidate) -> tuple[FrameRef, ...]:
    variable, grid = chosen.variable, chosen.grid
    check_variable(variable, (variable.shape[grid.y_at], variable.shape[grid.x_at]))
    time_at, coordinate = _time_of(path, file, chosen)
    moments = times(coordinate)
    hours = _hours(path, file, coordinate, len(moments)) if chosen.amount else [1.0] * len(moments)
    law, (flip_y, flip_x) = law_values(variable), grid.flips(file)
    frames = []
    for index, (moment, length) in enumerate(zip(moments, hours, strict=True)):
        place = tuple(None if k in (grid.y_at, grid.x_at) else index if k == time_at else 0
                      for k in range(len(variable.shape)))
        exact = Law(chosen.quantity, factor=chosen.factor / length, **law)
        frames.append(FrameRef(moment, path, (place, exact, grid.x_at < grid.y_at, flip_y, flip_x)))
    return tuple(frames)


def _time_of(path: Path, file: Any, chosen: _Candidate) -> tuple[int | None, Any]:
    """(position of the time dimension, None for none; the variable that holds the times)."""
    variable, grid = chosen.variable, chosen.grid
    found: tuple[int | None, Any] | None = None
    for position, name in enumerate(variable.dimensions):
        if position in (grid.y_at, grid.x_at):
            continue
        coordinate = _is_time(file.variables.get(name)) or _auxiliary_time(file, variable, name)
        if coordinate is not None:
            found = position, coordinate
        elif variable.shape[position] != 1:
            raise UnreadableInput(path, f"'{variable.name}' has a further dimension '{name}' of "
                                        f"{variable.shape[position]}", tried=TITLE)
    if found is not None:
        return found
    scalars = [v for v in file.variables.values() if v.size == 1 and _is_time(v) is not None]
    named = [v for v in scalars if text(v, "standard_name") == "time"]
    named += [v for v in scalars if v.name in ("valid_time", "time")]
    if named:
        return None, named[0]
    raise UnreadableInput(path, "it does not say its time", tried=TITLE)


def _is_time(variable: Any) -> Any:
    return variable if variable is not None and " since " in text(variable, "units") else None


def _auxiliary_time(file: Any, variable: Any, dimension: str) -> Any:
    """A time along a dimension of another name (a lead time, say), listed in ``coordinates``."""
    names = text(variable, "coordinates").split()
    along = [file.variables[n] for n in names if n in file.variables and file.variables[n].dimensions == (dimension,)]
    return next((v for v in along if _is_time(v) is not None), None)


def _hours(path: Path, file: Any, coordinate: Any, count: int) -> list[float]:
    """Length of each accumulation, from time bounds or from a start time."""
    bounds = file.variables.get(text(coordinate, "bounds"))
    if bounds is not None and bounds.shape[-1:] == (2,) and bounds.size == 2 * count:
        edges = axis(bounds).reshape(count, 2)
        hours = [abs(high - low) * _hours_per_unit(text(coordinate, "units")) for low, high in edges]
    else:
        start = _is_time(file.variables.get("start_time"))
        begins = times(start) if start is not None and start.size == count else []
        hours = [(e - b).total_seconds() / 3600 for b, e in zip(begins, times(coordinate), strict=False)]
    if len(hours) != count or not all(0 < length < 24 * 400 for length in hours):
        raise UnreadableInput(path, "it does not say over which time its rain was accumulated", tried=TITLE)
    return [float(length) for length in hours]


def _hours_per_unit(units: str) -> float:
    word = units.split(" since ", maxsplit=1)[0].strip().lower()
    for start, hours in (("sec", 1 / 3600), ("min", 1 / 60), ("day", 24.0), ("milli", 1 / 3.6e6), ("h", 1.0)):
        if word.startswith(start):
            return hours
    return {"s": 1 / 3600, "d": 24.0, "ms": 1 / 3.6e6}[word]
