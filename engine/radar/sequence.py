"""A lazy sequence of radar frames: times, grid, quantity and Z-R pair at hand, frames decoded on demand."""

from __future__ import annotations

import bisect
import itertools
import math
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, cast, overload
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from engine.errors import NotEnoughInput
from engine.radar.grid import Grid
from engine.radar.packed import LARGE_CELLS, AnyField, PackedField, PackedStack, packed, unpacked
from engine.radar.units import MARSHALL_PALMER, ZR, Quantity

Field = NDArray[np.float32]
"""One frame, (ny, nx) float32, row 0 in the north, NaN = no data."""

CACHE_BYTES = 192 * 1024**2
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
LARGE_CACHE_BYTES = 96 * 1024**2
"""Of large frames, which come packed: pictures hold them too, and whoever holds one serves as a cache."""


@dataclass(frozen=True)
class Layout:
    """What all frames of an archive share. ``unit`` is the file's own unit (for show); values that reach the
    rest of the program are always in ``quantity.unit``."""

    format: str
    variable: str
    quantity: Quantity
    unit: str
    grid: Grid
    zr: ZR = MARSHALL_PALMER
    zr_source: str = "assumed: Marshall-Palmer"
    source: str = ""
    synthetic: bool = False

    def agrees_with(self, other: Layout) -> str | None:
        """None, or why a frame with the other layout cannot stand in the same sequence."""
        if self.grid.shape != other.grid.shape:
            return f"its grid is {other.grid.shape}, the archive's is {self.grid.shape}"
        if not self.grid.same_as(other.grid):
            return "its grid lies elsewhere than the archive's"
        if (self.quantity, self.variable) != (other.quantity, other.variable):
            return f"it holds {other.variable} ({other.quantity.unit}), the archive {self.variable}"
        return None


@dataclass(frozen=True)
class FrameRef:
    """Where one frame is: its valid time (UTC), its file, and what the reader needs to find it inside."""

    time: datetime
    path: Path
    key: Any = None


class LazyFrames(Sequence[FrameRef]):
    """Frames in order of time that are made when they are asked for, because a hundred thousand take their time.

    moments: (n,) int64, microseconds since 1970. sources: where frames come from, each with its own numbering;
    source, place: (n,) int, which of the sources and where in it.
    """

    def __init__(self, moments: NDArray[np.int64], sources: Sequence[Sequence[FrameRef]], source: NDArray[np.int64],
                 place: NDArray[np.int64]) -> None:
        self.moments, self.sources, self.source, self.place = moments, sources, source, place

    def __len__(self) -> int:
        return len(self.moments)

    @overload
    def __getitem__(self, index: int) -> FrameRef: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[FrameRef]: ...

    def __getitem__(self, index: int | slice) -> FrameRef | Sequence[FrameRef]:
        if isinstance(index, slice):
            return LazyFrames(self.moments[index], self.sources, self.source[index], self.place[index])
        return self.sources[int(self.source[index])][int(self.place[index])]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LazyFrames | tuple):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def times(self) -> tuple[datetime, ...]:
        """UTC."""
        return tuple(EPOCH + timedelta(0, 0, moment) for moment in self.moments.tolist())


@dataclass(frozen=True)
class Skipped:
    """A file that was passed over and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Gap:
    """A run of missing frames between two that exist."""

    after: datetime
    before: datetime
    missing: int


ReadFrame = Callable[[FrameRef, Layout], AnyField]
"""One frame in native values; large ones may come packed."""


@dataclass(eq=False)
class RadarSequence:
    """Frames of one archive in order of time.

    ``read`` decodes one frame in native values; it is called on demand and its results are kept in a cache of
    at most ``cache_bytes``, large frames packed. Arrays handed out are read-only, those of small frames shared.
    Safe to use from several threads.
    filled: numbers of frames that were not observed but made from their neighbours, to be marked wherever shown.
    gives: names of the fields that lie beside the frames (:mod:`engine.archives.beside`).
    """

    layout: Layout
    frames: Sequence[FrameRef]
    read: ReadFrame
    skipped: tuple[Skipped, ...] = ()
    name: str = ""
    cache_bytes: int = CACHE_BYTES
    filled: frozenset[int] = frozenset()
    gives: tuple[str, ...] = ()
    _cache: OrderedDict[int, AnyField] = field(default_factory=OrderedDict, repr=False)
    _held: WeakValueDictionary[int, PackedField] = field(default_factory=WeakValueDictionary, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def __post_init__(self) -> None:
        if not len(self.frames):
            raise ValueError("a sequence needs at least one frame")
        if isinstance(self.frames, LazyFrames):
            rises = bool((np.diff(self.frames.moments) > 0).all())
        else:
            rises = all(a.time < b.time for a, b in itertools.pairwise(self.frames))
        if not rises:
            raise ValueError("frames must rise in time without repeats")

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def grid(self) -> Grid:
        return self.layout.grid

    @property
    def zr(self) -> ZR:
        return self.layout.zr

    @cached_property
    def times(self) -> tuple[datetime, ...]:
        if isinstance(self.frames, LazyFrames):
            return self.frames.times()
        return tuple(frame.time for frame in self.frames)

    @cached_property
    def step(self) -> timedelta | None:
        """The most common time between neighbours (the shortest of equals); None for a single frame.

        Times a tenth of a step apart count together, so that radars that are seconds late have a step too.
        """
        counts = Counter(b - a for a, b in itertools.pairwise(self.times))
        if not counts:
            return None
        gaps = sorted(counts)
        total = list(itertools.accumulate((counts[gap] for gap in gaps), initial=0))

        def company(gap: timedelta) -> int:
            return total[bisect.bisect_right(gaps, gap * 1.1)] - total[bisect.bisect_left(gaps, gap * 0.9)]

        return min(gaps, key=lambda gap: (-company(gap), -counts[gap], gap))

    @property
    def step_minutes(self) -> float | None:
        return None if self.step is None else self.step.total_seconds() / 60.0

    @cached_property
    def gaps(self) -> tuple[Gap, ...]:
        """Places where neighbours lie further apart than 1.5 steps."""
        step, times = self.step, self.times
        if step is None:
            return ()
        return tuple(Gap(a, b, round((b - a) / step) - 1)
                     for a, b in itertools.pairwise(times) if (b - a) > step * 1.5)

    def native(self, index: int) -> Field:
        """Frame ``index`` in the archive's quantity (mm/h or dBZ).

        Raises UnreadableInput if the file has become unreadable since it was scanned.
        """
        return unpacked(self.packed_native(index))

    def packed_native(self, index: int) -> AnyField:
        """The same as it is best kept: large frames packed, and never an array if they come packed from the reader."""
        index = range(len(self))[index]
        kept = self._kept(index)
        if kept is not None:
            return kept
        kept = self._read(index)
        with self._lock:
            self._cache[index] = kept
            if isinstance(kept, PackedField):
                self._held[index] = kept
            most = self.cache_bytes if isinstance(kept, np.ndarray) else min(self.cache_bytes, LARGE_CACHE_BYTES)
            while len(self._cache) > 1 and sum(v.nbytes for v in self._cache.values()) > most:
                self._cache.popitem(last=False)
        return kept

    def _read(self, index: int) -> AnyField:
        values = self.read(self.frames[index], self.layout)
        if isinstance(values, np.ndarray):
            values = np.ascontiguousarray(values, np.float32)
            values.flags.writeable = False
        if values.shape != self.grid.shape:
            raise ValueError(f"{self.frames[index].path}: read {values.shape}, grid says {self.grid.shape}")
        return packed(values, self.layout.quantity.nothing)

    def _kept(self, index: int) -> AnyField | None:
        """From the cache, or from whoever else still holds the packed frame (a picture, say)."""
        with self._lock:
            held = self._held.get(index)
            if held is not None and index not in self._cache:
                return held
            if index in self._cache:
                self._cache.move_to_end(index)
            return self._cache.get(index)

    def packed_rain_rate(self, index: int) -> AnyField:
        """Frame ``index`` in mm/h as it is best kept: large frames packed, see :meth:`packed_native`."""
        kept = self.packed_native(index)
        if self.layout.quantity is Quantity.RAIN_RATE:
            return kept
        return self.zr.rain_rate(kept) if isinstance(kept, np.ndarray) else kept.mapped(self.zr.rain_rate)

    def rain_rate(self, index: int) -> Field:
        """Frame ``index`` in mm/h, through the sequence's Z-R pair where the archive holds reflectivity."""
        values = self.native(index)
        return values if self.layout.quantity is Quantity.RAIN_RATE else self.zr.rain_rate(values)

    def rain_rate_at(self, time: datetime) -> Field | None:
        """What was observed at that time in mm/h, None where nothing was, also where a gap was filled."""
        found = self._observed_at(time)
        return None if found is None else self.rain_rate(found)

    def packed_rain_rate_at(self, time: datetime) -> AnyField | None:
        """The same as it is best kept, see :meth:`packed_rain_rate`."""
        found = self._observed_at(time)
        return None if found is None else self.packed_rain_rate(found)

    def _observed_at(self, time: datetime) -> int | None:
        found = self.index_exactly_at(time)
        return None if found in self.filled else found

    def index_at(self, time: datetime) -> int | None:
        """The frame nearest to a time, less than half a step away (a second where there is no step); or None."""
        tolerance = (self.step or timedelta(seconds=2)) / 2
        after = bisect.bisect_left(self.times, time)
        nearest = min((i for i in (after - 1, after) if 0 <= i < len(self)),
                      key=lambda i: abs(self.times[i] - time))
        return nearest if abs(self.times[nearest] - time) < tolerance else None

    def inputs_ending_at(self, index: int, count: int) -> tuple[int, ...]:
        """Indices of ``count`` frames, one step apart, of which ``index`` is the last.

        Raises NotEnoughInput that says which time is missing.
        """
        if count < 1 or not 0 <= index < len(self):
            raise NotEnoughInput(f"{self.name}: frame {index} does not exist; there are {len(self)} frames.")
        step, end = self.step, self.times[index]
        if count > 1 and step is None:
            raise NotEnoughInput(f"{self.name}: one frame only; {count} are needed for this forecast.")
        wanted: list[int] = []
        for back in range(count - 1, -1, -1):
            time = end - back * step if step is not None else end
            found = self.index_exactly_at(time)
            if found is None:
                raise NotEnoughInput(self._why_missing(time, index, count))
            wanted.append(found)
        return tuple(wanted)

    def index_exactly_at(self, time: datetime) -> int | None:
        """The frame of that time, give or take a fifth of a step (seconds where there is no step); or None."""
        tolerance = (self.step or timedelta(minutes=1)) * 0.2
        found = self.index_at(time)
        return found if found is not None and abs(self.times[found] - time) <= tolerance else None

    def _why_missing(self, time: datetime, index: int, count: int) -> str:
        end = self.times[index]
        if time < self.times[0]:
            return (f"{self.name}: {count} frames up to {end:%Y-%m-%d %H:%M} UTC are needed, "
                    f"but the archive begins at {self.times[0]:%Y-%m-%d %H:%M} UTC.")
        return (f"{self.name}: the frame at {time:%Y-%m-%d %H:%M} UTC is missing (a gap in the "
                f"{count} input frames up to {end:%H:%M} UTC).")

    def possible_references(self, count: int) -> tuple[int, ...]:
        """Indices that have ``count`` gapless input frames behind them, themselves included."""
        result = []
        for index in range(len(self)):
            try:
                self.inputs_ending_at(index, count)
            except NotEnoughInput:
                continue
            result.append(index)
        return tuple(result)

    def with_zr(self, zr: ZR) -> RadarSequence:
        """The same frames under another Z-R pair."""
        layout = replace(self.layout, zr=zr, zr_source="chosen by the user")
        return RadarSequence(layout, self.frames, self.read, self.skipped, self.name, self.cache_bytes, self.filled,
                             self.gives)

    def with_mask(self, mask: NDArray[np.bool_] | None, clutter_filter: bool = True) -> RadarSequence:
        """The same frames with the cells of ``mask``, (ny, nx), as no data and weak echo as none; see
        :func:`engine.radar.denoise.masked`. The sequence it was called on is how to switch it off."""
        from engine.radar.denoise import masked

        return masked(self, mask, clutter_filter)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        state["_cache"], state["_lock"], state["_held"] = OrderedDict(), None, None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock, self._held = threading.RLock(), WeakValueDictionary()


def stack_packed(sequence: RadarSequence, indices: Sequence[int]) -> NDArray[np.float32]:
    """The same for code that needs no more than a PackedStack can do: large frames stay packed in it."""
    if math.prod(sequence.grid.shape) < LARGE_CELLS:
        return stack_rain_rate(sequence, indices)
    frames = tuple(sequence.packed_rain_rate(i) for i in indices)
    return cast(NDArray[np.float32], PackedStack(frames))


def stack_rain_rate(sequence: RadarSequence, indices: Sequence[int]) -> NDArray[np.float32]:
    """(T, ny, nx) mm/h of the given frames."""
    stack = np.empty((len(indices), *sequence.grid.shape), np.float32)
    for place, index in enumerate(indices):
        stack[place] = sequence.rain_rate(index)
    return stack
