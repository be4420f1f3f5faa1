"""Fractions skill score by scale and threshold: a table whose cells are shaded by the score."""

from __future__ import annotations

from collections.abc import Hashable

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPen
from PySide6.QtWidgets import QWidget

from app.plots.plot import Plot
from engine.jobs.diagnosis import FractionScores

SHADES = (0.0, 0.25, 0.5, 0.75, 1.0)
LEFT, TOP = 58.0, 40.0


class FractionMatrix(Plot):
    """A click on a cell, or its choice by key, picks its scale and threshold. Bold: useful (Roberts and Lean 2008)."""

    chosen = Signal(int, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scores: FractionScores | None = None
        self._title, self._message = "", ""
        self._current: tuple[int, float] | None = None
        self.setMinimumSize(200, 150)
        self.setAccessibleName("Fractions skill score by scale and threshold")

    def sizeHint(self) -> QSize:
        return QSize(300, 200)

    def set_scores(self, scores: FractionScores | None, title: str, message: str = "") -> None:
        """message: stands where there are no scores."""
        if (scores, title, message) != (self._scores, self._title, self._message):
            self._scores, self._title, self._message = scores, title, message
            self.redraw()

    def set_current(self, side: int, threshold: float) -> None:
        if (side, threshold) != self._current:
            self._current = (side, threshold)
            self.redraw()

    def picked(self, key: Hashable) -> None:
        assert isinstance(key, tuple)
        self.chosen.emit(*key)

    def draw(self, painter: QPainter, size: QSize) -> None:
        metrics = QFontMetricsF(painter.font())
        painter.setPen(QColor(self.theme.text))
        painter.drawText(QPointF(8, 14), metrics.elidedText(self._title, Qt.TextElideMode.ElideRight,
                                                            size.width() - 12))
        scores = self._scores
        if scores is None:
            painter.setPen(QColor(self.theme.faint_text))
            painter.drawText(QRectF(8, 20, size.width() - 16, size.height() - 28),
                             Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._message)
            return
        wide = (size.width() - LEFT - 8) / len(scores.thresholds)
        high = min((size.height() - TOP - 6) / len(scores.sides), 30.0)
        painter.setPen(QColor(self.theme.faint_text))
        painter.drawText(QRectF(4, TOP - 19, LEFT - 8, 16), Qt.AlignmentFlag.AlignRight, "km")
        for column, threshold in enumerate(scores.thresholds):
            painter.drawText(QRectF(LEFT + column * wide, TOP - 19, wide, 16), Qt.AlignmentFlag.AlignCenter,
                             f"≥{threshold:g}")
        for row, length in enumerate(scores.side_km):
            painter.setPen(QColor(self.theme.faint_text))
            painter.drawText(QRectF(4, TOP + row * high, LEFT - 10, high),
                             Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, f"{length:.3g}")
            for column in range(len(scores.thresholds)):
                box = QRectF(LEFT + column * wide, TOP + row * high, wide - 1, high - 1)
                self._draw_cell(painter, box, row, column)

    def _draw_cell(self, painter: QPainter, box: QRectF, row: int, column: int) -> None:
        assert self._scores is not None
        scores, key = self._scores, (self._scores.sides[row], self._scores.thresholds[column])
        value, useful = scores.score[row][column], scores.useful[column]
        ground = self._shade(value)
        painter.fillRect(box, ground)
        self.hits.append((box, key))
        font = painter.font()
        font.setBold(value is not None and useful is not None and value >= useful)
        painter.setFont(font)
        painter.setPen(QColor("#101214" if ground.lightness() > 135 else "#f2f4f5"))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, "–" if value is None else f"{value:.2f}")
        font.setBold(False)
        painter.setFont(font)
        if key == self._current:
            painter.setPen(QPen(QColor(self.theme.text), 1.6))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(box.adjusted(0.8, 0.8, -0.8, -0.8))
        least = "" if useful is None else f", useful from {useful:.2f}"
        of = "no event" if value is None else f"FSS {value:.3f}{least}"
        self.points.append((box.center(), f"{scores.side_km[row]:.3g} km  ≥ {key[1]:g} mm/h\n{of}"))

    def _shade(self, value: float | None) -> QColor:
        """From the panel's ground to the accent: lightness alone orders the shades for every eye."""
        if value is None:
            return QColor(self.theme.window)
        low, high = QColor(self.theme.window), QColor(self.theme.accent)
        part = min(max(value, 0.0), 1.0)
        return QColor(*(round(a + (b - a) * part) for a, b in (
            (low.red(), high.red()), (low.green(), high.green()), (low.blue(), high.blue()))))
