"""A pack is cut from the open archive beside the form that wants it: progress, cancel, and what keeps it from it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from app.settings import Settings
from app.training.form import StartForm
from app.training.pack_form import PackForm
from engine.cancel import CancelToken
from engine.jobs.rolling import DATA_VARIABLE
from engine.training.packs import Pack
from tests.app.driver import Driver, opened_window
from tests.engine.live_archive import LiveArchive

Key = Qt.Key


@pytest.fixture
def driver(qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "data"))
    with opened_window(qtbot, Settings(tmp_path / "settings")) as driver:
        yield driver


def start_form(driver: Driver) -> StartForm:
    driver.press(Key.Key_T, Qt.KeyboardModifier.ControlModifier)
    window = driver.window.dialogs.training_window
    driver.until(window.isVisible)
    driver.click(window.new)
    form = window.findChild(StartForm)
    assert form is not None
    driver.until(lambda: form.line is not None)
    return form


def opened(driver: Driver, folder: Path, frames: int = 24) -> LiveArchive:
    archive = LiveArchive(folder)
    archive.add(frames)
    driver.session.open([archive.folder])
    driver.until(lambda: not driver.session.is_opening and driver.session.sequence is not None)
    return archive


def pack_form(driver: Driver, form: StartForm) -> PackForm:
    driver.click(form.cut_pack)
    found = driver.window.dialogs.training_window.findChild(PackForm)
    assert found is not None
    driver.until(found.isVisible)
    return found


def type_in(driver: Driver, field: Any, text: str) -> None:
    field.setFocus()
    field.selectAll()
    driver.qtbot.keyClicks(field, text)
    driver.qtbot.keyClick(field, Key.Key_Tab)


def test_a_pack_is_cut_from_the_open_archive_and_joins_the_form(driver: Driver, tmp_path: Path) -> None:
    form = start_form(driver)
    assert not form.cut_pack.isEnabled()
    assert "Open an archive" in form.cut_pack.toolTip()
    opened(driver, tmp_path / "storm" / "archive")
    driver.until(form.cut_pack.isEnabled)
    pack = pack_form(driver, form)
    assert "archive: 24 frames, every 5 min, 64 × 40 cells of 1 × 1 km" in pack.about.text()
    assert [pack.pixel.itemText(row) for row in range(pack.pixel.count())] == ["as they are", "2 km", "4 km"]
    assert pack.tile.count() == 1, "no tile fits into so small a map"
    type_in(driver, pack.length, "6")
    type_in(driver, pack.every, "1")
    driver.click(pack.begin)
    driver.until(lambda: form.packs.count() == 1)
    file = Path(form.packs.item(0).text())
    assert file == tmp_path / "data" / "packs" / "archive-1.h5"
    cut = Pack(file)
    assert cut.shape == (6, 40, 64)
    assert f"{len(cut)} sequences, {len(cut.split('train'))} to learn from" in form.packs_note.text()
    cut.close()
    driver.until(lambda: driver.window.dialogs.training_window.findChild(PackForm) is None)
    assert form.request().packs == (file,)
    form.close()


def test_what_is_cut_can_be_cancelled_and_holds_nothing_up(driver: Driver, tmp_path: Path,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[bool] = []

    def endless(sequence: object, run: object, settings: object, token: CancelToken) -> Iterator[None]:
        begun.append(True)
        while True:
            token.check()
            time.sleep(0.01)
            yield from ()

    monkeypatch.setattr("engine.jobs.pack.cut_out", endless)
    opened(driver, tmp_path / "storm" / "archive")
    form = start_form(driver)
    pack = pack_form(driver, form)
    type_in(driver, pack.length, "6")
    driver.click(pack.begin)
    driver.until(lambda: bool(begun))
    assert not pack.begin.isEnabled()
    driver.until(lambda: "cutting" in pack.words.text())
    opened(driver, tmp_path / "other" / "second", 8)
    assert driver.session.sequence is not None
    assert len(driver.session.sequence) == 8, "an archive is opened while a pack is cut"
    driver.click(pack.leave)
    driver.until(pack.begin.isEnabled)
    assert pack.isVisible()
    assert list((tmp_path / "data" / "packs").iterdir()) == []
    assert "second: 8 frames" in pack.about.text()
    driver.qtbot.keyClick(pack, Key.Key_Escape)
    driver.until(lambda: driver.window.dialogs.training_window.findChild(PackForm) is None)
    assert form.packs.count() == 0
    form.close()


def test_what_cannot_be_cut_says_why_in_the_form(driver: Driver, tmp_path: Path) -> None:
    opened(driver, tmp_path / "storm" / "archive")
    form = start_form(driver)
    pack = pack_form(driver, form)
    type_in(driver, pack.rain, "99")
    driver.click(pack.begin)
    driver.until(lambda: "has enough rain" in pack.complaint.text())
    type_in(driver, pack.length, "60")
    driver.click(pack.begin)
    driver.until(lambda: "no run of 60 frames" in pack.complaint.text())
    pack.output.clear()
    driver.click(pack.begin)
    assert "Name a file" in pack.complaint.text()
    assert all(button.isEnabled() for button in pack.findChildren(QPushButton))
    pack.close()
    form.close()
