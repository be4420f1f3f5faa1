"""Semi-Lagrangian advection: the last frame, carried along a steady flow with a single interpolation.

Each lead time looks up, for every cell, where its air came from, and reads the last frame there once. The
origins come from trajectories integrated backwards through the flow (Germann and Zawadzki 2002, section 3),
not from repeated warps, so that blur does not grow with lead time and rotation stays rotation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np
import torch
import torch.nn.functional as nnf
from numpy.typing import NDArray
from torch import Tensor

from engine.cancel import CancelToken
from engine.forecasters.optical_flow import STRIP_CELLS, Flow, enlarge, normalised

_GRAIN = 1024.0
"""Displacements are rounded to 1/1024 cell, so that a shift by whole cells copies values exactly."""


class Inflow(Enum):
    """What comes in from where nothing was measured (beyond the domain, out of coverage)."""

    NO_DATA = "no data"
    DRY = "dry"


def advect(last: NDArray[np.float32], flow: Flow, steps: int, token: CancelToken, *,
           inflow: Inflow = Inflow.NO_DATA, steering: Steering | None = None) -> Iterator[NDArray[np.float32]]:
    """Yields the field (ny, nx) after 1, 2, ... ``steps`` steps; ``last`` is mm/h with NaN = no data.

    A cell is NaN where more than half of the four values around its origin, by weight, is no data; with
    ``Inflow.DRY`` such cells count as 0 instead. ``steering`` takes over at long lead times. Raises Cancelled.
    """
    source = Source(last, flow.values.device, inflow, token)
    del last  # large frames need not be held twice
    for origin in paths(flow, steering, steps):
        yield carried(source, flow, origin, token)


def carried(source: Source, flow: Flow, displacement: Tensor, token: CancelToken) -> NDArray[np.float32]:
    """(ny, nx): what stands at every cell moved by ``displacement`` (2, h, w) on the nodes of ``flow``."""
    field = torch.empty(flow.shape, device=flow.values.device)
    for top, bottom in _row_strips(flow.shape):
        token.check()
        field[top:bottom] = source.at(_strip(displacement, flow, top, bottom), top)
    return field.cpu().numpy()


@dataclass(frozen=True)
class Steering:
    """The slow, large-scale flow that outlives the detail. Its share of the displacement rises from 0 after
    ``begins`` steps to 1 after ``ends``."""

    flow: Flow
    begins: float
    ends: float

    def share(self, step: int) -> float:
        return min(1.0, max(0.0, (step - self.begins) / (self.ends - self.begins)))


def paths(flow: Flow, steering: Steering | None, steps: int) -> Iterator[Tensor]:
    """Displacements (2, h, w) back to the origins, those of the two flows mixed by the steering's share."""
    if steering is None:
        yield from origins(flow, steps)
        return
    both = zip(origins(flow, steps), origins(steering.flow, steps), strict=True)
    for step, (detailed, slow) in enumerate(both, start=1):
        yield torch.lerp(detailed, slow, steering.share(step))


def warp_repeatedly(field: NDArray[np.float32], flow: Flow, steps: int,
                    token: CancelToken) -> Iterator[NDArray[np.float32]]:
    """Yields the field (ny, nx) after 1, 2, ... steps, each a bilinear warp of the one before by the flow at the
    cell itself; nought comes in from outside. This is the reference benchmark's advection: its blur adds up."""
    shift = -enlarge(flow.values, flow.stride, flow.shape)
    for _ in range(steps):
        source = Source(field, shift.device, Inflow.DRY, token)
        parts = []
        for top, bottom in _row_strips(flow.shape):
            token.check()
            parts.append(source.at(shift[:, top:bottom], top))
        field = torch.cat(parts).cpu().numpy()
        yield field


def origins(flow: Flow, steps: int) -> Iterator[Tensor]:
    """Yields (2, h, w): the displacement (columns, rows) in cells from each node back to its origin after
    1, 2, ... steps. Midpoint rule; beyond the border the flow is that of the border."""
    height, width = flow.values.shape[1:]
    device = flow.values.device
    rows = ((torch.arange(height, device=device) + 0.5) * flow.stride - 0.5)[:, None]
    columns = ((torch.arange(width, device=device) + 0.5) * flow.stride - 0.5)[None, :]
    home = torch.stack((columns.expand(height, width), rows.expand(height, width)))
    gone = torch.zeros_like(flow.values)
    for _ in range(steps):
        here = home + gone
        half = here - 0.5 * _flow_at(flow, here)
        gone = gone - _flow_at(flow, half)
        yield gone


def _flow_at(flow: Flow, places: Tensor) -> Tensor:
    height, width = flow.values.shape[1:]
    grid = normalised(places[0], places[1], (height * flow.stride, width * flow.stride))
    return nnf.grid_sample(flow.values[None], grid[None], mode="bilinear", padding_mode="border",
                           align_corners=False)[0]


def _row_strips(shape: tuple[int, int]) -> Iterator[tuple[int, int]]:
    high = max(1, STRIP_CELLS // shape[1])
    for top in range(0, shape[0], high):
        yield top, min(top + high, shape[0])


def _strip(origin: Tensor, flow: Flow, top: int, bottom: int) -> Tensor:
    """(2, rows, nx): displacements of the cells of some rows, enlarged from the nodes around them."""
    stride = flow.stride
    first = max(0, top // stride - 1)
    last = min(origin.shape[1], -(-bottom // stride) + 1)
    cells = enlarge(origin[:, first:last], stride, (bottom - first * stride, flow.shape[1]))
    return torch.round(cells[:, top - first * stride:] * _GRAIN) / _GRAIN


class Source:
    """The last frame with a border of no data, ready to be read between cells."""

    def __init__(self, last: NDArray[np.float32], device: torch.device, inflow: Inflow, token: CancelToken) -> None:
        self.shape = ny, nx = (last.shape[0], last.shape[1])
        values = torch.full((ny + 2, nx + 2), torch.nan, device=device)
        for top, bottom in _row_strips(self.shape):
            token.check()
            values[top + 1:bottom + 1, 1:-1] = torch.from_numpy(np.array(last[top:bottom], np.float32)).to(device)
        self.values = values.reshape(-1)
        self.dry = inflow is Inflow.DRY

    def at(self, shift: Tensor, top: int) -> Tensor:
        """(rows, nx): values at the cells of some rows moved by ``shift`` (2, rows, nx)."""
        ny, nx = self.shape
        rows = torch.arange(top, top + shift.shape[1], device=shift.device, dtype=shift.dtype)[:, None] + shift[1]
        columns = torch.arange(nx, device=shift.device, dtype=shift.dtype)[None, :] + shift[0]
        rows, columns = rows.clamp_(-1.0, ny), columns.clamp_(-1.0, nx)
        row, column = rows.floor().clamp_(max=ny - 1), columns.floor().clamp_(max=nx - 1)
        down, right = (rows - row).unsqueeze_(-1), (columns - column).unsqueeze_(-1)
        place = ((row + 1.0).long() * (nx + 2) + (column + 1.0).long()).reshape(-1)
        upper = self._between(place, right)
        lower = self._between(place + (nx + 2), right)
        value, weight = torch.lerp(upper, lower, down).unbind(-1)
        if self.dry:
            return value
        return torch.where(weight >= 0.5, value / weight, torch.nan)

    def _between(self, place: Tensor, right: Tensor) -> Tensor:
        shape = (right.shape[0], right.shape[1], 2)
        return torch.lerp(self._pairs(place).reshape(shape), self._pairs(place + 1).reshape(shape), right)

    def _pairs(self, place: Tensor) -> Tensor:
        """(N, 2): the value, 0 where there is none, and whether there is one."""
        value = self.values.index_select(0, place)
        known = torch.isfinite(value)
        return torch.stack((torch.where(known, value, 0.0), known.to(value.dtype)), dim=-1)
