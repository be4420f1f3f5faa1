"""A folder of pictures that nobody has described becomes an archive by hand, in the real window."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyproj
import pytest
from PIL import Image
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QCheckBox, QFileDialog, QLineEdit, QPlainTextEdit, QScrollArea
from pytestqt.qtbot import QtBot

from app.dialogs.describe_images import DescribeImagesDialog
from app.settings import Settings
from app.window import MainWindow
from engine.archives import open_archive
from engine.radar.units import Quantity
from tests.app.driver import Driver

START = datetime(2021, 7, 3, 12, 0, tzinfo=UTC)
STEP = timedelta(minutes=5)
SIZE = (40, 60)


def stored(k: int) -> np.ndarray:
    """(40, 60) uint8: a block of 100 on 0, that moves east; one pixel of 255."""
    pixels = np.zeros(SIZE, np.uint8)
    pixels[10:20, 5 + 4 * k:15 + 4 * k] = 100
    pixels[39, 0] = 255
    return pixels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "somewhere"
    place.mkdir()
    for k in range(6):
        Image.fromarray(stored(k)).save(place / f"radar_{START + k * STEP:%Y%m%d_%H%M}.png")
    return place


@pytest.fixture
def driver(qtbot: QtBot, tmp_path: Path) -> Iterator[Driver]:
    settings = Settings(tmp_path / "settings")
    settings.values.forecaster, settings.values.lead_times = "persistence", 2
    settings.values.inputs = 2
    window = MainWindow(settings)
    window.resize(1280, 720)
    window.show()
    window.activateWindow()
    qtbot.waitExposed(window)
    yield Driver(window, qtbot)
    window.close()
    assert not any(thread.name.startswith("engine-") for thread in threading.enumerate())
    window.deleteLater()


def dialog_of(driver: Driver) -> DescribeImagesDialog:
    driver.until(lambda: bool(driver.window.findChildren(DescribeImagesDialog)))
    dialog = driver.window.findChildren(DescribeImagesDialog)[0]
    driver.until(dialog.save.isEnabled)
    return dialog


def offered(driver: Driver, folder: Path) -> DescribeImagesDialog:
    driver.drop(folder)
    bar = driver.window.message_bar
    driver.until(bar.isVisible)
    assert "Describe the images" in bar.text.text()
    assert bar.action.text() == "Describe the images…"
    driver.click(bar.action)
    return dialog_of(driver)


def type_into(driver: Driver, dialog: DescribeImagesDialog, key: str, text: str) -> None:
    entry = dialog.form.rows[key].entry
    assert isinstance(entry, QLineEdit)
    dialog.findChildren(QScrollArea)[0].ensureWidgetVisible(entry)
    driver.click(entry)
    driver.qtbot.keyClick(entry, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    driver.qtbot.keyClick(entry, Qt.Key.Key_Delete)
    driver.qtbot.keyClicks(entry, text)


def bins_at(dialog: DescribeImagesDialog, row: int, column: int) -> int:
    picture = dialog.pane.canvas.image.picture
    return -1 if picture is None else int(picture.bins[row, column])


def settled(driver: Driver) -> None:
    driver.until(lambda: not driver.window.bridge.busy())


def test_a_dropped_folder_of_pictures_is_described_saved_and_opened(driver: Driver, folder: Path) -> None:
    dialog = offered(driver, folder)
    form = dialog.form
    assert "radar_20210703_1205.png: 2021-07-03 12:05:00 UTC" in form.told_times.text()
    assert "6 of 6" in form.told_times.text()
    assert "60 × 40 pixels" in form.told_size.text()
    assert "assumed" in form.rows["law"].doubt.text()
    assert "not known" in form.rows["crs"].doubt.text()
    assert "70 dBZ" in dialog.range.text()
    before = bins_at(dialog, 15, 8)

    type_into(driver, dialog, "gain", "0.5")
    type_into(driver, dialog, "offset", "-10")
    type_into(driver, dialog, "missing", "255")
    settled(driver)
    assert "to 40 dBZ" in dialog.range.text()  # 100 * 0.5 - 10
    assert bins_at(dialog, 15, 8) > before  # 40 dBZ where 27 was
    type_into(driver, dialog, "crs", "EPSG:3067")
    type_into(driver, dialog, "pixel", "2000")
    type_into(driver, dialog, "at", "300000, 6700000")
    settled(driver)
    assert "120 × 80 km" in form.told_size.text()
    assert not (folder / "stormdeck.toml").exists()
    driver.click(dialog.save)
    driver.until(lambda: driver.session.sequence is not None)
    driver.quiet()

    assert driver.session.sequence is not None
    for sequence in (driver.session.sequence, open_archive(folder)):
        assert list(sequence.times) == [START + k * STEP for k in range(6)]
        assert sequence.layout.quantity is Quantity.REFLECTIVITY
        values = sequence.native(2)
        assert values[15, 20] == pytest.approx(40.0)
        assert np.isnan(values[39, 0])
        assert sequence.rain_rate(2)[0, 0] == 0.0
        assert sequence.grid.extent == pytest.approx((240_000, 360_000, 6_660_000, 6_740_000))
    assert not driver.window.message_bar.isVisible()


def test_what_is_wrong_stands_beneath_its_field_and_cannot_be_saved(driver: Driver, folder: Path) -> None:
    dialog = offered(driver, folder)
    rows = dialog.form.rows
    for key, bad, good, word in (("gain", "much", "1", "numbers"), ("crs", "EPSG:none", "", "PROJ"),
                                 ("pattern", "(", r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)_"
                                                  r"(?P<hour>\d\d)(?P<minute>\d\d)", "regular expression"),
                                 ("title", "", "T", "title"), ("zr", "200", "200, 1.6", "Two numbers")):
        type_into(driver, dialog, key, bad)
        settled(driver)
        assert word in rows[key].error.text(), key
        assert rows[key].error.isVisibleTo(dialog)
        assert not dialog.save.isEnabled()
        type_into(driver, dialog, key, good)
        driver.until(dialog.save.isEnabled)
        assert not rows[key].error.isVisibleTo(dialog)
    lonlat = rows["lonlat"].entry
    assert isinstance(lonlat, QCheckBox)
    lonlat.setChecked(True)
    for bad in ("25, 999", "nan, 1", "1e400, 1", "25"):
        type_into(driver, dialog, "at", bad)
        assert rows["at"].error.text(), bad
        assert not dialog.save.isEnabled()
    type_into(driver, dialog, "at", "25, 60")
    driver.until(dialog.save.isEnabled)
    type_into(driver, dialog, "pattern", r"x(?P<number>\d+)")
    settled(driver)
    assert "start time" in rows["start"].error.text()
    type_into(driver, dialog, "start", "2020-01-01 00:00")
    driver.until(lambda: "does not fit" in rows["pattern"].error.text())
    assert not dialog.save.isEnabled()
    dialog.reject()


def test_cancel_leaves_all_as_it_was(driver: Driver, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    driver.show()
    before, files = driver.session.sequence, sorted(folder.iterdir())
    driver.window.actions_by_key["describe"].trigger()
    dialog = dialog_of(driver)
    type_into(driver, dialog, "gain", "0.5")
    driver.click(dialog.stop)
    driver.until(lambda: not driver.window.findChildren(DescribeImagesDialog))
    settled(driver)
    assert sorted(folder.iterdir()) == files
    assert driver.session.sequence is before


def test_the_slider_shows_another_image(driver: Driver, folder: Path) -> None:
    dialog = offered(driver, folder)
    assert bins_at(dialog, 15, 33) != bins_at(dialog, 15, 8)
    dialog.which.setFocus()
    driver.qtbot.keyClick(dialog.which, Qt.Key.Key_End)
    settled(driver)
    assert bins_at(dialog, 15, 33) > bins_at(dialog, 15, 8)
    assert dialog.pane._left.text() == "radar_20210703_1225.png"
    dialog.reject()


def test_colours_get_their_values_from_a_list(driver: Driver, tmp_path: Path) -> None:
    folder = tmp_path / "coloured"
    folder.mkdir()
    pixels = np.zeros((8, 9, 3), np.uint8)
    pixels[2:4, 3:6] = (32, 160, 255)
    pixels[7, 8] = (1, 2, 3)
    for k in range(3):
        Image.fromarray(pixels).save(folder / f"frame{k}.png")
    dialog = offered(driver, folder)
    pairs = dialog.form.rows["pairs"].entry
    assert isinstance(pairs, QPlainTextEdit)
    assert set(pairs.toPlainText().split()) == {"#000000", "#20a0ff", "#010203", "0"}
    driver.click(pairs.viewport())
    driver.qtbot.keyClick(pairs, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    driver.qtbot.keyClicks(pairs, "#000000 -32")
    driver.qtbot.keyClick(pairs, Qt.Key.Key_Return)
    driver.qtbot.keyClicks(pairs, "#20a0ff 3x")
    settled(driver)
    assert "no pair" in dialog.form.rows["pairs"].error.text()
    driver.qtbot.keyClick(pairs, Qt.Key.Key_Backspace)
    driver.qtbot.keyClicks(pairs, "5")
    type_into(driver, dialog, "start", "2020-07-01 12:00")
    type_into(driver, dialog, "step", "5")
    type_into(driver, dialog, "at", "25.5, 60.2")
    lonlat = dialog.form.rows["lonlat"].entry
    dialog.findChildren(QScrollArea)[0].ensureWidgetVisible(lonlat)
    driver.click(lonlat, QPoint(8, lonlat.height() // 2))
    settled(driver)
    assert "35" in dialog.range.text()
    driver.click(dialog.save)
    driver.until(lambda: driver.session.sequence is not None)
    driver.quiet()
    sequence = open_archive(folder)
    assert list(sequence.times) == [datetime(2020, 7, 1, 12, tzinfo=UTC) + k * STEP for k in range(3)]
    values = sequence.native(1)
    assert values[3, 5] == pytest.approx(35.0)
    assert np.isnan(values[7, 8])
    assert sequence.grid.extent == pytest.approx((-4500, 4500, -4000, 4000))
    crs = pyproj.CRS(sequence.grid.crs)
    assert pyproj.Transformer.from_crs(4326, crs, always_xy=True).transform(25.5, 60.2) == pytest.approx((0, 0), abs=1)


def test_a_folder_without_pictures_says_so(driver: Driver, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    driver.window.opening.describe(empty)
    dialog = driver.window.findChildren(DescribeImagesDialog)[0]
    driver.until(lambda: "holds no PNG" in dialog.status.text())
    assert not dialog.save.isEnabled()
    dialog.reject()
