"""Folders of pictures and data sets of the papers, written with the file libraries from the published layouts."""

from __future__ import annotations

import csv
import zipfile
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image

NOON = datetime(2015, 5, 11, 12, 0, tzinfo=UTC)


def picture(path: Path, values: NDArray[Any], **save: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **save)
    return path


def hko7(root: Path, frames: dict[datetime, NDArray[np.uint8]], masks: dict[datetime, NDArray[np.bool_]]) -> Path:
    """radarPNG and radarPNG_mask as HKO-7 lays them out; frames (480, 480)."""
    for time, values in frames.items():
        picture(root / f"radarPNG/{time:%Y/%m/%d}/RAD{time:%y%m%d%H%M}00.png", values)
    for time, mask in masks.items():
        path = root / f"radarPNG_mask/{time:%Y/%m/%d}/RAD{time:%y%m%d%H%M}00.mask"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(zlib.compress(mask.astype(np.bool_).tobytes()))
    return root


def meteonet(path: Path, data: NDArray[Any], dates: Sequence[Any], **more: Any) -> Path:
    np.savez_compressed(path, data=data, dates=np.array(list(dates), object), miss_dates=np.array([], object), **more)
    return path


def npz_with(path: Path, data: NDArray[Any], pickled: bytes, count: int) -> Path:
    """A MeteoNet file whose dates are the given pickle."""
    header = f"{{'descr': '|O', 'fortran_order': False, 'shape': ({count},), }}"
    header = header.ljust(118 - 1) + "\n"
    npy = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + pickled
    np.savez(path, data=data)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("dates.npy", npy)
        archive.writestr("miss_dates.npy", npy)
    return path


CATALOGUE = ("id", "file_name", "file_index", "img_type", "time_utc", "minute_offsets", "episode_id", "event_id",
             "event_type", "llcrnrlat", "llcrnrlon", "urcrnrlat", "urcrnrlon", "proj", "size_x", "size_y", "height_m",
             "width_m", "data_min", "data_max", "pct_missing")


def sevir(root: Path, ids: Sequence[str], vil: NDArray[np.uint8], corners: Sequence[tuple[float, float]],
          name: str = "SEVIR_VIL_STORMEVENTS_2018_0101_0630.h5") -> Path:
    """vil: (N, ny, nx, T), south first; corners: longitude and latitude of the lower left."""
    folder = root / "vil/2018"
    folder.mkdir(parents=True)
    with h5py.File(folder / name, "w") as file:
        file["id"] = np.array([i.encode() for i in ids])
        file.create_dataset("vil", data=vil, chunks=(1, *vil.shape[1:]))
    _, ny, nx, steps = vil.shape
    with (root / "CATALOG.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, CATALOGUE)
        table.writeheader()
        for row, (event, (lon, lat)) in enumerate(zip(ids, corners, strict=True)):
            line = {
                "id": event, "file_name": f"vil/2018/{name}", "file_index": row, "img_type": "vil",
                "time_utc": f"2018-06-0{row + 1} 18:00:00", "minute_offsets": ":".join(str(5 * k - 10) for k in
                                                                                     range(steps)),
                "llcrnrlat": lat, "llcrnrlon": lon, "size_x": nx, "size_y": ny, "height_m": ny * 1000.0,
                "width_m": nx * 1000.0,
                "proj": "+proj=laea +lat_0=38 +lon_0=-98 +units=m +a=6370997.0 +ellps=sphere "}
            table.writerow(line)
            table.writerow({**line, "img_type": "ir069", "file_name": f"ir069/2018/{name}", "size_x": 192})
    return folder / name


def taasrad19(path: Path, runs: Sequence[tuple[datetime, NDArray[np.float16]]], attributes: bool = True) -> Path:
    with h5py.File(path, "w", libver="latest") as file:
        for k, (start, values) in enumerate(runs):
            data = file.create_dataset(str(k), data=values, chunks=(1, 480, 480), shuffle=True, fletcher32=True,
                                       compression="gzip")
            if attributes:
                data.attrs["start_datetime"] = f"{start:%Y-%m-%d %H:%M:%S}"
                data.attrs["end_datetime"] = f"{start + timedelta(minutes=5 * (len(values) - 1)):%Y-%m-%d %H:%M:%S}"
                data.attrs["run_length"] = len(values)
    return path
