"""A laptop's screen: the window keeps its size whatever its panels have to say, and nothing lies over anything else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyproj import CRS
from PySide6.QtCore import QPoint, QPointF, QSize, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from app.panels.archive import _short
from app.plots.map_pane import MapPane
from app.plots.score_curves import ScoreCurves
from tests.app.driver import Driver, opened_window, quick_settings

Key = Qt.Key
SMALL = QSize(1280, 720)
TASK_BAR = 60


@pytest.fixture
def driver(qtbot: QtBot, tmp_path: Path) -> Iterator[Driver]:
    with opened_window(qtbot, quick_settings(tmp_path)) as driver:
        yield driver


def wheel(widget: QWidget, notches: int) -> None:
    at = QPointF(widget.rect().center())
    QApplication.sendEvent(widget, QWheelEvent(
        at, widget.mapToGlobal(at), QPoint(), QPoint(0, 120 * notches), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False))


def test_no_panel_makes_the_window_taller(driver: Driver) -> None:
    window = driver.window
    driver.show()
    driver.run()
    window.actions_by_key["learn"].trigger()
    window.actions_by_key["region-fields"].trigger()
    driver.quiet()
    for key in (Key.Key_G, Key.Key_Escape):
        driver.press(key)
    driver.session.set_thresholds([0.5, 1, 2, 5, 10, 20, 30, 60], [0.5])
    driver.press(Key.Key_1, Qt.KeyboardModifier.AltModifier)
    for dock in ("thresholds", "region"):
        window.docks[dock].raise_()
        driver.quiet()
        assert window.size() == SMALL, dock
    assert window.minimumSizeHint().height() <= SMALL.height() - TASK_BAR
    assert window.minimumSizeHint().width() <= SMALL.width()


def test_what_does_not_fit_is_scrolled_to_and_the_wheel_changes_no_field(driver: Driver) -> None:
    driver.show()
    panel = driver.run_panel
    driver.window.resize(1280, 620)
    driver.quiet()
    fields = (panel.inputs, panel.lead_times, panel.forecaster)
    before = [panel.inputs.value(), panel.lead_times.value(), panel.forecaster.currentIndex()]
    driver.window.setFocus()
    for field in fields:
        wheel(field, -1)
    assert [panel.inputs.value(), panel.lead_times.value(), panel.forecaster.currentIndex()] == before
    panel.inputs.setFocus()
    wheel(panel.inputs, -1)
    assert panel.inputs.value() == before[0] - 1
    panel.device.setFocus()
    driver.qtbot.keyClick(panel.device, Key.Key_Tab)
    assert not panel.start.visibleRegion().isEmpty(), "the field in focus is in sight"


@pytest.mark.parametrize("models", [("rover-nonlinear",), ("rover-nonlinear", "lagrangian-unet"),
                                    ("rover-nonlinear", "lagrangian-unet", "ms-convlstm + postcast")])
@pytest.mark.parametrize("count", [5, 8])
def test_numbers_and_names_beside_low_curves_keep_apart(qtbot: QtBot, models: tuple[str, ...], count: int) -> None:
    plot = ScoreCurves()
    qtbot.addWidget(plot)
    thresholds = tuple(float(n + 1) for n in range(count))
    plot.set_axes("CSI", [5.0, 10.0])
    plot.set_thresholds(thresholds)
    for model in models:
        plot.set_curves(model, [[0.5, 0.4]] * count)
    plot.resize(292, 100)
    plot.resize(292, plot.minimumHeight())
    plot.grab()
    rows = [rect for rect, key in plot.hits if key in thresholds]
    names = [rect for rect, key in plot.hits if key in models]
    assert len(rows) == count
    assert len(names) == len(models)
    assert not any(row.intersects(name) for row in rows for name in names)
    assert all(row.height() >= 12 for row in rows)
    assert max(name.bottom() for name in names) <= plot.height()


def test_a_forecasters_name_is_whole_before_the_word_for_the_pane_is(qtbot: QtBot) -> None:
    pane = MapPane()
    qtbot.addWidget(pane)
    pane.resize(338, 400)
    pane.show()
    pane.set_titles("PREDICTED lagrangian-unet", "17:55 UTC  +30 min")
    assert pane._left.text() == "lagrangian-unet"
    pane.resize(600, 400)
    assert pane._left.text() == "PREDICTED lagrangian-unet"
    assert pane._left.elide == Qt.TextElideMode.ElideRight
    pane.set_titles("PREDICTED rover-nonlinear + postcast", "17:55 UTC  +30 min")
    assert pane._left.elide == Qt.TextElideMode.ElideMiddle, "a chain is cut in its middle"


def test_the_list_of_forecasts_stays_in_sight_under_long_notes(driver: Driver) -> None:
    driver.show()
    driver.run()
    run = driver.session.shown_run
    assert run is not None
    run.notes = ("It was trained on other pixels, for another step and another climate. " * 6,)
    driver.session.forecasting.runs_changed.emit()
    driver.quiet()
    panel = driver.run_panel
    assert "another climate" in panel.status.text()
    shown = panel.kept.visibleRegion().boundingRect()
    assert shown.height() == panel.kept.height(), "not scrolled out of sight"
    assert panel.kept.geometry().top() < panel.status.geometry().top()
    assert driver.window.size() == SMALL


def test_a_projection_without_a_name_is_told_by_its_kind() -> None:
    assert _short(CRS("+proj=aea +lat_1=-18 +lat_2=-36 +lon_0=132")) == "Albers Equal Area"
    assert _short(CRS("+proj=longlat +ellps=GRS80")) == "longitude and latitude"
    shifted = "+proj=somerc +lat_0=46.95 +lon_0=7.44 +k_0=1 +ellps=bessel +towgs84=674.374,15.056,405.346,0,0,0,0"
    assert _short(CRS(shifted)) == "Hotine Oblique Mercator (variant B)"
    assert _short(CRS("EPSG:3035")) == "ETRS89-extended / LAEA Europe"
