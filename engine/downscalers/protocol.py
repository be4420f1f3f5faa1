"""What every downscaler is, interpolation, noise and network alike: frames in, finer and more frames out.

A downscaler is a class named in the catalogue, built without arguments. It is started on a series and handed frame
after frame; after T frames it has given (T - 1) k_t + 1, each with k_y x k_x cells where there was one. So a forecast
is refined while it runs, and no more than two frames are held. docs/downscaling.md has what holds for all of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np

from engine.errors import NotEnoughInput, WrongUsage
from engine.forecasters.protocol import Context, Inputs
from engine.radar.grid import Grid
from engine.radar.sequence import Field
from engine.radar.units import ZR

MOST, MOST_IN_TIME = 8, 4
"""The largest factors. In time: closer frames would be taken for each other, as a frame's time counts as its own when
it is a fifth of a step off."""
MOST_CELLS = 100_000_000

Ground = Callable[[tuple[str, ...]], Field]
Changing = Callable[[tuple[str, ...], datetime], Field]


@dataclass(frozen=True)
class Factors:
    """How many cells come from one along y and x, and how many steps from one in time. Raises WrongUsage."""

    y: int = 2
    x: int = 2
    t: int = 2

    def __post_init__(self) -> None:
        if not (1 <= self.y <= MOST and 1 <= self.x <= MOST and 1 <= self.t <= MOST_IN_TIME):
            raise WrongUsage(f"Downscaling by {self} is not possible; factors in space must lie between 1 and {MOST}, "
                             f"in time between 1 and {MOST_IN_TIME}.")

    def __str__(self) -> str:
        return f"{self.y} x {self.x} in space, {self.t} in time"


@dataclass(frozen=True)
class Options:
    """conserve: the mean over the cells that come from one equals that one, wherever it holds data; networks and
    interpolation do not keep it by themselves. seed, member: every random draw comes from them."""

    factors: Factors = field(default_factory=Factors)
    conserve: bool = False
    seed: int = 0
    member: int = 0


@dataclass(frozen=True)
class Series:
    """What all frames of a series share. step_minutes: between the frames that are handed in. ground: gives the fixed
    fields of these names on the grid, (F, ny, nx) (:mod:`engine.radar.ground`); changing: those that lie beside the
    rain at a time, each in its own unit (:mod:`engine.radar.changing_fields`). Both raise NotEnoughInput."""

    grid: Grid
    zr: ZR
    step_minutes: float
    ground: Ground | None = None
    changing: Changing | None = None


@dataclass(frozen=True)
class Frame:
    """rain_rate: (ny, nx) float32 mm/h, row 0 in the north, NaN = no data. Never written again."""

    time: datetime
    rain_rate: Field


class Refinement(Protocol):
    """A series being refined."""

    def push(self, frame: Frame) -> Iterator[Frame]:
        """The next frame, one step after the one before. Yields what is known with it, in order of time: the first
        frame gives itself (or nothing yet), each further one those between and itself. Raises Cancelled."""


class Downscaler(Protocol):
    """draws: whether members differ. Heavy imports happen inside :meth:`start`."""

    draws: bool

    def start(self, series: Series, options: Options, context: Context) -> Refinement:
        """Raises NoWeights, WrongUsage where the factors are not possible, NotEnoughInput where fields are missing."""


@dataclass(frozen=True)
class Refined:
    """A finer sequence. frames: as they are made, one for each of ``times``, on ``grid``."""

    grid: Grid
    times: tuple[datetime, ...]
    frames: Iterator[Frame]


def downscale(inputs: Inputs, downscaler: Downscaler, options: Options, context: Context,
              ground: Ground | None = None, changing: Changing | None = None) -> Refined:
    """A whole sequence at once: the finer grid and times are known before the first frame is made.

    Raises NotEnoughInput for a single frame that is to be refined in time, WrongUsage for absurd sizes, and what
    :meth:`Downscaler.start` raises.
    """
    if len(inputs.frames) < 2 and options.factors.t > 1:
        raise NotEnoughInput("One frame cannot be refined in time; two are needed.")
    grid = refined_grid(inputs.grid, options.factors)
    series = Series(inputs.grid, inputs.zr, inputs.step_minutes, ground, changing)
    refinement = downscaler.start(series, options, context)
    return Refined(grid, refined_times(inputs.times, options.factors), _all(refinement, inputs, context))


def _all(refinement: Refinement, inputs: Inputs, context: Context) -> Iterator[Frame]:
    for index, time in enumerate(inputs.times):
        context.token.check()
        context.progress(index / len(inputs.times), "downscaling")
        yield from refinement.push(Frame(time, np.asarray(inputs.frames[index], np.float32)))


def refined_grid(grid: Grid, factors: Factors) -> Grid:
    """The same extent with more cells. Raises WrongUsage where there would be absurdly many."""
    ny, nx = grid.shape[0] * factors.y, grid.shape[1] * factors.x
    if ny * nx > MOST_CELLS:
        raise WrongUsage(f"{ny} x {nx} cells are too many; choose smaller factors.")
    left, _, _, top = grid.extent
    return Grid.regular(left=left, top=top, dx=grid.dx / factors.x, dy=grid.dy / factors.y, nx=nx, ny=ny,
                        crs=grid.crs)


def finer_by(fine: Grid, coarse: Grid) -> Factors | None:
    """The factors in space by which one grid refines the other; None where it does not."""
    y, x = fine.shape[0] // coarse.shape[0], fine.shape[1] // coarse.shape[1]
    if not (1 <= y <= MOST and 1 <= x <= MOST):
        return None
    return Factors(y, x, 1) if refined_grid(coarse, Factors(y, x, 1)).same_as(fine) else None


def refined_times(times: tuple[datetime, ...], factors: Factors) -> tuple[datetime, ...]:
    """(T - 1) k_t + 1 times; those that were there stay as they are."""
    finer = [time for early, late in itertools.pairwise(times)
             for time in (early, *times_between(early, late, factors.t))]
    return (*finer, times[-1])


def times_between(earlier: datetime, later: datetime, parts: int) -> list[datetime]:
    """The ``parts - 1`` times at even distances between two."""
    step: timedelta = (later - earlier) / parts
    return [earlier + part * step for part in range(1, parts)]
