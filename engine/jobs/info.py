"""Describe an archive, as the contract's ``info`` document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from engine.archives import open_archive
from engine.errors import UnreadableInput
from engine.jobs.events import Event, Finished, Warned
from engine.jobs.scope import Scope
from engine.radar.gridding import PolarOptions
from engine.radar.sequence import RadarSequence, Skipped


@dataclass(frozen=True)
class InfoRequest:
    """options: how polar data become maps. fresh: look at every file, also in old folders that have not changed."""

    paths: tuple[Path, ...]
    options: PolarOptions | None = None
    fresh: bool = False


def run(request: InfoRequest, scope: Scope) -> Iterator[Event]:
    """Yields Finished with format, times, grid, missing share and maximum (every frame is decoded)."""
    sequence = open_archive(request.paths, token=scope.token, report=scope.progress, options=request.options,
                            fresh=request.fresh)
    for file in sequence.skipped:
        yield Warned(f"skipped {file.path}: {file.reason}")
    yield Finished(describe(sequence, scope))


def describe(sequence: RadarSequence, scope: Scope) -> dict[str, Any]:
    """The contract's document. missing_fraction: share of no-data cells over all frames; max: in ``unit``."""
    missing, highest, unreadable = _survey(sequence, scope)
    layout, grid = sequence.layout, sequence.grid
    high, wide = grid.pixel_km
    return {
        "format": layout.format,
        "variable": layout.variable,
        "unit": layout.quantity.unit,
        "stored_unit": layout.unit,
        "frames": len(sequence),
        "start": iso(sequence.frames[0].time),
        "end": iso(sequence.frames[-1].time),
        "step_minutes": sequence.step_minutes,
        "shape": list(grid.shape),
        "pixel_km": [round(high, 6), round(wide, 6)],
        "projection": grid.crs,
        "missing_fraction": missing,
        "max": highest,
        "gaps": [{"after": iso(gap.after), "before": iso(gap.before), "missing": gap.missing}
                 for gap in sequence.gaps],
        "skipped": [{"file": file.path, "reason": file.reason} for file in (*sequence.skipped, *unreadable)],
        "zr": {"a": layout.zr.a, "b": layout.zr.b, "source": layout.zr_source},
        "source": layout.source,
        "synthetic": layout.synthetic,
    }


def _survey(sequence: RadarSequence, scope: Scope) -> tuple[float | None, float | None, list[Skipped]]:
    cells = lost = 0
    highest: float | None = None
    unreadable: list[Skipped] = []
    for index, ref in enumerate(sequence.frames):
        scope.progress((index + 1) / len(sequence), f"decoding {ref.path.name}")
        try:
            values = sequence.native(index)
        except UnreadableInput as problem:
            unreadable.append(Skipped(str(ref.path), problem.reason))
            continue
        valid = values[~np.isnan(values)]
        cells += values.size
        lost += values.size - valid.size
        if valid.size:
            highest = max(float(valid.max()), highest if highest is not None else -np.inf)
    return (lost / cells if cells else None), highest, unreadable


def iso(time: datetime) -> str:
    """2010-08-26T00:05:00Z"""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
