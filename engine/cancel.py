"""The token by which a job is asked to stop."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

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

    @contextmanager
    def takes_charge(self) -> Iterator[None]:
        """Inside the block, in this thread, :func:`in_charge` gives this token."""
        before = _IN_CHARGE.set(self)
        try:
            yield
        finally:
            _IN_CHARGE.reset(before)


_IN_CHARGE: ContextVar[CancelToken | None] = ContextVar("in_charge", default=None)


def in_charge() -> CancelToken:
    """The token of the job that this thread works for, for those deep below it who wait; a fresh one without a job."""
    return _IN_CHARGE.get() or CancelToken()
