"""The token by which a job is asked to stop."""

from __future__ import annotations

import threading

from engine.errors import Cancelled


class CancelToken:
    """Shared by the one who may cancel and the job, which asks often enough to stop within 200 ms."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        self._event.set()

    @property
    def cancelled(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raises Cancelled once :meth:`cancel` was called."""
        if self._event.is_set():
            raise Cancelled
