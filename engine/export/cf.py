"""What all our CF files say alike: times, axes, the grid mapping, latitudes and longitudes."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from typing import Any

import numpy as np

from engine import __version__
from engine.radar.grid import Grid
from engine.radar.sequence import Layout, RadarSequence
from engine.radar.units import Quantity

EPOCH = "seconds since 1970-01-01 00:00:00"
_ROWS = 256


def field_name(layout: Layout) -> str:
    return "rain_rate" if layout.quantity is Quantity.RAIN_RATE else "reflectivity"


def field_attributes(layout: Layout) -> dict[str, str]:
    """Of the variable that holds the frames."""
    attributes = ({"standard_name": "rainfall_rate", "long_name": "rain rate", "units": "mm h-1"}
                  if layout.quantity is Quantity.RAIN_RATE else
                  {"standard_name": "equivalent_reflectivity_factor", "long_name": "reflectivity", "units": "dBZ"})
    return attributes | ({} if layout.grid.projection is None else {"grid_mapping": "crs"})


def sequence_attributes(sequence: RadarSequence, history: str) -> dict[str, str | float]:
    """Of a file that holds a sequence; the Z-R pair stands where our reader looks for it."""
    layout = sequence.layout
    return {
        "Conventions": "CF-1.10", "title": sequence.name or "radar archive", "source": layout.source or "radar",
        "history": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} Stormdeck {__version__}: {history or 'written'}",
        "comment": "Synthetic storm, not an observation." if layout.synthetic else f"From {layout.format}.",
        "zr_a": float(layout.zr.a), "zr_b": float(layout.zr.b), "zr_source": layout.zr_source,
        "synthetic": "true" if layout.synthetic else "false",
    }


def axis_attributes(grid: Grid) -> dict[str, dict[str, str]]:
    """Of the coordinates x and y."""
    names = (("longitude", "degrees_east", "latitude", "degrees_north") if grid.is_geographic
             else ("projection_x_coordinate", "m", "projection_y_coordinate", "m"))
    return {axis: {"standard_name": standard, "units": unit, "axis": axis.upper(),
                   "long_name": f"{axis} of the cell centres"}
            for axis, standard, unit in (("x", *names[:2]), ("y", *names[2:]))}


def mapping_attributes(grid: Grid) -> dict[str, Any]:
    """Of the grid mapping; the grid must have a projection."""
    if grid.projection is None:
        raise ValueError("this grid has no projection")
    with warnings.catch_warnings():  # what CF cannot say stands in the WKT
        warnings.simplefilter("ignore")
        return {name: value for name, value in grid.projection.to_cf().items() if value is not None}


TIME_ATTRIBUTES = {"standard_name": "time", "units": EPOCH, "calendar": "standard", "axis": "T",
                   "long_name": "valid time (UTC)"}
FILLED_ATTRIBUTES = {"long_name": "the frame was not observed but made from its neighbours", "units": "1",
                     "flag_meanings": "observed interpolated"}


def seconds(time: datetime) -> float:
    return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp()


def variable(file: Any, name: str, kind: str, dimensions: tuple[str, ...], **attributes: object) -> Any:
    made = file.createVariable(name, kind, dimensions, fill_value=False)
    made.setncatts(attributes)
    return made


def define_place(file: Any, grid: Grid) -> list[str]:
    """The axes, the grid mapping and, where there is one, latitudes and longitudes, whose names it returns."""
    for axis, attributes in axis_attributes(grid).items():
        variable(file, axis, "f8", (axis,), **attributes)[:] = grid.x if axis == "x" else grid.y
    if grid.projection is None:
        return []
    variable(file, "crs", "i4", (), **mapping_attributes(grid))[...] = 0
    dimensions = (("y",), ("x",)) if grid.is_geographic else (("y", "x"), ("y", "x"))
    for name, kind, dims, unit in (("lat", "latitude", dimensions[0], "degrees_north"),
                                   ("lon", "longitude", dimensions[1], "degrees_east")):
        storage: dict[str, Any] = {"zlib": True, "complevel": 1, "shuffle": True} if len(dims) == 2 else {}
        made = file.createVariable(name, "f8" if len(dims) == 1 else "f4", dims, fill_value=False, **storage)
        made.setncatts({"units": unit, "long_name": f"{kind} of the cell centres"})
        if not grid.is_geographic:  # there x and y bear the standard names, which CF gives only once
            made.standard_name = kind
    _fill_lonlat(file, grid)
    return ["lat", "lon"]


def _fill_lonlat(file: Any, grid: Grid) -> None:
    """In pieces: the coordinates of 24 million cells need not be held at once."""
    lat, lon = file.variables["lat"], file.variables["lon"]
    if grid.is_geographic:
        lat[:], lon[:] = grid.y, grid.x
        return
    for start in range(0, grid.y.size, _ROWS):
        rows = slice(start, start + _ROWS)
        lon[rows], lat[rows] = grid.lonlat(*np.meshgrid(grid.x, grid.y[rows]))
