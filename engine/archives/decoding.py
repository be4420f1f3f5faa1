"""From stored numbers to physical values: one law for all formats, applied in pieces of bounded size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.radar.sequence import Field
from engine.radar.units import NO_ECHO_DBZ, Quantity

PIECE_CELLS = 1_000_000
"""Cells decoded at a time, so that a float64 field is never held whole beside its float32 copy."""

NEGATIVE_RAIN_TOLERANCE = 0.05
"""Rain rates this little below zero (mm/h) are rounding and become 0; lower ones are no data."""


@dataclass(frozen=True)
class Law:
    """value = (gain * stored + offset) * factor.

    missing: stored values that mean no data. undetect: stored values that mean "measured, nothing there".
    low, high: stored values outside are no data. unsigned: the stored integers are to be taken as unsigned.
    """

    quantity: Quantity
    gain: float = 1.0
    offset: float = 0.0
    factor: float = 1.0
    missing: tuple[float, ...] = ()
    undetect: tuple[float, ...] = ()
    low: float | None = None
    high: float | None = None
    unsigned: bool = False

    @property
    def nothing(self) -> float:
        """The number for no rain or no echo."""
        return self.quantity.nothing

    def __call__(self, stored: NDArray[np.generic]) -> Field:
        """Any shape in, the same shape out, float32; NaN = no data."""
        if self.unsigned and stored.dtype.kind == "i":
            stored = stored.view(stored.dtype.str.replace("i", "u"))
        if stored.dtype.kind in "iu" and stored.dtype.itemsize <= 2:
            return self._by_table(stored)
        return self._by_formula(stored)

    def _by_table(self, stored: NDArray[np.generic]) -> Field:
        native = stored.astype(stored.dtype.newbyteorder("="), copy=False)
        unsigned = np.dtype(f"u{native.dtype.itemsize}")
        codes = np.arange(1 << (8 * native.dtype.itemsize), dtype=np.uint32).astype(unsigned)
        return self._by_formula(codes.view(native.dtype)).take(native.view(unsigned))

    def _by_formula(self, stored: NDArray[np.generic]) -> Field:
        raw = stored.astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            values = ((raw * self.gain + self.offset) * self.factor).astype(np.float32)
            if self.quantity is Quantity.RAIN_RATE:
                values[values < -NEGATIVE_RAIN_TOLERANCE] = np.nan
                np.maximum(values, np.float32(0.0), out=values)
            else:
                values[np.isneginf(values)] = NO_ECHO_DBZ
        values[~np.isfinite(values)] = np.nan
        if self.low is not None:
            values[raw < self.low] = np.nan
        if self.high is not None:
            values[raw > self.high] = np.nan
        for code in self.missing:
            values[self._equal(raw, stored.dtype, code)] = np.nan
        for code in self.undetect:
            values[self._equal(raw, stored.dtype, code)] = self.nothing
        return values

    @staticmethod
    def _equal(raw: NDArray[np.float64], dtype: np.dtype[np.generic], code: float) -> NDArray[np.bool_]:
        """Equality in the stored precision: a float32 field holds a float64 code only rounded."""
        if np.isnan(code):
            return np.asarray(np.isnan(raw))
        with np.errstate(over="ignore"):
            return np.asarray(raw == (float(np.float32(code)) if dtype == np.float32 else code))


def decode_in_pieces(shape: tuple[int, int], piece: Callable[[slice], NDArray[np.generic]], law: Law,
                     rows_at_once: int | None = None) -> Field:
    """The whole field, ``piece(rows)`` by ``piece(rows)``. rows_at_once: the height of a stored chunk."""
    chunk = max(1, rows_at_once or 1)
    rows = max(chunk, PIECE_CELLS // max(1, shape[1]) // chunk * chunk)
    out = np.empty(shape, np.float32)
    for start in range(0, shape[0], rows):
        part = slice(start, min(start + rows, shape[0]))
        out[part] = law(piece(part))
    return out
