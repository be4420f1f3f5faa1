"""From one grid to another: weights along the axes in one projection, a look-up of cells between projections.

All averages are weighted by area over the cells that hold data; a result is no data where less than half of its
area is covered by data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.errors import NotEnoughInput, WrongUsage
from engine.radar.grid import Grid
from engine.radar.sequence import Field

Method = Literal["mean", "max", "bilinear", "nearest"]
METHODS: tuple[Method, ...] = ("mean", "max", "bilinear", "nearest")
MOST_CELLS = 200_000_000
LEAST_COVER = 0.5
_MOST_POINTS = 40_000_000
_KM_PER_DEGREE = 111.195
_OUTLINE = 65


def target_grid(grid: Grid, pixel_km: float | None = None, crs: str | None = None) -> Grid:
    """The grid that covers ``grid`` with square pixels of ``pixel_km`` in another projection.

    Where there is no ``pixel_km`` the pixels stay as large as they are; the upper left corner stays where the
    projection does. Raises WrongUsage for absurd sizes and unknown projections, NotEnoughInput without a projection.
    """
    if pixel_km is not None and not 0.001 <= pixel_km <= 1000:
        raise WrongUsage(f"A pixel of {pixel_km:g} km makes no sense.")
    if crs is None or _same_projection(grid, crs):
        if pixel_km is None:
            return grid
        high, wide = grid.pixel_km
        return _covering(grid.extent, grid.dx * pixel_km / wide, grid.dy * pixel_km / high, grid.crs, snap=False)
    if grid.projection is None:
        raise NotEnoughInput("The archive does not say in which projection it is, so it cannot be brought to another.",
                             advice="Leave the projection as it is.")
    extent = _extent_in(grid, crs)
    size = pixel_km if pixel_km is not None else math.sqrt(grid.pixel_km[0] * grid.pixel_km[1])
    dx = dy = size * 1000.0
    if _crs(crs).is_geographic:
        dy = size / _KM_PER_DEGREE
        dx = dy / max(0.05, math.cos(math.radians((extent[2] + extent[3]) / 2)))
    return _covering(extent, dx, dy, crs, snap=True)


def _crs(text: str) -> Any:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        return CRS.from_user_input(text)
    except CRSError as problem:
        raise WrongUsage(f"PROJ does not know the projection '{text}'.") from problem


def _same_projection(grid: Grid, crs: str) -> bool:
    return grid.crs == crs or grid.projection == _crs(crs)


def _extent_in(grid: Grid, crs: str) -> tuple[float, float, float, float]:
    """Outer edges of the grid's cells in another projection, from points all over it."""
    from pyproj import Transformer

    left, right, bottom, top = grid.extent
    x, y = np.meshgrid(np.linspace(left, right, _OUTLINE), np.linspace(bottom, top, _OUTLINE))
    there = Transformer.from_crs(grid.projection, _crs(crs), always_xy=True)
    new_x, new_y = (np.asarray(part) for part in there.transform(x, y))
    good = np.isfinite(new_x) & np.isfinite(new_y)
    if not good.any():
        raise WrongUsage(f"The archive lies outside of the projection '{crs}'.")
    return (float(new_x[good].min()), float(new_x[good].max()), float(new_y[good].min()), float(new_y[good].max()))


def _covering(extent: tuple[float, float, float, float], dx: float, dy: float, crs: str | None, *,
              snap: bool) -> Grid:
    left, right, bottom, top = extent
    if snap:  # even coordinates, so that two archives meet on the same cells
        left, top = math.floor(left / dx + 1e-6) * dx, math.ceil(top / dy - 1e-6) * dy
    nx, ny = (max(2, math.ceil(size - 1e-3)) for size in ((right - left) / dx, (top - bottom) / dy))
    if nx * ny > MOST_CELLS:
        raise WrongUsage(f"{ny} x {nx} cells are too many; choose larger pixels.")
    return Grid.regular(left=left, top=top, dx=dx, dy=dy, nx=nx, ny=ny, crs=crs)


@dataclass(frozen=True, eq=False)
class Resampler:
    """Brings fields from ``source`` to ``target``. Call it with values that may be averaged (rain rate)."""

    source: Grid
    target: Grid
    method: Method
    _weights: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def __call__(self, values: Field) -> Field:
        """(ny, nx) on the source to (ny, nx) on the target, float32, NaN = no data."""
        if not self._separable:
            return self._looked_up(values)
        if self.method == "max":
            return _maximum(_maximum(values, *self._rows, axis=0), *self._columns, axis=1)
        valid = ~np.isnan(values)
        filled = np.where(valid, values, np.float32(0.0))
        total = _gather(_gather(filled, *self._rows, axis=0), *self._columns, axis=1)
        if valid.all():
            cover = self._row_cover[:, None] * self._column_cover[None, :]
        else:
            cover = _gather(_gather(valid.astype(np.float32), *self._rows, axis=0), *self._columns, axis=1)
        return _divided(total, cover)

    def __getstate__(self) -> dict[str, Any]:
        return {"source": self.source, "target": self.target, "method": self.method, "_weights": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    @cached_property
    def _separable(self) -> bool:
        return self.source.crs == self.target.crs or self.source.projection == self.target.projection

    @cached_property
    def _rows(self) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        return axis_weights(-self.source.y, -self.target.y, self.method)

    @cached_property
    def _columns(self) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        return axis_weights(self.source.x, self.target.x, self.method)

    @cached_property
    def _row_cover(self) -> NDArray[np.float32]:
        return np.asarray(self._rows[1].sum(axis=1))

    @cached_property
    def _column_cover(self) -> NDArray[np.float32]:
        return np.asarray(self._columns[1].sum(axis=1))

    def _looked_up(self, values: Field) -> Field:
        flat = np.append(values.ravel(), np.float32(np.nan))  # the last stands for "outside"
        if self.method == "max":
            best = np.full(self.target.shape, np.nan, np.float32)
            for index, _ in self._taps:
                np.fmax(best, flat.take(index), out=best)
            return best
        total, cover = np.zeros(self.target.shape, np.float32), np.zeros(self.target.shape, np.float32)
        for index, weight in self._taps:
            taken = flat.take(index)
            valid = ~np.isnan(taken)
            share = np.where(valid, weight, np.float32(0.0))
            total += np.where(valid, taken, np.float32(0.0)) * share
            cover += share
        return _divided(total, cover)

    @cached_property
    def _taps(self) -> list[tuple[NDArray[np.int32], Any]]:
        """Cells of the source and their weights, one pair for each point of a target cell."""
        if self.method == "bilinear":
            return self._corners()
        side = 1 if self.method == "nearest" else self._points()
        parts = (np.arange(side) + 0.5) / side - 0.5
        return [(self._nearest(dx * self.target.dx, dy * self.target.dy), np.float32(1 / side**2))
                for dy in parts for dx in parts]

    def _points(self) -> int:
        """Points along each side of a target cell: about two for each source cell."""
        ratio = max(a / b for a, b in zip(self.target.pixel_km, self.source.pixel_km, strict=True))
        most = math.isqrt(max(1, _MOST_POINTS // max(1, math.prod(self.target.shape))))
        return max(1, min(math.ceil(2 * ratio), 16, max(2, most)))

    def _nearest(self, dx: float, dy: float) -> NDArray[np.int32]:
        row, column = self._position(dx, dy)
        ny, nx = self.source.shape
        with np.errstate(invalid="ignore"):
            row, column = np.floor(row + 0.5), np.floor(column + 0.5)
            inside = (row >= 0) & (row < ny) & (column >= 0) & (column < nx)
        return np.where(inside, np.where(inside, row, 0) * nx + np.where(inside, column, 0), ny * nx).astype(np.int32)

    def _corners(self) -> list[tuple[NDArray[np.int32], Any]]:
        row, column = self._position(0.0, 0.0)
        ny, nx = self.source.shape
        top, left = np.floor(row), np.floor(column)
        taps = []
        for r, c in ((0, 0), (0, 1), (1, 0), (1, 1)):
            at_row, at_column = top + r, left + c
            weight = (1 - np.abs(row - at_row)) * (1 - np.abs(column - at_column))
            inside = (at_row >= 0) & (at_row < ny) & (at_column >= 0) & (at_column < nx)
            index = np.where(inside, np.where(inside, at_row, 0) * nx + np.where(inside, at_column, 0), ny * nx)
            taps.append((index.astype(np.int32), np.where(inside, weight, 0.0).astype(np.float32)))
        return taps

    def _position(self, dx: float, dy: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Fractional (row, column) in the source of the points (dx, dy) beside the target's cell centres."""
        from pyproj import Transformer

        back = Transformer.from_crs(self.target.projection, self.source.projection, always_xy=True)
        rows, columns = np.empty(self.target.shape), np.empty(self.target.shape)
        for start in range(0, self.target.y.size, 256):
            part = slice(start, start + 256)
            x, y = back.transform(*np.meshgrid(self.target.x + dx, self.target.y[part] + dy))
            rows[part] = (self.source.y[0] - np.asarray(y)) / self.source.dy
            columns[part] = (np.asarray(x) - self.source.x[0]) / self.source.dx
        far = ~(np.isfinite(rows) & np.isfinite(columns))
        rows[far] = columns[far] = -10.0
        return rows, columns


def between(source: Grid, target: Grid) -> Resampler:
    """Area means to larger pixels, between the pixels to smaller ones."""
    larger = all(b > a for a, b in zip(source.pixel_km, target.pixel_km, strict=True))
    return Resampler(source, target, "mean" if larger else "bilinear")


def axis_weights(source: NDArray[np.float64], target: NDArray[np.float64], method: Method
                 ) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """(n, k) source cells and weights for each of n target cells along one rising axis of cell centres.

    mean, max: the share of the target cell that each source cell covers, 0 outside. bilinear: the two neighbours;
    half a cell beyond the outermost centre the outermost cell counts. nearest: the cell the centre lies in.
    """
    if method in ("mean", "max"):
        return _overlaps(source, target)
    step = (source[-1] - source[0]) / (source.size - 1)
    place = (target - source[0]) / step
    inside = (place >= -0.5 - 1e-9) & (place <= source.size - 0.5 + 1e-9)
    if method == "nearest":
        index = np.clip(np.floor(place + 0.5), 0, source.size - 1).astype(np.intp)[:, None]
        return index, inside.astype(np.float32)[:, None]
    place = np.clip(place, 0, source.size - 1)
    low = np.minimum(np.floor(place), source.size - 2).astype(np.intp)
    part = place - low
    return np.stack([low, low + 1], 1), (np.stack([1 - part, part], 1) * inside[:, None]).astype(np.float32)


def _overlaps(source: NDArray[np.float64], target: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    old, new = ((axis[-1] - axis[0]) / (axis.size - 1) for axis in (source, target))
    begin = (target - new / 2 - (source[0] - old / 2)) / old  # in source cells from its outer edge
    end = begin + new / old
    first = np.floor(begin + 1e-9)
    count = max(1, int(np.ceil(end - 1e-9 - first).max()))
    cells = first[:, None] + np.arange(count)
    overlap = np.minimum(end[:, None], cells + 1) - np.maximum(begin[:, None], cells)
    share = np.where((overlap > 1e-6) & (cells >= 0) & (cells < source.size), overlap / (new / old), 0.0)
    return np.clip(cells, 0, source.size - 1).astype(np.intp), share.astype(np.float32)


def _gather(values: Field, index: NDArray[np.intp], weight: NDArray[np.float32], axis: int) -> Field:
    shape = (index.shape[0], values.shape[1]) if axis == 0 else (values.shape[0], index.shape[0])
    out = np.zeros(shape, np.float32)
    for tap in range(index.shape[1]):
        share = weight[:, tap, None] if axis == 0 else weight[None, :, tap]
        out += values.take(index[:, tap], axis=axis) * share
    return out


def _maximum(values: Field, index: NDArray[np.intp], weight: NDArray[np.float32], axis: int) -> Field:
    shape = (index.shape[0], values.shape[1]) if axis == 0 else (values.shape[0], index.shape[0])
    out = np.full(shape, np.nan, np.float32)
    for tap in range(index.shape[1]):
        touched = weight[:, tap, None] > 0 if axis == 0 else weight[None, :, tap] > 0
        np.fmax(out, np.where(touched, values.take(index[:, tap], axis=axis), np.float32(np.nan)), out=out)
    return out


def _divided(total: Field, cover: NDArray[np.float32]) -> Field:
    enough = cover >= LEAST_COVER - 1e-5
    return np.where(enough, total / np.where(enough, cover, 1.0), np.float32(np.nan)).astype(np.float32)
