"""RYDL.hdf5, the data of RainNet and of the papers' "DWD-12": DWD's RY composites of many years in one file.

One dataset of 900 x 900 for every time, named ``YYYYMMDDHHMM`` (UTC), in mm in 5 minutes (Ayzel, Scheffer and
Heistermann 2020, RainNet v1.0, doi:10.5194/gmd-13-2631-2020). The file does not say where it lies nor which row is the
first: it is taken for the RADOLAN grid, rows from south to north as RADOLAN stores them.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from heapq import nsmallest
from itertools import islice
from pathlib import Path

import h5py

from engine.archives.decoding import Law
from engine.archives.hdf5_tools import check_field, child, opened, read_field
from engine.archives.probe import Probe
from engine.archives.radolan import DWD_ZR, DWD_ZR_SOURCE
from engine.archives.radolan_grid import radolan_grid
from engine.archives.reader import Scan
from engine.errors import UnreadableInput
from engine.radar.sequence import Field, FrameRef, Layout
from engine.radar.units import Quantity

TITLE = "RainNet RYDL"
SHAPE = (900, 900)
MAX_FRAMES = 3_000_000
_STAMP = re.compile(r"\d{12}")
_LAW = Law(Quantity.RAIN_RATE, factor=12.0)
_LOOKED_AT = 100


def recognises(probe: Probe) -> bool:
    """An HDF5 file whose names are all times."""
    names = [name for name in nsmallest(_LOOKED_AT, probe.hdf5_outline) if not name.startswith("@")]
    return bool(names) and all(_STAMP.fullmatch(name) for name in names)


def scan(path: Path) -> Scan:
    with opened(path, TITLE) as file:
        names = sorted(name for name in islice(file, MAX_FRAMES) if isinstance(name, str) and _STAMP.fullmatch(name))
        refs = tuple(FrameRef(time, path, name) for name in names if (time := _time(name)) is not None)
        if not refs:
            raise UnreadableInput(path, "none of its names is a date and time", tried=TITLE)
        _field(path, file, refs[0].key)
    layout = Layout(TITLE, "RY", Quantity.RAIN_RATE, "mm", radolan_grid(SHAPE, ellipsoid=False), DWD_ZR, DWD_ZR_SOURCE,
                    "DWD RADOLAN RY, 5 min (RYDL, DWD-12)")
    return Scan(layout, refs)


def read(ref: FrameRef, layout: Layout) -> Field:
    with opened(ref.path, TITLE) as file:
        return read_field(_field(ref.path, file, ref.key), _LAW)[::-1]


def _field(path: Path, file: h5py.File, name: str) -> h5py.Dataset:
    data = check_field(child(file, name), name)
    if data.shape != SHAPE:
        raise UnreadableInput(path, f"'{name}' is {data.shape}; the RADOLAN grid has {SHAPE}", tried=TITLE)
    return data


def _time(name: str) -> datetime | None:
    try:
        return datetime.strptime(name, "%Y%m%d%H%M").replace(tzinfo=UTC)
    except ValueError:
        return None
