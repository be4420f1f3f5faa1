"""Projections as archives write them, brought to metres; and the corners of their grids."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError

MAX_TEXT = 20_000
_EARTH_M = 6.0e6
_LENGTHS = re.compile(r"\+(a|b|R|x_0|y_0)=([-+0-9.eE]+)")


@lru_cache(maxsize=64)
def projection(text: str) -> CRS:
    """Raises ValueError where PROJ does not understand the text."""
    if len(text) > MAX_TEXT:
        raise ValueError("its projection text is absurdly long")
    try:
        return CRS.from_user_input(text)
    except CRSError as problem:
        raise ValueError(f"PROJ does not understand the projection '{text[:120]}'") from problem


@lru_cache(maxsize=64)
def in_metres(text: str) -> tuple[str, float]:
    """(the same projection with metres as its unit, metres per unit of the text).

    KNMI writes the Earth's axes in km and means km as the unit; others say +units=km. A geographic projection
    comes back as it is, with 1.
    """
    axis = re.search(r"\+(?:a|R)=([-+0-9.eE]+)", text)
    if axis is not None and float(axis.group(1)) < _EARTH_M / 100:
        plain = re.sub(r"\s*\+units=\S+", "", text)
        scaled = _LENGTHS.sub(lambda m: f"+{m.group(1)}={float(m.group(2)) * 1000:.12g}", plain)
        return _checked(f"{scaled.strip()} +units=m"), 1000.0
    if "+units=km" in text:
        return _checked(text.replace("+units=km", "+units=m")), 1000.0
    return _checked(text), 1.0


def _checked(text: str) -> str:
    projection(text)
    return text


@lru_cache(maxsize=512)
def project(text: str, lon: float, lat: float) -> tuple[float, float]:
    """Grid coordinates of a point given in degrees. Raises ValueError where there are none."""
    if not (-720 <= lon <= 720 and -90 <= lat <= 90):
        raise ValueError(f"({lon:g}, {lat:g}) is no longitude and latitude")
    if projection(text).is_geographic:
        return lon, lat
    try:
        x, y = _from_lonlat(text).transform(lon, lat)
    except ProjError as problem:
        raise ValueError(f"the point {lon:g} E {lat:g} N cannot be projected") from problem
    if not (np.isfinite(x) and np.isfinite(y)):
        raise ValueError(f"the point {lon:g} E {lat:g} N lies outside the projection")
    return float(x), float(y)


def unproject(text: str, x: float, y: float) -> tuple[float, float]:
    """Longitude and latitude in degrees of a point of the grid. Raises ValueError where there are none."""
    if projection(text).is_geographic:
        return x, y
    lon, lat = _from_lonlat(text).transform(x, y, direction="INVERSE")
    if not (np.isfinite(lon) and np.isfinite(lat)):
        raise ValueError(f"the point {x:g}, {y:g} lies outside the projection")
    return float(lon), float(lat)


@lru_cache(maxsize=16)
def _from_lonlat(text: str) -> Transformer:
    """Longitudes and latitudes on the projection's own datum, as archives give their corners."""
    crs = projection(text)
    return Transformer.from_crs(crs.geodetic_crs or "EPSG:4326", crs, always_xy=True)
