"""A table as part of a file."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter

from app.plots.plot import ROW
from app.theme import Theme, small_font

PADDING = 14.0


class TextTable:
    """Rows of texts; the first is the heading, the first column stands left, the others right."""

    def __init__(self, rows: Sequence[Sequence[str]], theme: Theme, font: QFont) -> None:
        self._rows, self._theme, self._font = rows, theme, small_font(font)
        metrics = QFontMetricsF(self._font)
        self._widths = [max(metrics.horizontalAdvance(row[i]) for row in rows) + PADDING for i in range(len(rows[0]))]

    def sheet_size(self) -> QSize:
        return QSize(max(round(sum(self._widths)) + 16, 320), round(ROW * len(self._rows)) + 12)

    def draw_sheet(self, painter: QPainter, size: QSize) -> None:
        painter.setFont(self._font)
        for number, row in enumerate(self._rows):
            left, top = 8.0, 4 + number * ROW
            painter.setPen(QColor(self._theme.text if number else self._theme.faint_text))
            for column, (text, wide) in enumerate(zip(row, self._widths, strict=True)):
                side = Qt.AlignmentFlag.AlignRight if column else Qt.AlignmentFlag.AlignLeft
                painter.drawText(QRectF(left, top, wide - 6, ROW), side | Qt.AlignmentFlag.AlignVCenter, text)
                left += wide
            if not number:
                painter.setPen(QColor(self._theme.line))
                painter.drawLine(QPointF(8, top + ROW), QPointF(left, top + ROW))
