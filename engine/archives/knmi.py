"""KNMI HDF5: rain accumulations and reflectivity of the Royal Netherlands Meteorological Institute.

Layout after the KNMI HDF5 Data Format Specification, version 3.5: ``overview``, ``geographic`` with a projection
in kilometres, ``imageN`` with a formula that turns pixel values into physical ones. The formula is parsed, never
evaluated. An accumulation whose start and end are the same moment takes its length from the product's name.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np

from engine.archives.decoding import Law
from engine.archives.hdf5_tools import check_field, child, finite, numbered, opened, read_field, subgroup, text
from engine.archives.probe import Probe
from engine.archives.projections import in_metres
from engine.archives.reader import Scan
from engine.errors import UnreadableInput
from engine.radar.grid import Grid
from engine.radar.sequence import Field, FrameRef, Layout
from engine.radar.units import Quantity

TITLE = "KNMI HDF5"
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_FORMULA = re.compile(rf"GEO=({_NUMBER})\*PV(?:\+?({_NUMBER}))?$")
_LENGTH = re.compile(r"_(\d{1,3})\s*(mi|min|h)(?![a-z])", re.IGNORECASE)
_UNIT_OF_DIM = {"KM": 1000.0, "M": 1.0}


def recognises(probe: Probe) -> bool:
    return {"overview", "geographic", "image1"} <= probe.hdf5_outline


def scan(path: Path) -> Scan:
    """Several images of one kind at different times become several frames. Raises UnreadableInput."""
    with opened(path, TITLE) as file:
        overview = subgroup(file, "overview")
        images = _images(file)
        if not images:
            raise UnreadableInput(path, "it holds neither rain nor reflectivity", tried=TITLE)
        first = images[0][1]
        shape = check_field(child(first, "image_data"), "image_data").shape
        unit = _unit(first)
        grid = _grid(subgroup(file, "geographic"), shape)
        quantity = Quantity.REFLECTIVITY if unit == "DBZ" else Quantity.RAIN_RATE
        name = text([overview, first], "product_group_name") or text([first], "image_product_name") or ""
        layout = Layout(TITLE, _variable(first), quantity, {"MM": "mm", "DBZ": "dBZ"}.get(unit, "mm/h"), grid,
                        source=f"KNMI {name}".strip())
        frames = {_time(overview, image): FrameRef(_time(overview, image), path, (f"image{n}", _law(overview, image)))
                  for n, image in reversed(images)}
        return Scan(layout, tuple(frames[time] for time in sorted(frames)))


def read(ref: FrameRef, layout: Layout) -> Field:
    name, law = ref.key
    with opened(ref.path, TITLE) as file:
        image = subgroup(file, name)
        data = check_field(None if image is None else child(image, "image_data"), f"{name}/image_data")
        if data.shape != layout.grid.shape:
            raise UnreadableInput(ref.path, f"its field is {data.shape}, not {layout.grid.shape}", tried=TITLE)
        values = read_field(data, law)
        return values[::-1] if _rows_rise(subgroup(file, "geographic")) else values


def _unit(image: h5py.Group) -> str:
    """MM, MM/H or DBZ from a parameter such as ``ACCUMULATED_PRECIPITATION_[MM]``; empty for any other."""
    found = re.search(r"\[([^\]]+)\]", text([image], "image_geo_parameter") or "")
    unit = found.group(1).strip().upper() if found else ""
    return {"MM/HR": "MM/H", "MM/HOUR": "MM/H"}.get(unit, unit) if unit.startswith(("MM", "DBZ")) else ""


def _variable(image: h5py.Group) -> str:
    return re.sub(r"_?\[.*", "", text([image], "image_geo_parameter") or "").lower()


def _images(file: h5py.File) -> list[tuple[int, h5py.Group]]:
    """The images of the first known kind: same parameter, same shape."""
    known = [(n, g) for n, g in numbered(file, "image") if _unit(g) in ("MM", "MM/H", "DBZ")]
    return [(n, g) for n, g in known
            if text([g], "image_geo_parameter") == text([known[0][1]], "image_geo_parameter")
            and child(g, "image_data") is not None
            and child(g, "image_data").shape == getattr(child(known[0][1], "image_data"), "shape", None)]


def _time(overview: h5py.Group | None, image: h5py.Group) -> datetime:
    """The moment an image is valid at: its own, else the end of the product (of an accumulation, its end)."""
    for groups, name in (([image], "image_datetime_valid"), ([overview], "product_datetime_end"),
                         ([overview], "product_datetime_start")):
        written = text(list(groups), name)
        if written and written != "NA":
            return _moment(written)
    raise ValueError("it does not say its time")


def _moment(written: str) -> datetime:
    for form in ("%d-%b-%Y;%H:%M:%S.%f", "%d-%b-%Y;%H:%M:%S"):
        try:
            return datetime.strptime(written.title(), form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise ValueError(f"'{written[:40]}' is no date and time")


def _law(overview: h5py.Group | None, image: h5py.Group) -> Law:
    calibration = subgroup(image, "calibration")
    formula = re.sub(r"\s", "", text([calibration], "calibration_formulas") or "")
    match = _FORMULA.match(formula)
    if match is None:
        raise ValueError(f"its calibration '{formula[:60]}' is not of the form GEO=a*PV+b")
    gain, offset = float(match.group(1)), float(match.group(2) or 0)
    if gain == 0 or not math.isfinite(gain) or not math.isfinite(offset):
        raise ValueError(f"its calibration '{formula[:60]}' has absurd numbers")
    codes = (finite([calibration], "calibration_missing_data"), finite([calibration], "calibration_out_of_image"))
    missing = tuple(sorted({code for code in codes if code is not None}))
    unit = _unit(image)
    factor = 1.0 / _hours(overview, image) if unit == "MM" else 1.0
    return Law(Quantity.REFLECTIVITY if unit == "DBZ" else Quantity.RAIN_RATE, gain, offset, factor,
               missing)


def _hours(overview: h5py.Group | None, image: h5py.Group) -> float:
    """Length of the accumulation: end minus start, else what the product's name says."""
    start, end = text([overview], "product_datetime_start"), text([overview], "product_datetime_end")
    if start and end and text([image], "image_datetime_valid") is None:
        seconds = (_moment(end) - _moment(start)).total_seconds()
        if seconds > 0:
            return seconds / 3600
    for groups, name in (([image], "image_product_name"), ([overview], "product_group_name")):
        found = _LENGTH.search(text(list(groups), name) or "")
        if found and int(found.group(1)) > 0:
            return int(found.group(1)) / (1 if found.group(2).lower() == "h" else 60)
    raise ValueError("it does not say over which time its rain was accumulated")


def _rows_rise(geographic: h5py.Group | None) -> bool:
    return (finite([geographic], "geo_pixel_size_y") or -1.0) > 0


def _grid(geographic: h5py.Group | None, shape: tuple[int, int]) -> Grid:
    """Offsets count cells from the projection's origin to the outer corner of the first pixel (pixel_def LU)."""
    declared = (finite([geographic], "geo_number_rows"), finite([geographic], "geo_number_columns"))
    if any(d is not None and int(d) != size for d, size in zip(declared, shape, strict=True)):
        raise ValueError(f"it declares {declared} rows and columns, but its field is {shape}")
    params = text([subgroup(geographic, "map_projection")], "projection_proj4_params")
    sizes = [finite([geographic], f"geo_pixel_size_{axis}") or 0.0 for axis in "xy"]
    offsets = [finite([geographic], f"geo_{axis}_offset") or 0.0 for axis in ("column", "row")]
    if not params or 0.0 in sizes:
        raise ValueError("it does not say its projection and the size of its pixels")
    dims = (text([geographic], "geo_dim_pixel") or "KM,KM").upper().split(",")
    if len(dims) != 2 or any(d.strip() not in _UNIT_OF_DIM for d in dims):
        raise ValueError(f"its pixels are measured in '{','.join(dims)[:40]}', not in km or m")
    crs, _ = in_metres(params)
    x, y = (unit * size * (offset + np.arange(count, dtype=np.float64) + 0.5) for unit, size, offset, count in
            zip([_UNIT_OF_DIM[d.strip()] for d in dims], sizes, offsets, shape[::-1], strict=True))
    return Grid(x, y[::-1] if y[-1] > y[0] else y, crs)
