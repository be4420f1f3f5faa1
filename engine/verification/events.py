"""Hits and misses at a few thresholds straight from rain rates: the cheapest way where nothing is to be asked again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.radar.scaling import RAIN_CLASSES
from engine.radar.sequence import Field
from engine.verification.counts import Contingency

_BLOCK = 1 << 17
"""So that a block and its masks stay in the processor's cache."""


def count_events(observed: Field, predicted: Field, thresholds: Sequence[float] = RAIN_CLASSES,
                 valid: NDArray[np.bool_] | None = None, *, check: Callable[[], None] | None = None) -> Contingency:
    """The tables of one pair of frames, at any thresholds.

    observed, predicted: (ny, nx) float32 mm/h, NaN = no data. valid: (ny, nx), False leaves a pixel out.
    check: asked every 131072 pixels; may raise to stop.

    Counts what :func:`engine.verification.counts.count_bins` counts, without bins: an event is value >= threshold,
    both as float32. Raises ValueError if the shapes differ.
    """
    if observed.shape != predicted.shape or (valid is not None and valid.shape != observed.shape):
        raise ValueError(f"frames of {observed.shape} and {predicted.shape} cannot be compared")
    levels = [np.float32(threshold) for threshold in thresholds]
    truth, forecast = observed.reshape(-1), predicted.reshape(-1)
    mask = None if valid is None else valid.reshape(-1)
    pixels, rows = 0, [[0, 0, 0] for _ in levels]
    for start in range(0, truth.size, _BLOCK):
        if check is not None:
            check()
        part = slice(start, start + _BLOCK)
        pixels += _count(truth[part], forecast[part], None if mask is None else mask[part], levels, rows)
    both, in_truth, in_forecast = np.array(rows, np.int64).reshape(-1, 3).T
    return Contingency(tuple(float(t) for t in thresholds), both, in_truth - both, in_forecast - both,
                       pixels - in_truth - in_forecast + both)


def _count(truth: Field, forecast: Field, valid: NDArray[np.bool_] | None, levels: Sequence[np.float32],
           rows: list[list[int]]) -> int:
    """Adds to each row the pixels at or above its level in both, in the truth and in the forecast; returns how many
    pixels count. Only a number equals itself."""
    seen, foreseen = np.equal(truth, truth), np.equal(forecast, forecast)
    usable = seen & foreseen
    if valid is not None:
        usable &= valid
    pixels = np.count_nonzero(usable)
    uneven = pixels != np.count_nonzero(seen) or pixels != np.count_nonzero(foreseen)
    for level, row in zip(levels, rows, strict=True):
        np.greater_equal(truth, level, out=seen)
        np.greater_equal(forecast, level, out=foreseen)
        if uneven:  # NaN is below every level: only where one of the two knows more must it be told
            seen &= usable
            foreseen &= usable
        row[1] += int(np.count_nonzero(seen))
        row[2] += int(np.count_nonzero(foreseen))
        seen &= foreseen
        row[0] += int(np.count_nonzero(seen))
    return int(pixels)
