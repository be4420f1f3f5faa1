"""What a running job may use: the token it must ask, and a way to speak from inside a long step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from engine.cancel import CancelToken
from engine.jobs.events import Event, Progress

PROGRESS_INTERVAL_S = 0.05


class Scope:
    """Handed to every job. Progress is thinned to twenty words a second; the last one always passes."""

    def __init__(self, token: CancelToken | None = None, emit: Callable[[Event], None] | None = None) -> None:
        self.token = token or CancelToken()
        self.emit = emit or (lambda event: None)
        self._last = 0.0

    def progress(self, fraction: float | None, text: str = "") -> None:
        """Tells how far the job is; also asks the token."""
        self.token.check()
        now = time.monotonic()
        if now - self._last >= PROGRESS_INTERVAL_S or fraction in (0.0, 1.0):
            self._last = now
            self.emit(Progress(fraction, text))


class Job(Protocol):
    """The function that a job's catalogue row names; ``request`` is the frozen dataclass of its module."""

    def __call__(self, request: Any, scope: Scope) -> Iterator[Event]: ...
