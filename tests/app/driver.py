"""A hand at the window, for tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from app.panels.archive import ArchivePanel
from app.panels.run import RunPanel
from app.panels.thresholds import ThresholdsPanel
from app.panels.timeline import TimelinePanel
from app.settings import Settings
from app.window import MainWindow
from tests.app.storms import tiny_sequence

LONG = 90_000  # a busy machine, not a measure
Key = Qt.Key
LEFT = Qt.MouseButton.LeftButton


class Driver:
    """A window and what a hand does to it."""

    def __init__(self, window: MainWindow, qtbot: QtBot) -> None:
        self.window, self.qtbot = window, qtbot
        self.session = window.session

    def until(self, true: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(true, timeout=LONG)

    def press(self, key: Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        self.window.activateWindow()
        self.until(self.window.isActiveWindow)
        self.qtbot.keyClick(self.window, key, modifier)

    def click(self, widget: QWidget, at: QPoint | None = None) -> None:
        self.qtbot.mouseClick(widget, LEFT, pos=at or widget.rect().center())

    def quiet(self) -> None:
        forecasting = self.session.forecasting
        self.until(lambda: forecasting.active is None and not forecasting.scoring()
                   and not self.window.bridge.busy() and self.window.maps.settled)

    def show(self, **wish: object) -> None:
        self.session.set_sequence(tiny_sequence(**wish))  # type: ignore[arg-type]
        self.quiet()

    def run(self) -> None:
        self.press(Key.Key_R)
        self.quiet()

    @property
    def run_panel(self) -> RunPanel:
        panel = self.window.panels["run"]
        assert isinstance(panel, RunPanel)
        return panel

    @property
    def thresholds(self) -> ThresholdsPanel:
        panel = self.window.panels["thresholds"]
        assert isinstance(panel, ThresholdsPanel)
        return panel

    @property
    def time(self) -> TimelinePanel:
        panel = self.window.panels["timeline"]
        assert isinstance(panel, TimelinePanel)
        return panel

    @property
    def archive(self) -> ArchivePanel:
        panel = self.window.panels["archive"]
        assert isinstance(panel, ArchivePanel)
        return panel

    def drop(self, *paths: Path) -> None:
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        canvas = self.window.maps.observed.canvas.viewport()
        entering = QDragEnterEvent(QPoint(40, 40), Qt.DropAction.CopyAction, data, LEFT,
                                   Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(canvas, entering)
        assert entering.isAccepted()
        event = QDropEvent(QPointF(40, 40), Qt.DropAction.CopyAction, data, LEFT, Qt.KeyboardModifier.NoModifier,
                           QEvent.Type.Drop)
        QApplication.sendEvent(canvas, event)


def shot(driver: Driver, name: str) -> None:
    """A picture of the window in the folder that STORMDECK_SHOTS names, for somebody who wants to look."""
    folder = os.environ.get("STORMDECK_SHOTS")
    if folder:
        driver.window.grab().save(str(Path(folder) / f"{name}.png"))


def quick_settings(folder: Path) -> Settings:
    """Persistence over six lead times, in a file of the test's own."""
    settings = Settings(folder / "settings")
    settings.values.forecaster, settings.values.lead_times = "persistence", 6
    return settings


@contextmanager
def opened_window(qtbot: QtBot, settings: Settings) -> Iterator[Driver]:
    """The window, shown and in focus; closed and taken away afterwards."""
    window = MainWindow(settings)
    window.resize(1280, 720)
    window.show()
    window.activateWindow()
    qtbot.waitExposed(window)
    window.setFocus()
    yield Driver(window, qtbot)
    window.close()
    window.deleteLater()
