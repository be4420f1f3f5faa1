"""What downscalers share: bilinear refinement, means over blocks, conservation, bounds, and what is no data where."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.downscalers.protocol import Factors
from engine.radar.sequence import Field

STRIP_CELLS = 1 << 20
"""Fine cells that are worked on at a time; between strips a job asks whether to stop."""

Check = Callable[[], None]
Kind = TypeVar("Kind", bound=np.generic)


def mixed(earlier: Field, later: Field, share: float) -> Field:
    """(1 - share) of the earlier and share of the later, (ny, nx). Where only one holds data it stands for both; no
    data where neither does or where the one with less than half of the weight is alone."""
    first, second = np.isnan(earlier), np.isnan(later)
    blend = earlier + np.float32(share) * (later - earlier)
    blend = np.where(first & ~second & (share >= 0.5), later, blend)
    return np.where(second & ~first & (share <= 0.5), earlier, blend).astype(np.float32, copy=False)


def bilinear(values: Field, factors: Factors, check: Check) -> Field:
    """(ny, nx) to (k_y ny, k_x nx), half-pixel centres, the border's value beyond the border.

    No data stays where it was, cell for cell; beside it only cells with data are weighed, so that it neither spreads
    nor counts as no rain. Every value lies between those of the cells around it.
    """
    fine = np.empty((values.shape[0] * factors.y, values.shape[1] * factors.x), np.float32)
    for top, bottom in strips(values.shape, factors):
        check()
        low, high = max(0, top - 1), min(values.shape[0], bottom + 1)
        part = _finer(values[low:high], factors)
        fine[top * factors.y:bottom * factors.y] = part[(top - low) * factors.y:(bottom - low) * factors.y]
    return fine


def strips(shape: tuple[int, ...], factors: Factors) -> Iterator[tuple[int, int]]:
    """Rows of the coarse field, first and one past the last, of at most STRIP_CELLS fine cells."""
    high = max(1, STRIP_CELLS // (factors.y * factors.x * shape[1]))
    for top in range(0, shape[0], high):
        yield top, min(top + high, shape[0])


def _finer(values: Field, factors: Factors) -> Field:
    missing = np.isnan(values)
    if not missing.any():
        return _along(_along(values, factors.y, 0), factors.x, 1)
    total = _along(_along(np.where(missing, np.float32(0), values), factors.y, 0), factors.x, 1)
    cover = _along(_along((~missing).astype(np.float32), factors.y, 0), factors.x, 1)
    mean = np.minimum(total / np.maximum(cover, np.float32(1e-6)), _most_around(values, factors))
    return np.where(repeated(missing, factors), np.float32(np.nan), mean)


def _along(values: Field, factor: int, axis: int) -> Field:
    """Linear along one axis. Written as a + w (b - a) with w < 1/2, so that equal neighbours stay what they are."""
    if factor == 1:
        return values
    values = np.moveaxis(values, axis, 0)
    before, after = np.concatenate((values[:1], values[:-1])), np.concatenate((values[1:], values[-1:]))
    fine = np.empty((values.shape[0] * factor, values.shape[1]), np.float32)
    for phase in range(factor):
        offset = (phase + 0.5) / factor - 0.5
        other = after if offset > 0 else before
        fine[phase::factor] = values + np.float32(abs(offset)) * (other - values)
    return np.ascontiguousarray(np.moveaxis(fine, 0, axis))


def extended(values: Field, cells: int) -> Field:
    """(ny, nx) with what lies at the border of the data carried on into no data, so many cells far, as means of what is
    known around; beyond that and in the rest no data stays."""
    values = values.copy()
    for _ in range(cells):
        missing = np.isnan(values)
        if not missing.any() or missing.all():
            break
        count = _around((~missing).astype(np.float32))
        total = _around(np.where(missing, np.float32(0), values))
        reached = missing & (count > 0)
        values[reached] = total[reached] / count[reached]
    return values


def _around(values: Field) -> Field:
    """Sums over a cell and its eight neighbours."""
    padded = np.pad(values, 1)
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return np.asarray(rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:], np.float32)


def local_most(values: Field) -> Field:
    """The largest value among a cell and its eight neighbours, no data as 0."""
    padded = np.pad(np.nan_to_num(values, nan=0.0), 1, mode="edge")
    rows = np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])
    return np.maximum(np.maximum(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])


def _most_around(values: Field, factors: Factors) -> Field:
    return repeated(local_most(values), factors)


def repeated(values: NDArray[Kind], factors: Factors) -> NDArray[Kind]:
    """Every cell k_y x k_x times."""
    return values.repeat(factors.y, axis=0).repeat(factors.x, axis=1)


def block_means(fine: Field, factors: Factors) -> Field:
    """(k_y ny, k_x nx) to (ny, nx): means over what holds data, no data where less than half of a block does."""
    blocks = fine.reshape(fine.shape[0] // factors.y, factors.y, fine.shape[1] // factors.x, factors.x)
    valid = ~np.isnan(blocks)
    count = valid.sum(axis=(1, 3))
    total = np.where(valid, blocks, np.float32(0)).sum(axis=(1, 3), dtype=np.float64)
    with np.errstate(invalid="ignore"):
        mean = total / count
    return np.where(2 * count >= factors.y * factors.x, mean, np.nan).astype(np.float32)


def conserved(fine: Field, coarse: Field, factors: Factors, check: Check) -> Field:
    """``fine`` with every block scaled to the value of its coarse cell. A cell with rain whose block has none gets it
    evenly. Nothing is larger than k_y k_x times the cell that it lies in."""
    result = np.empty_like(fine)
    for top, bottom in strips(coarse.shape, factors):
        check()
        rows = slice(top * factors.y, bottom * factors.y)
        part, wanted = np.maximum(fine[rows], np.float32(0)), coarse[top:bottom]
        mean = block_means(part, factors)
        dry = ~(mean > 0)
        scale = np.where(dry, np.float32(0), wanted / np.where(dry, np.float32(1), mean))
        scaled = part * repeated(scale, factors)
        result[rows] = np.where(repeated(dry, factors), repeated(wanted, factors), scaled)
    return result


def bounded(fine: Field, around: Field, factors: Factors, most: float) -> Field:
    """Not below 0 and not above ``most`` times the largest value of ``around``, (ny, nx), in a cell and its eight
    neighbours; no data where ``around`` holds none."""
    ceiling = repeated(local_most(around) * np.float32(most), factors)
    kept = np.clip(np.nan_to_num(fine, nan=0.0), np.float32(0), ceiling)
    return np.where(repeated(np.isnan(around), factors), np.float32(np.nan), kept)
