"""Raw scans of TAASRAD19: ESRI ASCII grids of 480 x 480 dBZ, one product and time a file, in a tar a day.

-99 is no echo inside the radar's circle (the data set's own processing takes it so); 55.0, above the scale's end of
52.5, is a code whose meaning is not published and becomes no data. The time is in the name.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from engine.archives import taasrad19
from engine.archives.decoding import Law
from engine.archives.probe import Probe
from engine.archives.reader import Scan
from engine.errors import UnreadableInput
from engine.radar.sequence import Field, FrameRef, Layout
from engine.radar.units import Quantity

TITLE = "TAASRAD19 ASCII grid"
HEADER_LINES = 6
MAX_BYTES = 16 * 1024**2
LAW = Law(Quantity.REFLECTIVITY, missing=(55.0,), undetect=(-99.0, 0.0))
_STAMP = re.compile(r"(20\d{2})(\d{2})(\d{2})[_-]?(\d{2})(\d{2})")
_FIELD = re.compile(rb"^\s*(ncols|nrows|cellsize)\s+([0-9.]+)\s*$", re.IGNORECASE | re.MULTILINE)


def recognises(probe: Probe) -> bool:
    """Six lines of header for 480 x 480 cells of 500 m, then numbers between tabs."""
    head = probe.head[:1024]
    if head[:5].lower() != b"ncols":
        return False
    found = {name.lower(): float(value) for name, value in _FIELD.findall(head)}
    return found == {b"ncols": 480.0, b"nrows": 480.0, b"cellsize": 500.0} and b"\t" in head


def scan(path: Path) -> Scan:
    stamps = _STAMP.findall(path.name)
    if not stamps:
        raise UnreadableInput(path, "its name holds no date and time", tried=TITLE)
    year, month, day, hour, minute = (int(part) for part in stamps[-1])
    return Scan(taasrad19.layout(), (FrameRef(datetime(year, month, day, hour, minute, tzinfo=UTC), path),))


def read(ref: FrameRef, layout: Layout) -> Field:
    if ref.path.stat().st_size > MAX_BYTES:
        raise UnreadableInput(ref.path, "it is larger than such a grid can be", tried=TITLE)
    rows = ref.path.read_bytes().split(b"\n", HEADER_LINES)[-1].split()
    if len(rows) != taasrad19.SIZE**2:
        raise UnreadableInput(ref.path, f"{len(rows)} numbers, not {taasrad19.SIZE} x {taasrad19.SIZE}", tried=TITLE)
    field = LAW(np.array(rows, np.float32).reshape(taasrad19.SIZE, taasrad19.SIZE))
    field[taasrad19.outside()] = np.nan
    return field
