"""MeteoNet: npz files of METEO FRANCE's radar mosaics over the north-west and south-east of France.

``data`` (T, H, W) int16, ``dates`` and ``miss_dates`` as pickled Python dates (see
:mod:`engine.archives.npz_tools`). Three products (MeteoNet's radar notebooks):
rainfall, 1/100 mm in 5 minutes, -1 missing; reflectivity_old, dBZ as lower bounds of classes (0, 8, 16, 20, then
every 1 dBZ to 70), 255 missing, where 0 is no echo; reflectivity_new, 1/10 dBZ, -100 no echo, -200 missing. Which of
them a file is, is in its name alone, checked against the values. Quality codes are no rain and are refused.

Files of reflectivity_new hold two more arrays like ``data``: ``height``, m at which a cell was measured, and ``prob``,
probability of rain in % (MeteoNet's documentation, "Rain Radar", 4.2.1; the FC-ZSM paper calls the second one
precipitation rate). Land-sea mask and elevation are files of their own (``NW_masks.grib``) in a folder ``masks``.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from engine.archives import npz_tools
from engine.archives.decoding import Law
from engine.archives.probe import Probe
from engine.archives.reader import MAX_CELLS, Scan
from engine.archives.unpacked import store
from engine.cancel import in_charge
from engine.errors import UnreadableInput
from engine.radar.changing_fields import MEASUREMENT_HEIGHT, RAIN_PROBABILITY
from engine.radar.grid import Grid
from engine.radar.sequence import Field, FrameRef, Layout
from engine.radar.units import Quantity

TITLE = "MeteoNet"
CRS = "EPSG:4326"
CELL = 0.01
ZONES: Mapping[tuple[int, int], tuple[str, float, float]] = MappingProxyType({
    (565, 784): ("north-west of France", -5.837, 51.891), (515, 784): ("south-east of France", 2.005, 46.245)})
"""Shape: name and centre of the first cell (longitude, latitude)."""
LAWS: Mapping[str, Law] = MappingProxyType({
    "rainfall": Law(Quantity.RAIN_RATE, 0.01, factor=12.0, missing=(-1,)),
    "reflectivity_old": Law(Quantity.REFLECTIVITY, missing=(255,), undetect=(0,)),
    "reflectivity_new": Law(Quantity.REFLECTIVITY, 0.1, missing=(-200,), undetect=(-100,))})
BESIDE: Mapping[str, str] = MappingProxyType({MEASUREMENT_HEIGHT: "height", RAIN_PROBABILITY: "prob"})
"""Fields that change with time: their arrays."""
_NO_VALUE = (-100, -200)
_UNITS = MappingProxyType({"rainfall": "mm", "reflectivity_old": "dBZ", "reflectivity_new": "dBZ"})
_OLD_LEVELS = (0, 8, 16, *range(20, 71), 255)
MAX_BYTES = 4 * 1024**3
MAX_COORDINATES = 64 * 1024**2


def recognises(probe: Probe) -> bool:
    """An npz with the arrays of a radar file or of the coordinates."""
    if not probe.head.startswith(b"PK\x03\x04"):
        return False
    found = npz_tools.names(probe.path)
    return {"data", "dates", "miss_dates"} <= found or {"lats", "lons"} <= found


def scan(path: Path) -> Scan:
    if "data" not in npz_tools.names(path):
        raise UnreadableInput(path, "it holds the coordinates of the cells, no radar frames", tried=TITLE,
                              advice="Open the radar files beside it; they find it themselves.")
    with npz_tools.opened(path, TITLE) as archive:
        header = _header(path, archive)
        dates = npz_tools.dates(archive, "dates")
        if len(dates) != header.shape[0]:
            raise ValueError(f"{header.shape[0]} maps but {len(dates)} dates")
        times = [date for date in dates if isinstance(date, datetime)]
        if "quality" in path.name or len(times) < len(dates):
            raise UnreadableInput(path, "it holds quality codes, which are no rain", tried=TITLE)
        kind = _kind(path, archive, header)
    grid, place = _grid(path, (header.shape[1], header.shape[2]))
    layout = Layout(TITLE, kind, LAWS[kind].quantity, _UNITS[kind], grid,
                    source=f"METEO FRANCE, MeteoNet, {place}")
    first = {time.replace(tzinfo=UTC): k for k, time in reversed(list(enumerate(times)))}
    return Scan(layout, tuple(FrameRef(time, path, first[time]) for time in sorted(first)))


def read(ref: FrameRef, layout: Layout) -> Field:
    return LAWS[layout.variable](_map(ref, "data"))


def beside(path: Path) -> tuple[str, ...]:
    """Names of the fields that change with time and lie in a file beside its frames."""
    found = npz_tools.names(path)
    return tuple(name for name, array in BESIDE.items() if array in found)


def read_beside(ref: FrameRef, name: str) -> Field:
    """The field of that name of a frame's time, on the frame's grid: m, or %. NaN where nothing was measured."""
    values = _map(ref, BESIDE[name]).astype(np.float32)
    values[np.isin(values, _NO_VALUE)] = np.nan
    return values


def ground_files(path: Path) -> tuple[Path, ...]:
    """The files with land-sea mask and elevation of a file's zone, beside it or in a folder ``masks`` there or one
    folder higher (as MeteoNet's samples lie)."""
    pattern = next((f"*{zone}*masks*.grib*" for zone in ("NW", "SE") if zone in path.stem), "*masks*.grib*")
    folders = (path.parent, path.parent / "masks", path.parent.parent / "masks")
    return tuple(file for folder in folders for file in sorted(folder.glob(pattern))
                 if file.suffix != ".idx")[:1]


def _map(ref: FrameRef, name: str) -> NDArray[Any]:
    """The numbers of one frame as they are stored, of the array of that name."""
    with npz_tools.opened(ref.path, TITLE) as archive:
        header = _header(ref.path, archive, name)
        state = ref.path.stat()
        key = ("meteonet", name, str(ref.path), state.st_mtime_ns, state.st_size)
        # the numbers lie in one deflated stream: unpacked once, then any frame is a seek away
        with store().file(key, f"{name}.npy", lambda: _stream(ref.path, name), in_charge().check) as file, \
                file.open("rb") as plain:
            plain.seek(header.start + int(ref.key) * _frame_bytes(header))
            return _frame(plain, header)


def _header(path: Path, archive: zipfile.ZipFile, name: str = "data") -> npz_tools.Header:
    header = npz_tools.header(archive, name)
    if len(header.shape) != 3 or header.dtype.kind not in "iu" or header.fortran:
        raise UnreadableInput(path, f"its data are {header.dtype} of shape {header.shape}, not maps", tried=TITLE)
    if header.shape[0] == 0:
        raise UnreadableInput(path, "it holds no frame", tried=TITLE)
    if min(header.shape[1:]) < 2 or header.shape[1] * header.shape[2] > MAX_CELLS or header.nbytes > MAX_BYTES:
        raise UnreadableInput(path, f"an absurd size of {header.shape}", tried=TITLE)
    return header


def _stream(path: Path, name: str) -> Any:
    with zipfile.ZipFile(path) as archive:  # the file stays open until the member is closed
        return archive.open(f"{name}.npy")


def _frame_bytes(header: npz_tools.Header) -> int:
    return header.shape[1] * header.shape[2] * header.dtype.itemsize


def _frame(stream: IO[bytes], header: npz_tools.Header) -> NDArray[Any]:
    content = stream.read(_frame_bytes(header))
    return np.frombuffer(content, header.dtype).reshape(header.shape[1:])


def _kind(path: Path, archive: zipfile.ZipFile, header: npz_tools.Header) -> str:
    """The product that the name says, if the first map agrees; else the only one that the map can be."""
    with archive.open("data.npy") as stream:
        stream.read(header.start)
        values = np.unique(_frame(stream, header))
    low, high = int(values[0]), int(values[-1])
    possible = [kind for kind, fits in (
        ("rainfall", low >= -1),
        ("reflectivity_old", bool(np.isin(values, _OLD_LEVELS).all())),
        ("reflectivity_new", low >= -200 and high <= 1000 and not (values == -1).any())) if fits]
    told = next((kind for kind in LAWS if kind in path.name), None)
    if told in possible:
        return str(told)
    if told is None and len(possible) == 1:
        return possible[0]
    reason = (f"its values ({low} to {high}) are none of {told}" if told is not None else
              f"neither its name nor its values say which of {', '.join(LAWS)} it is")
    raise UnreadableInput(path, reason, tried=TITLE, advice="Give it the name it had in MeteoNet.")


def _grid(path: Path, shape: tuple[int, int]) -> tuple[Grid, str]:
    """From the coordinates beside the file, or the two zones known by their shapes."""
    place = ZONES.get(shape)
    for beside in sorted(path.parent.glob("radar_coords_*.npz"))[:4]:
        grid = _coordinates(beside, beside.stat().st_mtime_ns)
        if grid is not None and grid.shape == shape:
            return grid, place[0] if place is not None else beside.stem
    if place is None:
        raise UnreadableInput(path, f"maps of {shape[0]} x {shape[1]} cells are of no known zone", tried=TITLE,
                              advice="Put the zone's radar_coords file beside it.")
    name, lon, lat = place
    east, south = (CELL * np.arange(count, dtype=np.float64) for count in shape[::-1])
    return Grid(lon + east, lat - south, CRS), name


@lru_cache(maxsize=8)
def _coordinates(path: Path, changed: int) -> Grid | None:
    """Cell centres as MeteoNet gives them; None where they are no regular grid."""
    try:
        with npz_tools.opened(path, TITLE) as archive:
            lats, lons = (npz_tools.array(archive, name, MAX_COORDINATES) for name in ("lats", "lons"))
        if lats.ndim != 2 or lats.shape != lons.shape or np.ptp(lats, axis=1).max() + np.ptp(lons, axis=0).max() > 1e-6:
            return None
        return Grid(np.array(lons[0], np.float64), np.array(lats[:, 0], np.float64), CRS)
    except (UnreadableInput, ValueError):
        return None
