"""Cut archives to sequences for training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from engine.errors import NotEnoughInput, UnreadableInput
from engine.export.whole import whole_file
from engine.jobs.convert import Changes, opened
from engine.jobs.events import Event, Finished, Started, Warned
from engine.jobs.scope import Scope
from engine.radar.gridding import PolarOptions
from engine.training.packs import SPLITS, Pack, PackSettings, PackWriter, assigned, candidates, check_alike, cut_out

__all__ = ["PackRequest", "PackSettings", "run"]


@dataclass(frozen=True)
class PackRequest:
    """paths: each folder is an archive; files that are named belong to one. changes: made to
    each archive before it is cut. options: how polar data become maps."""

    paths: tuple[Path, ...]
    output: Path
    settings: PackSettings
    changes: Changes = field(default_factory=Changes)
    options: PolarOptions | None = None


def run(request: PackRequest, scope: Scope) -> Iterator[Event]:
    """Finished.result: output, sequences, splits, tried, shape, step_minutes, pixel_km, bits, archives, bytes.

    Raises NotEnoughInput, UnreadableInput, UnwritableOutput, Cancelled; leaves nothing behind then.
    """
    yield Started()
    settings = request.settings
    sequences = [opened(paths, request.changes, request.options, scope.token, scope.progress)
                 for paths in _archives(request.paths)]
    step = check_alike(sequences, settings)
    runs = [found for number, s in enumerate(sequences) for found in candidates(s, settings, number)]
    chosen = assigned(runs, settings, step)
    if not chosen:
        raise NotEnoughInput(f"There is no run of {settings.length} frames without a gap.",
                             advice="Take shorter sequences, or fill gaps with the command convert.")
    with whole_file(request.output) as part:
        written = 0
        with PackWriter(part, sequences, settings) as writer:
            for done, (candidate, split) in enumerate(chosen):
                scope.progress(done / len(chosen), f"cutting {candidate.start:%Y-%m-%d %H:%M}")
                try:
                    for cut in cut_out(sequences[candidate.archive], candidate, settings, scope.token):
                        scope.token.check()
                        writer.add(candidate, split, cut)
                        written += 1
                except UnreadableInput as problem:
                    yield Warned(f"left out: {problem}")
        if written == 0:
            raise NotEnoughInput(f"None of {len(chosen)} sequences has enough rain and data.",
                                 advice="Ask for less rain, or allow more missing cells.")
    pack = Pack(request.output)
    counts = {name: len(pack.split(name)) for name in SPLITS}
    pack.close()
    yield Finished({
        "output": str(request.output), "sequences": written, "splits": counts, "runs": len(runs),
        "left_between_splits": len(runs) - len(chosen), "shape": list(pack.shape), "step_minutes": pack.step_minutes,
        "pixel_km": list(pack.pixel_km), "bits": settings.bits, "archives": [s.name for s in sequences],
        "bytes": request.output.stat().st_size})


def _archives(paths: tuple[Path, ...]) -> list[tuple[Path, ...]]:
    """Each folder by itself, all files together."""
    files = tuple(path for path in paths if not path.is_dir())
    return [(path,) for path in paths if path.is_dir()] + ([files] if files else [])
