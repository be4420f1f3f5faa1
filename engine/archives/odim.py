"""ODIM HDF5: composites, images and gridded volumes of the European weather radar information model.

Layout after the OPERA Data Information Model for HDF5 (Michelson et al., EUMETNET OPERA, versions 2.0 to 2.4).
What a file says at a lower level (data, dataset) goes before what it says at a higher one. A volume of levels
gives its lowest. Where ``nodata`` and ``undetect`` are one and the same code, it is taken as ``undetect``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import h5py

from engine.archives import odim_polar
from engine.archives.decoding import Law
from engine.archives.hdf5_tools import (
    check_field,
    child,
    finite,
    number,
    numbered,
    opened,
    read_field,
    subgroup,
    text,
)
from engine.archives.probe import Probe
from engine.archives.projections import in_metres, project, projection
from engine.archives.reader import Scan
from engine.errors import UnreadableInput
from engine.radar.grid import Grid
from engine.radar.sequence import Field, FrameRef, Layout
from engine.radar.units import MARSHALL_PALMER, ZR, Quantity

log = logging.getLogger(__name__)

TITLE = "ODIM HDF5"
GRIDDED = frozenset({"COMP", "IMAGE", "CVOL"})
QUANTITIES = ("RATE", "ACRR", "DBZH", "TH", "DBZV", "TV", "DBZ")
"""What can be shown, in the order in which it is chosen where a file holds several."""


@dataclass(frozen=True)
class _Image:
    """One field of a file: where it is, when it was, how it is coded."""

    place: str
    quantity: str
    nominal: datetime | None
    start: datetime | None
    end: datetime | None
    level: float
    law: Law
    shape: tuple[int, int]


def recognises(probe: Probe) -> bool:
    """A root with ``what``, ``where`` or conventions of ODIM, and a first dataset; rays and gates are another
    reader's (:mod:`engine.archives.polar`)."""
    names = probe.hdf5_outline
    if "what" not in names or not any(n.startswith("dataset") and n[7:].isdecimal() for n in names):
        return False
    return not odim_polar.is_polar(probe)


def scan(path: Path) -> Scan:
    """Raises UnreadableInput."""
    with opened(path, TITLE) as file:
        _check_object(path, file)
        images = _main_images(path, _images(file))
        where = [_where(file, images[0].place), subgroup(file, "where")]
        grid = _grid(where, images[0].shape)
        zr, zr_source = _zr(file)
        source = text([subgroup(file, "what")], "source") or ""
        first = images[0]
        unit = {"RATE": "mm/h", "ACRR": "mm"}.get(first.quantity, "dBZ")
        layout = Layout(TITLE, first.quantity, first.law.quantity, unit, grid, zr, zr_source, source,
                        _is_synthetic(file, source))
        return Scan(layout, tuple(FrameRef(time, path, (image.place, image.law))
                                  for time, image in _timed(path, images)))


def read(ref: FrameRef, layout: Layout) -> Field:
    place, law = ref.key
    with opened(ref.path, TITLE) as file:
        data = check_field(_descend(file, place), place)
        if data.shape != layout.grid.shape:
            raise UnreadableInput(ref.path, f"its field is {data.shape}, not {layout.grid.shape}", tried=TITLE)
        return read_field(data, law)


def _descend(file: h5py.File, place: str) -> object:
    found: object = file
    for name in place.split("/"):
        found = child(found, name) if isinstance(found, h5py.Group) else None
    return found


def _check_object(path: Path, file: h5py.File) -> None:
    kind = odim_polar.kind_of(file)
    if kind not in GRIDDED:
        raise UnreadableInput(path, f"its object '{kind[:20]}' is no map", tried=TITLE)


def _images(file: h5py.File) -> list[_Image]:
    found = []
    for number_, dataset in numbered(file, "dataset"):
        for inner, group in numbered(dataset, "data"):
            image = _image(file, dataset, group, f"dataset{number_}/data{inner}/data")
            if image is not None:
                found.append(image)
    return found


def _image(file: h5py.File, dataset: h5py.Group, group: h5py.Group, place: str) -> _Image | None:
    """None for quantities that are not shown (quality, velocity, ...) and for groups without a field."""
    root = subgroup(file, "what")
    inner = [subgroup(group, "what"), subgroup(dataset, "what")]
    quantity = (text([*inner, root], "quantity") or "").upper()
    if quantity not in QUANTITIES or child(group, "data") is None:
        return None
    data = check_field(child(group, "data"), place)
    return _Image(place, quantity,
                  _moment([root], "date", "time"), _moment(inner, "startdate", "starttime"),
                  _moment(inner, "enddate", "endtime"), _level(inner),
                  _law([*inner, root], quantity, data.dtype.kind), data.shape)


def _level(inner: list[h5py.Group | None]) -> float:
    """Height of a level in a volume (prodpar); 0 where the product has none or another kind of parameter."""
    try:
        return number(inner, "prodpar") or 0.0
    except ValueError:
        return 0.0


def _law(what: list[h5py.Group | None], quantity: str, kind: str) -> Law:
    gain, offset = finite(what, "gain"), finite(what, "offset")
    if gain is None and offset is None and kind != "f":
        raise ValueError("it says neither gain nor offset of its coded values")
    if gain == 0:
        raise ValueError("its gain is 0")
    nodata, undetect = number(what, "nodata"), number(what, "undetect")
    rain = quantity in ("RATE", "ACRR")
    return Law(Quantity.RAIN_RATE if rain else Quantity.REFLECTIVITY, 1.0 if gain is None else gain, offset or 0.0,
               missing=() if nodata is None else (nodata,), undetect=() if undetect is None else (undetect,))


def _moment(what: list[h5py.Group | None], date: str, time: str) -> datetime | None:
    day, clock = text(what, date), text(what, time)
    if not day or not clock:
        return None
    try:
        return datetime.strptime(f"{day[:8]}{clock[:6]:0<6}", "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError as problem:
        raise ValueError(f"'{day[:20]} {clock[:20]}' is no date and time") from problem


def _main_images(path: Path, images: list[_Image]) -> list[_Image]:
    if not images:
        raise UnreadableInput(path, f"it holds none of {', '.join(QUANTITIES)}", tried=TITLE)
    best = min((image.quantity for image in images), key=QUANTITIES.index)
    chosen = [image for image in images if image.quantity == best]
    if any(image.shape != chosen[0].shape for image in chosen):
        raise UnreadableInput(path, f"its {best} fields have different sizes", tried=TITLE)
    return chosen


def _timed(path: Path, images: list[_Image]) -> list[tuple[datetime, _Image]]:
    """One image a time: the file's nominal time if all have the same, each one's end if they differ."""
    several = len({(image.start, image.end) for image in images}) > 1
    timed = []
    for image in images:
        choices = (image.end, image.start, image.nominal) if several else (image.nominal, image.end, image.start)
        time = next((t for t in choices if t is not None), None)
        if time is None:
            raise UnreadableInput(path, "it does not say its time", tried=TITLE)
        timed.append((time, _per_hour(path, image)))
    timed.sort(key=lambda pair: (pair[0], pair[1].level))
    return [next(same) for _, same in groupby(timed, key=lambda pair: pair[0])]


def _per_hour(path: Path, image: _Image) -> _Image:
    if image.quantity != "ACRR":
        return image
    if image.start is None or image.end is None or image.end <= image.start:
        raise UnreadableInput(path, "it does not say over which time its rain was accumulated", tried=TITLE)
    hours = (image.end - image.start).total_seconds() / 3600
    return replace(image, law=replace(image.law, factor=1 / hours))


def _where(file: h5py.File, place: str) -> h5py.Group | None:
    return subgroup(subgroup(file, place.split("/", maxsplit=1)[0]), "where")


def _grid(where: list[h5py.Group | None], shape: tuple[int, int]) -> Grid:
    ny, nx = shape
    for name, size in (("ysize", ny), ("xsize", nx)):
        declared = finite(where, name)
        if declared is not None and int(declared) != size:
            raise ValueError(f"it declares {name} {declared:g}, but its field has {size}")
    projdef = text(where, "projdef")
    if not projdef:
        raise ValueError("it does not say its projection")
    crs, unit = in_metres(projdef)
    if projection(crs).is_geographic:
        unit = 1.0
    left, right, bottom, top = _edges(where, crs)
    if (left is None and right is None) or (bottom is None and top is None):
        raise ValueError("it does not say where its corners lie")
    x0, dx = _axis(left, right, nx, _scaled(finite(where, "xscale"), unit))
    y0, dy = _axis(bottom, top, ny, _scaled(finite(where, "yscale"), unit))
    return Grid.regular(left=x0, top=y0 + dy * ny, dx=dx, dy=dy, nx=nx, ny=ny, crs=crs)


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else abs(value) * unit


def _edges(where: list[h5py.Group | None], crs: str) -> tuple[float | None, ...]:
    """Left, right, bottom and top from whichever outer corners are given; the lower left one leads."""
    corners = {}
    for name in ("LL", "UL", "LR", "UR"):
        lon, lat = finite(where, f"{name}_lon"), finite(where, f"{name}_lat")
        if lon is not None and lat is not None:
            corners[name] = project(crs, lon, lat)

    def pick(axis: int, *names: str) -> float | None:
        return next((corners[name][axis] for name in names if name in corners), None)

    return pick(0, "LL", "UL"), pick(0, "UR", "LR"), pick(1, "LL", "LR"), pick(1, "UR", "UL")


def _axis(low: float | None, high: float | None, size: int, scale: float | None) -> tuple[float, float]:
    """(lower edge, cell size). The stated cell size counts unless the two corners contradict it: corners that
    are (size - 1) cells apart are cell centres; otherwise the corners, which need no unit, are believed."""
    derived = None if low is None or high is None else (high - low) / size
    if derived is not None and derived <= 0:
        raise ValueError("its upper right corner does not lie above and to the right of the lower left one")
    if scale is None or scale == 0:
        if derived is None or low is None:
            raise ValueError("it says neither the size of its cells nor two opposite corners")
        return low, derived
    if derived is not None and low is not None and abs(derived / scale - 1) > 0.5 / size:
        if abs(derived * size / (size - 1) / scale - 1) < 1e-3 / size:
            return low - scale / 2, scale
        log.info("cells of %g, but corners %g apart: the corners are believed", scale, derived * size)
        return low, derived
    if low is None:
        assert high is not None
        return high - scale * size, scale
    return low, scale


def _zr(file: h5py.File) -> tuple[ZR, str]:
    how = [subgroup(subgroup(file, "dataset1"), "how"), subgroup(file, "how")]
    a, b = finite(how, "zr_a"), finite(how, "zr_b")
    if a is not None and b is not None and a > 0 and b > 0:
        return ZR(a, b), "given in the file"
    return MARSHALL_PALMER, "assumed: Marshall-Palmer"


def _is_synthetic(file: h5py.File, source: str) -> bool:
    marked = (text([subgroup(file, "how")], "synthetic") or "").lower()
    return marked in ("true", "1", "yes") or "synthetic" in source.lower()
