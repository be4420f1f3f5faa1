"""ODIM HDF5 polar volumes and single scans, straight through HDF5.

Layout after the OPERA Data Information Model for HDF5 (Michelson et al., EUMETNET OPERA, versions 2.0 to 2.4).
Read without a radar library, so that the commonest polar format in Europe needs nothing installed, nothing is
decoded while an archive is scanned, and "no echo" stays apart from "no data".
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from engine.archives import wrapped
from engine.archives.hdf5_tools import (
    attribute,
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
from engine.archives.polar_volume import Outline, SweepHead, reflectivity_law
from engine.archives.probe import Probe
from engine.errors import UnreadableInput
from engine.radar.gridding import Site, Sweep, reach
from engine.radar.units import MARSHALL_PALMER, ZR

TITLE = "ODIM HDF5 polar"
TURNING = frozenset({"PVOL", "SCAN"})
STANDING = frozenset({"ELEV", "AZIM", "RAY"})
MOMENTS = ("DBZH", "TH", "DBZV", "TV", "DBZ")
"""What can be shown, in the order in which it is chosen."""


def kind_of(file: h5py.File) -> str:
    """The object in upper letters; where the file does not say, PVOL if its sweeps have gates."""
    kind = (text([subgroup(file, "what")], "object") or "").upper()
    where = [subgroup(file, "where"), subgroup(subgroup(file, "dataset1"), "where")]
    return kind or ("PVOL" if attribute(where, "nbins") is not None else "COMP")


def is_polar(probe: Probe) -> bool:
    """Whether an ODIM file holds rays and gates; False for anything that cannot be opened."""
    names = probe.hdf5_outline
    if "what" not in names or not any(name.startswith("dataset") for name in names):
        return False
    try:
        with wrapped.as_file(probe.path) as path, opened(path, TITLE) as file:
            return kind_of(file) in TURNING | STANDING
    except UnreadableInput:
        return False


def outline(path: Path) -> Outline:
    """Raises UnreadableInput, for RHI too."""
    with opened(path, TITLE) as file:
        if kind_of(file) in STANDING:
            raise UnreadableInput(path, f"it holds an RHI or a standing antenna ({kind_of(file)}), "
                                        "of which no map can be made", tried=TITLE)
        moment = _moment(path, file)
        what, where = subgroup(file, "what"), subgroup(file, "where")
        heads = tuple(_head(file, name, group, moment) for name, group in _turns(file, moment))
        time = _time([what], "date", "time") or heads[0].start
        zr, zr_source = _zr(file)
        source = text([what], "source") or ""
        marked = (text([subgroup(file, "how")], "synthetic") or "").lower()
        return Outline(TITLE, moment, _site(where), time, heads, source, zr, zr_source,
                       marked in ("true", "1", "yes") or "synthetic" in source.lower())


def sweeps(path: Path, moment: str) -> list[Sweep]:
    """The turning sweeps with their values decoded. Raises UnreadableInput."""
    with opened(path, TITLE) as file:
        return [_sweep(file, group, moment) for _, group in _turns(file, moment)]


def _moment(path: Path, file: h5py.File) -> str:
    """The moment to be shown: the best one of those that the most sweeps have."""
    found = [{_quantity(dataset, group) for _, group in numbered(dataset, "data")}
             for _, dataset in numbered(file, "dataset")]
    counts = {name: sum(name in have for have in found) for name in MOMENTS}
    most = max(counts.values(), default=0)
    if not most:
        raise UnreadableInput(path, f"it holds none of {', '.join(MOMENTS)}", tried=TITLE)
    return next(name for name in MOMENTS if counts[name] == most)


def _quantity(dataset: h5py.Group, group: h5py.Group) -> str:
    return (text([subgroup(group, "what"), subgroup(dataset, "what")], "quantity") or "").upper()


def _turns(file: h5py.File, moment: str) -> list[tuple[str, h5py.Group]]:
    return [(f"dataset{number_}", dataset) for number_, dataset in numbered(file, "dataset")
            if _group(dataset, moment) is not None]


def _group(dataset: h5py.Group, moment: str) -> h5py.Group | None:
    return next((group for _, group in numbered(dataset, "data")
                 if _quantity(dataset, group) == moment and child(group, "data") is not None), None)


def _field(dataset: h5py.Group, moment: str) -> tuple[h5py.Group, h5py.Dataset]:
    group = _group(dataset, moment)
    if group is None:
        raise ValueError(f"it has no {moment} any more")
    data = check_field(child(group, "data"), f"{group.name}/data")
    where = [subgroup(dataset, "where")]
    for name, size in zip(("nrays", "nbins"), data.shape, strict=True):
        declared = finite(where, name)
        if declared is not None and int(declared) != size:
            raise ValueError(f"it declares {name} {declared:g}, but its field has {size}")
    return group, data


def _head(file: h5py.File, name: str, dataset: h5py.Group, moment: str) -> SweepHead:
    _, data = _field(dataset, moment)
    elevation, first, spacing = _beam(file, dataset)
    start = (_time([subgroup(dataset, "what")], "startdate", "starttime")
             or _time([subgroup(file, "what")], "date", "time"))
    if start is None:
        raise ValueError("it does not say its time")
    return SweepHead(name, elevation, reach(elevation, first, spacing, data.shape[1]), start)


def _sweep(file: h5py.File, dataset: h5py.Group, moment: str) -> Sweep:
    group, data = _field(dataset, moment)
    what = [subgroup(group, "what"), subgroup(dataset, "what"), subgroup(file, "what")]
    gain, offset = finite(what, "gain"), finite(what, "offset")
    if gain == 0 or (gain is None and offset is None and data.dtype.kind != "f"):
        raise ValueError("it does not say how its values are coded")
    law = reflectivity_law(1.0 if gain is None else gain, offset or 0.0, nothing=number(what, "undetect"),
                           missing=number(what, "nodata"))
    elevation, first, spacing = _beam(file, dataset)
    return Sweep(elevation, _azimuths(dataset, data.shape[0]), first, spacing, read_field(data, law))


def _beam(file: h5py.File, dataset: h5py.Group) -> tuple[float, float, float]:
    """Elevation (degrees), centre of the first gate and spacing of the gates (m)."""
    where = [subgroup(dataset, "where"), subgroup(file, "where")]
    in_metres = (text([file], "Conventions") or "").upper().endswith("V2_4")  # before 2.4 rstart is in km
    elevation, scale = finite(where, "elangle"), finite(where, "rscale")
    if elevation is None or scale is None or scale <= 0:
        raise ValueError("a sweep does not say its elevation and the length of its gates")
    return elevation, (finite(where, "rstart") or 0.0) * (1.0 if in_metres else 1000.0) + scale / 2, scale


def _azimuths(dataset: h5py.Group, rays: int) -> NDArray[np.float64]:
    """Centres from the antenna's readings; without these, rays of one width, the first beginning at ``astart``
    or in the north."""
    how = subgroup(dataset, "how")
    start, stop = _angles(how, "startazA", rays), _angles(how, "stopazA", rays)
    if start is not None and stop is not None:
        width = (stop - start + 180.0) % 360.0 - 180.0
        return np.asarray((start + width / 2) % 360.0)
    width_ = 360.0 / rays
    return np.asarray((_start(how, width_) + (np.arange(rays) + 0.5) * width_) % 360.0)


def _start(how: h5py.Group | None, width: float) -> float:
    """``astart`` is the first ray's offset from north; more than a ray is no offset."""
    value = finite([how], "astart") or 0.0
    return value if abs(value) <= width else 0.0


def _angles(how: h5py.Group | None, name: str, rays: int) -> NDArray[np.float64] | None:
    if how is None or name not in how.attrs:
        return None
    stored = how.attrs.get_id(name)
    if stored.get_space().get_simple_extent_npoints() != rays:
        return None
    angles = np.asarray(how.attrs[name]).reshape(-1)
    if angles.dtype.kind not in "iuf" or not np.isfinite(angles).all() or np.ptp(angles) == 0:
        return None
    return angles.astype(np.float64)


def _site(where: h5py.Group | None) -> Site:
    lon, lat = finite([where], "lon"), finite([where], "lat")
    if lon is None or lat is None:
        raise ValueError("it does not say where the radar stands")
    return Site(lon, lat, finite([where], "height") or 0.0)


def _time(what: list[h5py.Group | None], date: str, time: str) -> datetime | None:
    day, clock = text(what, date), text(what, time)
    if not day or not clock:
        return None
    return datetime.strptime(f"{day[:8]}{clock[:6]:0<6}", "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def _zr(file: h5py.File) -> tuple[ZR, str]:
    how = [subgroup(subgroup(file, "dataset1"), "how"), subgroup(file, "how")]
    a, b = finite(how, "zr_a"), finite(how, "zr_b")
    if a is not None and b is not None and a > 0 and b > 0:
        return ZR(a, b), "given in the file"
    return MARSHALL_PALMER, "assumed: Marshall-Palmer"
