"""A small text beneath a field of a form."""

from __future__ import annotations

from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLabel

from app.theme import small_font


class Note(QLabel):
    """A small text of as many lines as it needs, which a layout does not squeeze."""

    def __init__(self, text: str, colour: str) -> None:
        super().__init__(text)
        self.setFont(small_font(self.font()))
        self.setStyleSheet(f"color: {colour};")
        self.setWordWrap(True)

    def say(self, text: str) -> None:
        """An empty text takes no room."""
        self.setText(text)
        self._fit()
        self.setVisible(bool(text))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        self.setMinimumHeight(max(0, self.heightForWidth(self.width())))
