"""Every key of the window, from the table of actions; each can be changed."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QHeaderView,
    QKeySequenceEdit,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.actions import ACTIONS, Actions, plain, row
from app.settings import Settings


class KeysDialog(QDialog):
    """Choose a row, press the new key, set it. Changes hold at once and are remembered."""

    def __init__(self, actions: Actions, settings: Settings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys")
        self._actions = actions
        self._settings = settings
        self.table = QTableWidget(len(ACTIONS), 3)
        self.editor = QKeySequenceEdit()
        self.editor.setMaximumSequenceLength(1)
        self.editor.setClearButtonEnabled(True)
        self.editor.setAccessibleName("New key")
        self.set_button, self.default_button = QPushButton("Set"), QPushButton("Default")
        self.set_button.setToolTip("Give this key to the chosen action; an empty field takes its key away")
        self.default_button.setToolTip("The chosen action gets its first key back")
        self.note = QLabel()
        self.note.setWordWrap(True)
        self.note.setAccessibleName("Note")
        self._fill()
        self._lay_out()
        self.table.itemSelectionChanged.connect(self._on_chosen)
        self.set_button.clicked.connect(self._set)
        self.default_button.clicked.connect(self._default)
        self.table.selectRow(0)
        self.resize(520, 640)

    def _lay_out(self) -> None:
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        line = QHBoxLayout()
        line.addWidget(QLabel("New key"))
        line.addWidget(self.editor, 1)
        line.addWidget(self.set_button)
        line.addWidget(self.default_button)
        column = QVBoxLayout(self)
        column.addWidget(self.table)
        column.addLayout(line)
        column.addWidget(self.note)
        column.addWidget(buttons)

    def _fill(self) -> None:
        table = self.table
        table.setHorizontalHeaderLabels(["Key", "Does", "Menu"])
        table.verticalHeader().hide()
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setShowGrid(False)
        table.setAccessibleName("Keys and what they do")
        for number, entry in enumerate(ACTIONS):
            for column, text in enumerate(("", plain(entry), entry.menu)):
                table.setItem(number, column, QTableWidgetItem(text))
            table.setRowHeight(number, 24)
            self._show_key(number)
        table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        table.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)

    def _show_key(self, number: int) -> None:
        keys = self._actions[ACTIONS[number].key].shortcuts()
        item = self.table.item(number, 0)
        assert item is not None
        item.setText("   ".join(key.toString(QKeySequence.SequenceFormat.NativeText) for key in keys))

    def _on_chosen(self) -> None:
        self.editor.setKeySequence(self._actions[self._chosen].shortcut())
        self.note.clear()

    @property
    def _chosen(self) -> str:
        return ACTIONS[max(self.table.currentRow(), 0)].key

    def choose(self, key: str) -> None:
        """Selects an action by its name in the table of actions."""
        self.table.selectRow(ACTIONS.index(row(key)))

    def _set(self) -> None:
        text = self.editor.keySequence().toString(QKeySequence.SequenceFormat.PortableText)
        owner = self._actions.owner(text) if text else None
        if owner is not None and owner != self._chosen:
            self.note.setText(f"This key belongs to “{plain(row(owner))}”. Give that another key first.")
            return
        self._bind(text)

    def _default(self) -> None:
        for key in row(self._chosen).keys:
            owner = self._actions.owner(key)
            if owner is not None and owner != self._chosen:
                self.note.setText(f"Its first key now belongs to “{plain(row(owner))}”.")
                return
        self._bind(None)

    def _bind(self, text: str | None) -> None:
        chosen = self._settings.values.keys
        if text is None:
            chosen.pop(self._chosen, None)
        else:
            chosen[self._chosen] = text
        self._actions.bind(self._chosen, text)
        self._show_key(self.table.currentRow())
        self._on_chosen()
        self.note.setText("Set.")

    def showEvent(self, event: object) -> None:
        super().showEvent(event)  # type: ignore[arg-type]
        self.table.setFocus(Qt.FocusReason.OtherFocusReason)
