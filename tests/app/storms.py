"""A tiny archive in memory and helpers for tests that drive the window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from PySide6.QtCore import QObject, QThread

from engine.jobs.events import Event
from engine.radar.grid import Grid
from engine.radar.sequence import Field, FrameRef, Layout, RadarSequence
from engine.radar.units import Quantity

START = datetime(2020, 6, 1, 12, 0, tzinfo=UTC)
STEP = timedelta(minutes=5)


def cell(ref: FrameRef, layout: Layout) -> Field:
    """A cell of 20 mm/h that moves two columns a frame over a ground of 1 mm/h; no data in one corner."""
    frame = np.zeros(layout.grid.shape, np.float32)
    left = 4 + 2 * int(ref.key)
    frame[10:30, 5:60] = 1.0
    frame[14:22, left: left + 8] = 20.0
    frame[:4, :4] = np.nan
    return frame


def tiny_sequence(count: int = 24, missing: tuple[int, ...] = (), synthetic: bool = True) -> RadarSequence:
    """``count`` frames of 40 x 64 at 5 minutes, without those that are missing."""
    grid = Grid.regular(left=0.0, top=40_000.0, dx=1000.0, dy=1000.0, nx=64, ny=40, crs="EPSG:3035")
    layout = Layout("test archive", "RATE", Quantity.RAIN_RATE, "mm/h", grid, source="a test", synthetic=synthetic)
    refs = tuple(FrameRef(START + i * STEP, Path(f"frame-{i}"), i) for i in range(count) if i not in missing)
    return RadarSequence(layout, refs, cell, name="tiny")


class Relay(QObject):
    """Takes events of jobs in the GUI thread and remembers in which thread they came."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Event] = []
        self.elsewhere = 0

    def take(self, job: int, event: Event) -> None:
        self.events.append(event)
        self.elsewhere += QThread.currentThread() is not self.thread()

    def kinds(self) -> list[type[Event]]:
        return [type(event) for event in self.events]
