"""A small storm and the export that the tests of exports ask for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from engine.export.look import DARK, Look, packed
from engine.jobs.export_request import ExportRequest
from engine.radar.grid import Grid
from engine.radar.scaling import NO_DATA, RAIN_CLASSES
from engine.radar.sequence import FrameRef, Layout, RadarSequence
from engine.radar.units import ZR, Quantity

START = datetime(2010, 8, 26, 4, 0, tzinfo=UTC)
STEP = timedelta(minutes=5)
SIZE = (640, 360)




def colours() -> np.ndarray:
    """254 different, saturated colours that no word or line has."""
    bins = np.arange(256, dtype=np.uint32)
    table = 0xFF000000 | (255 - bins) << 16 | (bins * 7 % 64 + 150) << 8 | bins
    table[0], table[NO_DATA] = packed(DARK.no_rain), packed(DARK.no_data)
    return table.astype(np.uint32)


LOOK = Look(DARK, RAIN_CLASSES, colours())


def km_grid(ny: int = 48, nx: int = 60, dx: float = 1000.0, dy: float = 1000.0) -> Grid:
    return Grid.regular(left=0.0, top=ny * dy, dx=dx, dy=dy, nx=nx, ny=ny)


def storm(grid: Grid, number: int) -> np.ndarray:
    """A round cell that moves two columns a frame; the last rows have no data."""
    rows, columns = np.mgrid[: grid.shape[0], : grid.shape[1]]
    away = np.hypot(rows - 20, columns - 8 - 2 * number)
    field = np.clip(60 * np.exp(-away / 5) - 0.4, 0, None).astype(np.float32)
    field[-5:] = np.nan
    return field


def archive(count: int = 16, grid: Grid | None = None, synthetic: bool = False) -> RadarSequence:
    grid = grid or km_grid()
    layout = Layout("test", "rate", Quantity.RAIN_RATE, "mm/h", grid, ZR(), source="nowhere", synthetic=synthetic)
    refs = tuple(FrameRef(START + n * STEP, Path(f"{n}.x"), n) for n in range(count))
    return RadarSequence(layout, refs, lambda ref, _: storm(grid, ref.key), name="Test archive")


def request(output: Path, *, count: int = 6, observed: int = 10, **changes: object) -> ExportRequest:
    """The forecast starts at frame 6; observations end with frame ``observed`` - 1."""
    sequence = archive(observed)
    reference = START + 6 * STEP
    predicted = tuple((5.0 * k, reference + k * STEP, storm(sequence.grid, 6 + k)) for k in range(1, count + 1))
    base = ExportRequest(output, sequence=sequence, predicted=predicted, forecaster="rover-nonlinear",
                         reference_time=reference, colours=colours(), size=SIZE, history=2, basemap=())
    return replace(base, **changes)  # type: ignore[arg-type]


def times() -> list[tuple[datetime, float]]:
    """Valid and lead times that the default request must show."""
    return [(START + n * STEP, 5.0 * (n - 6)) for n in range(4, 13)]
