"""TAASRAD19: sequences of maximum reflectivity around the weather radar of Macaion (Trentino), in HDF5.

A day's file holds data sets "0", "1", ... of float16 (T, 480, 480) in dBZ (0 to 52.5), each with the attributes
``start_datetime`` and ``end_datetime``; where they lack, ``hdf_metadata.csv`` beside the file or above is asked.
``all_data.hdf5`` holds links into the files of the days, with the absolute paths of the computer that wrote them:
they are looked for beside it, under their plain names, and links elsewhere are refused. Outside the circle of the
radar (240 cells) there are no data; the files say 0 there. The place on the map is in none of the files: it is the
radar's, assumed at 46.488 N 11.211 E, 500 m a cell.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path, PurePosixPath

import h5py
import numpy as np
from numpy.typing import NDArray

from engine.archives import hdf5_tools
from engine.archives.decoding import Law
from engine.archives.probe import Probe
from engine.archives.reader import Scan
from engine.cancel import in_charge
from engine.errors import UnreadableInput
from engine.radar.grid import Grid
from engine.radar.sequence import Field, FrameRef, Layout, Skipped
from engine.radar.units import Quantity

TITLE = "TAASRAD19"
SIZE = 480
STEP = timedelta(minutes=5)
CRS = "+proj=aeqd +lat_0=46.488 +lon_0=11.211 +datum=WGS84 +units=m"
METADATA = "hdf_metadata.csv"
MAX_STEPS = 100_000
MAX_METADATA = 64 * 1024**2
LOOKED_AT = 16
"""So many entries, in the order of their numbers, are asked whether a file is one of these: one of them may be bad."""
LAW = Law(Quantity.REFLECTIVITY, undetect=(0.0,))
_DAY = re.compile(r"\d{8}\.(hdf5?|h5)")


def layout() -> Layout:
    """Shared with the raw scans."""
    half = SIZE * 250.0
    grid = Grid.regular(left=-half, top=half, dx=500, dy=500, nx=SIZE, ny=SIZE, crs=CRS)
    return Layout(TITLE, "max_reflectivity", Quantity.REFLECTIVITY, "dBZ", grid,
                  source="Meteotrentino, Macaion radar; its place (46.488 N 11.211 E) is assumed, times taken as UTC")


@lru_cache(maxsize=1)
def outside() -> NDArray[np.bool_]:
    """True outside the radar's circle, (480, 480)."""
    away = np.arange(SIZE) - (SIZE - 1) / 2
    mask = np.asarray(np.hypot(away[:, None], away[None, :]) > SIZE / 2)
    mask.flags.writeable = False
    return mask


def recognises(probe: Probe) -> bool:
    """Numbered data sets of maps of 480 x 480 floats, or numbered links to the files of days."""
    names = [name for name in probe.hdf5_outline if not name.startswith("@")]
    if not names or not all(name.isdecimal() and len(name) < 8 for name in names):
        return False
    with hdf5_tools.opened(probe.path, TITLE) as file:
        return any(_is_ours(file, name) for name in sorted(names, key=int)[:LOOKED_AT])


def _is_ours(file: h5py.File, name: str) -> bool:
    link = file.get(name, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        return _DAY.fullmatch(_plain_name(link)) is not None
    found = hdf5_tools.child(file, name)
    return isinstance(found, h5py.Dataset) and found.shape[1:] == (SIZE, SIZE) and found.dtype.kind == "f"


def scan(path: Path) -> Scan:
    frames: dict[datetime, FrameRef] = {}
    skipped: list[Skipped] = []
    with hdf5_tools.opened(path, TITLE) as file:
        names = sorted((name for name in file if name.isdecimal()), key=int)
        for place, name in enumerate(names):
            in_charge().check()
            link = file.get(name, getlink=True)
            try:
                found = (_linked(path, link) if isinstance(link, h5py.ExternalLink)
                         else list(_sequence(path, file, name, place, len(names))))
            except UnreadableInput as problem:
                skipped.append(Skipped(f"{path}/{name}", problem.reason))
                continue
            for ref in found:
                frames.setdefault(ref.time, ref)
    if not frames:
        raise UnreadableInput(path, skipped[0].reason if skipped else "it holds no frame", tried=TITLE)
    return Scan(layout(), tuple(frames[time] for time in sorted(frames)), tuple(skipped))


def read(ref: FrameRef, layout: Layout) -> Field:
    name, step = ref.key
    with hdf5_tools.opened(ref.path, TITLE) as file:
        field = LAW(np.asarray(_stack(file, name)[step]))
    field[outside()] = np.nan
    return field


def _stack(file: h5py.File, name: str) -> h5py.Dataset:
    data = hdf5_tools.child(file, name)
    if not isinstance(data, h5py.Dataset) or data.dtype.kind != "f" or data.shape[1:] != (SIZE, SIZE):
        raise ValueError(f"'{name}' is no sequence of maps of {SIZE} x {SIZE}")
    if data.is_virtual or data.external or data.shape[0] > MAX_STEPS:
        raise ValueError(f"'{name}' lies in another file or is absurdly long")
    if data.chunks is not None and data.chunks[0] > 1000:
        raise ValueError(f"'{name}' has absurd chunks of {data.chunks}")
    return data


def _sequence(path: Path, file: h5py.File, name: str, place: int, count: int) -> Iterator[FrameRef]:
    data = _stack(file, name)
    start, end = (_moment(hdf5_tools.text([data], key)) for key in ("start_datetime", "end_datetime"))
    if start is None:
        start = _from_metadata(path, place, count, data.shape[0])
    if start is None:
        raise UnreadableInput(path, f"the sequence '{name}' has no start time and {METADATA} does not give it",
                              tried=TITLE, advice=f"Put {METADATA} beside the file.")
    step = STEP
    if end is not None and data.shape[0] > 1 and timedelta() < end - start <= 2 * STEP * data.shape[0]:
        step = (end - start) / (data.shape[0] - 1)
    for k in range(data.shape[0]):
        yield FrameRef(start + k * step, path, (name, k))


def _linked(path: Path, link: h5py.ExternalLink) -> list[FrameRef]:
    """The sequence that a link leads to, in the file of that name beside this one."""
    name, target = _plain_name(link), link.path.strip("/")
    beside = path.parent / name
    if not _DAY.fullmatch(name) or not target.isdecimal():
        raise UnreadableInput(path, f"a link to '{link.filename}' is refused: it is no file of a day", tried=TITLE)
    if not beside.is_file():
        raise UnreadableInput(path, f"{name}, to which it links, is not beside it", tried=TITLE)
    with hdf5_tools.opened(beside, TITLE) as file:
        names = sorted((key for key in file if key.isdecimal()), key=int)
        return list(_sequence(beside, file, target, names.index(target) if target in names else 0, len(names)))


def _plain_name(link: h5py.ExternalLink) -> str:
    return PurePosixPath(link.filename.replace("\\", "/")).name


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    time = datetime.fromisoformat(text)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _from_metadata(path: Path, place: int, count: int, length: int) -> datetime | None:
    """The start of the place-th sequence of the day in the file's name, if number and length agree."""
    day = re.match(r"(\d{4})(\d{2})(\d{2})\.", path.name)
    table = next((folder / METADATA for folder in path.parents[:2] if (folder / METADATA).is_file()), None)
    if day is None or table is None:
        return None
    rows = _metadata(table, table.stat().st_mtime_ns).get("-".join(day.groups()), ())
    if len(rows) != count or rows[place][1] != length:
        return None
    return rows[place][0]


@lru_cache(maxsize=2)
def _metadata(path: Path, changed: int) -> dict[str, list[tuple[datetime, int]]]:
    """(start, number of maps) of the sequences of each day, in order."""
    if path.stat().st_size > MAX_METADATA:
        raise UnreadableInput(path, "it is absurdly large", tried=TITLE)
    days: dict[str, list[tuple[datetime, int]]] = {}
    try:
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            for line in csv.DictReader(file):
                start = _moment(line["start_datetime"])
                if start is not None:
                    days.setdefault(f"{start:%Y-%m-%d}", []).append((start, int(float(line["run_length"]))))
    except (OSError, ValueError, TypeError, KeyError, csv.Error) as problem:
        raise UnreadableInput(path, f"damaged table ({problem})", tried=TITLE) from problem
    return {day: sorted(rows) for day, rows in days.items()}
