"""Room for a panel that may need more height than its dock has: it scrolls, and never makes the window taller."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QFrame, QScrollArea, QWidget

LEAST_HEIGHT = 120


class Scrolled(QScrollArea):
    """As wide as its panel needs, as high as there is room for; a scroll bar only where the panel does not fit."""

    def __init__(self, panel: QWidget) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidgetResizable(True)
        self.setWidget(panel)

    def sizeHint(self) -> QSize:
        return self.widget().sizeHint()

    def minimumSizeHint(self) -> QSize:
        panel, bar = self.widget(), self.verticalScrollBar().sizeHint().width()
        least = panel.minimumSizeHint().expandedTo(panel.minimumSize())
        return QSize(least.width() + bar, min(least.height(), LEAST_HEIGHT))
