"""An archive whose frames come one by one, as from a radar."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.export.forecast_file import ForecastWriter
from engine.radar.forecast import ForecastHeader
from engine.radar.grid import Grid
from engine.radar.units import MARSHALL_PALMER

START = datetime(2020, 6, 1, 12, 0, tzinfo=UTC)
STEP = timedelta(minutes=5)
GRID = Grid.regular(left=0.0, top=40_000.0, dx=1000.0, dy=1000.0, nx=64, ny=40, crs="EPSG:3035")


def rain(number: int) -> NDArray[np.float32]:
    """A cell of 20 mm/h that moves two columns a frame over a ground of 1 mm/h."""
    frame = np.zeros(GRID.shape, np.float32)
    frame[10:30, 5:60] = 1.0
    left = 4 + 2 * number
    frame[14:22, left:left + 8] = 20.0
    return frame


class LiveArchive:
    """Files of one frame each; they appear whole, under a name that says their time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        self._outside = folder.parent / "made"
        folder.mkdir(parents=True)
        self._outside.mkdir()

    def add(self, frames: int) -> None:
        for _ in range(frames):
            time = START + self.count * STEP
            name = f"{time:%Y%m%d%H%M}.nc"
            header = ForecastHeader(grid=GRID, zr=MARSHALL_PALMER, reference_time=time - STEP, step_minutes=5.0,
                                    forecaster="radar")
            with ForecastWriter(self._outside / name, header) as writer:
                writer.write(5.0, rain(self.count))
            os.replace(self._outside / name, self.folder / name)
            self.count += 1
