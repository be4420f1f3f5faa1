"""The sections of a GRIB2 message (WMO Manual on Codes, FM 92): bounds checked, no value decoded.

Section and octet numbers in comments are the manual's (octets count from 1).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from engine.archives.reader import MAX_CELLS
from engine.radar.grid import Grid

_MINUTES = {0: 1.0, 1: 60.0, 2: 1440.0, 13: 1 / 60}
"""Code table 4.4, the units in use."""


@dataclass(frozen=True)
class Packing:
    """How values lie in section 7: value = (reference + stored * 2**binary) / 10**decimal. template: of section 5."""

    template: int
    reference: float = 0.0
    binary: int = 0
    decimal: int = 0
    bits: int = 0

    @property
    def gain(self) -> float:
        return 2.0**self.binary / 10.0**self.decimal

    @property
    def offset(self) -> float:
        return self.reference / 10.0**self.decimal


@dataclass(frozen=True)
class Message:
    """One field. parameter: (discipline, category, number). flips: rows run northwards, columns westwards.
    data: section 7 without its head, (first byte, bytes) inside the message. bitmap: the same of section 6."""

    centre: int
    parameter: tuple[int, int, int]
    time: datetime
    grid: Grid
    flips: tuple[bool, bool]
    packing: Packing
    data: tuple[int, int]
    bitmap: tuple[int, int] | None


def message_length(head: bytes) -> int:
    """Bytes of the message that begins here (section 0). Raises ValueError."""
    if len(head) < 16 or head[:4] != b"GRIB" or head[7] != 2:
        raise ValueError("no GRIB2 message where one should begin")
    return int.from_bytes(head[8:16], "big")


def parse(message: bytes) -> Message:
    """Raises ValueError for what is damaged or not understood."""
    if message_length(message) != len(message) or message[-4:] != b"7777":
        raise ValueError("the message is cut short")
    sections = _sections(message)
    try:
        one, three, four, five, six, seven = (sections[k] for k in (1, 3, 4, 5, 6, 7))
    except KeyError as problem:
        raise ValueError(f"it has no section {problem.args[0]}") from problem
    try:
        grid, flips = _grid(message[three[0]:three[1]])
        identity, product = message[one[0]:one[1]], message[four[0]:four[1]]
        packing = _packing(message[five[0]:five[1]], grid.shape)
        return Message(int.from_bytes(identity[5:7], "big"), (message[6], product[9], product[10]),
                       _time(identity, product), grid, flips, packing, (seven[0] + 5, seven[1] - seven[0] - 5),
                       _bitmap(message[six[0]:six[1]], six[0], grid.shape))
    except (struct.error, IndexError) as problem:
        raise ValueError("one of its sections is too short") from problem


def _sections(message: bytes) -> dict[int, tuple[int, int]]:
    """{number: (first byte, byte after the last)}. Several fields in one message are refused."""
    found: dict[int, tuple[int, int]] = {}
    place = 16
    while place < len(message) - 4:
        length, number = int.from_bytes(message[place:place + 4], "big"), message[place + 4]
        if length < 5 or place + length > len(message) - 4:
            raise ValueError("the length of a section is damaged")
        if number in found:
            raise ValueError("several fields in one message")
        found[number] = place, place + length
        place += length
    return found


def _signed(octets: bytes) -> int:
    """GRIB's integers: the first bit is the sign."""
    value = int.from_bytes(octets, "big")
    top = 1 << (8 * len(octets) - 1)
    return -(value - top) if value & top else value


def _grid(section: bytes) -> tuple[Grid, tuple[bool, bool]]:
    """Section 3 with template 3.0, regular latitudes and longitudes."""
    template = int.from_bytes(section[12:14], "big")
    if template != 0:
        raise ValueError(f"its grid has the template 3.{template}; only regular latitudes and longitudes are read")
    nx, ny = (int.from_bytes(section[k:k + 4], "big") for k in (30, 34))
    if min(nx, ny) < 2 or nx * ny > MAX_CELLS or int.from_bytes(section[6:10], "big") != nx * ny:
        raise ValueError(f"an absurd or contradicting size of {ny} x {nx}")
    basic, parts = int.from_bytes(section[38:42], "big"), int.from_bytes(section[42:46], "big")
    unit = basic / parts if basic and parts not in (0, 0xFFFFFFFF) else 1e-6
    lat1, lon1, lat2, lon2 = (_signed(section[k:k + 4]) * unit for k in (46, 50, 55, 59))
    dx, dy = (_signed(section[k:k + 4]) * unit for k in (63, 67))
    scan = section[71]
    if scan & 0x30:
        raise ValueError("its cells are stored column by column or to and fro")
    west, east = (lon2, lon1) if scan & 0x80 else (lon1, lon2)
    south, north = (lat1, lat2) if scan & 0x40 else (lat2, lat1)
    dx, dy = _step(dx, (east - west) % 360.0, nx), _step(dy, north - south, ny)
    if west >= 180.0:
        west -= 360.0
    if abs(north) > 90.001 or abs(south) > 90.001 or dx * nx > 360.001:
        raise ValueError("its grid does not lie on the globe")
    grid = Grid.regular(left=west - dx / 2, top=north + dy / 2, dx=dx, dy=dy, nx=nx, ny=ny, crs="EPSG:4326")
    return grid, (bool(scan & 0x40), bool(scan & 0x80))


def _step(stated: float, length: float, count: int) -> float:
    """The stated step unless the corners, which are rounded to a millionth of a degree, contradict it."""
    between = length / (count - 1)
    if between <= 0:
        raise ValueError("its corners lie on each other")
    return stated if stated > 0 and abs(stated - between) * count < 0.02 * between else between


def _time(identity: bytes, product: bytes) -> datetime:
    """Valid time: end of the interval (template 4.8), else reference time and forecast time (octets 18 to 22)."""
    template = int.from_bytes(product[7:9], "big")
    if template == 8:
        return _moment(product[34:41])
    if template not in (0, 1, 2, 15, 20):
        raise ValueError(f"its product has the template 4.{template}, which is not known")
    reference = _moment(identity[12:19])
    if template == 20 or len(product) < 22:
        return reference
    unit, forecast = product[17], _signed(product[18:22])
    if forecast and unit not in _MINUTES:
        raise ValueError(f"the unit {unit} of its forecast time is not known")
    if abs(forecast) > 1_000_000:
        raise ValueError("its forecast time is absurd")
    return reference + timedelta(minutes=forecast * _MINUTES[unit]) if forecast else reference


def _moment(octets: bytes) -> datetime:
    year, month, day, hour, minute, second = struct.unpack(">H5B", octets)
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)


def _packing(section: bytes, shape: tuple[int, int]) -> Packing:
    template = int.from_bytes(section[9:11], "big")
    if int.from_bytes(section[5:9], "big") > math.prod(shape):
        raise ValueError("it has more values than cells")
    reference = float(struct.unpack(">f", section[11:15])[0])
    binary, decimal = _signed(section[15:17]), _signed(section[17:19])
    if not np.isfinite(reference) or abs(binary) > 127 or abs(decimal) > 127:
        raise ValueError("its scale is damaged")
    return Packing(template, reference, binary, decimal, section[19])


def _bitmap(section: bytes, start: int, shape: tuple[int, int]) -> tuple[int, int] | None:
    if section[5] == 255:
        return None
    if section[5] != 0:
        raise ValueError(f"its bitmap is of kind {section[5]}, which is not known")
    if (len(section) - 6) * 8 < math.prod(shape):
        raise ValueError("its bitmap is cut short")
    return start + 6, len(section) - 6
