"""Sequences to xarray and back, with CF names; needs the extra ``xarray``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import NotEnoughInput, StormdeckError
from engine.export.cf import (
    FILLED_ATTRIBUTES,
    axis_attributes,
    field_attributes,
    field_name,
    mapping_attributes,
    sequence_attributes,
)
from engine.radar.grid import Grid
from engine.radar.sequence import Field, FrameRef, Layout, RadarSequence
from engine.radar.units import MARSHALL_PALMER, ZR, Quantity

if TYPE_CHECKING:
    import xarray as xr

_RATES = {"mm h-1": 1.0, "mm/h": 1.0, "mm/hr": 1.0, "mm hr-1": 1.0, "kg m-2 h-1": 1.0, "kg m-2 s-1": 3600.0,
          "mm s-1": 3600.0}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _library() -> Any:
    try:
        import xarray
    except ImportError as problem:
        raise StormdeckError("This needs xarray, which is not installed.",
                             advice='Install it: pip install "stormdeck[xarray]"') from problem
    return xarray


def to_xarray(sequence: RadarSequence) -> xr.Dataset:
    """A dataset whose frames are read when they are asked for: ``rain_rate`` or ``reflectivity`` (time, y, x),
    coordinates time (datetime64, UTC), x, y; the projection as the grid mapping ``crs``."""
    xarray = _library()
    from xarray.backends import BackendArray
    from xarray.core.indexing import IndexingSupport, LazilyIndexedArray, explicit_indexing_adapter

    class Frames(BackendArray):  # type: ignore[misc]
        """xarray's own door to data that is not read yet."""

        def __init__(self) -> None:
            self.shape = (len(sequence), *sequence.grid.shape)
            self.dtype = np.dtype(np.float32)

        def __getitem__(self, key: Any) -> Any:
            return explicit_indexing_adapter(key, self.shape, IndexingSupport.BASIC, self._get)

        def _get(self, key: tuple[Any, ...]) -> Any:
            first, *rest = key
            if not isinstance(first, slice):
                return sequence.native(int(first))[tuple(rest)]
            chosen = range(len(sequence))[first]
            window = np.empty(sequence.grid.shape, np.bool_)[tuple(rest)].shape
            out = np.empty((len(chosen), *window), np.float32)
            for place, index in enumerate(chosen):
                out[place] = sequence.native(index)[tuple(rest)]
            return out

    grid, layout = sequence.grid, sequence.layout
    attributes = axis_attributes(grid)
    times = np.array([time.astimezone(UTC).replace(tzinfo=None) for time in sequence.times], "datetime64[ns]")
    coords = {"time": ("time", times, {"standard_name": "time", "long_name": "valid time (UTC)"}),
              "y": ("y", grid.y, attributes["y"]), "x": ("x", grid.x, attributes["x"])}
    variables: dict[str, Any] = {field_name(layout): (("time", "y", "x"), LazilyIndexedArray(Frames()),
                                                      field_attributes(layout))}
    if grid.projection is not None:
        variables["crs"] = ((), np.int32(0), mapping_attributes(grid))
    if sequence.filled:
        marks = np.isin(np.arange(len(sequence)), list(sequence.filled)).astype(np.int8)
        variables["interpolated"] = ("time", marks, FILLED_ATTRIBUTES)
    return xarray.Dataset(variables, coords, sequence_attributes(sequence, "to xarray"))


@dataclass(frozen=True, eq=False)
class _FromArray:
    array: Any
    flip_y: bool
    flip_x: bool
    factor: float

    def __call__(self, ref: FrameRef, layout: Layout) -> Field:
        values = np.asarray(self.array[ref.key].values, np.float32) * np.float32(self.factor)
        return values[::-1 if self.flip_y else 1, ::-1 if self.flip_x else 1]


def from_xarray(dataset: xr.Dataset, variable: str | None = None, crs: str | None = None) -> RadarSequence:
    """The frames of a CF-like dataset with dimensions time and two of space; read when they are asked for.

    variable: which, where several could be meant. crs: where the dataset has no grid mapping. Rain rates in
    mm h-1 (kg m-2 s-1 too) or reflectivity in dBZ. Raises NotEnoughInput with what is missing.
    """
    array = dataset[_chosen(dataset, variable)]
    extra = [name for name in array.dims if name != "time" and array.sizes[name] == 1 and array.ndim > 3]
    array = array.isel(dict.fromkeys(extra, 0))
    y_name, x_name = _space(array)
    array = array.transpose("time", y_name, x_name)
    quantity, factor = _quantity(array)
    y, x, scale = array[y_name], array[x_name], 1.0
    if str(y.attrs.get("units", "")).lower() in ("km", "kilometre", "kilometer"):
        scale = 1000.0
    flip_y, flip_x = bool(y[-1] > y[0]), bool(x[-1] < x[0])
    grid = _grid(y, x, flip_y, flip_x, scale, crs or _crs(dataset, array))
    zr, source = _pair(dataset)
    layout = Layout("xarray", str(array.name), quantity, str(array.attrs.get("units", "")), grid, zr, source,
                    str(dataset.attrs.get("source", ""))[:500],
                    str(dataset.attrs.get("synthetic", "")).lower() == "true")
    order = np.argsort(array["time"].values, kind="stable")
    times = array["time"].values.astype("datetime64[us]").astype(np.int64)
    where = Path(str(dataset.encoding.get("source", "xarray")))
    frames = tuple(FrameRef(_EPOCH + timedelta(microseconds=int(times[i])), where, int(i)) for i in order)
    marks = dataset["interpolated"].values[order] if "interpolated" in dataset else np.zeros(len(frames), np.int8)
    return RadarSequence(layout, frames, _FromArray(array, flip_y, flip_x, factor), (),
                         str(dataset.attrs.get("title", "")),
                         filled=frozenset(int(i) for i in np.flatnonzero(marks)))


def _grid(y: Any, x: Any, flip_y: bool, flip_x: bool, scale: float, crs: str | None) -> Grid:
    return Grid(x=np.asarray(x.values[::-1 if flip_x else 1], np.float64) * scale,
                y=np.asarray(y.values[::-1 if flip_y else 1], np.float64) * scale, crs=crs)


def _chosen(dataset: Any, variable: str | None) -> str:
    if variable is not None:
        if variable not in dataset:
            raise NotEnoughInput(f"The dataset has no variable '{variable}'.")
        return variable
    known = [str(name) for name, array in dataset.data_vars.items()
             if "time" in array.dims and array.ndim >= 3 and _unit(array) in (*_RATES, "dbz")]
    if len(known) != 1:
        raise NotEnoughInput(f"The dataset has {len(known)} variables of rain rate or reflectivity over time: "
                             f"{', '.join(known) or 'none'}.", advice="Name the variable.")
    return known[0]


def _unit(array: Any) -> str:
    return str(array.attrs.get("units", "")).strip().lower()


def _quantity(array: Any) -> tuple[Quantity, float]:
    unit = _unit(array)
    if unit == "dbz":
        return Quantity.REFLECTIVITY, 1.0
    if unit not in _RATES:
        raise NotEnoughInput(f"'{array.name}' is in '{unit}', which is neither a rain rate nor dBZ.")
    return Quantity.RAIN_RATE, _RATES[unit]


def _space(array: Any) -> tuple[str, str]:
    names = {"y": ("y", "lat", "latitude", "northing"), "x": ("x", "lon", "longitude", "easting")}
    found = [next((str(dim) for dim in array.dims if str(dim).lower() in names[axis] and dim in array.coords), None)
             for axis in ("y", "x")]
    if found[0] is None or found[1] is None or array.ndim != 3 or "time" not in array.coords:
        raise NotEnoughInput(f"'{array.name}' must have coordinates time, y and x (or lat and lon).")
    return found[0], found[1]


def _crs(dataset: Any, array: Any) -> str | None:
    name = array.attrs.get("grid_mapping", array.encoding.get("grid_mapping"))
    mapping = dataset[name].attrs if name in dataset else {}
    if "crs_wkt" in mapping:
        return str(mapping["crs_wkt"])
    if mapping:
        from pyproj import CRS

        return str(CRS.from_cf(mapping).to_wkt())
    degrees = any(str(array[dim].attrs.get("units", "")).startswith("degree") for dim in array.dims if dim != "time")
    return "EPSG:4326" if degrees or {"lat", "lon"} <= set(array.dims) else None


def _pair(dataset: Any) -> tuple[ZR, str]:
    try:
        return ZR(float(dataset.attrs["zr_a"]), float(dataset.attrs["zr_b"])), \
            str(dataset.attrs.get("zr_source", "the dataset"))
    except (KeyError, ValueError, TypeError):
        return MARSHALL_PALMER, "assumed: Marshall-Palmer"
