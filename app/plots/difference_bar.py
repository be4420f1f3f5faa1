"""The colour bar of differences: too little on the left, too much on the right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.theme import DARK, Theme, small_font

HEIGHT = 54


class DifferenceBar(QWidget):
    """Classes of equal width with their limits in mm/h."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme: Theme = DARK
        self._limits: tuple[float, ...] = ()
        self._colours: tuple[QColor, ...] = ()
        self.setFixedHeight(HEIGHT)
        self.setMinimumWidth(200)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Colour bar of differences, predicted minus observed, in mm/h")

    def set_table(self, colours: NDArray[np.uint32], limits: tuple[float, ...], theme: Theme) -> None:
        """colours: 0xffRRGGBB, as many as there are classes on both sides of zero and one for it, then others."""
        self._limits, self._theme = limits, theme
        self._colours = tuple(QColor.fromRgb(int(value)) for value in colours[: 2 * len(limits) + 1])
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(self._theme.panel))
        painter.setFont(small_font(self.font()))
        if self._colours:
            self._paint_classes(painter)
        painter.end()

    def _paint_classes(self, painter: QPainter) -> None:
        metrics = QFontMetricsF(painter.font())
        wide = (self.width() - 32) / len(self._colours)
        edges = [*(-limit for limit in reversed(self._limits)), *self._limits]
        for number, colour in enumerate(self._colours):
            painter.fillRect(QRectF(16 + number * wide, 20, wide + 0.5, 14), colour)
        painter.setPen(QColor(self._theme.line))
        painter.drawRect(QRectF(16, 20, wide * len(self._colours), 14))
        painter.setPen(QColor(self._theme.text))
        last = 0.0
        for number, edge in enumerate(edges):
            text = f"{edge:+g}".replace("-", "−")
            x = 16 + (number + 1) * wide - metrics.horizontalAdvance(text) / 2
            if x > last + 6:
                painter.drawText(QPointF(x, 48), text)
                last = x + metrics.horizontalAdvance(text)
        painter.setPen(QColor(self._theme.faint_text))
        painter.drawText(QPointF(16, 14), "too little")
        right = "too much, mm/h"
        painter.drawText(QPointF(self.width() - 16 - metrics.horizontalAdvance(right), 14), right)
