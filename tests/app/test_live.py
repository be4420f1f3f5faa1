"""A live archive forecasts by itself as frames come, and the chosen network learns from them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from app.runs import DONE
from app.settings import Settings
from engine.jobs.rolling import DATA_VARIABLE
from tests.app.driver import Driver, opened_window, shot
from tests.engine.live_archive import START, STEP, LiveArchive
from tests.engine.tiny_weights import tiny_weights

Key = Qt.Key


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LiveArchive:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "data"))
    monkeypatch.setattr("app.following.SETTLE_MS", 50)
    return LiveArchive(tmp_path / "archive")


@pytest.fixture
def weight_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return tiny_weights(tmp_path / "weights", monkeypatch)


@pytest.fixture
def driver(qtbot: QtBot, tmp_path: Path) -> Iterator[Driver]:
    settings = Settings(tmp_path / "settings")
    settings.values.forecaster, settings.values.lead_times, settings.values.inputs = "persistence", 4, 2
    settings.values.device = "cpu"
    with opened_window(qtbot, settings) as driver:
        yield driver


def open_with(driver: Driver, live: LiveArchive, count: int) -> None:
    live.add(count)
    driver.session.open([live.folder])
    driver.until(lambda: driver.session.sequence is not None and driver.session.located)
    driver.until(lambda: bool(driver.window.following._watcher.directories()))
    driver.quiet()


def come(driver: Driver, live: LiveArchive, count: int) -> None:
    """So many frames appear, and the window has seen them."""
    live.add(count)
    driver.press(Key.Key_F5)
    driver.until(lambda: driver.session.sequence is not None
                 and driver.session.sequence.times[-1] == START + (live.count - 1) * STEP)
    driver.quiet()


def reference_time(driver: Driver) -> object:
    assert driver.session.clock is not None
    return driver.session.clock.times[driver.session.reference]


def test_a_forecast_starts_at_each_new_frame(driver: Driver, live: LiveArchive) -> None:
    open_with(driver, live, 6)
    come(driver, live, 1)
    assert driver.session.shown_run is None, "nothing by itself unless it is wished"
    driver.window.actions_by_key["live-forecasts"].trigger()
    driver.quiet()
    assert reference_time(driver) == START + 6 * STEP, "it begins with the newest frame"
    assert driver.session.shown_run is not None
    come(driver, live, 2)
    assert reference_time(driver) == START + 8 * STEP
    run = driver.session.shown_run
    assert run is not None
    assert (run.state, run.reference, len(run.frames)) == (DONE, 8, 4)


def test_a_reference_time_that_was_moved_away_stays(driver: Driver, live: LiveArchive) -> None:
    open_with(driver, live, 8)
    driver.window.actions_by_key["live-forecasts"].trigger()
    driver.quiet()
    driver.press(Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    assert reference_time(driver) == START + 6 * STEP
    come(driver, live, 1)
    assert reference_time(driver) == START + 6 * STEP
    for _ in range(2):
        driver.press(Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    come(driver, live, 1)
    assert reference_time(driver) == START + 9 * STEP
    driver.window.actions_by_key["live-forecasts"].trigger()
    come(driver, live, 1)
    assert reference_time(driver) == START + 9 * STEP


def line(driver: Driver) -> str:
    return driver.run_panel.learning.text()


def test_the_network_learns_and_its_forecasts_say_so(driver: Driver, live: LiveArchive, weight_file: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    results = iter([2.0, 1.0, 1.0, 2.0, *[1.0] * 20])
    monkeypatch.setattr("engine.jobs.learn.FRAMES", 8)  # the paper's 25 take long on a busy machine
    monkeypatch.setattr("tests.app.driver.LONG", 100_000)
    monkeypatch.setattr("engine.training.online.OnlineLearner._newest", lambda self, piece: next(results))
    before = hashlib.sha256(weight_file.read_bytes()).hexdigest()
    driver.session.settings.values.inputs = 5
    driver.window.startup.ask_for_models()
    names = driver.run_panel.forecaster
    driver.until(lambda: names.model().item(names.findData("ms-convlstm")).isEnabled())
    names.setCurrentIndex(names.findData("ms-convlstm"))
    open_with(driver, live, 9)
    assert line(driver) == ""
    driver.window.actions_by_key["learn"].trigger()
    driver.until(lambda: "next after 5 new frames" in line(driver))
    assert "nothing learned yet" in line(driver)
    come(driver, live, 2)
    driver.until(lambda: "next after 3 new frames" in line(driver))
    come(driver, live, 3)
    driver.until(lambda: "online-adapted: learned once, 0 rolled back" in line(driver))
    driver.session.set_reference(6)
    driver.run()
    run = driver.session.shown_run
    assert run is not None
    assert run.state == DONE
    assert run.forecaster == "ms-convlstm online"
    assert run.title == "MS-ConvLSTM, online-adapted"
    assert "ONLINE-ADAPTED" in run.marks
    driver.press(Key.Key_End)
    driver.quiet()
    assert "ONLINE-ADAPTED" in driver.window.maps.predicted.canvas.overlay.badges
    shot(driver, "online-adapted")
    come(driver, live, 5)
    driver.until(lambda: "learned once, 1 rolled back" in line(driver))
    driver.window.actions_by_key["learn-reset"].trigger()
    driver.until(lambda: "nothing learned yet; next after 5" in line(driver))
    driver.session.set_reference(6)
    driver.run()
    assert [one.forecaster for one in driver.session.forecasting.runs()] == ["ms-convlstm online", "ms-convlstm"]
    assert hashlib.sha256(weight_file.read_bytes()).hexdigest() == before


def test_what_cannot_learn_says_so(driver: Driver, live: LiveArchive) -> None:
    open_with(driver, live, 4)
    driver.window.actions_by_key["learn"].trigger()
    driver.until(lambda: line(driver) == "does not learn from new frames")
    assert not driver.window.message_bar.isVisible()
