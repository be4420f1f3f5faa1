"""DWD RADOLAN and RADVOR composites: rain sums of 16 bit with flags, reflectivity of 8 and 16 bit, run-length classes.

After "RADOLAN/RADVOR-OP Kompositformat" (Deutscher Wetterdienst). Rows run from south to north (of run-length coded
products from north to south). 16-bit words: the low 12 bits are the value, 0x1000 marks a secondary source (the value
is valid), 0x2000 no data, 0x4000 a negative value, 0x8000 clutter. Sums in mm become mean rates over their interval.
The times of sums are the ends of their intervals, as the headers give them; forecasts stand at reference time plus
``VV``. RY at 5 minutes is the archive that papers call DWD-12.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from engine.archives import wrapped
from engine.archives.decoding import Law
from engine.archives.probe import Probe
from engine.archives.radolan_grid import FIRST_ELLIPSOID_VERSION, radolan_grid
from engine.archives.radolan_header import MAX_HEADER, Coding, Header, looks_like_radolan, parse_header
from engine.archives.reader import Scan
from engine.errors import UnreadableInput
from engine.radar.sequence import Field, FrameRef, Layout
from engine.radar.units import NO_ECHO_DBZ, ZR, Quantity

READS_WRAPPED = True
TITLE = "DWD RADOLAN"
DWD_ZR = ZR(256.0, 1.42)
DWD_ZR_SOURCE = "the provider's: DWD"
"""The standard pair of the RADOLAN chain (Bartels et al. 2004, RADOLAN final report)."""
_VALUE, _MISSING, _NEGATIVE = 0x0FFF, 0x2000 | 0x8000, 0x4000
_NO_DATA_BYTES = (249.0, 250.0, 255.0)
"""Clutter, no data, and the code of lost data."""
_UNMEASURED = 255
_MAX_RUNS = 16 * 1024**2


def recognises(probe: Probe) -> bool:
    return looks_like_radolan(probe.head)


def scan(path: Path) -> Scan:
    """Reads the header only. Raises UnreadableInput."""
    header = _header(path, wrapped.read_head(path, MAX_HEADER))
    quantity = Quantity.RAIN_RATE if header.coding is Coding.RAIN else Quantity.REFLECTIVITY
    try:
        grid = radolan_grid(header.shape, header.version >= FIRST_ELLIPSOID_VERSION)
    except ValueError as problem:
        raise UnreadableInput(path, str(problem), tried=TITLE) from problem
    layout = Layout(TITLE, header.product, quantity, "mm" if quantity is Quantity.RAIN_RATE else "dBZ", grid, DWD_ZR,
                    DWD_ZR_SOURCE, _source(header))
    return Scan(layout, (FrameRef(header.valid_time, path),))


def read(ref: FrameRef, layout: Layout) -> Field:
    with wrapped.open_binary(ref.path) as stream:
        head = stream.read(MAX_HEADER)
        header = _header(ref.path, head)
        if (header.product, header.shape) != (layout.variable, layout.grid.shape):
            raise UnreadableInput(ref.path, f"it holds {header.product} of {header.shape}, not {layout.variable} of "
                                            f"{layout.grid.shape}", tried=TITLE)
        body = _body(ref.path, header, head[header.length:], stream)
    if header.coding is Coding.LEVELS:
        classes = decode_runs(body, header.shape)
        return _class_values(header.levels).take(classes)
    words = np.frombuffer(body, np.uint8 if header.coding is Coding.BYTES else "<u2").reshape(header.shape)
    if header.coding is Coding.BYTES:
        return Law(Quantity.REFLECTIVITY, 0.5, -32.5, missing=_NO_DATA_BYTES, undetect=(0.0,))(words)[::-1]
    return _word_values(header.coding, header.precision, header.hours).take(words)[::-1]


def _header(path: Path, head: bytes) -> Header:
    try:
        header = parse_header(head)
        if header.payload is not None and header.coding is not Coding.LEVELS and header.payload != _payload(header):
            raise ValueError(f"its header announces {header.payload} bytes of data, its grid has {_payload(header)}")
    except ValueError as problem:
        raise UnreadableInput(path, str(problem), tried=TITLE) from problem
    return header


def _payload(header: Header) -> int:
    """Bytes of the field; of run-length coded ones the most there can be."""
    if header.coding is Coding.LEVELS:
        return min(header.payload if header.payload is not None else _MAX_RUNS, _MAX_RUNS)
    return header.shape[0] * header.shape[1] * (1 if header.coding is Coding.BYTES else 2)


def _body(path: Path, header: Header, begun: bytes, stream: BinaryIO) -> bytes:
    size = _payload(header)
    body = begun + stream.read(max(0, size - len(begun)))
    if len(body) < size and (header.coding is not Coding.LEVELS or header.payload is not None):
        raise UnreadableInput(path, f"cut short: {len(body)} of {size} bytes of data", tried=TITLE)
    return body[:size]


def _source(header: Header) -> str:
    what = "RADVOR forecast" if header.is_forecast else "RADOLAN"
    also = ", the product of DWD-12" if header.product == "RY" else ""
    length = f", {_length(header.hours)}" if header.hours else ""
    return f"DWD {what} {header.product}{length}{also}"


def _length(hours: float) -> str:
    return f"{hours * 60:g} min" if hours < 1 else f"{hours:g} h" if hours < 48 else f"{hours / 24:g} days"


@lru_cache(maxsize=8)
def _word_values(coding: Coding, precision: float, hours: float) -> NDArray[np.float32]:
    """Physical values of the 65,536 words."""
    words = np.arange(1 << 16, dtype=np.uint16)
    counts = (words & _VALUE).astype(np.float64)
    counts[(words & _NEGATIVE) != 0] *= -1
    counts[(words & _MISSING) != 0] = np.nan
    if coding is Coding.RAIN:
        return Law(Quantity.RAIN_RATE, precision, factor=1.0 / hours)(counts)
    return Law(Quantity.REFLECTIVITY, 0.5 * precision, -32.5, undetect=(0.0,), low=0.0)(counts)


@lru_cache(maxsize=8)
def _class_values(levels: tuple[float, ...]) -> NDArray[np.float32]:
    """dBZ of the 256 classes: the lower limit of each; class 0 lies below all limits, other codes are no data."""
    values = np.full(256, np.nan, np.float32)
    values[0] = NO_ECHO_DBZ
    values[1:len(levels) + 1] = levels
    return values


def decode_runs(body: bytes, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """(rows, columns) classes, first row in the north; 255 where nothing was measured.

    A line: its number, bytes of 16 more than a distance from the left (255 as long as more follow), then runs with
    the length in the high and the class in the low four bits, then 0x0A. Raises ValueError.
    """
    field = np.full(shape, _UNMEASURED, np.uint8)
    at = 0
    for row in range(shape[0]):
        if at + 1 >= len(body):
            raise ValueError(f"it ends after {row} of {shape[0]} lines")
        at, column = _offset(body, at + 1)
        end = body.find(b"\n", at)
        if end < 0:
            raise ValueError(f"line {row} has no end")
        runs = np.frombuffer(body[at:end], np.uint8)
        cells = np.repeat(runs & 0x0F, runs >> 4)
        if column + cells.size > shape[1]:
            raise ValueError(f"line {row} holds {column + cells.size} cells, not {shape[1]}")
        field[row, column:column + cells.size] = cells
        at = end + 1
    return field


def _offset(body: bytes, at: int) -> tuple[int, int]:
    """(position behind the distance, cells from the left); an empty line has none."""
    column = 0
    while at < len(body) and body[at] != 0x0A:
        column += body[at] - 16
        at += 1
        if body[at - 1] != 255:
            break
    return at, max(column, 0)
