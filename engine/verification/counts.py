"""What the comparison of frames leaves behind: a joint histogram that answers every threshold, and error sums.

An event is value >= threshold. A pixel counts where the observation and the prediction both hold a number and
the mask, if there is one, is True.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.radar.scaling import NO_DATA, RAIN_CLASSES, RainBins, rain_bins, unit_pixel
from engine.radar.units import ZR

BALANCED_WEIGHTS = (1.0, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Weights of the six classes that RAIN_CLASSES cuts, by the observed rain rate (benchmark paper, eq. 4)."""

_BLOCK = 1 << 20
_INDICES = 256

Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Contingency:
    """The 2 x 2 table for each threshold: tp (hits), fn (misses), fp (false alarms), tn; each (K,) int64."""

    thresholds: tuple[float, ...]
    tp: Counts
    fn: Counts
    fp: Counts
    tn: Counts

    def __add__(self, other: Contingency) -> Contingency:
        if self.thresholds != other.thresholds:
            raise ValueError(f"tables of different thresholds: {self.thresholds} and {other.thresholds}")
        return Contingency(self.thresholds, self.tp + other.tp, self.fn + other.fn, self.fp + other.fp,
                           self.tn + other.tn)


@dataclass(frozen=True)
class ErrorSums:
    """Sums over valid pixels, float64; NaN where only events were counted.

    squared, absolute, balanced_squared, balanced_absolute: of the error in pixel/255 units of the HKO-7 law,
    the balanced ones weighted by the class of the observation; squared_mm_h, absolute_mm_h: in (mm/h)^2, mm/h.
    """

    squared: float = 0.0
    absolute: float = 0.0
    balanced_squared: float = 0.0
    balanced_absolute: float = 0.0
    squared_mm_h: float = 0.0
    absolute_mm_h: float = 0.0

    def __add__(self, other: ErrorSums) -> ErrorSums:
        return ErrorSums(self.squared + other.squared, self.absolute + other.absolute,
                         self.balanced_squared + other.balanced_squared,
                         self.balanced_absolute + other.balanced_absolute,
                         self.squared_mm_h + other.squared_mm_h, self.absolute_mm_h + other.absolute_mm_h)


NO_SUMS = ErrorSums(*[float("nan")] * 6)


@dataclass(frozen=True, eq=False)
class Tally:
    """One or more compared frames.

    joint: (256, 256) int64, pixels by [observed bin, predicted bin]; row and column NO_DATA stay empty.
    edges: (254,) float32 mm/h, the edges of those bins; tallies of other edges cannot be added.
    frames: compared frames that had a valid pixel. pixels: valid pixels of all of them.
    """

    joint: Counts
    edges: NDArray[np.float32]
    frames: int = 0
    pixels: int = 0
    sums: ErrorSums = field(default_factory=ErrorSums)

    @classmethod
    def empty(cls, bins: RainBins | None = None) -> Tally:
        """The neutral element of addition."""
        edges = (bins or rain_bins()).edges
        return cls(np.zeros((_INDICES, _INDICES), np.int64), edges)

    def __add__(self, other: Tally) -> Tally:
        if not np.array_equal(self.edges, other.edges):
            raise ValueError("tallies of different bins cannot be added")
        return Tally(self.joint + other.joint, self.edges, self.frames + other.frames,
                     self.pixels + other.pixels, self.sums + other.sums)

    @property
    def squared(self) -> float:
        return self.sums.squared

    @property
    def absolute(self) -> float:
        return self.sums.absolute

    @property
    def balanced_squared(self) -> float:
        return self.sums.balanced_squared

    @property
    def balanced_absolute(self) -> float:
        return self.sums.balanced_absolute

    def holds(self, thresholds: Sequence[float]) -> bool:
        """Whether each threshold is an edge of the bins, so that :meth:`contingency` is exact."""
        return all(_position(self.edges, threshold) is not None for threshold in thresholds)

    def contingency(self, thresholds: Sequence[float] = RAIN_CLASSES) -> Contingency:
        """The tables at thresholds in mm/h. Raises ValueError if one is no edge of the bins."""
        positions = [_position(self.edges, threshold) for threshold in thresholds]
        wrong = [t for t, place in zip(thresholds, positions, strict=True) if place is None]
        if wrong:
            raise ValueError(f"{wrong} mm/h is no edge of the bins that were counted; count again with its bins")
        at = np.array([place for place in positions if place is not None], np.intp)
        both, observed, predicted = _exceedances(self.joint, at)
        return _table(tuple(float(t) for t in thresholds), both, observed, predicted, self.pixels)


def _exceedances(joint: Counts, at: NDArray[np.intp]) -> tuple[Counts, Counts, Counts]:
    """Pixels in the bins from ``at`` (K,) upwards: in both fields, in the observation, in the prediction."""
    levels, place = np.unique(at, return_inverse=True)
    starts = np.concatenate([[0], levels])
    classes = np.add.reduceat(np.add.reduceat(joint, starts, axis=0), starts, axis=1)
    above = classes[::-1, ::-1].cumsum(axis=0).cumsum(axis=1)[::-1, ::-1]
    return above.diagonal()[1:][place], above[1:, 0][place], above[0, 1:][place]


def _table(thresholds: tuple[float, ...], both: Counts, observed: Counts, predicted: Counts,
           pixels: int) -> Contingency:
    return Contingency(thresholds, both, observed - both, predicted - both, pixels - observed - predicted + both)


def _position(edges: NDArray[np.float32], threshold: float) -> int | None:
    """The smallest bin whose values are all >= threshold; None if it is no edge."""
    wanted = np.float32(threshold)
    place = int(np.searchsorted(edges, wanted))
    return place + 1 if place < edges.size and edges[place] == wanted else None


def tally_pair(observed: NDArray[np.float32], predicted: NDArray[np.float32], *, zr: ZR,
               bins: RainBins | None = None, valid: NDArray[np.bool_] | None = None,
               observed_bins: NDArray[np.uint8] | None = None, predicted_bins: NDArray[np.uint8] | None = None,
               check: Callable[[], None] | None = None) -> Tally:
    """Compares two frames in full: joint histogram and error sums.

    observed, predicted: (ny, nx) float32 mm/h, NaN = no data. valid: (ny, nx), False leaves a pixel out.
    observed_bins, predicted_bins: the same frames in ``bins``, if they exist already. zr: the pair that the
    pixel law of the errors uses. check: asked every million pixels; may raise to stop.

    Raises ValueError if the shapes differ.
    """
    _same_shape(observed, predicted, valid, observed_bins, predicted_bins)
    bins = bins or rain_bins()
    truth, forecast = observed.reshape(-1), predicted.reshape(-1)
    joint, sums = np.zeros(_INDICES * _INDICES, np.int64), ErrorSums()
    for block in _blocks(truth.size):
        if check is not None:
            check()
        mask = None if valid is None else valid.reshape(-1)[block]
        ob = bins(truth[block]) if observed_bins is None else observed_bins.reshape(-1)[block]
        pb = bins(forecast[block]) if predicted_bins is None else predicted_bins.reshape(-1)[block]
        joint += _joint(ob, pb, mask)
        sums = sums + _error_sums(truth[block], forecast[block], _comparable(ob, pb, mask), zr)
    return _tally(joint, bins, sums)


def tally_bins(observed: NDArray[np.uint8], predicted: NDArray[np.uint8],
               valid: NDArray[np.bool_] | None = None, *, bins: RainBins | None = None) -> Tally:
    """Compares two frames that are in ``bins`` already: events at any threshold, no error sums (NaN).

    observed, predicted: (ny, nx) uint8 bin indices. valid: (ny, nx), False leaves a pixel out.
    """
    _same_shape(observed, predicted, valid)
    truth, forecast = observed.reshape(-1), predicted.reshape(-1)
    joint = np.zeros(_INDICES * _INDICES, np.int64)
    for block in _blocks(truth.size):
        joint += _joint(truth[block], forecast[block], None if valid is None else valid.reshape(-1)[block])
    return _tally(joint, bins or rain_bins(), NO_SUMS)


def count_bins(observed: NDArray[np.uint8], predicted: NDArray[np.uint8],
               thresholds: Sequence[float] = RAIN_CLASSES, valid: NDArray[np.bool_] | None = None, *,
               bins: RainBins | None = None) -> Contingency:
    """The tables at a few thresholds, and nothing to rescore from: cheaper than :func:`tally_bins`.

    Compares bytes and counts, per threshold. Raises ValueError if a threshold is no edge of the bins.
    """
    _same_shape(observed, predicted, valid)
    bins = bins or rain_bins()
    usable = _comparable(observed, predicted, valid)
    pixels = int(np.count_nonzero(usable))
    if pixels != observed.size:  # a bin of 0 is no event at any threshold
        observed, predicted = observed * usable, predicted * usable
    rows = []
    for threshold in thresholds:
        place = bins.position(threshold)
        if place is None:
            raise ValueError(f"{threshold} mm/h is no edge of the bins")
        seen, foreseen = observed >= place, predicted >= place
        in_observed, in_predicted = np.count_nonzero(seen), np.count_nonzero(foreseen)
        seen &= foreseen
        rows.append((np.count_nonzero(seen), in_observed, in_predicted))
    both, in_observed_all, in_predicted_all = np.array(rows, np.int64).reshape(-1, 3).T
    return _table(tuple(float(t) for t in thresholds), both, in_observed_all, in_predicted_all, pixels)


def _blocks(size: int) -> Iterator[slice]:
    """Slices that bound the memory of the counting and the time between two looks at the token."""
    return (slice(start, start + _BLOCK) for start in range(0, size, _BLOCK))


def _joint(observed: NDArray[np.uint8], predicted: NDArray[np.uint8], valid: NDArray[np.bool_] | None) -> Counts:
    """(65536,) pixels by observed * 256 + predicted; pixels without data are taken out afterwards."""
    key = observed.astype(np.uint16)
    key <<= 8
    key |= predicted
    joint = np.bincount(key if valid is None else key[valid], minlength=_INDICES * _INDICES)
    square = joint.reshape(_INDICES, _INDICES)
    square[NO_DATA, :] = 0
    square[:, NO_DATA] = 0
    return joint


def _tally(joint: Counts, bins: RainBins, sums: ErrorSums) -> Tally:
    pixels = int(joint.sum())
    square = joint.reshape(_INDICES, _INDICES)
    square.flags.writeable = False
    return Tally(square, bins.edges, int(pixels > 0), pixels, sums)


def _comparable(observed: NDArray[np.uint8], predicted: NDArray[np.uint8],
                valid: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    usable: NDArray[np.bool_] = observed != NO_DATA
    usable &= predicted != NO_DATA
    if valid is not None:
        usable &= valid
    return usable


def error_terms(observed: NDArray[np.float32], predicted: NDArray[np.float32], usable: NDArray[np.bool_],
                zr: ZR) -> tuple[NDArray[np.intp], tuple[NDArray[np.float64], ...]]:
    """What each pixel adds to the sums: (N,) places of pixels with an error, and (N,) for each field of ErrorSums.

    observed, predicted: (M,) mm/h. usable: (M,), False leaves a pixel out. Only pixels where the fields differ are
    looked at; elsewhere, as where neither has rain, all errors are 0.
    """
    active = np.flatnonzero(usable & (observed != predicted))
    truth, forecast = observed.take(active), predicted.take(active)
    difference = np.subtract(unit_pixel(forecast, zr), unit_pixel(truth, zr), dtype=np.float64)
    rate = np.subtract(forecast, truth, dtype=np.float64)
    absolute, squared = np.abs(difference), difference * difference
    weights = _weight_of_bin().take(rain_bins()(truth))
    return active, (squared, absolute, weights * squared, weights * absolute, rate * rate, np.abs(rate))


def _error_sums(observed: NDArray[np.float32], predicted: NDArray[np.float32], usable: NDArray[np.bool_],
                zr: ZR) -> ErrorSums:
    # sums of products rather than dot products: BLAS would wake its threads beside the window's
    return ErrorSums(*(float(term.sum()) for term in error_terms(observed, predicted, usable, zr)[1]))


@lru_cache(maxsize=1)
def _weight_of_bin() -> NDArray[np.float64]:
    """(256,) weight by default bin, of which the class limits are edges."""
    classes = np.searchsorted(np.array(RAIN_CLASSES, np.float32), rain_bins().values(), side="right")
    return np.asarray(BALANCED_WEIGHTS).take(np.minimum(classes, len(RAIN_CLASSES)))


def _same_shape(first: NDArray[np.generic], *others: NDArray[np.generic] | None) -> None:
    for other in others:
        if other is not None and other.shape != first.shape:
            raise ValueError(f"frames of {first.shape} and {other.shape} cannot be compared")
