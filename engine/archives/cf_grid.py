"""Where a CF variable lies: its two horizontal dimensions, their coordinates and the grid mapping."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError

from engine.archives.netcdf_tools import axis, numbers, text
from engine.archives.projections import in_metres, projection
from engine.archives.reader import MAX_CELLS
from engine.radar.grid import Grid

_MAX_AXIS = 100_000
_DEGREES = ("degrees_north", "degree_north", "degrees_east", "degree_east", "degrees_n", "degrees_e", "degrees",
            "degree")
_METRES = {"m": 1.0, "metre": 1.0, "meter": 1.0, "metres": 1.0, "meters": 1.0, "": 1.0,
           "km": 1000.0, "kilometre": 1000.0, "kilometer": 1000.0, "kilometres": 1000.0, "kilometers": 1000.0}
_NAMES = {"y": ("y", "lat", "latitude", "northing", "yc", "nj"), "x": ("x", "lon", "longitude", "easting", "xc", "ni")}
_STANDARD = {"y": ("projection_y_coordinate", "latitude"), "x": ("projection_x_coordinate", "longitude")}


@dataclass(frozen=True)
class FieldGrid:
    """Positions of the horizontal dimensions of a variable and the variables that hold their coordinates."""

    y_at: int
    x_at: int
    y_name: str
    x_name: str

    def axes(self, file: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(y, x) as stored, in their own units and direction."""
        y, x = file.variables[self.y_name], file.variables[self.x_name]
        if len(y.shape) == 2:
            return _rectilinear(y, x)
        return axis(y, _MAX_AXIS), axis(x, _MAX_AXIS)

    def flips(self, file: Any) -> tuple[bool, bool]:
        """(rows run from south to north, columns from east to west)."""
        y, x = self.axes(file)
        return bool(y[-1] > y[0]), bool(x[-1] < x[0])

    def grid(self, file: Any, variable: Any) -> Grid:
        """Raises ValueError for uneven axes and unknown units or projections."""
        y, x = self.axes(file)
        unit_y, unit_x = (text(file.variables[n], "units").lower() for n in (self.y_name, self.x_name))
        flip_y, flip_x = self.flips(file)
        geographic = unit_x in _DEGREES and unit_y in _DEGREES
        if not geographic and (unit_x not in _METRES or unit_y not in _METRES):
            raise ValueError(f"its axes are in '{unit_x}' and '{unit_y}', not in m, km or degrees")
        scale_y, scale_x = (1.0, 1.0) if geographic else (_METRES[unit_y], _METRES[unit_x])
        y, x = _even(y[::-1] if flip_y else y, self.y_name), _even(x[::-1] if flip_x else x, self.x_name)
        crs = _crs(file, variable, scale_x)
        return Grid(x * scale_x, y * scale_y, crs or ("EPSG:4326" if geographic else None))


def find_grid(file: Any, variable: Any) -> FieldGrid | None:
    """The two horizontal dimensions, or None where the variable has none that coordinates describe."""
    found: dict[str, tuple[int, str]] = {}
    for position, dimension in enumerate(variable.dimensions):
        coordinate = file.variables.get(dimension)
        if coordinate is None or coordinate.dimensions != (dimension,):
            continue
        kind = _direction(coordinate)
        if kind is not None:
            found.setdefault(kind, (position, dimension))
    if len(found) == 2:
        return FieldGrid(found["y"][0], found["x"][0], found["y"][1], found["x"][1])
    return _by_auxiliary(file, variable)


def _by_auxiliary(file: Any, variable: Any) -> FieldGrid | None:
    """Latitudes and longitudes named in ``coordinates`` (or ``lat``, ``lon``) over the last two dimensions."""
    names = [*text(variable, "coordinates").split(), "lat", "lon", "latitude", "longitude"]
    last = variable.dimensions[-2:]
    found: dict[str, str] = {}
    for name in names:
        candidate = file.variables.get(name)
        if candidate is not None and candidate.dimensions == last and candidate is not variable:
            kind = _direction(candidate)
            if kind is not None:
                found.setdefault(kind, name)
    if len(found) < 2:
        return None
    count = len(variable.shape)
    return FieldGrid(count - 2, count - 1, found["y"], found["x"])


def _direction(coordinate: Any) -> str | None:
    """"x", "y" or None, from standard name, axis, units and, last, the name."""
    if coordinate.dtype == str or coordinate.dtype.kind not in "iuf":
        return None
    units, standard = text(coordinate, "units").lower(), text(coordinate, "standard_name")
    for kind in ("y", "x"):
        if standard in _STANDARD[kind] or text(coordinate, "axis").lower() == kind:
            return kind
        if units.startswith(("degrees_n", "degree_n") if kind == "y" else ("degrees_e", "degree_e")):
            return kind
    return next((k for k in ("y", "x") if not standard and coordinate.name.lower() in _NAMES[k]), None)


def _rectilinear(lat: Any, lon: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The axes behind latitudes and longitudes stored for every cell, if they lie along rows and columns."""
    if lat.shape != lon.shape or lat.size > MAX_CELLS:
        raise ValueError("its latitudes and longitudes have different or absurd sizes")
    y, x = np.asarray(lat[...], np.float64), np.asarray(lon[...], np.float64)
    tolerance = 1e-3 * max(abs(y[-1, 0] - y[0, 0]) / len(y), abs(x[0, -1] - x[0, 0]) / x.shape[1], 1e-6)
    if not (np.abs(y - y[:, :1]).max() <= tolerance and np.abs(x - x[:1]).max() <= tolerance):
        raise ValueError("it gives a latitude and longitude for every cell of a curved grid, but no projection axes")
    return y[:, 0], x[0]


def _even(values: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """The axis, if its steps are even to a hundredth of a cell or the rounding of float32."""
    if values.size < 2 or not np.isfinite(values).all():
        raise ValueError(f"the axis '{name}' is too short or not finite")
    step = (values[-1] - values[0]) / (values.size - 1)
    ideal = values[0] + step * np.arange(values.size)
    if step == 0 or np.abs(values - ideal).max() > max(abs(step) * 0.02, np.abs(values).max() * 1e-6):
        raise ValueError(f"the steps of the axis '{name}' are uneven")
    return values


def _crs(file: Any, variable: Any, unit: float) -> str | None:
    """WKT of the grid mapping; None where there is none. unit: metres per unit of the axes."""
    mapping = file.variables.get(text(variable, "grid_mapping").split(" ")[0].rstrip(":"))
    if mapping is None:
        return None
    written = text(mapping, "crs_wkt") or text(mapping, "spatial_ref")
    for proj in (text(mapping, "proj4"), text(mapping, "proj4_params"), text(mapping, "proj4text")):
        written = written or (in_metres(proj)[0] if proj else "")
    if written:
        try:
            return projection(written).to_wkt()
        except ValueError:
            pass  # the parameters beside it may still be good
    params = {name: _plain(mapping.getncattr(name)) for name in mapping.ncattrs()
              if name not in ("crs_wkt", "spatial_ref")}
    for name in ("false_easting", "false_northing"):  # CF: in the units of the axes
        if name in params:
            params[name] = numbers(mapping, name)[0] * unit
    try:
        return _wkt(tuple(sorted(params.items())))
    except (CRSError, KeyError, TypeError) as problem:
        raise ValueError(f"its grid mapping '{mapping.name}' is not understood") from problem


@lru_cache(maxsize=64)
def _wkt(params: tuple[tuple[str, Any], ...]) -> str:
    """PROJ needs a third of a second for this, so that it is done once an archive."""
    listed = {name: list(value) if isinstance(value, tuple) else value for name, value in params}
    return CRS.from_cf(listed).to_wkt()


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        listed = tuple(np.asarray(value).ravel().tolist())
        return listed[0] if len(listed) == 1 else listed
    return value
