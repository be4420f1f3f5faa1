"""Find the locations of an archive that are noise, and keep the mask beside the archive's index."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.archives import open_archive
from engine.archives.index import cache_folder
from engine.errors import UnreadableInput, UnwritableOutput
from engine.export.whole import whole_file
from engine.jobs.events import Event, Finished, Started
from engine.jobs.scope import Scope
from engine.radar.denoise import WEAK_DBZ, OutlierMask, load_mask, outlier_mask, weak_rain_rate, write_mask
from engine.radar.gridding import PolarOptions
from engine.radar.sequence import RadarSequence

MASK_NAME = "outlier-mask.npz"


@dataclass(frozen=True)
class DenoiseRequest:
    """output: where the mask is written besides; the archive's own folder only if the user names it.
    options: how polar data become maps."""

    paths: tuple[Path, ...]
    output: Path | None = None
    options: PolarOptions | None = None


def mask_path(paths: tuple[Path, ...]) -> Path:
    """Where the mask of an archive is kept; it may not exist."""
    return cache_folder(paths) / MASK_NAME


def kept_mask(paths: tuple[Path, ...], sequence: RadarSequence) -> OutlierMask | None:
    """The mask that was made for this archive, None if there is none or it is of another grid."""
    try:
        mask = load_mask(mask_path(paths))
    except UnreadableInput:
        return None
    fits = mask.outliers.shape == sequence.grid.shape and (mask.grid is None or mask.grid.same_as(sequence.grid))
    return mask if fits else None


def run(request: DenoiseRequest, scope: Scope) -> Iterator[Event]:
    """Finished.result: output, frames, locations, outliers, outside, threshold, weak_below_dbz, weak_below_mm_h.

    Raises UnreadableInput, NotEnoughInput, UnwritableOutput, Cancelled; an older mask stays then.
    """
    yield Started()
    sequence = open_archive(request.paths, token=scope.token, report=scope.progress, options=request.options)
    mask = outlier_mask(sequence, scope.progress)
    kept = mask_path(request.paths)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise UnwritableOutput(kept, problem.strerror or str(problem)) from problem
    for path in (kept, request.output):
        if path is not None:
            with whole_file(path) as part:
                write_mask(part, mask)
    scope.progress(1.0, "done")
    yield Finished({
        "output": str(request.output or kept), "frames": mask.frames,
        "locations": int(np.count_nonzero(~mask.outside)), "outliers": int(np.count_nonzero(mask.outliers)),
        "outside": int(np.count_nonzero(mask.outside)), "threshold": mask.threshold,
        "weak_below_dbz": WEAK_DBZ, "weak_below_mm_h": weak_rain_rate(sequence.zr)})
