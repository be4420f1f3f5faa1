"""Look again at the files of an open archive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.archives import open_archive
from engine.archives.watching import State, folders_of, state_of
from engine.jobs.events import ArchiveOpened, Event, Finished
from engine.jobs.scope import Scope
from engine.radar.gridding import PolarOptions


@dataclass(frozen=True)
class RefreshRequest:
    """state: of the files when they were looked at last; with None they are only looked at."""

    paths: tuple[Path, ...]
    state: State | None = None
    options: PolarOptions | None = None


@dataclass(frozen=True)
class Looked(Event):
    """state: of the files now. folders: to be watched."""

    state: State
    folders: tuple[Path, ...]


def run(request: RefreshRequest, scope: Scope) -> Iterator[Event]:
    """Yields Looked, and ArchiveOpened if the files are not as they were. Raises UnreadableInput."""
    state = state_of(request.paths)
    yield Looked(state, folders_of(request.paths))
    changed = state != request.state
    if changed and request.state is not None:
        yield ArchiveOpened(open_archive(request.paths, token=scope.token, report=scope.progress,
                                         options=request.options))
    yield Finished({"changed": changed})
