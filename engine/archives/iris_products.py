"""IRIS Cartesian products (PPI, CAPPI, SRI, LAYER, COMP): maps that Vaisala's IRIS made of a radar's volumes.

Layout after Vaisala's IRIS Programming Guide (M211318EN, chapter 4): ``product_hdr`` of 640 bytes, little-endian
(12 bytes of structure header, 320 of ``product_configuration``, 308 of ``product_end``), then the rows from south
to north. One-byte reflectivity is (code - 64) / 2 dBZ, two-byte (code - 32768) / 100 dBZ, both with 0 for no echo and
the highest code for "not scanned"; two-byte rain rate is a number of 4 bits of exponent and 12 of mantissa, less 1,
in 0.0001 mm/h, with 0 for no data. The map is azimuthal equidistant about the radar on the file's own Earth.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from engine.archives.polar_formats import RAW_PRODUCT, iris_product
from engine.archives.probe import Probe
from engine.archives.reader import MAX_CELLS, Scan
from engine.errors import UnreadableInput
from engine.radar.grid import Grid
from engine.radar.sequence import Field, FrameRef, Layout
from engine.radar.units import MARSHALL_PALMER, NO_ECHO_DBZ, ZR, Quantity

TITLE = "IRIS product"
HEADER = 640
MAPS = {1: "PPI", 3: "CAPPI", 28: "COMP", 32: "SRI", 38: "LAYER"}
"""Product type codes of maps with a row and a column of places."""
DBZ_BYTE = frozenset({1, 2, 7, 61, 63})
DBZ_WORD = frozenset({8, 9, 21, 62, 64})
RAIN_RATE = 13
_CONFIGURATION, _END = 12, 332
_AZIMUTHAL_EQUIDISTANT = 0
_ANGLE = 360.0 / 2**32


@dataclass(frozen=True)
class _Header:
    """What of ``product_hdr`` is read; lengths in metres, angles in degrees."""

    product: int
    stored: int
    time: datetime
    task: str
    site: str
    scale: tuple[float, float]
    size: tuple[int, int, int]
    antenna: tuple[float, float]
    projection: int
    lon: float
    lat: float
    radius: float
    flattening: float
    zr: tuple[float, float]


def recognises(probe: Probe) -> bool:
    """Structure 27 (``product_hdr``), then 26, of any product but RAW, which holds rays."""
    return iris_product(probe) not in (None, RAW_PRODUCT)


def scan(path: Path) -> Scan:
    """Raises UnreadableInput; for products that are no maps too."""
    header = _header(path)
    _check(path, header)
    grid = _grid(header)
    rain = header.stored == RAIN_RATE
    a, b = header.zr
    zr, source = (ZR(a, b), "given in the file") if a > 0 and b > 0 else (MARSHALL_PALMER, "assumed: Marshall-Palmer")
    layout = Layout(TITLE, f"{MAPS[header.product]} ({header.task})" if header.task else MAPS[header.product],
                    Quantity.RAIN_RATE if rain else Quantity.REFLECTIVITY, "mm/h" if rain else "dBZ", grid, zr,
                    source, header.site)
    return Scan(layout, (FrameRef(header.time, path, header.stored),))


def read(ref: FrameRef, layout: Layout) -> Field:
    table = values_of_codes(ref.key)
    cells = layout.grid.shape[0] * layout.grid.shape[1]
    dtype = np.dtype("<u1" if table.size == 256 else "<u2")
    with ref.path.open("rb") as file:
        file.seek(HEADER)
        content = file.read(cells * dtype.itemsize)
    if len(content) < cells * dtype.itemsize:
        raise UnreadableInput(ref.path, "it is cut short", tried=TITLE)
    return table[np.frombuffer(content, dtype).reshape(layout.grid.shape)[::-1]]


def values_of_codes(stored: int) -> Field:
    """dBZ or mm/h of every code of a data type: (256,) or (65536,). Raises ValueError for other data types."""
    if stored in DBZ_BYTE:
        table = (np.arange(256) - 64.0) / 2.0
        table[0], table[-1] = NO_ECHO_DBZ, np.nan
    elif stored in DBZ_WORD:
        table = np.maximum((np.arange(65536) - 32768.0) / 100.0, NO_ECHO_DBZ)
        table[0], table[-1] = NO_ECHO_DBZ, np.nan
    elif stored == RAIN_RATE:
        code = np.arange(65536)
        exponent, mantissa = code >> 12, code & 0xFFF
        table = (np.where(exponent > 0, (mantissa | 0x1000) << np.maximum(exponent - 1, 0), mantissa) - 1) / 1e4
        table[0] = table[-1] = np.nan
    else:
        raise ValueError(f"its data type {stored} is neither reflectivity nor rain rate")
    return table.astype(np.float32)


def _header(path: Path) -> _Header:
    with path.open("rb") as file:
        content = file.read(HEADER)
    if len(content) < HEADER:
        raise UnreadableInput(path, "it is cut short", tried=TITLE)

    def number(form: str, place: int) -> int:
        return int(struct.unpack_from(f"<{form}", content, place)[0])

    c, e = _CONFIGURATION, _END
    return _Header(
        number("H", c + 12), number("H", c + 130), _moment(path, content, c + 32), _text(content, c + 62, 12),
        _text(content, e + 90, 16),
        (number("i", c + 88) / 100.0, number("i", c + 92) / 100.0),
        (number("i", c + 100), number("i", c + 104), number("i", c + 108)),
        (number("i", c + 112) / 1000.0, number("i", c + 116) / 1000.0), content[c + 146],
        _degrees(number("I", e + 244)), _degrees(number("I", e + 240)),
        number("I", e + 220) / 100.0, number("I", e + 224) / 1e6,
        (number("i", c + 152) / 1000.0, number("i", c + 156) / 1000.0))


def _degrees(binary: int) -> float:
    angle = binary * _ANGLE
    return angle - 360.0 if angle > 180.0 else angle


def _text(content: bytes, place: int, length: int) -> str:
    return content[place:place + length].split(b"\0")[0].decode("latin-1").strip()


def _moment(path: Path, content: bytes, place: int) -> datetime:
    """``ymds_time``: seconds of the day, milliseconds, year, month, day."""
    seconds, _, year, month, day = struct.unpack_from("<iHhhh", content, place)
    if not (1980 <= year <= 2200 and 1 <= month <= 12 and 1 <= day <= 31 and 0 <= seconds < 86_401):
        raise UnreadableInput(path, "it does not say its time", tried=TITLE)
    return datetime(year, month, day, tzinfo=UTC) + timedelta(seconds=seconds)


def _check(path: Path, header: _Header) -> None:
    nx, ny, nz = header.size
    reason = None
    if header.product not in MAPS:
        reason = f"its product (type {header.product}) is no map; maps are {', '.join(MAPS.values())}"
    elif not (2 <= nx <= 20_000 and 2 <= ny <= 20_000 and nx * ny <= MAX_CELLS and nz == 1):
        reason = f"its size of {nx} x {ny} x {nz} is absurd"
    elif header.projection != _AZIMUTHAL_EQUIDISTANT:
        reason = f"its projection (type {header.projection}) is not azimuthal equidistant, the only one that is read"
    elif header.stored not in DBZ_BYTE | DBZ_WORD | {RAIN_RATE}:
        reason = f"its data type {header.stored} is neither reflectivity nor rain rate"
    elif not (all(1.0 <= s <= 1e5 for s in header.scale) and abs(header.lat) <= 90):
        reason = "the size or place of its pixels is absurd"
    elif header.radius and not 6.0e6 <= header.radius <= 6.8e6:
        reason = "the size of its Earth is absurd"
    if reason is None:
        codes = values_of_codes(header.stored).size
        wanted = HEADER + nx * ny * (1 if codes == 256 else 2)
        if path.stat().st_size < wanted:
            reason = f"it is cut short: {path.stat().st_size} of {wanted} bytes"
    if reason is not None:
        raise UnreadableInput(path, reason, tried=TITLE)


def _grid(header: _Header) -> Grid:
    """``x_location``, ``y_location``: the antenna in pixels from the outer edge of the first one, in the south-west.
    Old files say no radius of the Earth: 6371 km."""
    earth = f"+R={header.radius or 6_371_000.0:.2f}"
    if header.radius and header.flattening:
        earth = f"+a={header.radius:.2f} +rf={header.flattening:.6f}"
    crs = f"+proj=aeqd +lat_0={header.lat:.8f} +lon_0={header.lon:.8f} +x_0=0 +y_0=0 {earth} +units=m +no_defs"
    (dx, dy), (nx, ny, _), (x, y) = header.scale, header.size, header.antenna
    return Grid.regular(left=-x * dx, top=(ny - y) * dy, dx=dx, dy=dy, nx=nx, ny=ny, crs=crs)
