"""List every model of the catalogue, as the contract's ``models`` document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from engine import catalogue
from engine.jobs import weights
from engine.jobs.events import Event, Finished
from engine.jobs.scope import Scope

KINDS = ("forecaster", "deblurrer", "downscaler")


@dataclass(frozen=True)
class ModelsRequest:
    kinds: tuple[str, ...] = KINDS


def run(request: ModelsRequest, scope: Scope) -> Iterator[Event]:
    """Yields Finished; nothing heavy is imported."""
    yield Finished({"models": [describe(row) for kind in request.kinds for row in catalogue.rows(kind)]})


def describe(row: catalogue.Row) -> dict[str, Any]:
    """One entry. ``weights`` is null for a model that has none or needs none; ``needs``: modules of an extra without
    which it cannot run, ``missing`` those of them that are not installed; ``reads``: fields beside the rain; what a
    paper prints about it follows (:func:`engine.networks.published.told`)."""
    from engine.networks.published import told

    return {"name": row.name, "kind": row.kind, "title": row.title, "family": row.family,
            "parameters": row.parameters,
            "weights": weights.describe(row.name) if row.parameters else None, "needs": list(row.needs),
            "missing": [name for name in row.needs if find_spec(name) is None], "reads": list(row.reads),
            **told(row.name)}
