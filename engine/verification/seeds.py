"""Several seeds of one forecaster: the mean of their scores and how far they lie apart (benchmark paper, Tables 3
and 4)."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from engine.verification.fields import FIELD_SCORES
from engine.verification.scores import EVENT_SCORES

_AVERAGED = (*(score.name for score in EVENT_SCORES), *(score.name for score in FIELD_SCORES))
_PER_SEED = ("counts", "frames", "pixels", "mean", "coverage", "over_thresholds", "classes")


def over_seeds(documents: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """One document of several, by seed: scores and ``mean`` become means over seeds, None where one of them is None.
    ``std`` holds the standard deviation (n - 1) of what ``mean`` holds, and ``by_seed`` the documents as they were.

    One seed alone keeps its document, without ``std``.
    """
    first, *others = documents.values()
    told = {"seeds": list(documents)}
    if not others:
        return {**first, **told}
    every = [first, *others]
    averaged = {name: _each([document[name] for document in every], _mean) for name in _AVERAGED}
    common = {name: value for name, value in first.items() if name not in (*_PER_SEED, *averaged)}
    means = [document["mean"] for document in every]
    return {**common, **averaged, **told,
            "mean": {name: _each([mean[name] for mean in means], _mean) for name in first["mean"]},
            "std": {name: _each([mean[name] for mean in means], _deviation) for name in first["mean"]},
            **{group: {name: _each([document[group][name] for document in every], _mean) for name in first[group]}
               for group in ("over_thresholds", "classes")},
            "coverage": _mean([document["coverage"] for document in every]),
            "by_seed": {str(seed): dict(document) for seed, document in documents.items()}}


def _each(values: list[Any], combine: Any) -> Any:
    """combine: from a list of numbers or None to one of them; applied entry by entry to nested lists of one shape."""
    if isinstance(values[0], list):
        return [_each(list(entries), combine) for entries in zip(*values, strict=True)]
    return combine(values)


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if len(known) == len(values) else None


def _deviation(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.stdev(known) if len(known) == len(values) else None
