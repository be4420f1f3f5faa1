"""Choosing one of the many events of a file; filling gaps of the time axis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialogButtonBox
from pytestqt.qtbot import QtBot

from app.dialogs.events import EventsDialog, place
from app.settings import Settings
from tests.app.driver import Driver, opened_window
from tests.app.storms import STEP
from tests.engine.image_builders import sevir

COUNT = 6
IDS = [f"S{number}" for number in range(COUNT)]


@pytest.fixture
def driver(qtbot: QtBot, tmp_path: Path) -> Iterator[Driver]:
    with opened_window(qtbot, Settings(tmp_path / "settings")) as driver:
        driver.session.settings.values.lead_times = 6
        yield driver


def events_file(folder: Path) -> Path:
    vil = np.zeros((COUNT, 8, 8, 6), np.uint8)
    vil[:, 2:5, 2:5] = 120
    return sevir(folder, IDS, vil, [(-98.0 + number, 38.0) for number in range(COUNT)])


def open_file(driver: Driver, path: Path) -> None:
    driver.session.open([path])
    driver.until(lambda: driver.session.sequence is not None and not driver.session.is_opening)
    driver.quiet()


def dialog_of(driver: Driver) -> EventsDialog:
    driver.window.actions_by_key["events"].trigger()
    return driver.window.findChildren(EventsDialog)[-1]


def test_an_event_is_found_and_opened(driver: Driver, tmp_path: Path) -> None:
    action = driver.window.actions_by_key["events"]
    assert not action.isEnabled()
    open_file(driver, events_file(tmp_path))
    driver.until(action.isEnabled)
    assert driver.archive.events.isVisible()
    dialog = dialog_of(driver)
    assert dialog.rows.rowCount() == COUNT
    assert dialog.rows.index(0, 0).data() == "S0"
    assert dialog.table.currentIndex().row() == 0
    driver.qtbot.keyClicks(dialog.search, "2018-06-04")
    assert (dialog.rows.rowCount(), dialog.count.text()) == (1, f"1 of {COUNT} events")
    driver.qtbot.keyClick(dialog.search, Qt.Key.Key_Return)
    driver.until(lambda: driver.session.paths[0].name.endswith("#S3"))
    driver.quiet()
    sequence = driver.session.sequence
    assert sequence is not None
    assert "event S3" in sequence.layout.source
    assert (sequence.times[0].day, len(driver.window.parts.known)) == (4, COUNT)
    again = dialog_of(driver)
    assert again.rows.index(again.table.currentIndex().row(), 0).data() == "S3"
    again.close()


def test_columns_sort_by_what_they_mean(driver: Driver, tmp_path: Path) -> None:
    open_file(driver, events_file(tmp_path))
    driver.until(driver.window.actions_by_key["events"].isEnabled)
    dialog = dialog_of(driver)
    dialog.table.sortByColumn(3, Qt.SortOrder.DescendingOrder)
    assert [dialog.rows.index(row, 0).data() for row in range(COUNT)] == IDS[::-1]
    dialog.search.setText("nothing like it")
    assert not dialog.buttons.button(QDialogButtonBox.StandardButton.Open).isEnabled()
    dialog.close()


def test_places_are_written_with_their_directions() -> None:
    assert place(-97.5, 38.25) == "38.25 N  97.50 W"
    assert place(5, -3) == "3.00 S  5.00 E"
    assert place(None, 3.0) == "–"


def test_other_archives_have_no_events(driver: Driver, tmp_path: Path) -> None:
    open_file(driver, events_file(tmp_path))
    driver.until(driver.window.actions_by_key["events"].isEnabled)
    driver.window.opening.sample()
    driver.until(lambda: not driver.session.is_opening and not driver.window.bridge.busy())
    assert not driver.window.actions_by_key["events"].isEnabled()
    assert not driver.archive.events.isVisible()


def states(driver: Driver) -> list[str]:
    return [entry.state for entry in driver.time.scrubber.track.entries if entry.kind == "observed"]


def choose(driver: Driver, key: str) -> None:
    driver.window.actions_by_key[key].trigger()
    driver.quiet()


def test_gaps_are_filled_marked_and_left_again(driver: Driver) -> None:
    actions = driver.window.actions_by_key
    driver.show(missing=(5, 6))
    assert actions["gaps-linear"].isEnabled()
    assert states(driver)[5:7] == ["gap", "gap"]
    reference = driver.session.sequence.times[driver.session.reference]
    driver.session.set_position(3)
    shown = driver.session.place.time
    choose(driver, "gaps-linear")
    sequence = driver.session.sequence
    assert (len(sequence), sequence.filled) == (24, {5, 6})
    assert states(driver)[4:8] == ["ready", "filled", "filled", "ready"]
    assert sequence.times[driver.session.reference] == reference
    assert driver.session.place.time == shown
    assert driver.run_panel.reference.currentText() == f"{reference:%H:%M} UTC"
    driver.session.set_position(5)
    driver.quiet()
    assert "INTERPOLATED" in driver.window.maps.observed.canvas.overlay.badges
    assert "24 frames" in driver.window.chip.text()
    before, after = (np.asarray(sequence.native(index)) for index in (4, 7))
    np.testing.assert_allclose(sequence.native(5), before + (after - before) / 3, rtol=1e-6)
    choose(driver, "gaps-leave")
    assert states(driver)[5:7] == ["gap", "gap"]
    assert len(driver.session.sequence) == 22
    assert actions["gaps-leave"].isChecked()


def test_forecasts_start_behind_filled_gaps_and_filled_frames_are_no_truth(driver: Driver) -> None:
    driver.session.settings.values.forecaster = "persistence"
    driver.show(missing=(8, 14))
    ninth = driver.session.clock.times.index(driver.session.clock.times[0] + 9 * STEP)
    assert ninth not in driver.session.possible_references()
    choose(driver, "gaps-nearest")
    assert 10 in driver.session.possible_references()
    driver.session.set_reference(10)
    driver.run()
    run = driver.session.shown_run
    assert run is not None
    assert len(run.frames) == 6
    assert sorted(run.tallies) == [5, 10, 15, 25, 30]  # 14 was made from its neighbours


def test_gaps_too_long_to_be_filled_are_told(driver: Driver) -> None:
    driver.show(count=40, missing=(3, *range(10, 26)))
    choose(driver, "gaps-nearest")
    assert len(driver.session.sequence) == 24
    assert "too long" in driver.window.message_bar.text.text()


def test_archives_without_gaps_have_nothing_to_fill(driver: Driver) -> None:
    driver.show()
    assert not driver.window.actions_by_key["gaps-nearest"].isEnabled()
    driver.show(missing=(5,))
    choose(driver, "gaps-nearest")
    driver.show(missing=(5,))
    assert driver.window.actions_by_key["gaps-leave"].isChecked()
    assert driver.session.filling == ""
