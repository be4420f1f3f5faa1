"""Every action by its name: type a few letters, press Enter."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QDialog, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from app.actions import ACTIONS, Actions, plain

LEAFING = (Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown)


def match(wish: str, text: str) -> float | None:
    """How well the letters of ``wish`` are found in ``text``, in their order: the larger the better, None for not at
    all. Starts of words and letters in a row count for more."""
    wish, text = wish.casefold().replace(" ", ""), text.casefold()
    place, score, last = 0, 0.0, -2
    for letter in wish:
        starts = [i for i in range(place, len(text)) if text[i] == letter and (i == 0 or not text[i - 1].isalnum())]
        in_row = text.startswith(letter, place) and place == last + 1
        found = place if in_row else starts[0] if starts else text.find(letter, place)
        if found < 0:
            return None
        score += 3 if in_row else 2 if found in starts else 1
        place, last = found + 1, found
    return score - 0.01 * len(text)


class CommandPalette(QDialog):
    """Actions that cannot be done now are left out."""

    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Command palette")
        self._actions = actions
        self.field = QLineEdit()
        self.field.setPlaceholderText("Type a few letters of what you want to do")
        self.field.setAccessibleName("Search for a command")
        self.field.installEventFilter(self)
        self.list = QListWidget()
        self.list.setAccessibleName("Commands")
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        column = QVBoxLayout(self)
        column.addWidget(self.field)
        column.addWidget(self.list)
        self.field.textChanged.connect(self._filter)
        self.field.returnPressed.connect(self._do)
        self.list.itemClicked.connect(self._do)
        self._filter("")
        self.resize(480, 420)
        self.field.setFocus()

    def _filter(self, wish: str) -> None:
        found = [(match(wish, f"{plain(entry)} {entry.menu}"), entry) for entry in ACTIONS
                 if self._actions[entry.key].isEnabled() and entry.key != "palette"]
        rows = sorted(((score, entry) for score, entry in found if score is not None), key=_by_score)
        self.list.clear()
        for _, entry in rows:
            keys = self._actions[entry.key].shortcut().toString(QKeySequence.SequenceFormat.NativeText)
            item = QListWidgetItem(f"{entry.menu}:  {plain(entry)}" + (f"      {keys}" if keys else ""))
            item.setData(Qt.ItemDataRole.UserRole, entry.key)
            item.setToolTip(entry.tip)
            self.list.addItem(item)
        self.list.setCurrentRow(0)

    def _do(self) -> None:
        item = self.list.currentItem()
        self.accept()
        if item is not None:
            self._actions[item.data(Qt.ItemDataRole.UserRole)].trigger()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Arrow keys leaf through the list while one types."""
        if not isinstance(event, QKeyEvent) or event.key() not in LEAFING:
            return super().eventFilter(watched, event)
        if event.type() == QEvent.Type.ShortcutOverride:  # the window's own arrow keys keep out
            event.accept()
            return True
        if event.type() == QEvent.Type.KeyPress:
            step = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1, Qt.Key.Key_PageUp: -10, Qt.Key.Key_PageDown: 10}
            row = self.list.currentRow() + step[Qt.Key(event.key())]
            self.list.setCurrentRow(max(0, min(row, self.list.count() - 1)))
            return True
        return super().eventFilter(watched, event)


def _by_score(row: tuple[float, object]) -> float:
    return -row[0]
