"""Room for a panel that may need more height than its dock has: it scrolls, and never makes the window taller."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QWidget

LEAST_HEIGHT = 120


class Scrolled(QScrollArea):
    """As wide as its dock, as high as there is room for; a scroll bar only where the least height of the panel does
    not fit. (Qt's own way would take the height that the panel likes best.)"""

    def __init__(self, panel: QWidget) -> None:
        super().__init__()
        self._panel = panel
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(panel)

    def sizeHint(self) -> QSize:
        return self._panel.sizeHint()

    def minimumSizeHint(self) -> QSize:
        least = self._least()
        return QSize(least.width() + self._bar(), min(least.height(), LEAST_HEIGHT))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.LayoutRequest:
            self._fit()
            self.updateGeometry()
        return super().event(event)

    def _fit(self) -> None:
        """The panel takes what there is; where that is too little, what it needs beside the scroll bar."""
        room = self.maximumViewportSize()
        if self._height(room.width()) > room.height():
            wide = room.width() - self._bar()
            self._panel.resize(wide, self._height(wide))
        else:
            self._panel.resize(room)

    def _height(self, width: int) -> int:
        """The least height of the panel at a width."""
        layout, least = self._panel.layout(), self._least().height()
        if layout is not None and layout.hasHeightForWidth():
            return max(layout.minimumHeightForWidth(width), self._panel.minimumHeight())
        return least

    def _least(self) -> QSize:
        return self._panel.minimumSizeHint().expandedTo(self._panel.minimumSize())

    def _bar(self) -> int:
        return self.verticalScrollBar().sizeHint().width()
