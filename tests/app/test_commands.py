"""The command palette and keys of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from pytestqt.qtbot import QtBot

from app.actions import ACTIONS
from app.dialogs.keys import KeysDialog
from app.dialogs.palette import CommandPalette, match
from app.settings import Settings
from tests.app.driver import Driver, opened_window

Key = Qt.Key


@pytest.fixture
def driver(qtbot: QtBot, tmp_path: Path) -> Iterator[Driver]:
    settings = Settings(tmp_path / "settings")
    with opened_window(qtbot, settings) as hand:
        yield hand


def palette_of(driver: Driver) -> CommandPalette:
    driver.press(Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    found = driver.window.findChild(CommandPalette)
    assert found is not None
    return found


def keys_of(driver: Driver) -> KeysDialog:
    driver.press(Key.Key_F1)
    found = driver.window.findChild(KeysDialog)
    assert found is not None
    return found


def test_letters_in_their_order_match_and_starts_of_words_win() -> None:
    assert match("xq", "Whole map View") is None
    assert match("", "anything") is not None
    run, other = match("rtf", "Reference to front"), match("rtf", "darker tuff")
    assert run is not None
    assert other is not None
    assert run > other


def test_a_few_letters_and_enter_do_what_the_first_line_says(driver: Driver) -> None:
    palette = palette_of(driver)
    assert palette.list.count() == sum(driver.window.actions_by_key[a.key].isEnabled() for a in ACTIONS) - 1
    driver.qtbot.keyClicks(palette.field, "lght")
    assert palette.list.item(0).text().startswith("View:  Light")
    driver.qtbot.keyClick(palette.field, Key.Key_Return)
    assert driver.window.appearance.theme.name == "light"
    driver.until(lambda: driver.window.findChild(CommandPalette) is None)


def test_arrows_leaf_through_the_palette(driver: Driver) -> None:
    palette = palette_of(driver)
    driver.qtbot.keyClick(palette.field, Key.Key_Down)
    driver.qtbot.keyClick(palette.field, Key.Key_Down)
    driver.qtbot.keyClick(palette.field, Key.Key_Up)
    assert palette.list.currentRow() == 1
    driver.qtbot.keyClick(palette.field, Key.Key_Escape)


def test_a_key_is_changed_and_remembered(driver: Driver, tmp_path: Path) -> None:
    dialog = keys_of(driver)
    dialog.choose("loop")
    dialog.editor.setKeySequence(QKeySequence("Ctrl+J"))
    driver.click(dialog.set_button)
    dialog.close()
    loop = driver.window.actions_by_key["loop"]
    was = loop.isChecked()
    driver.press(Key.Key_J, Qt.KeyboardModifier.ControlModifier)
    assert loop.isChecked() != was
    driver.press(Key.Key_L, Qt.KeyboardModifier.ControlModifier)
    assert loop.isChecked() != was
    driver.window.close()
    assert Settings(tmp_path / "settings").values.keys == {"loop": "Ctrl+J"}


def test_a_key_in_use_is_refused_and_the_default_comes_back(driver: Driver) -> None:
    dialog = keys_of(driver)
    dialog.choose("loop")
    dialog.editor.setKeySequence(QKeySequence("R"))
    driver.click(dialog.set_button)
    assert "Run the forecast" in dialog.note.text()
    assert driver.window.actions_by_key["run"].shortcut() == QKeySequence("R")
    dialog.editor.clear()
    driver.click(dialog.set_button)
    assert driver.window.actions_by_key["loop"].shortcut().isEmpty()
    driver.click(dialog.default_button)
    assert driver.window.actions_by_key["loop"].shortcut() == QKeySequence("Ctrl+L")
    assert driver.window.settings.values.keys == {}
    dialog.close()
