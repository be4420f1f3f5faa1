"""A line of text that changes often and never asks for a new layout."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QSizePolicy, QWidget


class TextLine(QWidget):
    """Cut with an ellipsis where there is no room. ``widest``: a text it keeps room for, or for a longer one once that
    has come; without one it takes what is left and never forces anything wider. A QLabel would lay its window out
    anew at every text."""

    def __init__(self, parent: QWidget | None = None, widest: str = "",
                 alignment: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft) -> None:
        super().__init__(parent)
        self._text = ""
        self.elide = Qt.TextElideMode.ElideRight
        self._widest = widest
        self._alignment = alignment | Qt.AlignmentFlag.AlignVCenter
        policy = QSizePolicy.Policy.Fixed if widest else QSizePolicy.Policy.Ignored
        self.setSizePolicy(policy, QSizePolicy.Policy.Fixed)

    def text(self) -> str:
        return self._text

    def setText(self, text: str) -> None:
        if text != self._text:
            self._text = text
            if self._widest and len(text) > len(self._widest):
                self.reserve(text)
            self.setAccessibleDescription(text)
            self.setToolTip("" if self._widest else text)
            self.update()

    def reserve(self, widest: str) -> None:
        """Keeps room for another text."""
        if widest != self._widest:
            self._widest = widest
            self.updateGeometry()

    def sizeHint(self) -> QSize:
        metrics = QFontMetricsF(self.font())
        return QSize(round(metrics.horizontalAdvance(self._widest)) + 4, round(metrics.height()) + 2)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint() if self._widest else QSize(20, self.sizeHint().height())

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self.updateGeometry()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        text = self.fontMetrics().elidedText(self._text, self.elide, self.width())
        painter.drawText(self.rect(), int(self._alignment), text)
        painter.end()
