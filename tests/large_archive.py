"""A composite of 3,500 x 7,000 cells every two minutes, as large as the largest that services publish."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from tests.builders import LAEA, corners

SHAPE = (3500, 7000)
FRAMES = 36
START = datetime(2020, 7, 1, tzinfo=UTC)
STEP = timedelta(minutes=2)
BLOCK = 5
NO_DATA, GAIN = 255, 0.25


def _rain() -> NDArray[np.uint8]:
    """Rain on a tenth of the map in areas of all sizes, stored in steps of 0.25 mm/h, every cell a little different."""
    draw = np.random.default_rng(3)
    coarse = draw.standard_normal((SHAPE[0] // BLOCK, SHAPE[1] // BLOCK)).astype(np.float32)
    lumps = sum(size * gaussian_filter(coarse, size, mode="wrap") for size in (40, 12, 4, 1.5))
    lumps = (lumps - np.quantile(lumps, 0.9)) / np.std(lumps)
    whole = np.repeat(np.repeat(lumps, BLOCK, axis=0), BLOCK, axis=1)
    codes = np.where(whole > 0, 1 + whole * 40 + draw.integers(0, 3, SHAPE, np.int8), 0)
    return np.clip(codes, 0, 240).astype(np.uint8)


def write(path: Path, frames: int = FRAMES) -> Path:
    """An ODIM HDF5 file whose rain moves three cells a step; no data in a broad frame, as where no radar reaches."""
    rain, (ny, nx) = _rain(), SHAPE
    place = {"projdef": np.bytes_(LAEA), "xsize": nx, "ysize": ny, "xscale": 1000.0, "yscale": 1000.0,
             **corners(LAEA, 0, -1000.0 * ny, 1000.0 * nx, 0)}
    with h5py.File(path, "w") as file:
        file.attrs["Conventions"] = np.bytes_("ODIM_H5/V2_3")
        file.create_group("what").attrs.update({"object": np.bytes_("COMP"), "source": np.bytes_("ORG:247"),
                                                "date": np.bytes_("20200701"), "time": np.bytes_("000000")})
        file.create_group("where").attrs.update(place)
        for number in range(frames):
            field = np.roll(rain, 3 * number, axis=1)
            field[:300], field[:, :500], field[:, -500:] = NO_DATA, NO_DATA, NO_DATA
            time = START + number * STEP
            stamp = {f"{end}{kind}": np.bytes_(f"{time:{form}}") for end in ("start", "end")
                     for kind, form in (("date", "%Y%m%d"), ("time", "%H%M%S"))}
            group = file.create_group(f"dataset{number + 1}")
            group.create_group("what").attrs.update({
                "quantity": np.bytes_("RATE"), "gain": GAIN, "offset": 0.0, "nodata": float(NO_DATA), "undetect": 0.0,
                **stamp})
            group.create_group("data1").create_dataset("data", data=field, compression="gzip", compression_opts=1,
                                                       chunks=(125, nx))
    return path
