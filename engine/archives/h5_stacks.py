"""HDF5 files of short image sequences, as published with networks: uint8 stacks (T, H, W) without times.

DiffCast writes groups (``train``, ``test``, or a kind of event) of data sets "0", "1", ...; the CIKM challenge's
files hold ``sample_1``, ``sample_2``, ... The files say neither what a pixel is worth nor when and where it was: a
``stormdeck.toml`` beside the file does ([value], [grid], [zr], step_minutes, and [time] start); without one the
usual law v / 255 * 70 dBZ and 6 minutes are assumed and said to be. Stacks of MeteoNet's size are its dBZ.
Dates are nominal: the sequences follow each other on days of their own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from engine.archives import description_file, hdf5_tools
from engine.archives.description import Description, GridLaw, TimeLaw, ValueLaw
from engine.archives.probe import Probe
from engine.archives.reader import MAX_CELLS, Scan
from engine.errors import UnreadableInput
from engine.radar.sequence import Field, FrameRef, Layout

TITLE = "HDF5 image stacks"
START = datetime(2000, 1, 1, tzinfo=UTC)
MAX_STACKS = 100_000
MAX_STEPS = 1000
_NAME = re.compile(r"(sample_)?(\d{1,7})")
_METEONET = (565, 784)
_NOMINAL = "dates are nominal (the file has none)"


def recognises(probe: Probe) -> bool:
    """Numbered stacks of bytes in the root or in groups of the root."""
    names = probe.hdf5_outline
    if not names or len(names) > MAX_STACKS:
        return False
    with hdf5_tools.opened(probe.path, TITLE) as file:
        return next(_stacks(file), None) is not None


def scan(path: Path) -> Scan:
    with hdf5_tools.opened(path, TITLE) as file:
        stacks = list(_stacks(file))
    if not stacks:
        raise UnreadableInput(path, "it holds no stack of pictures", tried=TITLE)
    _, ny, nx = stacks[0][1]
    shape = (ny, nx)
    description = _description(path, shape)
    step = timedelta(minutes=description.step_minutes or 6.0)
    days = max((steps[0] + 1) * step // timedelta(days=1) + 1 for _, steps in stacks)
    start = description.time.start or START
    frames = [FrameRef(start + timedelta(days=days * place) + k * step, path, (name, k))
              for place, (name, (count, *size)) in enumerate(stacks) if tuple(size) == shape for k in range(count)]
    try:
        grid = description.grid.grid(shape)
    except ValueError as problem:
        raise UnreadableInput(path, f"its place on the map: {problem}", tried=TITLE) from problem
    layout = Layout(description.title, description.variable, description.value.quantity, description.value.unit, grid,
                    description.zr, description.zr_source, description.source, description.synthetic)
    return Scan(layout, tuple(frames))


def read(ref: FrameRef, layout: Layout) -> Field:
    name, step = ref.key
    description = _description(ref.path, layout.grid.shape)
    if description.value.quantity is not layout.quantity:
        raise UnreadableInput(ref.path, "its description has changed since it was opened", tried=TITLE)
    with hdf5_tools.opened(ref.path, TITLE) as file:
        group, _, last = name.rpartition("/")
        parent = hdf5_tools.subgroup(file, group) if group else file
        data: Any = None if parent is None else hdf5_tools.child(parent, last)
        if not _is_stack(data) or data.shape[1:] != layout.grid.shape:
            raise ValueError(f"'{name}' is no stack of pictures of {layout.grid.shape}")
        field = description.value.decode(np.asarray(data[step]))
    return field if description.grid.rows == "north-first" else np.ascontiguousarray(field[::-1])


def _stacks(file: h5py.File) -> Iterator[tuple[str, tuple[int, ...]]]:
    """(name, shape) of the stacks, in order of group and number."""
    groups = {f"{name}/": hdf5_tools.subgroup(file, name) for name in sorted(_plain(file))}
    for prefix, group in {"": file, **groups}.items():
        names = [] if group is None else [name for name in _plain(group) if _NAME.fullmatch(name)]
        for name in sorted(names, key=_number)[:MAX_STACKS]:
            data = hdf5_tools.child(group, name)
            if _is_stack(data):
                yield prefix + name, tuple(data.shape)


def _plain(group: h5py.Group) -> list[str]:
    """Names that lead to things in this file."""
    return [name for name in group if isinstance(name, str)
            and isinstance(group.get(name, getlink=True), h5py.HardLink)]


def _number(name: str) -> int:
    return int(name.rpartition("_")[2])


def _is_stack(data: Any) -> bool:
    return (isinstance(data, h5py.Dataset) and data.dtype == np.uint8 and data.ndim == 3
            and 0 < data.shape[0] <= MAX_STEPS and min(data.shape[1:]) >= 2
            and math.prod(data.shape[1:]) <= MAX_CELLS and not data.is_virtual and not data.external
            and (data.chunks is None or math.prod(data.chunks) <= MAX_CELLS))


def _description(path: Path, shape: tuple[int, ...]) -> Description:
    written = description_file.find(path.parent)
    if written is not None:
        return description_file.read_description(written)
    usual = Description(
        title=TITLE, step_minutes=6, time=TimeLaw(start=START), value=ValueLaw(gain=70 / 255, no_echo=(0,)),
        source=f"{_NOMINAL}, value law (v / 255 * 70 dBZ), step and cells of 1 km: assumed, not in the file")
    if shape == _METEONET:
        return replace(usual, step_minutes=5, value=ValueLaw(no_echo=(0,)),
                       grid=GridLaw("EPSG:4326", (0.01, 0.01), "upper-left-cell", (-5.837, 51.891)),
                       source=f"MeteoNet as DiffCast packs it: dBZ, 5 minutes (assumed); {_NOMINAL}")
    return usual
