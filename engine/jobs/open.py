"""Open an archive: scan its files, hand the lazy sequence over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.archives import open_archive
from engine.jobs.events import ArchiveOpened, Event, Finished
from engine.jobs.scope import Scope
from engine.radar.gridding import PolarOptions


@dataclass(frozen=True)
class OpenRequest:
    """Files or folders that make one archive. options: how polar data become maps. fresh: look at every file, also in
    old folders that have not changed."""

    paths: tuple[Path, ...]
    options: PolarOptions | None = None
    fresh: bool = False


def run(request: OpenRequest, scope: Scope) -> Iterator[Event]:
    """Yields ArchiveOpened; raises UnreadableInput."""
    sequence = open_archive(request.paths, token=scope.token, report=scope.progress, options=request.options,
                            fresh=request.fresh)
    yield ArchiveOpened(sequence)
    yield Finished({"frames": len(sequence), "skipped": len(sequence.skipped)})
