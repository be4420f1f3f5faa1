"""SEVIR: events of vertically integrated liquid (VIL) over the United States, four hours of 5-minute maps each.

A file holds ``id`` and ``vil`` (N, 384, 384, 49) uint8, 255 missing, first row in the south; times and places are in
``CATALOG.csv`` in the same folder or one above. Events lie in different places, so that one archive is one event: the
first of the file, or the one named after "#" (``SEVIR_VIL_....h5#S830001``). Ids that occur twice in a file are a
known fault of the data set: the first is kept.

Pixels are VIL in kg/m2 by a law in three pieces (:func:`vil_of_pixel`). VIL is neither reflectivity nor rain rate;
it is carried as the reflectivity of a column that holds the same everywhere (:func:`dbz_of_vil`), which
``zr_source`` says. ``dbz_of_vil`` rises strictly, so that thresholds in VIL stay exact thresholds in dBZ.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from engine.archives import hdf5_tools, projections
from engine.archives.probe import Probe
from engine.archives.reader import MAX_CELLS, PartInfo, Scan
from engine.errors import UnreadableInput
from engine.radar.grid import Grid
from engine.radar.sequence import Field, FrameRef, Layout, Skipped
from engine.radar.units import NO_ECHO_DBZ, ZR, Quantity

TITLE = "SEVIR"
CATALOGUE = "CATALOG.csv"
PROJECTION = "+proj=laea +lat_0=38 +lon_0=-98 +units=m +a=6370997.0 +b=6370997.0"
NEXRAD = ZR(300.0, 1.4)
COLUMN_M = 4500.0
"""Depth of the uniform column. With it the levels 0.76, 3.5, 6.9, 12 and 32 kg/m2 are 29.6, 41.2, 46.4, 50.6 and
58.0 dBZ, close to the video levels 30, 41, 46, 50 and 57 dBZ that aviation weather radar gives them."""
MAX_CATALOGUE = 256 * 1024**2
MAX_EVENTS = 1_000_000
_COLUMNS = ("id", "file_name", "file_index", "img_type", "time_utc", "minute_offsets", "llcrnrlat", "llcrnrlon",
            "size_x", "size_y", "width_m", "height_m")


@dataclass(frozen=True)
class Event:
    """One row of the catalogue. lower_left: longitude and latitude of the outer corner; size in metres. kind: of storm,
    "" for the events that were drawn by chance."""

    name: str
    row: int
    time: datetime
    minutes: tuple[float, ...]
    lower_left: tuple[float, float]
    size: tuple[float, float]
    projection: str
    kind: str = ""


def vil_of_pixel(pixel: NDArray[np.integer]) -> NDArray[np.float32]:
    """kg/m2 of pixels 0 to 254, NaN for 255 (SEVIR's published law)."""
    return _TABLE.take(np.asarray(pixel, np.uint8))


def _vil_table() -> NDArray[np.float32]:
    p = np.arange(256, dtype=np.float64)
    vil = np.where(p <= 5, 0.0, np.where(p <= 18, (p - 2) / 90.66, np.exp((p - 83.9) / 38.9)))
    vil[255] = np.nan
    table = vil.astype(np.float32)
    table.flags.writeable = False
    return table


_TABLE = _vil_table()


def dbz_of_vil(vil: NDArray[np.floating]) -> NDArray[np.float32]:
    """dBZ of a column :data:`COLUMN_M` deep with one reflectivity Z throughout, whose liquid is ``vil`` kg/m2:
    VIL = 3.44e-6 Z**(4/7) H (Greene and Clark 1972); no liquid is no echo."""
    with np.errstate(divide="ignore", invalid="ignore"):
        dbz = 17.5 * np.log10(np.asarray(vil, np.float64) / (3.44e-6 * COLUMN_M))
    return np.asarray(np.where(np.asarray(vil) <= 0, NO_ECHO_DBZ, dbz), np.float32)


def vil_of_dbz(dbz: NDArray[np.floating]) -> NDArray[np.float32]:
    """The way back, for thresholds in kg/m2."""
    values = np.asarray(dbz, np.float64)
    return np.asarray(np.where(values <= NO_ECHO_DBZ, 0.0, 3.44e-6 * COLUMN_M * 10 ** (values / 17.5)), np.float32)


def recognises(probe: Probe) -> bool:
    return {"id", "vil"} <= probe.hdf5_outline


def events(path: Path) -> tuple[Event, ...]:
    """The events of a file in the order of its rows, each id once. Raises UnreadableInput."""
    return _events(path)[0]


def parts(path: Path) -> tuple[PartInfo, ...]:
    """The events of a file with the middle of their maps. Raises UnreadableInput."""
    return tuple(_part(event) for event in events(path))


def _part(event: Event) -> PartInfo:
    crs, _ = projections.in_metres(event.projection)
    left, bottom = projections.project(crs, *event.lower_left)
    lon, lat = projections.unproject(crs, left + event.size[0] / 2, bottom + event.size[1] / 2)
    first = event.time + timedelta(minutes=min(event.minutes))
    return PartInfo(event.name, first, len(set(event.minutes)), round(lon, 3), round(lat, 3), event.kind)


def scan(path: Path) -> Scan:
    return scan_part(path, "")


def scan_part(path: Path, part: str) -> Scan:
    """One event: the named one, or the first. Raises UnreadableInput."""
    known, skipped = _events(path)
    event = next((event for event in known if not part or event.name == part), None)
    if event is None:
        raise UnreadableInput(path, f"it holds no event '{part}'" if part else "it holds no event of the catalogue",
                              tried=TITLE, advice=f"Its events: {', '.join(e.name for e in known[:8])} ...")
    with hdf5_tools.opened(path, TITLE) as file:
        ny, nx, steps = _data(file).shape[1:]
    if len(event.minutes) != steps:
        raise UnreadableInput(path, f"{steps} maps but {len(event.minutes)} times in the catalogue", tried=TITLE)
    layout = Layout(TITLE, "vil", Quantity.REFLECTIVITY, "kg m-2", _grid(event, ny, nx), NEXRAD,
                    f"assumed: NEXRAD's; reflectivity from VIL in a uniform column of {COLUMN_M / 1000:g} km",
                    f"SEVIR, event {event.name}, one of {len(known)} in its file")
    times = {event.time + timedelta(minutes=m): k for k, m in reversed(list(enumerate(event.minutes)))}
    return Scan(layout, tuple(FrameRef(time, path, (event.row, times[time])) for time in sorted(times)), skipped)


def read(ref: FrameRef, layout: Layout) -> Field:
    row, step = ref.key
    with hdf5_tools.opened(ref.path, TITLE) as file:
        pixels = np.asarray(_data(file)[row, :, :, step])
    return np.ascontiguousarray(_DBZ.take(pixels)[::-1])


_DBZ = dbz_of_vil(_TABLE)


def _data(file: h5py.File) -> h5py.Dataset:
    data = hdf5_tools.child(file, "vil")
    if not isinstance(data, h5py.Dataset) or data.dtype != np.uint8 or data.ndim != 4:
        raise ValueError("'vil' is no stack of maps of bytes")
    if data.is_virtual or data.external:
        raise ValueError("'vil' lies in another file")
    cells = math.prod(data.shape[1:3])
    if min(data.shape) < 1 or min(data.shape[1:3]) < 2 or cells > MAX_CELLS or data.shape[0] > MAX_EVENTS:
        raise ValueError(f"'vil' has an absurd size of {data.shape}")
    if data.chunks is not None and math.prod(data.chunks) > MAX_CELLS:
        raise ValueError(f"'vil' has absurd chunks of {data.chunks}")
    return data


def _events(path: Path) -> tuple[tuple[Event, ...], tuple[Skipped, ...]]:
    """(events, what was left out); the file's own ids say which row is whose."""
    with hdf5_tools.opened(path, TITLE) as file:
        count, ids = _data(file).shape[0], hdf5_tools.child(file, "id")
        if not isinstance(ids, h5py.Dataset) or ids.shape != (count,) or ids.dtype.itemsize > 256:
            raise ValueError("'id' is no list of as many names as there are events")
        named = [value.decode("ascii", "replace") if isinstance(value, bytes) else str(value) for value in ids[:]]
    rows = _catalogue_of(path).get(path.name, {})
    first: dict[str, Event] = {}
    twice: dict[str, None] = {}
    for row, name in enumerate(named):
        if name in first:
            twice[name] = None
        elif (name, row) in rows:
            first[name] = rows[name, row]
    skipped = tuple(Skipped(f"{path}#{name}", "its id occurs twice in the file; the first is kept") for name in twice)
    return tuple(first.values()), skipped


def _catalogue_of(path: Path) -> Mapping[str, Mapping[tuple[str, int], Event]]:
    for folder in path.parents[:4]:
        candidate = folder / CATALOGUE
        if candidate.is_file():
            state = candidate.stat()
            return _catalogue(candidate, state.st_mtime_ns, state.st_size)
    raise UnreadableInput(path, f"{CATALOGUE}, which gives times and places, is neither beside it nor above",
                          tried=TITLE, advice=f"Put SEVIR's {CATALOGUE} into the folder of the file or one above.")


@lru_cache(maxsize=2)
def _catalogue(path: Path, changed: int, size: int) -> Mapping[str, Mapping[tuple[str, int], Event]]:
    """VIL events by file name and (id, row)."""
    if size > MAX_CATALOGUE:
        raise UnreadableInput(path, "it is too large for a catalogue", tried=TITLE)
    found: dict[str, dict[tuple[str, int], Event]] = {}
    try:
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            table = csv.DictReader(file)
            missing = [column for column in _COLUMNS if column not in (table.fieldnames or ())]
            if missing:
                raise UnreadableInput(path, f"the catalogue has no column '{missing[0]}'", tried=TITLE)
            for line in table:
                if line["img_type"] == "vil":
                    event = _event(line)
                    found.setdefault(Path(line["file_name"]).name, {})[event.name, event.row] = event
    except (OSError, ValueError, TypeError, OverflowError, csv.Error) as problem:
        raise UnreadableInput(path, f"damaged catalogue ({problem})", tried=TITLE) from problem
    return found


def _event(line: dict[str, str]) -> Event:
    time = datetime.fromisoformat(line["time_utc"])
    minutes = tuple(float(part) for part in line["minute_offsets"].split(":"))
    numbers = [float(line[name]) for name in ("llcrnrlon", "llcrnrlat", "width_m", "height_m")]
    if not all(math.isfinite(n) for n in (*minutes, *numbers)) or len(minutes) > 10_000:
        raise ValueError(f"absurd numbers at event {line['id'][:40]}")
    return Event(line["id"], int(line["file_index"]), time.replace(tzinfo=UTC) if time.tzinfo is None else time,
                 minutes, (numbers[0], numbers[1]), (numbers[2], numbers[3]), line.get("proj") or PROJECTION,
                 (line.get("event_type") or "").strip()[:60])


def _grid(event: Event, ny: int, nx: int) -> Grid:
    """From the lower left corner and the size of the whole map."""
    crs, _ = projections.in_metres(event.projection)
    left, bottom = projections.project(crs, *event.lower_left)
    dx, dy = event.size[0] / nx, event.size[1] / ny
    if not (0 < dx < 1e6 and 0 < dy < 1e6):
        raise ValueError(f"an absurd size of {event.size} m")
    return Grid.regular(left=left, top=bottom + ny * dy, dx=dx, dy=dy, nx=nx, ny=ny, crs=crs)
