"""The only place where physical values become pixels: 8-bit rain-rate bins and the papers' pixel law.

Bins serve the screen (a palette index) and the scores (a joint histogram of two binned frames answers
every threshold at once). A frame in bins is uint8: 0 is below the first edge, k means
``edges[k-1] <= value < edges[k]``, :data:`NO_DATA` is no data. A threshold that is an edge is exact.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.radar.units import ZR

NO_DATA = 255
"""The bin index reserved for "no data"."""

RAIN_CLASSES = (0.5, 2.0, 5.0, 10.0, 30.0)
"""Class limits and score thresholds in mm/h (benchmark paper, Table 2)."""

_EDGE_COUNT = 254
_BLOCK = 1 << 16
"""Pixels whose keys stay in the processor's cache."""
_ROUND_EDGES = (0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.75, 0.8, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0,
                6.0, 7.0, 7.5, 8.0, 10.0, 12.0, 12.5, 15.0, 16.0, 20.0, 25.0, 30.0, 32.0, 35.0, 40.0, 50.0,
                60.0, 64.0, 70.0, 75.0, 80.0, 100.0, 120.0, 125.0, 150.0, 200.0, 250.0, 300.0)


class RainBins:
    """254 edges in mm/h, about 3.5 % apart, round numbers and the wished thresholds among them.

    Binning takes the upper 16 bits of each float32 as a key into two tables: the bin below, and the one
    edge that the key's interval may hold. That is exact and several times faster than a search.
    """

    def __init__(self, thresholds: tuple[float, ...] = RAIN_CLASSES) -> None:
        self.edges = _edges(thresholds)
        self._base, self._split = _tables(self.edges)

    def __call__(self, rain_rate: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Bins of a field in mm/h: any shape in, the same shape out; NaN and infinities become NO_DATA."""
        values = np.ascontiguousarray(rain_rate, np.float32)
        flat, bins = values.reshape(-1), np.empty(values.size, np.uint8)
        for start in range(0, flat.size, _BLOCK):
            part = slice(start, start + _BLOCK)
            keys = flat[part].view(np.uint32) >> np.uint32(16)
            np.add(self._base.take(keys), flat[part] >= self._split.take(keys), out=bins[part])
        return bins.reshape(values.shape)

    def position(self, threshold: float) -> int | None:
        """The smallest bin whose values are all >= threshold, or None if the threshold is no edge."""
        place = int(np.searchsorted(self.edges, np.float32(threshold)))
        exact = place < self.edges.size and self.edges[place] == np.float32(threshold)
        return place + 1 if exact else None

    def values(self) -> NDArray[np.float32]:
        """A representative rain rate for each of the 256 indices (lower edge; 0 below; NaN for NO_DATA)."""
        table = np.full(256, np.nan, np.float32)
        table[0] = 0.0
        table[1:_EDGE_COUNT + 1] = self.edges
        return table


@lru_cache(maxsize=16)
def rain_bins(thresholds: tuple[float, ...] = RAIN_CLASSES) -> RainBins:
    """The bins for these thresholds, made once; the default ones unless a threshold needs its own edge."""
    default = RainBins() if thresholds == RAIN_CLASSES else rain_bins()
    if all(default.position(t) is not None for t in thresholds):
        return default
    return RainBins(thresholds)


def _edges(thresholds: tuple[float, ...]) -> NDArray[np.float32]:
    wished = sorted({float(np.float32(t)) for t in thresholds})
    if any(not (0 < t < 1e4) for t in wished) or len(wished) > _EDGE_COUNT:
        raise ValueError(f"thresholds must lie between 0 and 10000 mm/h: {thresholds}")
    fixed = np.array(wished, np.float64)
    for edge in _ROUND_EDGES:  # a round edge yields to a threshold that is nearly the same
        if fixed.size == 0 or (fixed.size < _EDGE_COUNT and np.abs(np.log(fixed / edge)).min() > 0.02):
            fixed = np.append(fixed, edge)
    fixed = np.sort(fixed)
    while fixed.size < _EDGE_COUNT:  # fill the widest (logarithmic) gaps
        gaps = np.diff(np.log(fixed))
        pieces = np.maximum(1, np.round(gaps / gaps.sum() * (_EDGE_COUNT - 1))).astype(int)
        pieces = _trim(pieces, gaps, _EDGE_COUNT - 1)
        parts = [np.exp(np.linspace(np.log(lo), np.log(hi), n, endpoint=False))
                 for lo, hi, n in zip(fixed[:-1], fixed[1:], pieces, strict=True)]
        exact = fixed
        fixed = np.append(np.concatenate(parts), fixed[-1])
        fixed[np.searchsorted(fixed, exact * (1 - 1e-9))] = exact
    return fixed.astype(np.float32)


def _trim(pieces: NDArray[np.int_], gaps: NDArray[np.float64], total: int) -> NDArray[np.int_]:
    pieces = pieces.copy()
    while pieces.sum() != total:
        if pieces.sum() < total:
            pieces[np.argmax(gaps / pieces)] += 1
        else:
            widths = np.where(pieces > 1, gaps / pieces, np.inf)
            pieces[np.argmin(widths)] -= 1
    return pieces


def _tables(edges: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    keys = np.arange(1 << 16, dtype=np.uint32)
    low = (keys << np.uint32(16)).view(np.float32)
    high = ((keys << np.uint32(16)) | np.uint32(0xFFFF)).view(np.float32)
    with np.errstate(invalid="ignore"):
        base = np.searchsorted(edges, low, side="right")
        top = np.searchsorted(edges, high, side="right")
    negative = keys >= 0x8000
    base[negative] = top[negative] = 0
    if (top - base > 1).any():
        raise ValueError("two thresholds closer than 0.8 % cannot share the 8-bit bins")
    split = np.full(1 << 16, np.inf, np.float32)
    inside = np.flatnonzero(top > base)
    split[inside] = edges[base[inside]]
    table = base.astype(np.uint8)
    table[~np.isfinite(low)] = NO_DATA
    table[keys == 0x7F80] = NO_DATA
    split[~np.isfinite(low)] = np.nan
    return table, split


PIXEL_DBZ_MIN, PIXEL_DBZ_RANGE = -10.0, 70.0


def pixel_of_dbz(dbz: NDArray[np.floating]) -> NDArray[np.float32]:
    """Unclipped HKO-7 pixel/255: (dBZ + 10) / 70 (the sign that the benchmark paper misprints)."""
    return ((np.asarray(dbz, np.float32) - np.float32(PIXEL_DBZ_MIN)) / np.float32(PIXEL_DBZ_RANGE))


def unit_pixel(rain_rate: NDArray[np.floating], zr: ZR) -> NDArray[np.float32]:
    """Rain rate in mm/h to HKO-7 pixel/255 in [0, 1]; NaN stays NaN."""
    return np.clip(pixel_of_dbz(zr.dbz(rain_rate)), 0.0, 1.0)


def unit_dbz(rain_rate: NDArray[np.floating], zr: ZR, least: float, most: float) -> NDArray[np.float32]:
    """Rain rate in mm/h to (dBZ - least) / (most - least) in [0, 1]; NaN stays NaN."""
    unit = (zr.dbz(rain_rate) - np.float32(least)) / np.float32(most - least)
    return np.asarray(np.clip(unit, 0.0, 1.0), np.float32)


def rain_rate_of_unit_dbz(unit: NDArray[np.floating], zr: ZR, least: float, most: float) -> NDArray[np.float32]:
    """The way back; 0 or less is no rain."""
    unit = np.asarray(unit, np.float32)
    rate = zr.rain_rate(unit * np.float32(most - least) + np.float32(least))
    return np.where(unit <= 0, np.float32(0.0), rate).astype(np.float32)


def rain_rate_of_pixel(pixel: NDArray[np.floating], zr: ZR) -> NDArray[np.float32]:
    """HKO-7 pixel/255 in [0, 1] back to mm/h; a pixel of 0 is no rain."""
    pixel = np.asarray(pixel, np.float32)
    rate = zr.rain_rate(pixel * np.float32(PIXEL_DBZ_RANGE) + np.float32(PIXEL_DBZ_MIN))
    return np.where(pixel <= 0, np.float32(0.0), rate).astype(np.float32)


def code_of_dbz(dbz: NDArray[np.floating], bits: int) -> NDArray[np.unsignedinteger]:
    """Whole numbers of 8 or 16 bits for training packs, even steps of the pixel law over -10 to 60 dBZ.

    0 is no echo or anything up to -10 dBZ, the highest code but one is 60 dBZ or more, the highest is no data.
    Between the limits the way back is at most :func:`code_error_dbz` away.
    """
    kind, top = (np.uint8, 254) if bits == 8 else (np.uint16, 65534)
    part = np.clip((np.asarray(dbz, np.float64) - PIXEL_DBZ_MIN) / PIXEL_DBZ_RANGE, 0.0, 1.0) * top
    return np.where(np.isnan(part), top + 1, np.rint(np.nan_to_num(part))).astype(kind)


def unit_pixel_of_code(codes: NDArray[np.unsignedinteger]) -> NDArray[np.float32]:
    """Codes of :func:`code_of_dbz` to pixel/255 in [0, 1]; NaN = no data."""
    top = 254 if codes.dtype == np.uint8 else 65534
    table = (np.arange(top + 2) / top).astype(np.float32)
    table[-1] = np.nan
    return table.take(codes)


def code_error_dbz(bits: int) -> float:
    """Half a step of the codes, in dB: 0.138 for 8 bits, 0.00053 for 16."""
    return PIXEL_DBZ_RANGE / (254 if bits == 8 else 65534) / 2
