"""List the sequences that a file holds beside each other, such as the events of SEVIR."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.archives.parts import parts_of
from engine.archives.reader import PartInfo
from engine.jobs.events import Event, Finished
from engine.jobs.scope import Scope

__all__ = ["PartInfo", "PartsReady", "PartsRequest", "run"]


@dataclass(frozen=True)
class PartsRequest:
    """path: a file, or ``file#name`` of one of its sequences."""

    path: Path


@dataclass(frozen=True)
class PartsReady(Event):
    """file: what ``#name`` is added to. parts: in the order of the file; none where there is nothing to choose."""

    file: Path
    parts: tuple[PartInfo, ...]


def run(request: PartsRequest, scope: Scope) -> Iterator[Event]:
    """One PartsReady. Raises UnreadableInput, Cancelled."""
    scope.token.check()
    parts = parts_of(request.path)
    known = {part.name for part in parts}
    file, _, name = request.path.name.partition("#")
    yield PartsReady(request.path.with_name(file) if name in known else request.path, parts)
    yield Finished({"parts": len(parts)})
