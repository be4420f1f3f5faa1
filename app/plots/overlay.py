"""What lies over the map: cross-hair, badges, message, divider, measured line."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen
from PySide6.QtWidgets import QStyleOptionGraphicsItem, QWidget

from app.plots.basemap import halo_text
from app.plots.map_view import Layer
from app.theme import DARK, Theme


@dataclass(frozen=True)
class Measured:
    """A line between two places (grid coordinates) and what it says."""

    start: tuple[float, float]
    end: tuple[float, float]
    text: str


class Overlay(Layer):
    """Cross-hair, badges, the message of an empty map, the divider of two pictures and the measured line."""

    def __init__(self) -> None:
        super().__init__()
        self.theme: Theme = DARK
        self.cursor_at: tuple[float, float] | None = None
        self.badges: tuple[str, ...] = ()
        self.message = ""
        self.divider: float | None = None
        self.measured: Measured | None = None

    def boundingRect(self) -> QRectF:
        return QRectF(0, 0, self.place.width, self.place.height)

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        if self.divider is not None:
            self._divider(painter, round(self.divider * self.place.width))
        if self.measured is not None:
            self._measured(painter, self.measured)
        if self.cursor_at is not None:
            self._cross(painter, *self.place.to_pixel(*self.cursor_at))
        if self.badges:
            self._badges(painter)
        if self.message:
            font = QFont(painter.font())
            font.setPixelSize(15)
            painter.setFont(font)
            painter.setPen(QColor(self.theme.faint_text))
            painter.drawText(self.boundingRect().adjusted(24, 24, -24, -24),
                             Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self.message)

    def _cross(self, painter: QPainter, px: float, py: float) -> None:
        x, y = int(px), int(py)
        for name, width, opacity in ((self.theme.map, 3, 0.35), (self.theme.map_text, 1, 0.7)):
            colour = QColor(name)
            colour.setAlphaF(opacity)
            painter.setPen(QPen(colour, width))
            for x0, y0, x1, y1 in ((0, y, x - 6, y), (x + 6, y, self.place.width, y),
                                   (x, 0, x, y - 6), (x, y + 6, x, self.place.height)):
                painter.drawLine(x0, y0, x1, y1)

    def _badges(self, painter: QPainter) -> None:
        font = QFont(painter.font())
        font.setPixelSize(11)
        font.setBold(True)
        painter.setFont(font)
        metrics = QFontMetricsF(font)
        x, y, high = 8.0, 8.0, metrics.height() + 6
        for badge in self.badges:
            wide = metrics.horizontalAdvance(badge) + 14
            if x > 8 and x + wide > self.place.width - 8:
                x, y = 8.0, y + high + 4
            rect = QRectF(x, y, wide, high)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(self.theme.warning))
            painter.drawRoundedRect(rect, 3, 3)
            painter.setPen(QColor("#ffffff" if self.theme.name == "light" else "#14171a"))
            painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, badge)
            x += wide + 6

    def _divider(self, painter: QPainter, x: int) -> None:
        for name, width in ((self.theme.map, 4), (self.theme.accent, 2)):
            painter.setPen(QPen(QColor(name), width))
            painter.drawLine(x, 0, x, self.place.height)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(self.theme.map), 1))
        painter.setBrush(QColor(self.theme.accent))
        painter.drawEllipse(QPointF(x, self.place.height / 2), 7, 7)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _measured(self, painter: QPainter, measured: Measured) -> None:
        start, end = (QPointF(*self.place.to_pixel(*at)) for at in (measured.start, measured.end))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for name, width in ((self.theme.map, 4), (self.theme.map_text, 2)):
            painter.setPen(QPen(QColor(name), width))
            painter.drawLine(start, end)
        painter.setBrush(QColor(self.theme.map_text))
        for point in (start, end):
            painter.drawEllipse(point, 3, 3)
        font = QFont(painter.font())
        font.setPixelSize(13)
        painter.setFont(font)
        wide = QFontMetricsF(font).horizontalAdvance(measured.text)
        x = min(max(end.x() + 10, 4), max(self.place.width - wide - 8, 4))
        halo_text(painter, QPointF(x, min(max(end.y() - 10, 18), self.place.height - 8)), measured.text, self.theme)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
