"""Elevation models, land-sea masks and heights of measurement from files of their own: GeoTIFF, NetCDF, and MeteoNet's
GRIB."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from engine.archives.cf_grid import find_grid
from engine.archives.reader import MAX_CELLS
from engine.errors import UnreadableInput
from engine.radar.changing_fields import MEASUREMENT_HEIGHT
from engine.radar.static_fields import ELEVATION, LAND_SEA, StaticField

TITLE = "an elevation model"
_MEASURED = re.compile(r"measure\w*.?(height|altitude)|(height|altitude).?of.?measure|beam.?(height|altitude)",
                       re.IGNORECASE)
_ELEVATION = re.compile(r"elev|height|altitude|orog|topo|terrain|dem|surface_altitude|^(z|h|hgt|alt|band1)$",
                        re.IGNORECASE)
_LAND = re.compile(r"land.?(sea|binary|area)|lsm|^land$", re.IGNORECASE)
_METRES = {"m": 1.0, "metre": 1.0, "meter": 1.0, "metres": 1.0, "meters": 1.0, "": 1.0, "km": 1000.0, "ft": 0.3048}
_HEIGHTS = {ELEVATION: (-12_000.0, 9_000.0), MEASUREMENT_HEIGHT: (-500.0, 20_000.0)}
"""Metres that a place on Earth, or above it, may have; what lies beyond counts as no data."""


def read_ground(path: Path) -> tuple[StaticField, ...]:
    """The fixed fields of a file, on their own grid. Raises UnreadableInput, which says what is missing."""
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as problem:
        raise UnreadableInput(path, problem.strerror or str(problem), tried=TITLE) from problem
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return (_geotiff(path),)
    if head[:3] == b"CDF" or head == b"\x89HDF\r\n\x1a\n":
        return _netcdf(path)
    if head[:4] == b"GRIB":
        from engine.archives.meteonet_masks import static_fields

        return static_fields(path)
    raise UnreadableInput(path, "neither GeoTIFF nor NetCDF nor GRIB", tried=TITLE)


def _geotiff(path: Path) -> StaticField:
    """One band of heights in metres; scale and offset of GDAL's notes, no data of its tag."""
    from engine.archives import geotiff
    from engine.archives.geotiff_keys import GDAL_METADATA, GDAL_NODATA, grid_of, notes

    with geotiff.opened(path) as image:
        geotiff.check_picture(path, image)
        tags = geotiff.tags_of(image)
        try:
            grid, (flip_y, flip_x) = grid_of(tags, (image.size[1], image.size[0]))
        except ValueError as problem:
            raise UnreadableInput(path, str(problem), tried=TITLE) from problem
        told = notes(geotiff.tag_text(tags, GDAL_METADATA))
        scale, offset = (float(told[name].value) if name in told else usual
                         for name, usual in (("scale", 1.0), ("offset", 0.0)))
        missing = geotiff.number_of(path, geotiff.tag_text(tags, GDAL_NODATA))
        image.load()
        stored = np.asarray(image)
        if image.mode == "I;16" and geotiff.tags_of(image).get(339, (1,)) in ((2,), 2):
            stored = stored.view(np.int16)
    values = stored.astype(np.float32)
    if missing is not None:
        values[values == np.float32(missing)] = np.nan
    values = values[::-1 if flip_y else 1, ::-1 if flip_x else 1] * np.float32(scale) + np.float32(offset)
    return StaticField(ELEVATION, _plausible(values, ELEVATION), "m", path.name, grid)


def _netcdf(path: Path) -> tuple[StaticField, ...]:
    from engine.archives.netcdf_tools import numbers, opened, text

    with opened(path, TITLE) as file:
        found: dict[str, StaticField] = {}
        for variable in file.variables.values():
            kind = _kind(variable, text)
            place = find_grid(file, variable) if kind and len(variable.shape) >= 2 else None
            if kind is None or place is None or kind in found:
                continue
            found[kind] = _variable(path, file, variable, place, kind, numbers, text)
    if not found:
        raise UnreadableInput(path, "no variable in it is called elevation, height, topography or the like, or it has "
                                    "no coordinates", tried=TITLE)
    return tuple(found.values())


def _kind(variable: Any, text: Any) -> str | None:
    if variable.dtype == str or variable.dtype.kind not in "iuf":
        return None
    words = (variable.name, text(variable, "standard_name"), text(variable, "long_name"))
    if any(_LAND.search(word) for word in words):
        return LAND_SEA
    if any(_MEASURED.search(word) for word in words):
        return MEASUREMENT_HEIGHT
    return ELEVATION if any(_ELEVATION.search(word) for word in words) else None


def _variable(path: Path, file: Any, variable: Any, place: Any, kind: str, numbers: Any, text: Any) -> StaticField:
    shape = variable.shape
    if shape[place.y_at] * shape[place.x_at] > MAX_CELLS:
        raise UnreadableInput(path, f"an absurd size of {shape}", tried=TITLE)
    unit = text(variable, "units").lower()
    if kind in _HEIGHTS and unit not in _METRES:
        raise UnreadableInput(path, f"'{variable.name}' is in '{unit}', not in metres", tried=TITLE)
    first = tuple(slice(None) if axis in (place.y_at, place.x_at) else 0 for axis in range(len(shape)))
    stored = np.asarray(variable[first])
    values = stored.astype(np.float32) * np.float32(*(numbers(variable, "scale_factor") or (1.0,)))
    values += np.float32(*(numbers(variable, "add_offset") or (0.0,)))
    for mark in (*numbers(variable, "_FillValue"), *numbers(variable, "missing_value")):
        values[stored == np.asarray(mark, stored.dtype)] = np.nan
    if place.y_at > place.x_at:
        values = values.T
    flip_y, flip_x = place.flips(file)
    values = values[::-1 if flip_y else 1, ::-1 if flip_x else 1]
    if kind in _HEIGHTS:
        values = _plausible(values * np.float32(_METRES[unit]), kind)
    return StaticField(kind, np.ascontiguousarray(values), "m" if kind in _HEIGHTS else "1", path.name,
                       place.grid(file, variable))


def _plausible(values: Any, kind: str) -> Any:
    least, most = _HEIGHTS[kind]
    with np.errstate(invalid="ignore"):
        beyond = (values < least) | (values > most)
    return np.ascontiguousarray(np.where(beyond, np.float32(np.nan), values), np.float32)
