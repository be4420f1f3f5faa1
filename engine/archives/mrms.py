"""GRIB2 radar composites on regular latitudes and longitudes, first of all MRMS (NOAA NSSL).

Fields are known by numbers, never by names: MRMS uses discipline 209 of centre 161. Special values after the MRMS user
table of parameters: rain rates have -3 for no coverage and -1 for missing, both no data here; reflectivities have -999
for no coverage and -99 for "covered, no echo". Standard precipitation rates and reflectivities (discipline 0) are read
too; there, only the bitmap tells what is missing.

Grid-point PNG (template 5.41, what MRMS uses) is decoded from its 16-bit integers through a table, a third of the
memory of the general way; simple packing of whole bytes likewise. All other packings go through ecCodes.
"""

from __future__ import annotations

import io
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.archives import wrapped
from engine.archives.decoding import Law, decode_in_pieces
from engine.archives.grib2_sections import Message, message_length, parse
from engine.archives.probe import Probe
from engine.archives.reader import Scan
from engine.errors import UnreadableInput
from engine.radar.sequence import Field, FrameRef, Layout
from engine.radar.units import Quantity

READS_WRAPPED = True
TITLE = "GRIB2 radar composite"
MRMS = 209
SIMPLE, PNG = 0, (41, 40010)
"""Data representation templates."""
MAX_MESSAGE = 512 * 1024**2
MAX_MESSAGES = 10_000
_ECCODES_LOCK = threading.Lock()

Stored = Callable[[slice], NDArray[np.generic]]
"""Rows of the integers as they lie in the file."""


@dataclass(frozen=True)
class Product:
    """name: as in the provider's table. factor: to mm/h. missing, undetect: physical values as stored."""

    name: str
    quantity: Quantity
    unit: str
    factor: float = 1.0
    missing: tuple[float, ...] = ()
    undetect: tuple[float, ...] = ()


def _mrms_dbz(name: str) -> Product:
    return Product(name, Quantity.REFLECTIVITY, "dBZ", missing=(-999.0,), undetect=(-99.0,))


def _rate(name: str) -> Product:
    return Product(name, Quantity.RAIN_RATE, "kg m-2 s-1", 3600.0)


PRODUCTS: dict[tuple[int, int, int], Product] = {
    (MRMS, 6, 1): Product("PrecipRate", Quantity.RAIN_RATE, "mm/h", missing=(-3.0, -1.0)),
    (MRMS, 3, 57): _mrms_dbz("ReflectivityAtLowestAltitude"),
    (MRMS, 3, 58): _mrms_dbz("MergedReflectivityAtLowestAltitude"),
    (MRMS, 8, 8): _mrms_dbz("SeamlessHSR"),
    (MRMS, 10, 0): _mrms_dbz("MergedReflectivityQCComposite"),
    (MRMS, 10, 2): _mrms_dbz("LowLevelCompositeReflectivity"),
    (MRMS, 11, 0): _mrms_dbz("MergedBaseReflectivityQC"),
    (MRMS, 11, 1): _mrms_dbz("MergedReflectivityComposite"),
    (MRMS, 11, 2): _mrms_dbz("MergedReflectivityQComposite"),
    (0, 1, 7): _rate("prate"),
    (0, 1, 52): _rate("tprate"),
    (0, 1, 65): _rate("rprate"),
    (0, 15, 1): Product("base reflectivity", Quantity.REFLECTIVITY, "dBZ"),
    (0, 15, 4): Product("layer maximum reflectivity", Quantity.REFLECTIVITY, "dBZ"),
    (0, 16, 4): Product("reflectivity", Quantity.REFLECTIVITY, "dBZ"),
    (0, 16, 5): Product("composite reflectivity", Quantity.REFLECTIVITY, "dBZ"),
}


def recognises(probe: Probe) -> bool:
    """A GRIB2 message at the beginning."""
    return probe.head[:4] == b"GRIB" and probe.head[7:8] == b"\x02"


def scan(path: Path) -> Scan:
    layout: Layout | None = None
    frames: list[FrameRef] = []
    strangers: list[str] = []
    with wrapped.open_binary(path) as stream:
        for start, content in _messages(path, stream):
            message = _parsed(path, content)
            product = PRODUCTS.get(message.parameter)
            if product is None:
                strangers.append("/".join(map(str, message.parameter)))
                continue
            mine = Layout(TITLE, product.name, product.quantity, product.unit, message.grid,
                          source="MRMS, NOAA NSSL" if message.parameter[0] == MRMS else f"centre {message.centre}")
            layout = layout or mine
            reason = mine.agrees_with(layout)
            if reason is not None:
                raise UnreadableInput(path, f"its fields differ: {reason}", tried=TITLE)
            frames.append(FrameRef(message.time, path, (start, len(content))))
    if layout is None:
        raise UnreadableInput(path, "its parameter (discipline/category/number "
                                    f"{', '.join(sorted(set(strangers))[:5])}) is no known rain rate or reflectivity",
                              tried=TITLE)
    times = {ref.time: ref for ref in reversed(frames)}
    return Scan(layout, tuple(times[time] for time in sorted(times)))


def read(ref: FrameRef, layout: Layout) -> Field:
    start, length = ref.key
    with wrapped.open_binary(ref.path) as stream:
        _skip(stream, start)
        content = stream.read(length)
    message = _parsed(ref.path, content)
    product = PRODUCTS.get(message.parameter)
    if product is None or message.grid.shape != layout.grid.shape:
        raise UnreadableInput(ref.path, "it holds another field than before", tried=TITLE)
    try:
        values = _values(ref.path, content, message, product)
    except (ValueError, OSError, SyntaxError, Image.DecompressionBombError) as problem:
        raise UnreadableInput(ref.path, f"damaged or truncated ({problem})", tried=TITLE) from problem
    flip_y, flip_x = message.flips
    return values[::-1 if flip_y else 1, ::-1 if flip_x else 1]


def _messages(path: Path, stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(first byte, bytes) of every message; what follows the last is left out."""
    start = 0
    for count in range(MAX_MESSAGES):
        head = stream.read(16)
        if count and head[:4] != b"GRIB":
            return
        try:
            length = message_length(head)
        except ValueError as problem:
            raise UnreadableInput(path, str(problem), tried=TITLE) from problem
        if not 16 < length <= MAX_MESSAGE:
            raise UnreadableInput(path, f"an absurd message of {length} bytes", tried=TITLE)
        yield start, head + stream.read(length - 16)
        start += length


def _skip(stream: BinaryIO, count: int) -> None:
    while count > 0:
        piece = stream.read(min(count, 1 << 20))
        if not piece:
            return
        count -= len(piece)


def _parsed(path: Path, content: bytes) -> Message:
    try:
        return parse(content)
    except ValueError as problem:
        raise UnreadableInput(path, f"damaged or not understood ({problem})", tried=TITLE) from problem


def _values(path: Path, content: bytes, message: Message, product: Product) -> Field:
    packing, shape = message.packing, message.grid.shape
    if message.bitmap is None and packing.bits in (8, 16) and packing.template in (SIMPLE, *PNG):
        law = Law(product.quantity, packing.gain, packing.offset, product.factor,
                  tuple(_codes(message, product.missing)), tuple(_codes(message, product.undetect)))
        with (_picture if packing.template in PNG else _words)(content, message) as stored:
            return decode_in_pieces(shape, stored, law)
    law = Law(product.quantity, factor=product.factor, missing=(*product.missing, math.nan),
              undetect=product.undetect)
    return law(_by_eccodes(path, content, message).reshape(shape))


@contextmanager
def _words(content: bytes, message: Message) -> Iterator[Stored]:
    """Simple packing of whole bytes."""
    (ny, nx), size = message.grid.shape, message.packing.bits // 8
    if message.data[1] < ny * nx * size:
        raise ValueError("its values are cut short")
    stored = np.frombuffer(content, f">u{size}", ny * nx, message.data[0]).reshape(ny, nx)
    yield lambda rows: stored[rows]


@contextmanager
def _picture(content: bytes, message: Message) -> Iterator[Stored]:
    """A PNG of 8 or 16 bits, taken out of the library's memory a few rows at a time."""
    start, length = message.data
    ny, nx = message.grid.shape
    wanted = np.uint8 if message.packing.bits == 8 else np.uint16
    with Image.open(io.BytesIO(content[start:start + length]), formats=("PNG",)) as image:
        if image.size != (nx, ny) or image.mode not in (("L",) if wanted is np.uint8 else ("I;16", "I")):
            raise ValueError(f"its picture is {image.size[1]} x {image.size[0]} ({image.mode})")
        image.load()
        yield lambda rows: np.asarray(image.crop((0, rows.start, nx, rows.stop))).astype(wanted, copy=False)


def _codes(message: Message, values: tuple[float, ...]) -> Iterator[float]:
    """The integers that stand for special values."""
    for value in values:
        code = (value - message.packing.offset) / message.packing.gain
        if abs(code - round(code)) < 0.1:
            yield float(round(code))


def _by_eccodes(path: Path, content: bytes, message: Message) -> NDArray[np.float64]:
    """All values in the order of the file, NaN where the bitmap says missing."""
    try:
        import eccodes
    except (ImportError, RuntimeError) as problem:
        raise UnreadableInput(path, f"its packing (template 5.{message.packing.template}) needs ecCodes", tried=TITLE,
                              advice='Install it with: pip install "stormdeck[grib]"') from problem
    with _ECCODES_LOCK:
        try:
            handle: Any = eccodes.codes_new_from_message(content)
            try:
                eccodes.codes_set(handle, "missingValue", 1e30)
                values: NDArray[np.float64] = eccodes.codes_get_values(handle)
            finally:
                eccodes.codes_release(handle)
        except eccodes.CodesInternalError as problem:
            raise UnreadableInput(path, f"damaged or truncated ({problem})", tried=TITLE) from problem
    if values.size != math.prod(message.grid.shape):
        raise UnreadableInput(path, f"it has {values.size} values, not one for each cell", tried=TITLE)
    values[values >= 1e29] = np.nan
    return values
