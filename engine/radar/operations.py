"""Sequences from sequences: crop, resample, fill gaps, aggregate in time.

Nothing is computed before a frame is asked for, and only the frames of the last sequence are cached. Averages are
averages of rain rate, also where the archive holds reflectivity: then they go through the Z-R pair of the sequence
that is read, so that a pair changed afterwards counts from the first step on.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from engine.errors import NotEnoughInput, WrongUsage
from engine.radar.grid import Grid
from engine.radar.resampling import METHODS, Method, Resampler, target_grid
from engine.radar.sequence import Field, FrameRef, Layout, RadarSequence, ReadFrame
from engine.radar.units import Quantity

FILL_RULES = ("refuse", "nearest", "linear")
LONGEST_FILL = 12
"""Gaps of more missing frames than this are never filled."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BOX_POINTS = 60


def source_frame(source: RadarSequence, index: int, layout: Layout) -> Field:
    """A frame of the sequence below, under the Z-R pair of the one above; not cached there."""
    ref = source.frames[index]
    below = source.layout if source.zr == layout.zr else replace(source.layout, zr=layout.zr)
    values = np.asarray(source.read(ref, below), np.float32)
    if values.shape != source.grid.shape:
        raise ValueError(f"{ref.path}: read {values.shape}, grid says {source.grid.shape}")
    return values


def derived(source: RadarSequence, read: ReadFrame, layout: Layout | None = None) -> RadarSequence:
    """A sequence with the same times whose frames ``read`` makes; ``ref.key`` is the number of the source frame."""
    frames = tuple(FrameRef(ref.time, ref.path, index) for index, ref in enumerate(source.frames))
    return RadarSequence(layout or source.layout, frames, read, source.skipped, source.name, source.cache_bytes,
                         source.filled, source.gives)


def _to_rain(values: Field, layout: Layout) -> Field:
    return values if layout.quantity is Quantity.RAIN_RATE else layout.zr.rain_rate(values)


def _from_rain(values: Field, layout: Layout) -> Field:
    return values if layout.quantity is Quantity.RAIN_RATE else layout.zr.dbz(values)


@dataclass(frozen=True, eq=False)
class _Cropped:
    source: RadarSequence
    rows: slice
    columns: slice

    def __call__(self, ref: FrameRef, layout: Layout) -> Field:
        return source_frame(self.source, ref.key, layout)[self.rows, self.columns]


def crop(sequence: RadarSequence, rows: slice, columns: slice) -> RadarSequence:
    """A window of the grid; slices with step 1. Raises WrongUsage if fewer than 2 x 2 cells are left."""
    if rows.step not in (None, 1) or columns.step not in (None, 1):
        raise WrongUsage("A window of the grid has no steps.")
    y, x = sequence.grid.y[rows], sequence.grid.x[columns]
    if y.size < 2 or x.size < 2:
        raise WrongUsage(f"The window leaves {y.size} x {x.size} cells; at least 2 x 2 are needed.")
    layout = replace(sequence.layout, grid=Grid(y=y, x=x, crs=sequence.grid.crs))
    return derived(sequence, _Cropped(sequence, rows, columns), layout)


def crop_lonlat(sequence: RadarSequence, west: float, south: float, east: float, north: float) -> RadarSequence:
    """The smallest window whose cells cover a box of longitudes and latitudes (degrees; ``west > east`` crosses the
    date line). Raises WrongUsage if the box lies outside, NotEnoughInput without a projection."""
    grid = sequence.grid
    if grid.projection is None:
        raise NotEnoughInput(f"{sequence.name}: the archive does not say in which projection it is.",
                             advice="Crop by rows and columns.")
    if not (-90 <= south < north <= 90 and abs(west) <= 360 and abs(east) <= 360 and west != east):
        raise WrongUsage(f"{west:g},{south:g},{east:g},{north:g} is no box of west, south, east and north.")
    lon, lat = np.meshgrid(np.linspace(west, east + 360 if east < west else east, _BOX_POINTS),
                           np.linspace(south, north, _BOX_POINTS))
    x, y = grid.from_lonlat(lon, lat)
    if grid.is_geographic:  # archives count their longitudes from -180 or from 0
        middle = (grid.extent[0] + grid.extent[1]) / 2
        x = x + np.round((middle - x) / 360) * 360
    good = np.isfinite(x) & np.isfinite(y)
    if not good.any():
        raise WrongUsage("The box lies outside of the archive's projection.")
    return crop(sequence, _window(-grid.y, -y[good].max(), -y[good].min()),
                _window(grid.x, x[good].min(), x[good].max()))


def _window(axis: np.ndarray[tuple[int], np.dtype[np.float64]], low: float, high: float) -> slice:
    """Cells of a rising axis that touch [low, high]."""
    step = (axis[-1] - axis[0]) / (axis.size - 1)
    edge = axis[0] - step / 2
    first, last = math.floor((low - edge) / step + 1e-6), math.ceil((high - edge) / step - 1e-6)
    if last <= 0 or first >= axis.size:
        raise WrongUsage("The box lies outside of the archive.")
    return slice(max(0, first), min(axis.size, last))


@dataclass(frozen=True, eq=False)
class _Resampled:
    source: RadarSequence
    resampler: Resampler

    def __call__(self, ref: FrameRef, layout: Layout) -> Field:
        values = source_frame(self.source, ref.key, layout)
        if self.resampler.method in ("max", "nearest"):  # no average: the stored values stay as they are
            return self.resampler(values)
        return _from_rain(self.resampler(_to_rain(values, layout)), layout)


def resample(sequence: RadarSequence, grid: Grid, method: Method | None = None) -> RadarSequence:
    """On another grid. method: "mean" (by area), "max", "bilinear" or "nearest"; where none is named, "mean" for
    larger pixels and "bilinear" for smaller ones. Averages are of rain rate; no data where less than half of a cell
    is covered. Between projections the mean is over points, about two a source cell along each side."""
    if grid is sequence.grid or grid.same_as(sequence.grid):
        return sequence
    if sequence.grid.crs != grid.crs and (sequence.grid.projection is None or grid.projection is None):
        raise NotEnoughInput(f"{sequence.name}: both grids need a projection.", advice="Crop instead.")
    if method is None:
        larger = max(new / old for new, old in zip(grid.pixel_km, sequence.grid.pixel_km, strict=True))
        method = "mean" if larger > 1.02 else "bilinear"
    if method not in METHODS:
        raise WrongUsage(f"There is no way to resample called '{method}'. Known: {', '.join(METHODS)}.")
    layout = replace(sequence.layout, grid=grid)
    return derived(sequence, _Resampled(sequence, Resampler(sequence.grid, grid, method)), layout)


def resample_to(sequence: RadarSequence, pixel_km: float | None = None, crs: str | None = None,
                method: Method | None = None) -> RadarSequence:
    """The same area in square pixels of ``pixel_km`` and, or, in another projection ("EPSG:3035", a PROJ string)."""
    return resample(sequence, target_grid(sequence.grid, pixel_km, crs), method)


@dataclass(frozen=True, eq=False)
class _Filled:
    """ref.key: (frame before, frame after, weight of the one after); the same frame twice where it was observed."""

    source: RadarSequence

    def __call__(self, ref: FrameRef, layout: Layout) -> Field:
        before, after, weight = ref.key
        if before == after:
            return source_frame(self.source, before, layout)
        earlier = _to_rain(source_frame(self.source, before, layout), layout)
        later = _to_rain(source_frame(self.source, after, layout), layout)
        return _from_rain(earlier * np.float32(1 - weight) + later * np.float32(weight), layout)


def fill_gaps(sequence: RadarSequence, rule: str = "refuse", longest: int = LONGEST_FILL) -> RadarSequence:
    """Frames in the place of missing ones, marked in ``filled``; gaps of more than ``longest`` frames stay gaps.

    rule: "refuse" raises NotEnoughInput that names the first gap; "nearest" repeats the frame nearest in time (the
    earlier of two); "linear" goes evenly from the rain rate before to the one after, no data where either has none.
    """
    if rule not in FILL_RULES:
        raise WrongUsage(f"There is no rule '{rule}' for gaps. Known: {', '.join(FILL_RULES)}.")
    if not sequence.gaps:
        return sequence
    if rule == "refuse":
        gap = sequence.gaps[0]
        raise NotEnoughInput(f"{sequence.name}: {sum(g.missing for g in sequence.gaps)} frame(s) are missing, first "
                             f"after {gap.after:%Y-%m-%d %H:%M} UTC.",
                             advice="Choose a rule by which gaps are filled: nearest or linear.")
    frames: list[FrameRef] = []
    filled: set[int] = set()
    missing = {gap.after: gap.missing for gap in sequence.gaps if gap.missing <= longest}
    for index, ref in enumerate(sequence.frames):
        if index in sequence.filled:
            filled.add(len(frames))
        frames.append(FrameRef(ref.time, ref.path, (index, index, 0.0)))
        count = missing.get(ref.time, 0)
        for k in range(1, count + 1):
            part = k / (count + 1)
            filled.add(len(frames))
            time = ref.time + (sequence.frames[index + 1].time - ref.time) * part
            nearest = index if part <= 0.5 else index + 1
            key = (index, index + 1, part) if rule == "linear" else (nearest, nearest, 0.0)
            frames.append(FrameRef(time, ref.path, key))
    return RadarSequence(sequence.layout, tuple(frames), _Filled(sequence), sequence.skipped, sequence.name,
                         sequence.cache_bytes, frozenset(filled), sequence.gives)


@dataclass(frozen=True, eq=False)
class _Averaged:
    source: RadarSequence

    def __call__(self, ref: FrameRef, layout: Layout) -> Field:
        total = np.zeros(self.source.grid.shape, np.float64)
        count = np.zeros(self.source.grid.shape, np.uint16)
        for index in ref.key:
            rain = _to_rain(source_frame(self.source, index, layout), replace(self.source.layout, zr=layout.zr))
            valid = ~np.isnan(rain)
            total[valid] += rain[valid]
            count += valid
        enough = (count > 0) & (2 * count >= len(ref.key))
        return np.where(enough, total / np.maximum(count, 1), np.nan).astype(np.float32)


def aggregate(sequence: RadarSequence, step: timedelta) -> RadarSequence:
    """Mean rain rate (mm/h) over whole steps since midnight UTC; each is named by its end and made of the frames
    after its beginning and up to its end.

    A step in which frames are missing is left out, so that it shows as a gap. A cell is no data where it is in more
    than half of the frames. The step must be a multiple of the archive's, else WrongUsage. The amount in mm is
    the mean times the hours of the step: :func:`accumulation`.
    """
    own = sequence.step
    if own is None:
        raise NotEnoughInput(f"{sequence.name}: one frame only; nothing can be aggregated.")
    each = round(step / own)
    if each < 1 or abs(step - each * own) > own * 0.01 * each:
        raise WrongUsage(f"A step of {step.total_seconds() / 60:g} min is no multiple of the archive's "
                         f"{own.total_seconds() / 60:g} min.")
    if each == 1:
        return sequence
    frames: list[FrameRef] = []
    filled: set[int] = set()
    numbered = itertools.groupby(range(len(sequence)), key=lambda i: _end_of(sequence.frames[i].time, step, own))
    for end, indices in ((end, tuple(group)) for end, group in numbered):
        if len(indices) == each:
            if not sequence.filled.isdisjoint(indices):
                filled.add(len(frames))
            frames.append(FrameRef(end, sequence.frames[indices[-1]].path, indices))
    if not frames:
        raise NotEnoughInput(f"{sequence.name}: no step of {step.total_seconds() / 60:g} min has all its frames.")
    layout = replace(sequence.layout, quantity=Quantity.RAIN_RATE, unit=Quantity.RAIN_RATE.unit)
    return RadarSequence(layout, tuple(frames), _Averaged(sequence), sequence.skipped, sequence.name,
                         sequence.cache_bytes, frozenset(filled), sequence.gives)


def _end_of(time: datetime, step: timedelta, own: timedelta) -> datetime:
    """The end of the step a frame belongs to; frames a little late still belong to the step they close."""
    late = own * 0.1
    return _EPOCH + -(-(time - late - _EPOCH) // step) * step


def accumulation(sequence: RadarSequence, indices: Iterable[int]) -> Field:
    """Amount in mm of the given frames, each taken to last one step. (ny, nx), NaN where any lacks data."""
    if sequence.step is None:
        raise NotEnoughInput(f"{sequence.name}: one frame only; its duration is not known.")
    hours = sequence.step.total_seconds() / 3600
    total = np.zeros(sequence.grid.shape, np.float64)
    for index in indices:
        total += sequence.rain_rate(index)
    return (total * hours).astype(np.float32)
