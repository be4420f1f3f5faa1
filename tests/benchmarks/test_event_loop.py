"""How long the window's event loop is held up while a forecast is computed behind it.

A timer of 10 ms measures the gaps between its ticks, once while the window idles and once during rover-nonlinear.
Wall-clock on a shared machine proves nothing by itself, so that the numbers are reported and the ratio is held
loosely: a forecast that kept the interpreter's lock for its steps would be far beyond it.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QObject, Qt, QTimer
from pytestqt.qtbot import QtBot

import resources
from app.settings import Settings
from app.window import MainWindow

pytestmark = [pytest.mark.slow,
              pytest.mark.qt_log_ignore("This plugin does not support propagateSizeHints", extend=True)]
TICK_MS = 10


class Gaps(QObject):
    """Milliseconds between the ticks of a timer."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[float] = []
        self._last = 0.0
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)

    def start(self) -> None:
        self.values.clear()
        self._last = time.perf_counter()
        self._timer.start()

    def stop(self) -> tuple[float, float]:
        """The median and the 99th percentile."""
        self._timer.stop()
        return float(np.median(self.values)), float(np.percentile(self.values, 99))

    def _tick(self) -> None:
        now = time.perf_counter()
        self.values.append((now - self._last) * 1e3)
        self._last = now


def test_the_window_stays_awake_during_a_forecast(qtbot: QtBot, tmp_path: Path) -> None:
    settings = Settings(tmp_path / "settings")
    settings.values.forecaster, settings.values.lead_times = "rover-nonlinear", 20
    window = MainWindow(settings)
    window.show()
    qtbot.waitExposed(window)
    session = window.session
    session.open([resources.sample_archive()])
    qtbot.waitUntil(lambda: session.sequence is not None and not session.is_opening, timeout=60_000)
    session.run_forecast()  # what is loaded once is loaded now
    qtbot.waitUntil(lambda: session.shown_run is not None and session.shown_run.state == "done", timeout=120_000)
    qtbot.waitUntil(lambda: not window.bridge.busy(), timeout=60_000)
    gaps = Gaps()
    gaps.start()
    qtbot.wait(1500)
    idle = gaps.stop()
    gaps.start()
    for _ in range(2):
        session.run_forecast()
        qtbot.waitUntil(lambda: session.forecasting.active is None, timeout=120_000)
    busy = gaps.stop()
    logging.getLogger(__name__).info(
        "event-loop gaps, ms: idle median %.1f, 99th percentile %.1f; during the forecast %.1f and %.1f (%d ticks)",
        *idle, *busy, len(gaps.values))
    window.close()
    window.deleteLater()
    assert busy[0] / idle[0] < 5
