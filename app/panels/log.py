"""The log: what happened, with the details that a message leaves out."""

from __future__ import annotations

import logging

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import QPlainTextEdit, QVBoxLayout, QWidget

from app.context import Context

MAX_LINES = 2000


class _Relay(QObject):
    """Brings lines from any thread to the GUI thread."""

    line = Signal(str)


class _ToRelay(logging.Handler):
    def __init__(self, relay: _Relay) -> None:
        super().__init__(logging.INFO)
        self._relay = relay
        self.setFormatter(logging.Formatter("%(asctime)s  %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        self._relay.line.emit(self.format(record))


class LogPanel(QWidget):
    """Keeps the last lines; they can be selected and copied."""

    def __init__(self, context: Context, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setMaximumBlockCount(MAX_LINES)
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.setAccessibleName("Log")
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 4, 4, 4)
        column.addWidget(self.text)
        self._relay = _Relay(self)
        self._relay.line.connect(self.text.appendPlainText, Qt.ConnectionType.QueuedConnection)
        self._handler = _ToRelay(self._relay)
        logging.getLogger().addHandler(self._handler)

    def end(self) -> None:
        """Stops listening; called before the window goes."""
        logging.getLogger().removeHandler(self._handler)
