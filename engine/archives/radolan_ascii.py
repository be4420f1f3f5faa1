"""DWD RADOLAN and RADKLIM sums as ESRI ASCII grids: six lines of header, then rows from north to south.

The files give neither product nor time; both stand in their names (``RW_20221018-0050.asc``,
``YW_2017.002_20170101_0005.asc``). A file is recognised by the place of its grid, which is one of RADOLAN's.
Counts are tenths of mm; of products with 5 minutes, hundredths.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from engine.archives import wrapped
from engine.archives.decoding import Law
from engine.archives.probe import Probe
from engine.archives.radolan import DWD_ZR, DWD_ZR_SOURCE
from engine.archives.radolan_grid import grid_at
from engine.archives.reader import Scan
from engine.errors import UnreadableInput
from engine.radar.grid import Grid
from engine.radar.sequence import Field, FrameRef, Layout
from engine.radar.units import Quantity

READS_WRAPPED = True
TITLE = "DWD RADOLAN ASCII grid"
_HEAD = 1024
_HEADER_LINES = 6
_BYTES_PER_CELL = 16
_NAME = re.compile(r"^([A-Z][A-Z0-9])(?:_\d{4}\.\d{3})?[-_](\d{8})[-_]?(\d{4})")
_SUMS = {"RW": (0.1, 1.0), "SF": (0.1, 24.0), "RY": (0.01, 1 / 12), "YW": (0.01, 1 / 12)}
"""{product: (mm a count, hours)}"""


@dataclass(frozen=True)
class _Header:
    grid: Grid
    missing: float


def recognises(probe: Probe) -> bool:
    """A text grid in one of RADOLAN's places."""
    return _parsed(probe.head[:_HEAD]) is not None


def scan(path: Path) -> Scan:
    header = _header(path)
    product, time = _name(path)
    layout = Layout(TITLE, product, Quantity.RAIN_RATE, f"{_SUMS[product][0]:g} mm", header.grid, DWD_ZR,
                    DWD_ZR_SOURCE, f"DWD RADOLAN {product}, {_SUMS[product][1] * 60:g} min")
    return Scan(layout, (FrameRef(time, path),))


def read(ref: FrameRef, layout: Layout) -> Field:
    header, (product, _) = _header(ref.path), _name(ref.path)
    shape = layout.grid.shape
    content = wrapped.read_bytes(ref.path, _HEAD + shape[0] * shape[1] * _BYTES_PER_CELL)
    counts = np.loadtxt(io.StringIO(content.decode("ascii")), np.float64, skiprows=_HEADER_LINES, ndmin=2)
    if counts.shape != shape:
        raise UnreadableInput(ref.path, f"it holds {counts.shape} numbers, not {shape}", tried=TITLE)
    step, hours = _SUMS[product]
    return Law(Quantity.RAIN_RATE, step, factor=1 / hours, missing=(header.missing,))(counts)


def _header(path: Path) -> _Header:
    header = _parsed(wrapped.read_head(path, _HEAD))
    if header is None:
        raise UnreadableInput(path, "its header is damaged or its grid is none of RADOLAN's", tried=TITLE)
    return header


def _parsed(head: bytes) -> _Header | None:
    """None where it is no such header or the grid lies elsewhere."""
    if head[:5].lower() != b"ncols":
        return None
    lines = [line.split() for line in head.split(b"\n")[:_HEADER_LINES]]
    try:
        values = {words[0].decode("ascii").lower(): float(words[1]) for words in lines if len(words) == 2}
        shape = int(values["nrows"]), int(values["ncols"])
        grid = grid_at(shape, values["xllcorner"], values["yllcorner"], values["cellsize"])
        return None if grid is None else _Header(grid, values["nodata_value"])
    except (ValueError, KeyError, OverflowError):
        return None


def _name(path: Path) -> tuple[str, datetime]:
    """(product, time) of a name."""
    match = _NAME.match(path.name)
    if match is None or match.group(1) not in _SUMS:
        raise UnreadableInput(path, "such files say product and time in their names only (RW_20221018-0050.asc), "
                                    f"and '{path.name}' does not", tried=TITLE)
    try:
        return match.group(1), datetime.strptime(match.group(2) + match.group(3), "%Y%m%d%H%M").replace(tzinfo=UTC)
    except ValueError as problem:
        raise UnreadableInput(path, f"'{path.name}' holds no date and time", tried=TITLE) from problem
