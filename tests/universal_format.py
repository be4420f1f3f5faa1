"""A volume in Universal Format, written word by word from its published layout.

S. L. Barnes, "Report on a meeting to establish a common Doppler radar data exchange format", Bull. Amer. Meteor. Soc.
61 (1980): records of 16-bit words, one a ray; positions count words from 1; angles are in 1/64 degree, names fill two
letters a word, reflectivity is stored in units of 1/scale dBZ.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PLANE, VERTICAL = 1, 3
"""Sweep modes: at one elevation (PPI), at one azimuth (RHI)."""
NO_DATA = -32768
_MANDATORY, _OPTIONAL, _DATA, _FIELD = 45, 14, 5, 25
"""Words of the headers; the data header is that of one field, the field's own has the six words of reflectivity."""
_ANGLE = 64


def _letters(text: str, words: int) -> bytes:
    return text.encode().ljust(2 * words)[:2 * words]


def _numbers(*words: float) -> bytes:
    return struct.pack(f">{len(words)}h", *(round(word) for word in words))


def _angle(degrees: float) -> tuple[int, int, float]:
    """Degrees, minutes and seconds, these in 1/64."""
    minutes = degrees * 60
    return int(degrees), int(minutes) % 60, (minutes % 1) * 60 * _ANGLE


def _mandatory(size: int, time: datetime, count: int, sweep: int, ray: int, azimuth: float, elevation: float,
               site: tuple[float, float, float], mode: int) -> bytes:
    optional = _MANDATORY + 1
    data = optional + _OPTIONAL
    lon, lat, height = site
    clock = (time.year % 100, time.month, time.day, time.hour, time.minute, time.second)
    return b"".join((
        b"UF", _numbers(size, optional, data, data, count, 1, ray, 1, sweep), _letters("TEST", 4), _letters("SITE", 4),
        _numbers(*_angle(lat), *_angle(lon), height, *clock), b"UT",
        _numbers(azimuth * _ANGLE, elevation * _ANGLE, mode, elevation * _ANGLE, 12 * _ANGLE, *clock[:3]),
        _letters("TESTS", 4), _numbers(NO_DATA)))


def _field(gates: int, spacing_m: float, scale: int) -> bytes:
    """The header of a reflectivity: place of the values, their law, range, beam, wavelength, how it was edited."""
    at = _MANDATORY + _OPTIONAL + _DATA + _FIELD + 1
    return b"".join((
        _numbers(at, scale, 0, 0, spacing_m, gates, spacing_m, _ANGLE, _ANGLE, _ANGLE, 0, 5 * _ANGLE, 64), b"  ",
        _numbers(0, scale), b"  ", _numbers(1000, 16), _numbers(0, 0, 0, 0, 0, _ANGLE)))


def universal_format(path: Path, sweeps: Sequence[tuple[float, NDArray[np.float64]]], time: datetime, *,
                     site: tuple[float, float, float], spacing_m: float = 500.0, scale: int = 100,
                     mode: int = PLANE, name: str = "CZ") -> Path:
    """sweeps: elevation in degrees, dBZ (rays, gates), rays clockwise from north, NaN where nothing is stored.
    site: degrees east and north, metres above the sea. name: of the field, two letters (CZ: reflectivity)."""
    count, out = 0, bytearray()
    for number, (elevation, field) in enumerate(sweeps, start=1):
        rays, gates = field.shape
        stored = np.where(np.isnan(field), NO_DATA, np.round(field * scale)).astype(">i2")
        size = _MANDATORY + _OPTIONAL + _DATA + _FIELD + gates
        for ray in range(rays):
            count += 1
            record = b"".join((
                _mandatory(size, time, count, number, ray + 1, (ray + 0.5) * 360 / rays, elevation, site, mode),
                _letters("PROJECT", 4), _numbers(0, 0, time.hour, time.minute, time.second), _letters("TAPE", 4),
                _numbers(0), _numbers(1, 1, 1), _letters(name, 1), _numbers(_MANDATORY + _OPTIONAL + _DATA + 1),
                _field(gates, spacing_m, scale), stored[ray].tobytes()))
            out += struct.pack(">I", len(record)) + record + struct.pack(">I", len(record))
    path.write_bytes(out)
    return path
