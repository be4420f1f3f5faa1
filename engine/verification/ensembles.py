"""Probabilities and ensembles: CRPS, rank histogram, reliability and ROC. Everything accumulates and adds up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.radar.sequence import Field

Members = NDArray[np.float32]


def crps(observed: Field, members: Members) -> tuple[float, int]:
    """(sum over valid cells, their number) of the continuous ranked probability score in mm/h.

    CRPS = E|X - y| - E|X - X'| / 2 with the members as the distribution (Gneiting and Raftery 2007, equation 20).
    observed: (ny, nx) mm/h; members: (m, ny, nx); cells with NaN in any of them are left out. 0 is perfect.
    """
    truth, ensemble = _valid(observed, members)
    count = ensemble.shape[0]
    to_truth = np.abs(ensemble - truth).mean(axis=0)
    ordered = np.sort(ensemble, axis=0)
    weights = 2.0 * np.arange(1, count + 1) - count - 1.0
    spread = (weights[:, None] * ordered).sum(axis=0) / count**2
    return float((to_truth - spread).sum()), truth.size


def rank_histogram(observed: Field, members: Members, rng: np.random.Generator, dry: float = 0.1
                   ) -> NDArray[np.int64]:
    """(m + 1,) counts of how many members lie below the observation; ties are broken at random, and cells where
    the observation and all members are below ``dry`` mm/h are left out (Hamill 2001). Flat is reliable."""
    truth, ensemble = _valid(observed, members)
    wet = (truth >= dry) | (ensemble >= dry).any(axis=0)
    truth, ensemble = truth[wet], ensemble[:, wet]
    below, equal = (ensemble < truth).sum(axis=0), (ensemble == truth).sum(axis=0)
    ranks = below + rng.integers(0, equal + 1)
    return np.bincount(ranks, minlength=members.shape[0] + 1).astype(np.int64)


@dataclass(frozen=True)
class Reliability:
    """Cells by forecast probability. edges: (k + 1,) of the probability bins. total, events: (k,) cells and
    observed events among them. probability: (k,) sum of the forecast probabilities."""

    edges: NDArray[np.float64]
    total: NDArray[np.int64]
    events: NDArray[np.int64]
    probability: NDArray[np.float64]

    def __add__(self, other: Reliability) -> Reliability:
        if not np.array_equal(self.edges, other.edges):
            raise ValueError("reliability tables of different bins cannot be added")
        return Reliability(self.edges, self.total + other.total, self.events + other.events,
                           self.probability + other.probability)

    @property
    def forecast(self) -> NDArray[np.float64]:
        """(k,) mean forecast probability per bin, NaN in empty bins: the diagram's abscissa."""
        return _ratio(self.probability, self.total)

    @property
    def observed(self) -> NDArray[np.float64]:
        """(k,) observed relative frequency per bin, NaN in empty bins: the diagram's ordinate."""
        return _ratio(self.events, self.total)

    def brier(self, squared: float) -> float:
        """Mean Brier score from the sum of squared differences that :func:`reliability` returns beside the table."""
        cells = int(self.total.sum())
        return squared / cells if cells else float("nan")

    def roc(self) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """(false alarm rate, hit rate, area), one point per probability bin from the highest down, (0, 0) first."""
        hits = np.concatenate([[0], self.events[::-1].cumsum()]).astype(float)
        alarms = np.concatenate([[0], (self.total - self.events)[::-1].cumsum()]).astype(float)
        if hits[-1] == 0 or alarms[-1] == 0:
            empty = np.full(hits.size, np.nan)
            return empty, empty, float("nan")
        rate, detection = alarms / alarms[-1], hits / hits[-1]
        return rate, detection, float(np.trapezoid(detection, rate))


def reliability(observed: Field, members: Members, threshold: float, bins: int | None = None
                ) -> tuple[Reliability, float]:
    """The table of one frame, and its sum of squared differences for the Brier score.

    The probability of an event is the share of members at or above ``threshold`` mm/h; by default each possible
    share has its own bin. observed: (ny, nx), members: (m, ny, nx).
    """
    truth, ensemble = _valid(observed, members)
    count = members.shape[0]
    probability = (ensemble >= np.float32(threshold)).mean(axis=0)
    event = truth >= np.float32(threshold)
    number = bins or count + 1
    edges = np.linspace(0.0, 1.0, number + 1)
    place = np.minimum((probability * number).astype(np.intp), number - 1)
    table = Reliability(edges, np.bincount(place, minlength=number).astype(np.int64),
                        np.bincount(place[event], minlength=number).astype(np.int64),
                        np.bincount(place, probability, number).astype(np.float64))
    return table, float(((probability - event) ** 2).sum())


def _valid(observed: Field, members: Members) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if members.ndim != 3 or members.shape[1:] != observed.shape:
        raise ValueError(f"members {members.shape} do not fit an observation of {observed.shape}")
    usable = np.isfinite(observed) & np.isfinite(members).all(axis=0)
    return observed[usable].astype(np.float64), members[:, usable].astype(np.float64)


def _ratio(part: NDArray[np.generic], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)
