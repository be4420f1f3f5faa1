"""An analytic storm cell that accelerates on its way and turns about itself, on any grid at any time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from engine.forecasters.protocol import Inputs
from engine.radar.grid import Grid
from engine.radar.sequence import Field
from engine.radar.units import MARSHALL_PALMER

START = datetime(2020, 7, 1, 12, 0, tzinfo=UTC)
SIDE = 96
STEP = 10.0


def centre(step: float) -> tuple[float, float]:
    """(row, column) in coarse cells: to the east ever faster, on a curve to the north."""
    return 60.0 - 2.0 * step - 0.5 * step**2, 20.0 + 4.0 * step + 1.0 * step**2


def cell(step: float, parts: int = 1, degrees_per_step: float = 25.0) -> Field:
    """(SIDE parts, SIDE parts) mm/h: an ellipse of 4 by 8 coarse cells, means over 4 x 4 points of each cell."""
    fine = (np.arange(SIDE * parts * 4) + 0.5) / (parts * 4) - 0.5
    row, column = centre(step)
    down, right = fine[:, None] - row, fine[None, :] - column
    turn = np.radians(degrees_per_step * step)
    along, across = right * np.cos(turn) + down * np.sin(turn), down * np.cos(turn) - right * np.sin(turn)
    points = 40.0 * np.exp(-0.5 * ((along / 8.0) ** 2 + (across / 4.0) ** 2))
    return points.reshape(SIDE * parts, 4, SIDE * parts, 4).mean(axis=(1, 3)).astype(np.float32)


def place(field: Field, parts: int) -> tuple[float, float]:
    """(row, column) in coarse cells of the middle of the heaviest rain: above nine tenths of the largest value."""
    heavy = np.where(field >= 0.9 * np.nanmax(field), field, 0.0)
    rows, columns = ((np.arange(size) + 0.5) / parts - 0.5 for size in field.shape)
    return float((heavy.sum(1) * rows).sum() / heavy.sum()), float((heavy.sum(0) * columns).sum() / heavy.sum())


def inputs(frames: list[Field], step_minutes: float = STEP) -> Inputs:
    stack = np.stack(frames).astype(np.float32)
    grid = Grid.regular(left=0, top=0, dx=2000, dy=2000, nx=stack.shape[2], ny=stack.shape[1])
    times = tuple(START + timedelta(minutes=step_minutes * index) for index in range(len(stack)))
    return Inputs(stack, times, step_minutes, grid, MARSHALL_PALMER)
