"""A downscaler is chosen beside the forecaster; its run is drawn on its own grid and at its own times."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from app import wording
from app.exporting import ExportWish, export_request
from app.panels.model_lists import lacking_data
from app.places import Clock
from app.plots.text_line import TextLine
from app.settings import Settings
from engine import catalogue
from engine.archives import open_archive
from engine.jobs import export
from engine.jobs.models import describe
from engine.jobs.scope import Scope
from engine.radar.packed import unpacked
from tests.app.driver import Driver, Key, opened_window, shot
from tests.app.storms import tiny_sequence
from tests.engine.meteonet_archive import archive

LEADS = 3


@pytest.fixture
def driver(qtbot: QtBot, tmp_path: Path) -> Iterator[Driver]:
    settings = Settings(tmp_path)
    settings.values.forecaster, settings.values.lead_times, settings.values.inputs = "rover-nonlinear", LEADS, 3
    with opened_window(qtbot, settings) as hand:
        yield hand


def refine(driver: Driver, name: str = "flow-interpolation") -> None:
    box = driver.run_panel.downscaler
    box.setCurrentIndex(box.findData(name))
    driver.run()


def test_a_finer_run_is_drawn_on_its_grid_at_its_times(driver: Driver) -> None:
    driver.show()
    assert (driver.run_panel.downscaler.currentData(), driver.run_panel.downscaler.itemText(0)) == ("", "as forecast")
    refine(driver)
    session = driver.session
    run, sequence = session.forecasting.shown, session.sequence
    assert run is not None
    assert sequence is not None
    step = sequence.step_minutes
    assert step is not None
    assert run.forecaster == "rover-nonlinear + flow-interpolation"
    assert [frame.minutes for _, frame in sorted(run.frames.items())] == [step * k / 2 for k in range(1, 2 * LEADS + 1)]
    leads = [place for place in session.places if place.lead is not None]
    assert [place.minutes for place in leads] == [step * k / 2 for k in range(1, 2 * LEADS + 1)]
    assert [place.frame is None for place in leads] == [True, False] * LEADS
    driver.press(Key.Key_End)
    driver.quiet()
    shown = driver.window.maps.on_show(1)
    assert shown is not None
    assert shown[1].grid is not None
    assert shown[1].grid.shape == tuple(2 * size for size in sequence.grid.shape)
    assert set(run.tallies) <= {step * k for k in range(1, LEADS + 1)}
    assert driver.window.context.session.places[-1].between is False
    shot(driver, "downscaled")
    driver.press(Key.Key_Left)
    driver.quiet()
    assert session.place is not None
    assert session.place.between
    assert session.place.minutes == step * (2 * LEADS - 1) / 2
    shot(driver, "downscaled_between")


def test_the_value_under_the_cursor_is_that_of_the_finer_cell(driver: Driver) -> None:
    driver.show()
    refine(driver)
    driver.press(Key.Key_End)
    driver.quiet()
    run = driver.session.forecasting.shown
    assert run is not None
    frame = run.frames[2 * LEADS - 1]
    fine, grid = np.asarray(unpacked(frame.drawn)), frame.grid
    assert grid is not None
    row, column = np.unravel_index(int(np.nanargmax(fine)), fine.shape)
    value = driver.window.maps.values_at(float(grid.x[column]), float(grid.y[row]))[1]
    assert value == pytest.approx(float(fine[row, column]), rel=0.01)


def test_the_time_axis_follows_the_run_on_show(driver: Driver) -> None:
    """A plain run beside it: the axis has its times while it is shown, and the place stays where it was in time."""
    driver.show()
    refine(driver)
    refine(driver, "")
    session, forecasting = driver.session, driver.session.forecasting
    assert len([place for place in session.places if place.lead is not None]) == LEADS
    session.set_position(len(session.places) - 1)
    time = session.places[session.position].time
    forecasting.show("rover-nonlinear + flow-interpolation")
    assert len([place for place in session.places if place.lead is not None]) == 2 * LEADS
    assert session.places[session.position].time == time
    driver.quiet()


def test_export_writes_the_finer_grid(driver: Driver, tmp_path: Path) -> None:
    driver.show()
    refine(driver)
    output = tmp_path / "fine.nc"
    list(export.run(export_request(driver.window.context, ExportWish(output, "nc")), Scope()))
    stored = open_archive((output,))
    sequence = driver.session.sequence
    assert sequence is not None
    assert stored.grid.shape == tuple(2 * size for size in sequence.grid.shape)
    assert len(stored) == 2 * LEADS


def test_downscalers_without_weights_need_training(driver: Driver) -> None:
    kinds = ("forecaster", "deblurrer", "downscaler")
    driver.run_panel.set_models([describe(row) for kind in kinds for row in catalogue.rows(kind)])
    box = driver.run_panel.downscaler
    names = [box.itemData(row) for row in range(box.count())]
    without = [row.name for row in catalogue.rows("downscaler") if row.parameters == 0]
    assert names[:1 + len(without)] == ["", *without]
    assert set(names) - {None, ""} == {row.name for row in catalogue.rows("downscaler")}


def test_what_lacks_data_says_what(driver: Driver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With weights, but without heights to read: greyed with the reason; an elevation model lifts it for those that
    read nothing else, an archive with heights of measurement for the others."""
    driver.show()
    driver.quiet()  # the engine's own list has come
    told = [describe(row) for row in catalogue.rows("downscaler")]
    weights = {"file": "x", "sha256": "0", "trained_on": "rain", "step_minutes": 5.0, "pixel_km": 1.0, "numbers": 9}
    driver.run_panel.set_models([{**model, "weights": weights} if model["parameters"] else model for model in told])

    def tip(name: str) -> str:
        box = driver.run_panel.downscaler
        place = box.findData(name)
        enabled = bool(box.model().flags(box.model().index(place, 0)) & Qt.ItemFlag.ItemIsEnabled)
        return "" if enabled else str(box.itemData(place, Qt.ItemDataRole.ToolTipRole))

    assert "elevation model" in tip("fc-zsm-s")
    assert "height of measurement" in tip("fc-zsm-ds")
    assert tip("zsm") == tip("fc-zsm-s-small") == ""
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *given: (["/heights.tif"], ""))
    driver.window.opening.elevation()
    assert driver.window.settings.values.elevation == ("/heights.tif",)
    assert tip("fc-zsm-s") == ""
    assert "height of measurement" in tip("fc-zsm-d")
    heights = archive(tmp_path / "meteonet")
    driver.drop(tmp_path / "meteonet" / heights.frames[0].path.name)
    driver.until(lambda: driver.window.session.sequence is not None
                 and driver.window.session.sequence.gives == heights.gives)
    driver.until(lambda: tip("fc-zsm-d") == tip("fc-zsm-ds") == "")
    driver.show()
    driver.until(lambda: "height of measurement" in tip("fc-zsm-d"))


def test_a_file_may_hold_heights_of_measurement() -> None:
    assert "fc-zsm-d" in lacking_data((), ("/heights.tif",))
    assert "fc-zsm-s" in lacking_data(("measurement_height",), ())
    assert lacking_data((), ("/heights.NC",)) == lacking_data(("measurement_height", "elevation"), ()) == {}


def test_places_between_steps() -> None:
    places = Clock(tiny_sequence(10)).places(6, 4, 2)
    leads = [place for place in places if place.lead is not None]
    assert [place.lead for place in leads] == [0, 1, 2, 3]
    assert [place.frame for place in leads] == [None, 7, None, 8]


def test_clocks_between_the_minutes(qtbot: QtBot) -> None:
    """5-minute frames refined in time: half minutes have their seconds, whole ones stay as they were."""
    whole, half = (datetime(2020, 7, 1, 12, 2, second, tzinfo=UTC) for second in (0, 30))
    assert (wording.clock(whole), wording.clock(half)) == ("12:02 UTC", "12:02:30 UTC")
    assert wording.date_and_clock(half) == "2020-07-01 12:02:30 UTC"
    line = TextLine(widest="00:00 UTC")
    qtbot.addWidget(line)
    room = line.sizeHint().width()
    line.setText("12:02:30 UTC")
    grown = line.sizeHint().width()
    line.setText("12:05 UTC")
    assert room < grown == line.sizeHint().width()  # once, not with every other frame


def test_half_minutes_are_written() -> None:
    assert [wording.lead(minutes) for minutes in (0, 5, 2.5, -7.5, 120, 10 / 3)] \
        == ["T0", "+5 min", "+2.5 min", "-7.5 min", "+120 min", "+3.3 min"]
