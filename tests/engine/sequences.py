"""Small sequences in memory, for tests that are about what happens after reading."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from engine.radar.grid import Grid
from engine.radar.sequence import Field, FrameRef, Layout, RadarSequence
from engine.radar.units import ZR, Quantity

START = datetime(2020, 7, 1, 12, 0, tzinfo=UTC)
CRS = "+proj=aeqd +lat_0=52 +lon_0=5 +units=m +ellps=WGS84"


def grid(ny: int = 24, nx: int = 32, cell: float = 1000.0) -> Grid:
    return Grid.regular(left=0.0, top=ny * cell, dx=cell, dy=cell, nx=nx, ny=ny, crs=CRS)


def sequence(frames: list[Field] | Callable[[int], Field], count: int | None = None, *, step_minutes: float = 5,
             missing: tuple[int, ...] = (), quantity: Quantity = Quantity.RAIN_RATE, zr: ZR | None = None,
             on: Grid | None = None, synthetic: bool = False) -> RadarSequence:
    """Frames at even steps from 12:00 UTC; ``missing`` positions are left out (a gap)."""
    total = len(frames) if isinstance(frames, list) else int(count or 0)
    make = frames.__getitem__ if isinstance(frames, list) else frames
    refs = tuple(FrameRef(START + timedelta(minutes=step_minutes * i), Path(f"frame{i:03}"), i)
                 for i in range(total) if i not in missing)
    shape = make(refs[0].key).shape
    layout = Layout("test", "rain", quantity, quantity.unit, on or grid(*shape), zr or ZR(), synthetic=synthetic)
    return RadarSequence(layout, refs, lambda ref, _: np.asarray(make(ref.key), np.float32), name="test archive")


def moving_square(index: int, shape: tuple[int, int] = (24, 32), rate: float = 8.0) -> Field:
    """A 6 x 6 square of rain that moves one column per frame to the east."""
    field = np.zeros(shape, np.float32)
    left = 2 + index
    field[8:14, left:left + 6] = rate
    return field
