"""Large frames kept small without loss: most of a radar frame is no data or no rain, the rest is kept as it is.

A frame of 3,500 x 7,000 cells takes 98 MB as an array and some 15 MB packed. Small frames stay arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

LARGE_CELLS = 3_000_000
"""Frames with fewer cells are kept as arrays: unpacking would cost more than they weigh."""

_STRIP_CELLS = 1 << 20


@dataclass(frozen=True, eq=False)
class PackedField:
    """A read-only float32 frame. ``field[row, column]`` is exact, :meth:`unpack` gives an array.

    missing, present: (ny, ceil(nx / 8)) uint8, one bit a cell: NaN; a value other than the background.
    values: (N,) float32, those values in the order of rows. starts: (ny + 1,) place of each row's first value.
    """

    shape: tuple[int, int]
    background: np.float32
    missing: NDArray[np.uint8]
    present: NDArray[np.uint8]
    values: NDArray[np.float32]
    starts: NDArray[np.int64]

    ndim = 2

    @property
    def nbytes(self) -> int:
        return self.missing.nbytes + self.present.nbytes + self.values.nbytes + self.starts.nbytes

    def __getitem__(self, cell: tuple[int, int]) -> np.float32:
        row, column = range(self.shape[0])[cell[0]], range(self.shape[1])[cell[1]]
        byte, bit = divmod(column, 8)
        mask = 0x80 >> bit
        if self.missing[row, byte] & mask:
            return np.float32(np.nan)
        if not self.present[row, byte] & mask:
            return self.background
        before = int(np.bitwise_count(self.present[row, :byte]).sum())
        before += (int(self.present[row, byte]) >> (8 - bit)).bit_count()
        return np.float32(self.values[self.starts[row] + before])

    def unpack(self, rows: slice = slice(None)) -> NDArray[np.float32]:
        """(rows, nx) float32, NaN = no data."""
        top, bottom, _ = rows.indices(self.shape[0])
        out = np.full((max(0, bottom - top), self.shape[1]), self.background, np.float32)
        for part in _strips(out.shape):
            here = slice(top + part.start, top + part.stop)
            piece = out[part]
            piece[self._bits(self.missing[here])] = np.nan
            piece[self._bits(self.present[here])] = self.values[self.starts[here.start]:self.starts[here.stop]]
        return out

    def strips(self) -> Iterator[slice]:
        """Row ranges of about a million cells, one after another."""
        return _strips(self.shape)

    def mapped(self, law: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> PackedField:
        """The frame of what ``law`` makes of each cell by itself; no data stays no data."""
        background = law(np.array([self.background], np.float32))[0]
        return replace(self, background=np.float32(background), values=law(self.values))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[np.generic]:
        if copy is False:
            raise ValueError("a packed frame cannot become an array without a copy")
        return self.unpack().astype(np.float32 if dtype is None else dtype, copy=False)

    def _bits(self, packed: NDArray[np.uint8]) -> NDArray[np.bool_]:
        return np.unpackbits(packed, axis=1, count=self.shape[1]).view(np.bool_)


AnyField = NDArray[np.float32] | PackedField
"""A frame as an array or packed."""


@dataclass(frozen=True, eq=False)
class PackedStack:
    """Frames of one shape, unpacked one at a time: ``stack[-1]`` is an array, ``stack[-3:]`` a shorter stack.

    For code that reads frames one after another and would rather not hold all of them as arrays.
    """

    frames: tuple[AnyField, ...]

    ndim = 3

    @property
    def shape(self) -> tuple[int, int, int]:
        rows, columns = self.frames[0].shape
        return len(self.frames), rows, columns

    def __len__(self) -> int:
        return len(self.frames)

    @overload
    def __getitem__(self, place: int) -> NDArray[np.float32]: ...

    @overload
    def __getitem__(self, place: slice | list[int]) -> PackedStack: ...

    def __getitem__(self, place: int | slice | list[int]) -> NDArray[np.float32] | PackedStack:
        if isinstance(place, slice):
            return PackedStack(self.frames[place])
        if isinstance(place, list):
            return PackedStack(tuple(self.frames[number] for number in place))
        return unpacked(self.frames[place])

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return (unpacked(frame) for frame in self.frames)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[np.generic]:
        if copy is False:
            raise ValueError("packed frames cannot become an array without a copy")
        stack = np.empty(self.shape, np.float32 if dtype is None else dtype)
        for place, frame in enumerate(self):
            stack[place] = frame
        return stack


def packed(field: AnyField, background: float = 0.0) -> AnyField:
    """The frame packed if it is large, else as it is. background: its most frequent number (no rain, no echo)."""
    if isinstance(field, PackedField) or field.ndim != 2 or field.size < LARGE_CELLS:
        return field
    return pack(field, background)


def unpacked(field: AnyField) -> NDArray[np.float32]:
    """The frame as an array; made anew where it was packed."""
    if not isinstance(field, PackedField):
        return field
    values = field.unpack()
    values.flags.writeable = False
    return values


def rows_of(field: AnyField, rows: slice) -> NDArray[np.float32]:
    """(rows, nx) of a frame, without unpacking the rest of it."""
    return field.unpack(rows) if isinstance(field, PackedField) else field[rows]


def pack(field: NDArray[np.float32], background: float = 0.0) -> PackedField:
    """field: (ny, nx) float32."""
    ny, nx = field.shape
    bits = np.empty((2, ny, -(-nx // 8)), np.uint8)
    counts, pieces = np.zeros(ny + 1, np.int64), []
    level = np.float32(background)
    for part in _strips((ny, nx)):
        piece = field[part]
        missing = np.isnan(piece)
        present = (piece != level) & ~missing
        bits[0, part], bits[1, part] = np.packbits(missing, axis=1), np.packbits(present, axis=1)
        counts[part.start + 1:part.stop + 1] = np.count_nonzero(present, axis=1)
        pieces.append(piece[present])
    return PackedField((ny, nx), level, bits[0], bits[1], np.concatenate(pieces), np.cumsum(counts))


def _strips(shape: tuple[int, int]) -> Iterator[slice]:
    """Rows that stay in the processor's cache while they are worked on."""
    high = max(1, _STRIP_CELLS // shape[1])
    return (slice(top, min(top + high, shape[0])) for top in range(0, shape[0], high))
