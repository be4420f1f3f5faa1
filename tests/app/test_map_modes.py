"""One map, two, a divider, blinking, the difference, measuring: by keys and mouse in the real window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor
from pytestqt.qtbot import QtBot

from app.panels.map_modes import BLINK, ONE, SWIPE, TWO
from engine.radar.units import ZR
from tests.app.driver import LEFT, Driver, opened_window, quick_settings

Key = Qt.Key


@pytest.fixture
def driver(qtbot: QtBot, tmp_path: Path) -> Iterator[Driver]:
    with opened_window(qtbot, quick_settings(tmp_path)) as driver:
        yield driver


def at_lead(driver: Driver, lead: int) -> None:
    driver.show()
    driver.run()
    driver.session.set_position(driver.session.reference_position + lead)
    driver.quiet()


def visible(driver: Driver) -> tuple[bool, bool, bool]:
    maps = driver.window.maps
    return maps.observed.isVisible(), maps.predicted.isVisible(), maps.modes.difference.isVisible()


def test_one_map_and_two_maps(driver: Driver) -> None:
    at_lead(driver, 2)
    driver.press(Key.Key_1)
    assert visible(driver) == (False, True, False)
    driver.press(Key.Key_Right)
    driver.quiet()
    assert driver.window.maps.predicted._right.text().endswith("+15 min")
    driver.press(Key.Key_2)
    assert visible(driver) == (True, True, False)
    assert driver.window.maps.modes.mode == TWO


def test_difference_is_predicted_minus_observed(driver: Driver) -> None:
    at_lead(driver, 3)
    driver.press(Key.Key_D)
    driver.until(driver.window.maps.modes.difference.isVisible)
    driver.quiet()
    modes, session = driver.window.maps.modes, driver.session
    assert session.place is not None
    assert session.place.frame is not None
    assert modes.difference._titles[0] == "DIFFERENCE persistence − observed"
    assert modes.difference._left.text() == "Δ persistence"  # the name stays whole in a small pane
    assert modes.difference._right.text().endswith("+15 min")
    picture = modes.difference.canvas.image.picture
    assert picture is not None
    assert session.sequence is not None
    truth = session.sequence.rain_rate(session.place.frame)
    start = session.sequence.rain_rate(session.reference)
    np.testing.assert_array_equal(np.asarray(picture.rain_rate), start - truth)
    driver.press(Key.Key_Home)
    driver.quiet()
    assert modes.difference.canvas.image.picture is None
    assert "first lead time" in modes.difference.canvas.overlay.message
    driver.press(Key.Key_D)
    assert not modes.difference.isVisible()


def test_playing_waits_for_the_difference(driver: Driver) -> None:
    at_lead(driver, 0)
    driver.press(Key.Key_D)
    driver.quiet()
    seen: list[int] = []
    driver.window.maps.shown.connect(seen.append)
    driver.window.player.set_speed(30)
    driver.press(Key.Key_Space)
    last = len(driver.session.places) - 1
    driver.until(lambda: last in seen)
    driver.window.player.pause()
    assert sorted(set(seen)) == list(range(min(seen), last + 1)) or 0 in seen
    driver.quiet()


def test_swipe_shows_both_in_one_map_and_the_divider_is_dragged(driver: Driver) -> None:
    at_lead(driver, 6)
    driver.press(Key.Key_C)  # no contours over the colours
    driver.press(Key.Key_S)
    assert driver.window.maps.modes.mode == SWIPE
    driver.quiet()
    assert visible(driver) == (True, False, False)
    pane = driver.window.maps.observed
    assert pane._left.text() == "OBSERVED  |  PREDICTED persistence"
    canvas = pane.canvas
    wide = canvas.viewport().width()
    assert canvas.overlay.divider == pytest.approx(0.5)
    y = canvas.viewport().height() // 3
    driver.qtbot.mousePress(canvas.viewport(), LEFT, pos=QPoint(wide // 2, y))
    driver.qtbot.mouseMove(canvas.viewport(), QPoint(wide // 4, y))
    driver.qtbot.mouseRelease(canvas.viewport(), LEFT, pos=QPoint(wide // 4, y))
    assert canvas.overlay.divider == pytest.approx(0.25, abs=0.01)
    assert canvas.view.scale is None, "the divider moves, the map does not"
    image = canvas.viewport().grab().toImage()
    picture = canvas.other_image.picture
    assert picture is not None
    cell = (15, 4 + 2 * driver.session.reference + 3)  # in the predicted cell, not in the observed one
    assert picture.rain_rate[cell] == 20.0
    grid = canvas.view.grid
    assert grid is not None
    px, py = (round(v) for v in canvas.placement().to_pixel(grid.x[cell[1]], grid.y[cell[0]]))
    assert px > wide // 4
    assert QColor(image.pixel(px, py)).rgb() == int(picture.image[cell])
    driver.press(Key.Key_S)
    driver.quiet()
    assert visible(driver) == (True, True, False)
    assert canvas.overlay.divider is None


def test_blinking_shows_both_in_turn_and_stops(driver: Driver) -> None:
    at_lead(driver, 1)
    driver.press(Key.Key_B)
    assert driver.window.maps.modes.mode == BLINK
    driver.until(lambda: visible(driver) == (True, False, False))
    driver.until(lambda: visible(driver) == (False, True, False))
    driver.press(Key.Key_S)
    assert driver.window.maps.modes.mode == SWIPE
    assert not driver.window.actions_by_key["blink"].isChecked()
    driver.press(Key.Key_1)
    assert driver.window.maps.modes.mode == ONE
    assert not driver.window.actions_by_key["swipe"].isChecked()


def test_two_clicks_measure_distance_and_bearing(driver: Driver) -> None:
    driver.show()
    driver.until(lambda: driver.session.located)
    driver.press(Key.Key_M)
    maps, measure = driver.window.maps, driver.window.measure
    canvas = maps.observed.canvas
    place = canvas.placement()
    start, end = (QPoint(*(round(v) for v in place.to_pixel(*at))) for at in ((10_500, 30_500), (40_500, 30_500)))
    driver.click(canvas.viewport(), start)
    driver.click(canvas.viewport(), end)
    assert measure.shown is not None
    km = float(measure.shown.text.split()[0])
    assert km == pytest.approx(30.0, rel=0.15)  # EPSG:3035 stretches this far from its centre
    assert maps.predicted.canvas.overlay.measured is measure.shown
    driver.press(Key.Key_Escape)
    assert measure.shown is None
    assert not driver.window.actions_by_key["measure"].isChecked()


def test_another_zr_pair_changes_the_values_and_keeps_the_place(driver: Driver) -> None:
    driver.window.actions_by_key["open-sample"].trigger()
    driver.until(lambda: driver.session.sequence is not None)
    driver.quiet()
    session, button = driver.session, driver.window.readout.zr
    assert session.sequence is not None
    before, position = session.sequence.rain_rate(20), session.position
    button.fill()
    wanted = next(a for a in button.choices.actions() if "58.53" in a.text())
    wanted.trigger()
    driver.quiet()
    assert session.sequence.zr == ZR(58.53, 1.56)
    assert (button.text(), session.position) == ("Z = 58.53 R^1.56", position)
    rain = before > 0
    assert (session.sequence.rain_rate(20)[rain] > before[rain]).all()
    assert "chosen by the user" in driver.archive.info.text()
    button.fill()
    assert next(a for a in button.choices.actions() if a.isChecked()).text().startswith("Z = 58.53")
    next(a for a in button.choices.actions() if "own" in a.text()).trigger()
    driver.quiet()
    np.testing.assert_array_equal(session.sequence.rain_rate(20), before)


def test_the_clutter_mask_is_found_once_and_switched(driver: Driver, tmp_path: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.jobs.denoise.mask_path", lambda paths: tmp_path / "cache" / "mask.npz")
    clutter = driver.window.actions_by_key["clutter"]
    clutter.trigger()
    assert "Open an archive" in driver.window.message_bar.text.text()
    assert not clutter.isChecked()
    driver.window.actions_by_key["open-sample"].trigger()
    driver.until(lambda: driver.session.sequence is not None)
    driver.quiet()
    session = driver.session
    assert session.sequence is not None
    before, position = session.sequence.rain_rate(20), session.position
    clutter.trigger()
    driver.until(driver.archive.loading.isVisible)
    driver.until(lambda: session.masked)
    driver.quiet()
    assert clutter.isChecked()
    assert not driver.archive.loading.isVisible()
    assert session.position == position
    after = session.sequence.rain_rate(20)
    assert np.isnan(after).sum() >= np.isnan(before).sum()
    assert (after == 0).sum() > (before == 0).sum(), "weak echo is gone"
    assert "CLUTTER MASK" in driver.window.maps.observed.canvas.overlay.badges
    clutter.trigger()
    driver.quiet()
    np.testing.assert_array_equal(session.sequence.rain_rate(20), before)
    clutter.trigger()
    assert session.masked, "the mask that was found is kept"
    driver.quiet()


@pytest.mark.realdata
def test_polar_data_are_opened_anew_with_another_product(driver: Driver, real_data: Path) -> None:
    from app.dialogs.polar import PolarDialog

    driver.show()
    polar = driver.window.actions_by_key["polar"]
    assert not polar.isEnabled()
    driver.drop(real_data / "iris" / "cor-main131125105503.RAW2049")
    driver.until(lambda: driver.session.is_polar and not driver.session.is_opening)
    driver.quiet()
    assert polar.isEnabled()
    assert driver.session.sequence is not None
    assert driver.session.sequence.layout.variable.endswith("(CAPPI 2 km)")
    polar.trigger()
    dialog = driver.window.findChild(PolarDialog)
    assert dialog is not None
    dialog.product.setCurrentIndex(1)
    assert not dialog.height_km.isEnabled()
    dialog.pixel_km.setValue(4.0)
    dialog.buttons.accepted.emit()
    driver.until(lambda: driver.session.sequence is not None
                 and driver.session.sequence.layout.variable.endswith("(lowest sweep)"))
    driver.quiet()
    assert driver.session.sequence.grid.pixel_km == pytest.approx((4.0, 4.0))
    assert polar.isEnabled()
