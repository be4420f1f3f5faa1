"""What all drawn panels share: a kept picture, a legend that is toggled by click and key, values under the mouse."""

from __future__ import annotations

from collections.abc import Hashable

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.theme import DARK, Theme, small_font

ROW = 18.0
NEAR = 14.0
"""Pixels within which the mouse finds a value."""

TAKEN = (Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter)
SMALLEST_SHEET = QSize(480, 320)


class Plot(QWidget):
    """Subclasses draw what stays in :meth:`draw` and what follows the mark in :meth:`draw_live`.

    The first is kept as a pixmap, so that a step of the loop costs little. With the focus (Tab) the arrow keys walk
    through the legend, and Space or Return hides and shows what the entry stands for.
    """

    toggled = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.theme: Theme = DARK
        self.hits: list[tuple[QRectF, Hashable]] = []
        self.points: list[tuple[QPointF, str]] = []
        self._hidden: set[Hashable] = set()
        self._kept: QPixmap | None = None
        self._hovered: tuple[QPointF, str] | None = None
        self._chosen = 0
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def draw(self, painter: QPainter, size: QSize) -> None:
        """Everything that stays; fills ``hits`` (legend) and ``points`` (values under the mouse)."""
        raise NotImplementedError

    def draw_live(self, painter: QPainter) -> None:
        """What follows the mark."""

    def set_theme(self, theme: Theme) -> None:
        self.theme = theme
        self.redraw()

    def redraw(self) -> None:
        self._kept = None
        self.update()

    # -- legend

    def is_shown(self, key: Hashable) -> bool:
        return key not in self._hidden

    def toggle(self, key: Hashable) -> None:
        self._hidden ^= {key}
        self.redraw()
        self.toggled.emit(key)

    def legend_rect(self, key: Hashable) -> QRectF | None:
        """Where the legend entry was drawn."""
        return next((rect for rect, name in self.hits if name == key), None)

    def picked(self, key: Hashable) -> None:
        """An entry was clicked or chosen by key."""
        self.toggle(key)

    def ink(self, key: Hashable) -> QColor:
        """The colour of an entry's text."""
        return QColor(self.theme.text if self.is_shown(key) else self.theme.line)

    # -- mouse and keys

    def mousePressEvent(self, event: QMouseEvent) -> None:
        for rect, key in self.hits:
            if rect.contains(event.position()):
                self.picked(key)
                return

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._hover(event.position())
        over = any(rect.contains(event.position()) for rect, _ in self.hits)
        self.setCursor(Qt.CursorShape.PointingHandCursor if over else Qt.CursorShape.ArrowCursor)

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._hover(None)

    def _hover(self, at: QPointF | None) -> None:
        found = None
        if at is not None and self.points:
            nearest = min(self.points, key=lambda point: (point[0] - at).manhattanLength())
            found = nearest if (nearest[0] - at).manhattanLength() <= NEAR else None
        if found != self._hovered:
            self._hovered = found
            self.update()

    @property
    def hover_text(self) -> str:
        """The value that is shown under the mouse."""
        return self._hovered[1] if self._hovered else ""

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) \
                and event.key() in TAKEN and self.hits:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if not self.hits or event.key() not in TAKEN:
            super().keyPressEvent(event)
        elif event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            self._chosen = (self._chosen + (1 if event.key() == Qt.Key.Key_Down else -1)) % len(self.hits)
            self.update()
        else:
            self.picked(self.hits[min(self._chosen, len(self.hits) - 1)][1])

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.update()

    # -- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        ratio = self.devicePixelRatioF()
        wanted = self.size() * ratio
        if self._kept is None or self._kept.size() != wanted:
            self._kept = QPixmap(wanted)
            self._kept.setDevicePixelRatio(ratio)
            under = QPainter(self._kept)
            self._draw_whole(under, self.size())
            under.end()
            self._hovered = None
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._kept)
        painter.setFont(small_font(self.font()))
        self.draw_live(painter)
        self._draw_focus(painter)
        self._draw_hover(painter)
        painter.end()

    def changeEvent(self, event: QEvent) -> None:
        self._kept = None
        super().changeEvent(event)

    def _draw_whole(self, painter: QPainter, size: QSize) -> None:
        painter.fillRect(0, 0, size.width(), size.height(), QColor(self.theme.panel))
        painter.setFont(small_font(self.font()))
        self.hits, self.points = [], []
        self.draw(painter, size)

    def _draw_focus(self, painter: QPainter) -> None:
        if self.hasFocus() and self.hits:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(self.theme.accent), 1))
            painter.drawRoundedRect(self.hits[min(self._chosen, len(self.hits) - 1)][0], 3, 3)

    def _draw_hover(self, painter: QPainter) -> None:
        if self._hovered is None:
            return
        at, text = self._hovered
        lines, metrics = text.split("\n"), QFontMetricsF(painter.font())
        wide = max(metrics.horizontalAdvance(line) for line in lines) + 12
        high = metrics.lineSpacing() * len(lines) + 8
        left = min(max(at.x() + 10, 2.0), max(self.width() - wide - 2, 2.0))
        top = at.y() - high - 8 if at.y() > high + 10 else at.y() + 12
        painter.setPen(QColor(self.theme.line))
        painter.setBrush(QColor(self.theme.window))
        painter.drawRoundedRect(QRectF(left, top, wide, high), 3, 3)
        painter.setPen(QColor(self.theme.text))
        for number, line in enumerate(lines):
            painter.drawText(QPointF(left + 6, top + 4 + metrics.ascent() + number * metrics.lineSpacing()), line)
        painter.setPen(QPen(QColor(self.theme.text), 1.2))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawEllipse(at, 5.5, 5.5)

    # -- export

    def sheet_size(self) -> QSize:
        return self.size().expandedTo(SMALLEST_SHEET)

    def draw_sheet(self, painter: QPainter, size: QSize) -> None:
        """Draws at a size that need not be the widget's; what the mouse finds is measured anew afterwards."""
        self._draw_whole(painter, size)
        self.draw_live(painter)
        self.redraw()
        here = QPixmap(self.size())
        again = QPainter(here)
        self._draw_whole(again, self.size())
        again.end()
