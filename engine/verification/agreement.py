"""How far scores agree with each other, and how much it rained: the benchmark paper's Tables 5 and 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.radar.scaling import RAIN_CLASSES
from engine.radar.sequence import Field

ERRORS = ("mse", "mae", "b_mse", "b_mae")

CLASS_NAMES = ("No / hardly noticeable", "Light", "Light to moderate", "Moderate", "Moderate to heavy",
               "Rainstorm warning")
"""The benchmark paper's words for the six classes that RAIN_CLASSES cuts (Table 2)."""


def kendall_tau(first: ArrayLike, second: ArrayLike) -> float:
    """Kendall's tau-b of two lists of the same length, ties allowed; -1 to 1, NaN where one list is constant.

    (C - D) / sqrt((C + D + T_first) (C + D + T_second)) over all pairs (Kendall 1945)."""
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"lists of {a.shape} and {b.shape} cannot be compared")
    upper = np.triu_indices(a.size, 1)
    da, db = (np.sign(v[upper[0]] - v[upper[1]]) for v in (a, b))
    scale = np.sqrt(float(np.abs(da).sum()) * float(np.abs(db).sum()))
    return float((da * db).sum() / scale) if scale > 0 else float("nan")


def agreement(scores: Mapping[str, Sequence[float]], smaller_is_better: frozenset[str] = frozenset()
              ) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """(names, (n, n) Kendall's tau) between scores of the same models; scores of which less is better are turned
    round first, so that 1 always means "they rank the models alike" (Table 5)."""
    names = tuple(scores)
    columns = [np.asarray(scores[name], np.float64) * (-1.0 if name in smaller_is_better else 1.0) for name in names]
    return names, np.array([[kendall_tau(a, b) for b in columns] for a in columns])


def between_scores(means: Sequence[Mapping[str, Any]], thresholds: Sequence[float]) -> dict[str, Any] | None:
    """Kendall's tau between errors (rows) and scores of events (columns) over some forecasters, as in Table 5; None
    where there are fewer than three. means: of each forecaster, score -> number, or list by threshold.

    Errors are not turned round, so that good agreement is near -1, as in print; null where a score is undefined."""
    if len(means) < 3:
        return None
    columns = [(score, place) for score in ("csi", "hss") for place in range(len(thresholds))]
    tau = [[_tau([mean[error] for mean in means], [mean[score][place] for mean in means]) for score, place in columns]
           for error in ERRORS]
    titles = [f"{score} {thresholds[place]:g}" for score, place in columns]
    return {"errors": list(ERRORS), "scores": titles, "tau": tau}


def _tau(first: Sequence[float | None], second: Sequence[float | None]) -> float | None:
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    found = kendall_tau([a for a, _ in pairs], [b for _, b in pairs]) if len(pairs) == len(first) else float("nan")
    return found if np.isfinite(found) else None


def class_counts(rain_rate: Field, thresholds: Sequence[float] = RAIN_CLASSES) -> NDArray[np.int64]:
    """(len(thresholds) + 1,) cells of each rain-rate class; no data is left out. Counts of frames add up."""
    known = rain_rate[np.isfinite(rain_rate)]
    place = np.searchsorted(np.asarray(thresholds, np.float32), known, side="right")
    return np.bincount(place, minlength=len(thresholds) + 1).astype(np.int64)
