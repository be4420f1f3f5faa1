"""Where a GeoTIFF lies: its affine tags and geo keys (OGC GeoTIFF 1.1) as a Grid, and GDAL's notes as a dictionary.

Projections come as an EPSG code or as parameters; of the latter, those that weather services use are understood.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.archives.projections import projection
from engine.radar.grid import Grid

PIXEL_SCALE, TIEPOINT, TRANSFORM, KEY_DIRECTORY, KEY_DOUBLES, KEY_TEXT = 33550, 33922, 34264, 34735, 34736, 34737
GDAL_METADATA, GDAL_NODATA = 42112, 42113
_USER_DEFINED = 32767
_MODEL, _RASTER, _GEOGRAPHIC, _ELLIPSOID, _SEMI_MAJOR, _SEMI_MINOR, _FLATTENING = (
    1024, 1025, 2048, 2056, 2057, 2058, 2059)
_PROJECTED, _METHOD, _UNIT = 3072, 3075, 3076
_PARALLEL_1, _PARALLEL_2, _EASTING, _NORTHING, _SCALE = 3078, 3079, 3082, 3083, 3092
_LONGITUDES = (3080, 3084, 3088, 3095)
"""Natural origin, false origin, centre, straight vertical pole."""
_LATITUDES = (3081, 3085, 3089)
_UNITS = {9001: 1.0, 9036: 1000.0, 9002: 0.3048, 9003: 1200 / 3937}
_ELLIPSOIDS = {7030: "WGS84", 7019: "GRS80", 7004: "bessel", 7022: "intl", 7043: "WGS72", 7008: "clrk66"}
_MAX_NOTES = 1_000_000
_ITEM = re.compile(r"<Item\b([^>]*)>([^<]*)</Item>")
_ATTRIBUTE = re.compile(r"""([A-Za-z_]\w*)\s*=\s*(?:"([^"]*)"|'([^']*)')""")

Tags = Mapping[int, Any]
Keys = Mapping[int, Any]


@dataclass(frozen=True)
class Note:
    """One of GDAL's items: value and attributes (unit, role, sample, ...)."""

    value: str
    attributes: Mapping[str, str]


def notes(written: str) -> dict[str, Note]:
    """The items of GDAL_METADATA by name in lower case; text that was escaped once too often is understood."""
    text = written[:_MAX_NOTES]
    for _ in range(3):
        if "&lt;" not in text and "&amp;" not in text:
            break
        text = html.unescape(text)
    found: dict[str, Note] = {}
    for match in _ITEM.finditer(text):
        attributes = {name: double or single for name, double, single in _ATTRIBUTE.findall(match.group(1))}
        name = attributes.get("name", "").strip().lower()
        if name and attributes.get("sample", "0") == "0":
            found.setdefault(name, Note(html.unescape(match.group(2)).strip(), attributes))
    return found


def grid_of(tags: Tags, shape: tuple[int, int]) -> tuple[Grid, tuple[bool, bool]]:
    """(grid, (rows run from south to north, columns from east to west)). Raises ValueError."""
    keys = geo_keys(tags)
    left, top, dx, dy = _affine(tags, keys.get(_RASTER) == 2)
    ny, nx = shape
    if not all(map(math.isfinite, (left, top, dx, dy))) or dx == 0 or dy == 0:
        raise ValueError("its affine transformation is damaged")
    crs, unit = _crs(keys)
    flips = dy > 0, dx < 0
    if flips[0]:
        top += dy * ny
    if flips[1]:
        left += dx * nx
    grid = Grid.regular(left=left * unit, top=top * unit, dx=abs(dx) * unit, dy=abs(dy) * unit, nx=nx, ny=ny, crs=crs)
    return grid, flips


def geo_keys(tags: Tags) -> dict[int, Any]:
    """{key: int, float or text} of the key directory."""
    directory = _numbers(tags, KEY_DIRECTORY)
    doubles, texts = _numbers(tags, KEY_DOUBLES), str(tags.get(KEY_TEXT, ""))
    found: dict[int, Any] = {}
    for place in range(4, min(len(directory) - 3, 4 + 4 * 500), 4):
        key, where, count, value = (int(number) for number in directory[place:place + 4])
        if where == 0:
            found[key] = value
        elif where == KEY_DOUBLES and 0 <= value < len(doubles):
            found[key] = float(doubles[value])
        elif where == KEY_TEXT:
            found[key] = texts[value:value + count].rstrip("|\0")
    return found


def _numbers(tags: Tags, tag: int) -> Sequence[float]:
    value = tags.get(tag, ())
    return value if isinstance(value, tuple) else (value,)


def _affine(tags: Tags, is_point: bool) -> tuple[float, float, float, float]:
    """(left, top, dx, dy) of the outer corner of pixel (0, 0); dy is negative where rows run southwards."""
    matrix = _numbers(tags, TRANSFORM)
    if len(matrix) >= 8:
        if abs(matrix[1]) > 1e-9 * abs(matrix[0]) or abs(matrix[4]) > 1e-9 * abs(matrix[5]):
            raise ValueError("its grid is rotated")
        dx, dy, left, top = matrix[0], matrix[5], matrix[3], matrix[7]
    else:
        scale, tie = _numbers(tags, PIXEL_SCALE), _numbers(tags, TIEPOINT)
        if len(scale) < 2 or len(tie) < 6:
            raise ValueError("it does not say where it lies (no pixel scale and tie point)")
        dx, dy = scale[0], -scale[1]
        left, top = tie[3] - tie[0] * dx, tie[4] - tie[1] * dy
    if is_point:
        left, top = left - dx / 2, top - dy / 2
    return float(left), float(top), float(dx), float(dy)


def _crs(keys: Keys) -> tuple[str | None, float]:
    """(projection, metres per unit of the grid's axes)."""
    if not keys:
        return None, 1.0
    code = keys.get(_PROJECTED, _USER_DEFINED if keys.get(_MODEL) == 1 else None)
    if code is None or keys.get(_MODEL) == 2:
        base = keys.get(_GEOGRAPHIC, _USER_DEFINED)
        return _checked(f"EPSG:{base}" if base != _USER_DEFINED else f"+proj=longlat {_ellipsoid(keys)}"), 1.0
    if code != _USER_DEFINED:
        return _checked(f"EPSG:{code}"), _in_metres(keys)
    return _checked(f"{_projection(keys)} {_ellipsoid(keys)} +units=m"), _in_metres(keys)


def _in_metres(keys: Keys) -> float:
    unit = keys.get(_UNIT, 9001)
    if unit not in _UNITS:
        raise ValueError(f"its unit of length has the code {unit}, which is not known")
    return _UNITS[unit]


def _checked(text: str) -> str:
    projection(text)
    return text


def _ellipsoid(keys: Keys) -> str:
    major, minor, flattening = keys.get(_SEMI_MAJOR), keys.get(_SEMI_MINOR), keys.get(_FLATTENING)
    if major is not None and minor is not None:
        return f"+a={major:.12g} +b={minor:.12g}"
    if major is not None:
        return f"+a={major:.12g} +rf={flattening:.15g}" if flattening else f"+R={major:.12g}"
    if keys.get(_ELLIPSOID) in _ELLIPSOIDS:
        return f"+ellps={_ELLIPSOIDS[keys[_ELLIPSOID]]}"
    base = keys.get(_GEOGRAPHIC, _USER_DEFINED)
    if base == _USER_DEFINED:
        raise ValueError("it does not say on which ellipsoid it lies")
    ellipsoid = projection(f"EPSG:{base}").ellipsoid
    if ellipsoid is None:
        raise ValueError(f"EPSG:{base} has no ellipsoid")
    return f"+a={ellipsoid.semi_major_metre:.12g} +b={ellipsoid.semi_minor_metre:.12g}"


def _projection(keys: Keys) -> str:
    """PROJ's words for a user-defined projection (GeoTIFF coordinate transformation codes)."""
    lon = next((keys[k] for k in _LONGITUDES if k in keys), 0.0)
    lat = next((keys[k] for k in _LATITUDES if k in keys), 0.0)
    first, second = keys.get(_PARALLEL_1), keys.get(_PARALLEL_2)
    shift = f"+x_0={_in_metres(keys) * keys.get(_EASTING, keys.get(3086, 0.0)):.12g} " \
            f"+y_0={_in_metres(keys) * keys.get(_NORTHING, keys.get(3087, 0.0)):.12g}"
    scale = f"+k_0={keys.get(_SCALE, 1.0):.12g}"
    origin = f"+lat_0={lat:.12g} +lon_0={lon:.12g}"
    parallels = f"+lat_1={lat if first is None else first:.12g} +lat_2={lat if second is None else second:.12g}"
    methods = {1: f"+proj=tmerc {origin} {scale}", 7: f"+proj=merc +lon_0={lon:.12g} {scale}",
               8: f"+proj=lcc {origin} {parallels}", 9: f"+proj=lcc {origin} +lat_1={lat:.12g} {scale}",
               10: f"+proj=laea {origin}", 11: f"+proj=aea {origin} {parallels}", 12: f"+proj=aeqd {origin}",
               15: _polar(lon, lat, keys), 16: f"+proj=sterea {origin} {scale}", 17: f"+proj=eqc +lon_0={lon:.12g}"}
    method = keys.get(_METHOD)
    if method not in methods:
        raise ValueError(f"its projection has the code {method}, which is not known")
    return f"{methods[method]} {shift}"


def _polar(lon: float, lat: float, keys: Keys) -> str:
    """GeoTIFF gives the latitude of true scale as natural origin; PROJ wants the pole beside it."""
    pole = 90 if lat > 0 else -90
    if _SCALE in keys and abs(lat) == 90:
        return f"+proj=stere +lat_0={pole} +lon_0={lon:.12g} +k_0={keys[_SCALE]:.12g}"
    return f"+proj=stere +lat_0={pole} +lat_ts={lat:.12g} +lon_0={lon:.12g}"
