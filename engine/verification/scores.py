"""Scores of yes/no events, as pure functions of counts.

Each takes arrays (or numbers) of hits ``tp``, misses ``fn``, false alarms ``fp`` and correct negatives ``tn`` of
any one shape and returns float64 of that shape: NaN where the score is undefined (0/0), never a made-up 0.
Counts are to be pooled over forecasts first and scored afterwards.

Reference for all: Wilks (2019), Statistical Methods in the Atmospheric Sciences, 4th ed., section 9.2; the
benchmark paper (Shi et al. 2017), section 5.1, for CSI and HSS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]


def csi(tp: ArrayLike, fn: ArrayLike, fp: ArrayLike, tn: ArrayLike) -> Values:
    """Critical success index, tp / (tp + fn + fp). Range 0 to 1, perfect 1. Donaldson et al. (1975)."""
    tp, fn, fp, _ = _floats(tp, fn, fp, tn)
    return _ratio(tp, tp + fn + fp)


def hss(tp: ArrayLike, fn: ArrayLike, fp: ArrayLike, tn: ArrayLike) -> Values:
    """Heidke skill score, 2 (tp tn - fn fp) / [(tp + fn)(fn + tn) + (tp + fp)(fp + tn)].

    Range -1 to 1, perfect 1, chance 0. Heidke (1926). The factor 2, which some papers drop in print, is what
    makes a perfect forecast score 1.
    """
    tp, fn, fp, tn = _floats(tp, fn, fp, tn)
    return _ratio(2.0 * (tp * tn - fn * fp), (tp + fn) * (fn + tn) + (tp + fp) * (fp + tn))


def pod(tp: ArrayLike, fn: ArrayLike, fp: ArrayLike, tn: ArrayLike) -> Values:
    """Probability of detection (hit rate), tp / (tp + fn). Range 0 to 1, perfect 1."""
    tp, fn, _, _ = _floats(tp, fn, fp, tn)
    return _ratio(tp, tp + fn)


def far(tp: ArrayLike, fn: ArrayLike, fp: ArrayLike, tn: ArrayLike) -> Values:
    """False alarm ratio, fp / (tp + fp). Range 0 to 1, perfect 0. Not the false alarm rate fp / (fp + tn)."""
    tp, _, fp, _ = _floats(tp, fn, fp, tn)
    return _ratio(fp, tp + fp)


def success_ratio(tp: ArrayLike, fn: ArrayLike, fp: ArrayLike, tn: ArrayLike) -> Values:
    """Success ratio, tp / (tp + fp) = 1 - FAR. Range 0 to 1, perfect 1. Roebber (2009)."""
    tp, _, fp, _ = _floats(tp, fn, fp, tn)
    return _ratio(tp, tp + fp)


def bias(tp: ArrayLike, fn: ArrayLike, fp: ArrayLike, tn: ArrayLike) -> Values:
    """Frequency bias, (tp + fp) / (tp + fn). Range 0 to infinity, perfect 1; NaN where nothing was observed."""
    tp, fn, fp, _ = _floats(tp, fn, fp, tn)
    return _ratio(tp + fp, tp + fn)


def _floats(*counts: ArrayLike) -> tuple[Values, ...]:
    return tuple(np.asarray(count, np.float64) for count in counts)


def _ratio(above: Values, below: Values) -> Values:
    above, below = np.broadcast_arrays(above, below)
    result = np.full(below.shape, np.nan)
    np.divide(above, below, out=result, where=below != 0)
    return result


EventScoreFunction = Callable[[ArrayLike, ArrayLike, ArrayLike, ArrayLike], Values]


@dataclass(frozen=True)
class EventScore:
    """A row of the register. low and high: the range, infinite where it has no end. perfect: the best value."""

    name: str
    title: str
    function: EventScoreFunction
    low: float
    high: float
    perfect: float


EVENT_SCORES: tuple[EventScore, ...] = (
    EventScore("csi", "Critical success index (CSI)", csi, 0.0, 1.0, 1.0),
    EventScore("hss", "Heidke skill score (HSS)", hss, -1.0, 1.0, 1.0),
    EventScore("pod", "Probability of detection (POD)", pod, 0.0, 1.0, 1.0),
    EventScore("far", "False alarm ratio (FAR)", far, 0.0, 1.0, 0.0),
    EventScore("success_ratio", "Success ratio", success_ratio, 0.0, 1.0, 1.0),
    EventScore("bias", "Frequency bias", bias, 0.0, float("inf"), 1.0),
)
"""What menus and the score table show, in this order. A new score is a function above and a row here."""
