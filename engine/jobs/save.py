"""Write what the window has drawn or listed: the whole file or none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.export.whole import whole_file
from engine.jobs.events import Event, Finished
from engine.jobs.scope import Scope


@dataclass(frozen=True)
class SaveRequest:
    output: Path
    content: bytes


def run(request: SaveRequest, scope: Scope) -> Iterator[Event]:
    """Finished with the path. Raises UnwritableOutput; then, and when cancelled, an older file stays as it was."""
    with whole_file(request.output) as path:
        path.write_bytes(request.content)
        scope.token.check()
    yield Finished({"output": str(request.output), "bytes": len(request.content)})
