"""ODIM HDF5 composites (OPERA Data Information Model 2.3): one file with one dataset for each time."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.radar.grid import Grid
from engine.radar.sequence import Field
from engine.radar.units import MARSHALL_PALMER, NO_ECHO_DBZ, ZR, Quantity

if TYPE_CHECKING:
    import h5py


@dataclass(frozen=True)
class Coding:
    """value = gain * stored + offset; ``undetect`` is "no echo", ``nodata`` is NaN."""

    quantity: str
    kind: type[np.unsignedinteger[Any]]
    gain: float
    offset: float
    undetect: int
    nodata: int


CODINGS = {
    Quantity.REFLECTIVITY: Coding("DBZH", np.uint8, 0.5, NO_ECHO_DBZ, 0, 255),
    Quantity.RAIN_RATE: Coding("RATE", np.uint16, 0.01, 0.0, 0, 65535),
}


@dataclass(frozen=True)
class Composite:
    """What all times share. source: ODIM's what/source, e.g. "CMT:...". how: further attributes of the root's how."""

    grid: Grid
    quantity: Quantity = Quantity.REFLECTIVITY
    zr: ZR = MARSHALL_PALMER
    source: str = "CMT:Stormdeck"
    synthetic: bool = False


def write_odim(path: Path, composite: Composite, frames: Iterable[tuple[datetime, Field]]) -> int:
    """Writes (UTC time, (ny, nx) values in dBZ or mm/h with NaN for no data) and returns how many.

    The file appears whole or not at all. The same input gives the same file. Raises ValueError where the grid has
    no projection or is geographic, and whatever ``frames`` raises.
    """
    import h5py

    if composite.grid.projection is None or composite.grid.is_geographic:
        raise ValueError("an ODIM composite needs a grid in metres with a projection")
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    count = 0
    try:
        with h5py.File(part, "w", libver="earliest") as file:
            for count, (time, values) in enumerate(frames, start=1):
                if count == 1:
                    _write_head(file, composite, time)
                _write_frame(file.create_group(f"dataset{count}"), composite, time, values)
        if count == 0:
            raise ValueError("no frame to write")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return count


def encode(values: Field, quantity: Quantity) -> NDArray[np.unsignedinteger[Any]]:
    """Values to what is stored: NaN to nodata, no echo to undetect, the rest to the nearest step in between."""
    coding = CODINGS[quantity]
    missing = np.isnan(values)
    dry = values <= (NO_ECHO_DBZ if quantity is Quantity.REFLECTIVITY else 0.0)
    steps = np.rint((np.where(missing, coding.offset, values).astype(np.float64) - coding.offset) / coding.gain)
    stored = np.clip(steps, coding.undetect + 1, coding.nodata - 1)
    stored[dry] = coding.undetect
    stored[missing] = coding.nodata
    return stored.astype(coding.kind)


def _write_head(file: h5py.File, composite: Composite, time: datetime) -> None:
    grid, when = composite.grid, time.astimezone(UTC)
    _attributes(file, {"Conventions": "ODIM_H5/V2_3"})
    _attributes(file.create_group("what"), {
        "object": "COMP", "version": "H5rad 2.3", "date": f"{when:%Y%m%d}", "time": f"{when:%H%M%S}",
        "source": composite.source})
    _attributes(file.create_group("where"), {
        "projdef": str(grid.crs), "xsize": grid.shape[1], "ysize": grid.shape[0],
        "xscale": grid.dx, "yscale": grid.dy, **_corners(grid)})
    _attributes(file.create_group("how"), {
        "zr_a": composite.zr.a, "zr_b": composite.zr.b, "software": "Stormdeck",
        **({"synthetic": "True"} if composite.synthetic else {})})


def _corners(grid: Grid) -> dict[str, float]:
    """Longitudes and latitudes of the outer corners of the corner cells."""
    left, right, bottom, top = grid.extent
    lon, lat = grid.lonlat(np.array([left, left, right, right]), np.array([bottom, top, top, bottom]))
    names = ("LL", "UL", "UR", "LR")
    return ({f"{name}_lon": float(value) for name, value in zip(names, lon, strict=True)}
            | {f"{name}_lat": float(value) for name, value in zip(names, lat, strict=True)})


def _write_frame(group: h5py.Group, composite: Composite, time: datetime, values: Field) -> None:
    if values.shape != composite.grid.shape:
        raise ValueError(f"a frame of {values.shape} does not lie on a grid of {composite.grid.shape}")
    coding, when = CODINGS[composite.quantity], time.astimezone(UTC)
    date, clock = f"{when:%Y%m%d}", f"{when:%H%M%S}"
    _attributes(group.create_group("what"), {
        "product": "SURF", "startdate": date, "starttime": clock, "enddate": date, "endtime": clock})
    part = group.create_group("data1")
    _attributes(part.create_group("what"), {
        "quantity": coding.quantity, "gain": coding.gain, "offset": coding.offset,
        "nodata": float(coding.nodata), "undetect": float(coding.undetect)})
    stored = encode(values, composite.quantity)
    # one chunk a frame packs best; larger frames are cut so that a part can be read alone
    chunks = tuple(min(side, 1024) for side in stored.shape)
    data = part.create_dataset("data", data=stored, chunks=chunks, compression="gzip", compression_opts=9,
                               shuffle=stored.itemsize > 1, track_times=False)
    if stored.itemsize == 1:
        _attributes(data, {"CLASS": "IMAGE", "IMAGE_VERSION": "1.2"})


def _attributes(target: h5py.Group | h5py.Dataset, values: Mapping[str, str | int | float]) -> None:
    for name, value in values.items():
        if isinstance(value, str):
            _text(target, name, value)
        else:
            target.attrs[name] = np.int64(value) if isinstance(value, int) else np.float64(value)


def _text(target: h5py.Group | h5py.Dataset, name: str, value: str) -> None:
    """A fixed-length, null-terminated string, as the information model asks; h5py alone would pad it."""
    import h5py

    encoded = value.encode("ascii")
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(len(encoded) + 1)
    kind.set_strpad(h5py.h5t.STR_NULLTERM)
    attribute = h5py.h5a.create(target.id, name.encode("ascii"), kind, h5py.h5s.create(h5py.h5s.SCALAR))
    attribute.write(np.array(encoded, dtype=f"S{len(encoded) + 1}"))
