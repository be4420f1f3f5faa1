"""Tiny files of every format, written straight with the file libraries from the published layouts.

None of them passes through a writer of ours, so that readers are tested against the layouts and not against us.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pyproj import Transformer

LAEA = "+proj=laea +lat_0=55 +lon_0=10 +x_0=1950000 +y_0=-2100000 +units=m +ellps=WGS84"


def corners(projdef: str, left: float, bottom: float, right: float, top: float) -> dict[str, float]:
    """LL_lon ... UR_lat of outer corners given in metres."""
    to_lonlat = Transformer.from_crs(projdef, "EPSG:4326", always_xy=True)
    out: dict[str, float] = {}
    for name, x, y in (("LL", left, bottom), ("UL", left, top), ("LR", right, bottom), ("UR", right, top)):
        out[f"{name}_lon"], out[f"{name}_lat"] = to_lonlat.transform(x, y)
    return out


def _stamp(time: datetime, prefix: str) -> dict[str, bytes]:
    return {f"{prefix}date": time.strftime("%Y%m%d").encode(), f"{prefix}time": time.strftime("%H%M%S").encode()}


def odim(path: Path, fields: Sequence[NDArray[Any]], times: Sequence[datetime], *, quantity: str = "RATE",
         kind: str = "COMP", gain: float = 0.5, offset: float = 0.0, nodata: float = 255, undetect: float = 0,
         minutes: float = 0, how: dict[str, Any] | None = None, where: dict[str, Any] | None = None,
         where_in_dataset: bool = False, what_in_data: bool = False, source: str = "ORG:247",
         wrap: Any = lambda value: value) -> Path:
    """An ODIM composite, one dataset per time; 2 km cells from the origin of LAEA. ``wrap`` changes the type of
    every attribute (bytes, text, arrays of one element)."""
    ny, nx = fields[0].shape
    place = {"projdef": LAEA.encode(), "xsize": nx, "ysize": ny, "xscale": 2000.0, "yscale": 2000.0,
             **corners(LAEA, 0, -2000.0 * ny, 2000.0 * nx, 0)} if where is None else where
    with h5py.File(path, "w") as file:
        _attributes(file, {"Conventions": b"ODIM_H5/V2_3"}, wrap)
        _attributes(file.create_group("what"), {"object": kind.encode(), "source": source.encode(),
                                                **_stamp(times[0], "")}, wrap)
        if not where_in_dataset:
            _attributes(file.create_group("where"), place, wrap)
        if how:
            _attributes(file.create_group("how"), how, wrap)
        for k, (field, time) in enumerate(zip(fields, times, strict=True), start=1):
            dataset = file.create_group(f"dataset{k}")
            law = {"quantity": quantity.encode(), "gain": gain, "offset": offset, "nodata": nodata,
                   "undetect": undetect}
            moments = {**_stamp(time - timedelta(minutes=minutes), "start"), **_stamp(time, "end")}
            data = dataset.create_group("data1")
            _attributes(dataset.create_group("what"), moments if what_in_data else {**law, **moments}, wrap)
            if what_in_data:
                _attributes(data.create_group("what"), law, wrap)
            if where_in_dataset:
                _attributes(dataset.create_group("where"), place, wrap)
            data.create_dataset("data", data=field, compression="gzip")
            data.create_group("quality1").create_dataset("data", data=np.full((ny, nx), 77, np.uint8))
    return path


def _attributes(group: h5py.Group, values: dict[str, Any], wrap: Any) -> None:
    """Text of fixed length, as real files have it, unless ``wrap`` makes it otherwise."""
    for name, value in values.items():
        wrapped = wrap(value)
        group.attrs[name] = np.bytes_(wrapped) if isinstance(wrapped, bytes) else wrapped


KNMI_PROJ = b"+proj=stere +lat_0=90 +lon_0=0.0 +lat_ts=60.0 +a=6378.137 +b=6356.752 +x_0=0 +y_0=0"


def knmi(path: Path, field: NDArray[np.uint16], end: datetime, *, minutes: int = 5,
         formula: str = "GEO=0.01*PV+0.0", parameter: str = "ACCUMULATED_PRECIPITATION_[MM]",
         name: str = "RAD_NL25_RAU_5mi", missing: int = 65535) -> Path:
    ny, nx = field.shape

    def moment(time: datetime) -> bytes:
        return time.strftime("%d-%b-%Y;%H:%M:%S.000").upper().encode()

    with h5py.File(path, "w") as file:
        _attributes(file.create_group("overview"), {
            "hdftag_version_number": b"3.5", "product_group_name": name.encode(),
            "product_datetime_start": moment(end - timedelta(minutes=minutes)),
            "product_datetime_end": np.array([moment(end)])}, lambda value: value)
        geographic = file.create_group("geographic")
        _attributes(geographic, {
            "geo_column_offset": np.float32([0]), "geo_row_offset": np.float32([3650]), "geo_dim_pixel": b"KM,KM",
            "geo_number_columns": np.int32([nx]), "geo_number_rows": np.int32([ny]), "geo_pixel_def": b"LU",
            "geo_pixel_size_x": np.float32([1]), "geo_pixel_size_y": np.float32([-1])}, lambda value: value)
        geographic.create_group("map_projection").attrs["projection_proj4_params"] = np.bytes_(KNMI_PROJ)
        image = file.create_group("image1")
        image.attrs["image_geo_parameter"] = np.bytes_(parameter.encode())
        image.attrs["image_product_name"] = np.bytes_(name.encode())
        _attributes(image.create_group("calibration"), {
            "calibration_formulas": formula.encode(), "calibration_missing_data": np.int32([missing]),
            "calibration_out_of_image": np.int32([missing])}, lambda value: value)
        image.create_dataset("image_data", data=field, compression="gzip")
    return path


def meteoswiss(path: Path, indices: NDArray[np.uint8], time: datetime, *, product: str = "AQC",
               scale: str = "mmh2LASSEN8bitmm_mn", minutes: int = 5) -> Path:
    """A palette GIF with the provider's comment; indices (640, 710)."""
    image = Image.fromarray(indices)
    image.putpalette(bytes(np.stack([np.arange(256), np.arange(255, -1, -1), np.full(256, 9)], 1).astype(np.uint8)))
    stamp = f"{product}{time:%y%j%H%M}"
    comment = (f"generated by Meteoswiss\nVERSION=ACQUIRE-V4.4.0_May2012\nPRDT={stamp} SCALE={scale} COLOR=reddish "
               f"ACCUm={minutes:06d} DeltaT=000005 TOTn=000001 \n")
    image.save(path, format="GIF", comment=comment.encode(), optimize=False)
    return path


def cf(path: Path, values: NDArray[Any], times: Sequence[datetime], *, name: str = "rain", units: str = "mm h-1",
       standard_name: str = "rainfall_rate", form: str = "NETCDF4", axis_unit: str = "km", rising: bool = False,
       bounds_minutes: float | None = None, attributes: dict[str, Any] | None = None,
       mapping: dict[str, Any] | None = None) -> Path:
    """values: (time, y, x) as stored. 1 km cells around the origin of a Lambert azimuthal map; y falls unless
    ``rising``."""
    _, ny, nx = values.shape
    scale = {"km": 1.0, "m": 1000.0, "degrees_north": 0.01}[axis_unit]
    y = (np.arange(ny) + 0.5) * scale
    with netCDF4.Dataset(str(path), "w", format=form) as file:
        file.Conventions = "CF-1.8"
        for dimension, size in (("time", None), ("y", ny), ("x", nx), ("nv", 2)):
            file.createDimension(dimension, size)
        time = file.createVariable("time", "f8", ("time",))
        time.setncatts({"units": "minutes since 2020-01-01 00:00:00", "standard_name": "time"})
        epoch = datetime(2020, 1, 1, tzinfo=times[0].tzinfo)
        time[:] = [(moment - epoch).total_seconds() / 60 for moment in times]
        if bounds_minutes is not None:
            time.bounds = "time_bnds"
            edges = file.createVariable("time_bnds", "f8", ("time", "nv"))
            edges[:] = np.stack([time[:] - bounds_minutes, time[:]], axis=1)
        for axis, axis_values in (("y", y if rising else y[::-1]), ("x", (np.arange(nx) + 0.5) * scale)):
            unit = axis_unit if axis == "y" else axis_unit.replace("north", "east")
            variable = file.createVariable(axis, "f8", (axis,))
            variable.setncatts({"units": unit, "axis": axis.upper()})
            variable[:] = axis_values
        crs = file.createVariable("crs", "i4", ())
        crs.setncatts(mapping or {"grid_mapping_name": "lambert_azimuthal_equal_area",
                                  "latitude_of_projection_origin": 52.0, "longitude_of_projection_origin": 5.0,
                                  "false_easting": 0.0, "false_northing": 0.0, "semi_major_axis": 6378137.0,
                                  "semi_minor_axis": 6356752.314})
        fill = (attributes or {}).get("_FillValue")
        rain = file.createVariable(name, values.dtype, ("time", "y", "x"), fill_value=fill)
        rain.set_auto_maskandscale(False)
        rain.setncatts({"units": units, "grid_mapping": "crs",
                        **{k: v for k, v in (attributes or {}).items() if k != "_FillValue"}})
        if standard_name:
            rain.standard_name = standard_name
        rain[:] = values
    return path
