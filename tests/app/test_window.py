"""The real window under real clicks, keys and drops, on the offscreen platform."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot

import resources
from app.actions import ACTIONS, row
from app.dialogs.export import ExportDialog
from app.dialogs.keys import KeysDialog
from app.panels import PANELS
from app.runs import DONE, PARTIAL
from app.settings import Settings
from tests.app.driver import LONG, Driver, opened_window, quick_settings
from tests.app.storms import STEP, tiny_sequence

Key = Qt.Key


@pytest.fixture
def driver(qtbot: QtBot, tmp_path: Path) -> Iterator[Driver]:
    with opened_window(qtbot, quick_settings(tmp_path)) as driver:
        yield driver
    assert not any(thread.name.startswith("engine-") for thread in threading.enumerate())


# -- open

def test_an_archive_is_opened_by_dropping_it(driver: Driver) -> None:
    driver.drop(resources.sample_archive())
    driver.until(lambda: driver.session.sequence is not None)
    driver.quiet()
    assert driver.session.sequence is not None
    assert driver.session.sequence.layout.synthetic
    assert "synthetic" in driver.window.chip.text()
    assert "ODIM" in driver.archive.info.text()
    assert driver.archive.recent.item(0).text().startswith("synthetic_storm.h5")
    assert driver.window.maps.observed.canvas.overlay.badges == ("SYNTHETIC DATA",)


def test_the_sample_button_opens_the_sample(driver: Driver) -> None:
    driver.window.actions_by_key["open-sample"].trigger()
    driver.until(lambda: driver.session.sequence is not None)
    driver.quiet()


@pytest.mark.parametrize("make", ["text named .h5", "empty folder", "no such file"])
def test_a_bad_path_is_explained_and_the_open_archive_stays(driver: Driver, tmp_path: Path, make: str) -> None:
    driver.show()
    before = driver.session.sequence
    bad = tmp_path / "storm.h5"
    if make == "text named .h5":
        bad.write_text("not radar data\n" * 100, "utf-8")
    elif make == "empty folder":
        bad.mkdir()
    driver.drop(bad)
    bar = driver.window.message_bar
    driver.until(bar.isVisible)
    assert "storm.h5" in bar.text.text()
    assert bar.action.text() == "Open files…"
    assert driver.session.sequence is before
    driver.click(bar.close_button)
    assert not bar.isVisible()
    driver.run()
    assert driver.session.shown_run is not None
    assert driver.session.shown_run.state == DONE


def test_gaps_and_left_out_files_are_listed(driver: Driver) -> None:
    driver.show(missing=(5, 6))
    text = driver.archive.info.text()
    assert "Gaps (1)" in text
    assert "2 missing" in text
    driver.session.set_position(5)
    driver.quiet()
    assert "gap" in driver.window.maps.observed.canvas.overlay.message


# -- run

def test_a_click_on_run_brings_a_forecast_beside_its_truth(driver: Driver) -> None:
    driver.show()
    driver.click(driver.run_panel.start)
    driver.quiet()
    run = driver.session.shown_run
    assert run is not None
    assert (run.state, len(run.frames)) == (DONE, 6)
    driver.press(Key.Key_End)
    driver.quiet()
    maps = driver.window.maps
    assert maps.predicted._left.text() == "PRED. persistence"  # short in a small window
    assert maps.predicted._right.text().endswith("+30 min")
    plots = driver.window.panels["scores"].plots  # type: ignore[attr-defined]
    driver.until(lambda: plots["upper"].value_at("persistence", 0) is not None)


def test_history_is_shown_as_observed_input_on_both_sides(driver: Driver) -> None:
    driver.show()
    driver.run()
    driver.session.set_position(driver.session.reference_position - 3)
    driver.quiet()
    assert driver.window.maps.predicted._left.text() == "OBSERVED input"
    driver.session.set_position(0)
    driver.quiet()
    assert driver.window.maps.predicted._left.text() == "OBSERVED history"


def test_where_there_is_no_observation_yet_the_pane_says_so(driver: Driver) -> None:
    driver.show()
    driver.session.set_reference(23)
    driver.run()
    driver.press(Key.Key_End)
    driver.quiet()
    assert driver.window.maps.observed.canvas.overlay.message == "No observation yet"
    driver.until(lambda: "scores wait" in driver.window.panels["scores"].note.text())  # type: ignore[attr-defined]


def test_escape_cancels_and_what_was_computed_stays(driver: Driver) -> None:
    driver.session.open([resources.sample_archive()])
    driver.until(lambda: driver.session.sequence is not None)
    values = driver.window.settings.values
    values.forecaster, values.lead_times = "rover-linear", 200
    driver.press(Key.Key_R)
    driver.until(lambda: driver.session.shown_run is not None and len(driver.session.shown_run.frames) >= 2)
    run = driver.session.shown_run
    assert run is not None
    driver.press(Key.Key_Escape)
    driver.until(lambda: not run.active)
    assert run.state == PARTIAL
    assert 2 <= len(run.frames) < 200
    assert "partial" in driver.run_panel.kept.item(0).text()
    driver.quiet()


def test_two_forecasters_are_kept_and_one_is_shown(driver: Driver) -> None:
    driver.show()
    driver.run()
    driver.run_panel.forecaster.setCurrentIndex(driver.run_panel.forecaster.findData("rover-linear"))
    driver.run()
    assert driver.run_panel.kept.count() == 2
    assert driver.session.shown_run is not None
    assert driver.session.shown_run.forecaster == "rover-linear"
    rect = driver.run_panel.kept.visualItemRect(driver.run_panel.kept.item(0))
    driver.click(driver.run_panel.kept.viewport(), rect.center())
    assert driver.session.shown_run.forecaster == "persistence"
    driver.press(Key.Key_N)
    assert driver.session.shown_run.forecaster == "rover-linear"
    driver.quiet()


def test_a_gap_in_the_inputs_offers_the_nearest_possible_time(driver: Driver) -> None:
    driver.show(missing=(10,))
    driver.session.set_reference(11)
    driver.press(Key.Key_R)
    bar = driver.window.message_bar
    assert bar.isVisible()
    assert "12:50" in bar.text.text()
    driver.click(bar.action)
    assert driver.session.reference in driver.session.possible_references()
    driver.quiet()


# -- time

def test_keys_move_through_time(driver: Driver) -> None:
    driver.show()
    start = driver.session.reference_position
    driver.press(Key.Key_Right)
    driver.press(Key.Key_Right)
    driver.press(Key.Key_Left)
    assert driver.session.position == start + 1
    driver.press(Key.Key_End)
    assert driver.session.position == len(driver.session.places) - 1
    driver.press(Key.Key_Home)
    assert driver.session.position == start
    driver.press(Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    assert driver.session.reference_position == start + 1
    assert driver.run_panel.reference.currentData() == driver.session.reference
    driver.quiet()


def test_scrubbing_with_the_mouse(driver: Driver) -> None:
    driver.show()
    scrubber = driver.time.scrubber
    target = QPoint(round(scrubber.x_of(3)), 36)
    driver.click(scrubber, target)
    driver.until(lambda: driver.session.position == 3)
    driver.quiet()
    assert driver.session.sequence is not None
    assert driver.window.maps.observed._right.text().startswith(
        f"{driver.session.sequence.times[3]:%H:%M} UTC")


def test_space_plays_through_the_reference_time_and_pauses(driver: Driver) -> None:
    driver.show()
    driver.run()
    driver.window.player.set_speed(30)
    driver.session.set_position(driver.session.reference_position - 2)
    seen: list[int] = []
    driver.session.position_changed.connect(seen.append)
    driver.press(Key.Key_Space)
    driver.until(lambda: len(seen) >= 5)
    driver.press(Key.Key_Space)
    assert not driver.window.player.playing
    assert [b - a for a, b in itertools.pairwise(seen)] == [1] * (len(seen) - 1)
    driver.quiet()


def test_up_and_down_change_the_speed(driver: Driver) -> None:
    driver.press(Key.Key_Up)
    assert driver.time.speed.value() == 9
    driver.press(Key.Key_Down)
    driver.press(Key.Key_Down)
    assert driver.window.player.speed == 7


# -- thresholds and look

def test_a_changed_threshold_changes_scores_and_contours(driver: Driver) -> None:
    driver.show()
    driver.run()
    driver.press(Key.Key_Right)
    driver.quiet()
    box = driver.thresholds.lines[0].value
    box.setFocus()
    box.selectAll()
    driver.qtbot.keyClicks(box, "1.5")
    driver.qtbot.keyClick(box, Key.Key_Return)
    driver.quiet()
    assert driver.session.thresholds[0] == 1.5
    run = driver.session.shown_run
    assert run is not None
    assert run.scores is not None
    assert run.scores["thresholds_mm_h"][0] == 1.5
    assert [c.threshold for c in driver.window.maps.observed._contours] == [10.0] or \
        [c.threshold for c in driver.window.maps.observed._contours] == [1.5, 10.0]


def test_thresholds_are_added_removed_and_refused(driver: Driver) -> None:
    driver.click(driver.thresholds.lines[0].remove)
    assert driver.session.thresholds == (2.0, 5.0, 10.0, 30.0)
    driver.click(driver.thresholds.add)
    assert driver.session.thresholds == (2.0, 5.0, 10.0, 30.0, 45.0)
    driver.thresholds.lines[0].value.setValue(4.99)
    assert driver.session.thresholds[0] == 2.0
    assert "close" in driver.thresholds.trouble.text()
    assert driver.thresholds.lines[0].value.value() == 2.0
    driver.click(driver.thresholds.default)
    assert driver.session.thresholds == (0.5, 2.0, 5.0, 10.0, 30.0)


def test_contours_are_switched_and_crossed(driver: Driver) -> None:
    driver.show()
    driver.run()
    driver.press(Key.Key_Right)
    driver.press(Key.Key_Right)
    driver.quiet()
    maps = driver.window.maps
    own = maps.observed._contours
    assert [c.threshold for c in own] == [0.5, 10.0]
    driver.press(Key.Key_C, Qt.KeyboardModifier.ShiftModifier)
    assert [c.xy.tobytes() for c in maps.predicted._contours] == [c.xy.tobytes() for c in own]
    assert "contours: observed" in maps.predicted.canvas.overlay.badges
    driver.press(Key.Key_C)
    assert maps.observed._contours == ()
    driver.press(Key.Key_C)
    assert len(maps.observed._contours) == 2


def test_theme_and_rain_colours_change_at_run_time(driver: Driver) -> None:
    driver.show()
    maps = driver.window.maps

    def corner() -> int:
        picture = maps._drawn[0]
        assert picture is not None
        return int(picture.image[-1, -1])

    dark = corner()
    driver.window.actions_by_key["light"].trigger()
    driver.quiet()
    assert corner() != dark
    assert driver.window.appearance.theme.name == "light"
    driver.window.actions_by_key["dark"].trigger()
    before = driver.window.appearance.palette
    name = next(n for n, _ in driver.window.appearance.palettes() if n != before)
    driver.window.appearance.set_palette(name)
    driver.quiet()
    assert corner() == dark


def test_the_cursor_reads_both_maps(driver: Driver) -> None:
    driver.show()
    driver.run()
    driver.press(Key.Key_Right)
    driver.quiet()
    session, maps = driver.session, driver.window.maps
    assert session.sequence is not None
    x, y = 50_500.0, 25_500.0
    row_column = session.sequence.grid.index(x, y)
    assert row_column is not None
    maps.observed.cursor_moved.emit(x, y)
    observed = session.sequence.rain_rate(session.reference + 1)[row_column]
    predicted = session.sequence.rain_rate(session.reference)[row_column]
    assert maps.values_at(x, y) == (pytest.approx(observed), pytest.approx(predicted))
    labels = driver.window.readout.labels
    assert labels["observed"].text().startswith(f"obs  {observed:.1f} mm/h")
    assert "dBZ" in labels["predicted"].text()
    assert "°" in labels["position"].text()
    maps.observed.cursor_moved.emit(500.0, 39_500.0)
    assert labels["observed"].text() == "obs  no data"
    maps.observed.cursor_left.emit()
    assert labels["position"].text() == "–"


# -- export, help, end

def test_export_writes_a_picture_and_a_forecast_file(driver: Driver, tmp_path: Path) -> None:
    driver.show()
    driver.run()
    driver.press(Key.Key_Right)
    driver.quiet()
    for kind, name in ((0, "one.png"), (4, "run.nc")):
        driver.press(Key.Key_E)
        dialog = driver.window.findChild(ExportDialog)
        assert dialog is not None
        dialog.kind.setCurrentIndex(kind)
        dialog.output.setText(str(tmp_path / name))
        with driver.qtbot.waitSignal(dialog.done_writing, timeout=LONG) as written:
            driver.click(dialog.save)
        assert written.args == [True], dialog.status.text()
        assert (tmp_path / name).stat().st_size > 1000
        dialog.close()
        driver.until(lambda: driver.window.findChild(ExportDialog) is None)


def test_an_export_that_cannot_be_written_says_why(driver: Driver, tmp_path: Path) -> None:
    driver.show()
    driver.press(Key.Key_E)
    dialog = driver.window.findChild(ExportDialog)
    assert dialog is not None
    dialog.output.setText(str(tmp_path / "no" / "such" / "one.png"))
    with driver.qtbot.waitSignal(dialog.done_writing, timeout=LONG) as written:
        driver.click(dialog.save)
    assert written.args == [False]
    assert "folder" in dialog.status.text()
    dialog.close()


def test_a_field_keeps_the_arrow_keys_it_needs(driver: Driver) -> None:
    field = driver.run_panel.lead_times
    field.setFocus()
    driver.qtbot.keyClick(field, Key.Key_Up)
    assert field.value() == 7
    assert driver.window.player.speed == 8


def test_what_was_typed_counts_where_buttons_take_no_focus(driver: Driver) -> None:
    """As on macOS: the field is still being edited when Run is clicked."""
    driver.show()
    panel = driver.run_panel
    panel.start.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    panel.lead_times.setFocus()
    panel.lead_times.selectAll()
    driver.qtbot.keyClicks(panel.lead_times, "4")
    driver.click(panel.start)
    driver.quiet()
    run = driver.session.shown_run
    assert run is not None
    assert run.lead_times == 4


def test_help_lists_every_key(driver: Driver) -> None:
    driver.press(Key.Key_F1)
    dialog = driver.window.findChild(KeysDialog)
    assert dialog is not None
    assert not dialog.isModal()
    shown = {dialog.table.item(i, 0).text() for i in range(dialog.table.rowCount())}
    assert len(ACTIONS) == dialog.table.rowCount()
    assert {"R", "Esc", "Space", "F1"} <= shown
    dialog.close()
    keys = [key for entry in ACTIONS for key in entry.keys]
    assert len(keys) == len(set(keys))


def test_closing_while_a_job_runs_ends_every_thread(driver: Driver) -> None:
    driver.session.open([resources.sample_archive()])
    driver.until(lambda: driver.session.sequence is not None)
    values = driver.window.settings.values
    values.forecaster, values.lead_times = "rover-nonlinear", 200
    driver.press(Key.Key_R)
    driver.until(lambda: driver.session.forecasting.active is not None)
    driver.window.close()
    assert not any(thread.name.startswith("engine-") for thread in threading.enumerate())


def test_settings_are_saved_at_the_end(driver: Driver, tmp_path: Path) -> None:
    driver.window.settings.values.speed = 12
    driver.window.close()
    assert Settings(tmp_path / "settings").values.speed == 12


# -- tables

def test_every_action_has_a_target_and_an_unknown_key_suggests_one() -> None:
    assert row("play").keys == ("Space",)
    with pytest.raises(KeyError, match="did you mean 'play'"):
        row("plya")


def test_every_panel_is_a_dock_that_the_window_menu_shows(driver: Driver) -> None:
    assert set(driver.window.docks) == {panel.key for panel in PANELS}
    log = driver.window.docks["log"]
    assert not log.isVisible()
    driver.window.show_log()
    assert log.isVisible()


def test_frames_of_the_fake_archive_are_what_the_tests_think() -> None:
    sequence = tiny_sequence(3)
    assert sequence.step == STEP
    assert np.isnan(sequence.rain_rate(0)[0, 0])
    assert sequence.rain_rate(2)[15, 8] == 20.0
