"""The offscreen platform, and a watch over what a test leaves behind."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterator

os.environ["QT_QPA_PLATFORM"] = "offscreen"

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QObject, QThread, QTimer
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot


def pytest_configure(config: pytest.Config) -> None:
    """The offscreen platform says this about every window with a minimum size."""
    config.addinivalue_line("qt_log_ignore", "This plugin does not support propagateSizeHints")


def _settle() -> None:
    gc.collect()
    for _ in range(3):
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        QCoreApplication.processEvents()


def _threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if not isinstance(thread, threading._DummyThread)}


def _running(kind: type[QTimer] | type[QThread]) -> list[QObject]:
    # not isinstance: it asks for __class__, at which proxies of other libraries do things
    found = [item for item in gc.get_objects() if issubclass(type(item), kind)]
    result: list[QObject] = []
    for item in found:
        try:
            busy = item.isActive() if isinstance(item, QTimer) else item.isRunning()
        except RuntimeError:  # its C++ side is gone already
            continue
        if busy and item is not QCoreApplication.instance().thread():  # type: ignore[union-attr]
            result.append(item)
    return result


def _leftovers(widgets: set[int], threads: set[threading.Thread], running: list[QObject]) -> list[str]:
    left = [f"widget {w!r}" for w in QApplication.topLevelWidgets() if id(w) not in widgets]
    left += [f"thread {t!r}" for t in _threads() - threads]
    return left + [f"running {item!r}" for kind in (QTimer, QThread) for item in _running(kind) if item not in running]


class LeakWatch:
    """Taken at a test's start; what is new at its end is a leak."""

    def __init__(self) -> None:
        _settle()
        self._known = list(QApplication.topLevelWidgets())  # held, so that an id is not given twice
        self._threads = _threads()
        self._running = [item for kind in (QTimer, QThread) for item in _running(kind)]

    def leftovers(self, patience: float = 2.0) -> list[str]:
        """Descriptions of widgets, threads and timers that outlived the test."""
        until = time.monotonic() + patience
        while True:
            _settle()
            left = _leftovers({id(w) for w in self._known}, self._threads, self._running)
            if not left or time.monotonic() > until:
                return left
            time.sleep(0.02)


@pytest.fixture(autouse=True)
def nothing_left_behind(qapp: QApplication) -> Iterator[LeakWatch]:
    """Fails a test that leaves a window, a thread or a running timer. Set up before qtbot, so checked after it."""
    watch = LeakWatch()
    yield watch
    left = watch.leftovers()
    if left:
        pytest.fail("left behind: " + "; ".join(left))


@pytest.fixture
def qtbot(nothing_left_behind: LeakWatch, qapp: QApplication, request: pytest.FixtureRequest) -> QtBot:
    """pytest-qt's own, ordered after the watch. Exceptions in slots fail the test."""
    return QtBot(request)
