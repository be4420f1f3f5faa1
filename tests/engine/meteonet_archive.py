"""A small MeteoNet archive of the new reflectivity, with heights of measurement and probabilities beside it, and a file
with heights of one's own."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import netCDF4
import numpy as np

from engine.archives import open_archive
from engine.radar.sequence import RadarSequence
from tests.engine.image_builders import meteonet

FIRST = datetime(2018, 5, 1, 12)
SHAPE = (24, 32)
NORTH, WEST = 47.0, -1.0


def archive(folder: Path, *, frames: int = 3, lift: int = 0, name: str = "reflectivity_new_NW_2018_05.1"
            ) -> RadarSequence:
    """Maps 5 minutes apart with heights of 1000, 2000, 3000 m and so on (and ``lift``) and a probability of 10, 20,
    30 % and so on, each with a cell of no echo and a missing one."""
    folder.mkdir(parents=True, exist_ok=True)
    lats, lons = np.meshgrid(NORTH - 0.01 * np.arange(SHAPE[0]), WEST + 0.01 * np.arange(SHAPE[1]), indexing="ij")
    np.savez(folder / "radar_coords_NW.npz", lats=lats, lons=lons)
    data = np.full((frames, *SHAPE), -100, np.int16)
    data[:, 6:18, 8:20] = 325
    numbers = np.arange(1, frames + 1, dtype=np.int16)[:, None, None]
    height, prob = (np.broadcast_to(scale * numbers + more, data.shape).astype(np.int16).copy()
                    for scale, more in ((1000, lift), (10, 0)))
    for field in (height, prob):
        field[:, 0, 0], field[:, 0, 1] = -100, -200
    times = [FIRST + timedelta(minutes=5 * number) for number in range(frames)]
    return open_archive(meteonet(folder / f"{name}.npz", data, times, height=height, prob=prob))


def heights_file(path: Path, name: str = "measurement_height", unit: str = "m", height: float = 1500.0) -> Path:
    with netCDF4.Dataset(path, "w") as file:
        for axis, values in (("lat", NORTH + 0.1 - 0.05 * np.arange(12)), ("lon", WEST - 0.1 + 0.05 * np.arange(14))):
            file.createDimension(axis, len(values))
            file.createVariable(axis, "f8", (axis,))[:] = values
            file[axis].units = "degrees_north" if axis == "lat" else "degrees_east"
        file.createVariable(name, "f4", ("lat", "lon"))[:] = height
        file[name].units = unit
    return path
