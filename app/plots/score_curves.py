"""One score against lead time: a line per threshold, a marker per model, a table of the current values beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.plots.styles import draw_marker, model_marker, threshold_style
from app.theme import DARK, Theme, small_font

Values = Sequence[Sequence[float | None]]
_ROW = 18.0
_LEAD_STEPS = (5, 10, 15, 20, 30, 60, 120, 180, 360)


class ScoreCurves(QWidget):
    """Curves in fixed axes. A click on a threshold or a model in the legend hides and shows its lines.

    All that does not follow the marker is kept as a pixmap, so that a step of the loop draws one line and the values.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme: Theme = DARK
        self._title = ""
        self._low = 0.0
        self._leads: tuple[float, ...] = ()
        self._thresholds: tuple[float, ...] = ()
        self._curves: dict[str, Values] = {}
        self._markers: dict[str, str] = {}
        self._hidden: set[float | str] = set()
        self._position: float | None = None
        self._hits: list[tuple[QRectF, float | str]] = []
        self._kept: QPixmap | None = None
        self._frame = QRectF()
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMinimumSize(240, 150)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:
        return QSize(340, 220)

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self._redraw()

    def set_axes(self, score_title: str, lead_minutes: Sequence[float]) -> None:
        """The axes stay as they are until this is called again."""
        self._title, self._leads = score_title, tuple(lead_minutes)
        self._low = -0.2 if "HSS" in score_title.upper() else 0.0
        self.setAccessibleName(f"{score_title} against lead time")
        self._redraw()

    def set_thresholds(self, thresholds: Sequence[float]) -> None:
        self._thresholds = tuple(thresholds)
        self._redraw()

    def set_curves(self, model: str, values: Values) -> None:
        """values: [threshold][lead], None or NaN where the score is undefined or not known yet."""
        if model not in self._markers:
            free = [model_marker(i) for i in range(8) if model_marker(i) not in self._markers.values()]
            self._markers[model] = free[0] if free else model_marker(len(self._markers))
        self._curves[model] = values
        self._redraw()

    def remove(self, model: str) -> None:
        self._curves.pop(model, None)
        self._markers.pop(model, None)
        self._hidden.discard(model)
        self._redraw()

    def _redraw(self) -> None:
        self._kept = None
        self.update()

    def set_position(self, lead_minutes: float | None) -> None:
        if lead_minutes != self._position:
            self._position = lead_minutes
            self.update()

    def is_shown(self, key: float | str) -> bool:
        """key: a threshold in mm/h or the name of a model."""
        return key not in self._hidden

    def toggle(self, key: float | str) -> None:
        self._hidden ^= {key}
        self._redraw()

    def legend_rect(self, key: float | str) -> QRectF | None:
        """Where the legend entry was drawn."""
        return next((rect for rect, name in self._hits if name == key), None)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        for rect, key in self._hits:
            if rect.contains(event.position()):
                self.toggle(key)
                return

    def value_at(self, model: str, row: int) -> float | None:
        """The score at the marked lead time."""
        if self._position is None or self._position not in self._leads:
            return None
        column = self._leads.index(self._position)
        values = self._curves.get(model, ())
        return _number(values[row][column]) if row < len(values) and column < len(values[row]) else None

    def paintEvent(self, event: QPaintEvent) -> None:
        ratio = self.devicePixelRatioF()
        wanted = self.size() * ratio
        if self._kept is None or self._kept.size() != wanted:
            self._kept = QPixmap(wanted)
            self._kept.setDevicePixelRatio(ratio)
            self._paint_all(self._kept)
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._kept)
        painter.setFont(small_font(self.font()))
        self._paint_marker(painter, self._frame)
        for row in range(len(self._thresholds)):
            self._paint_row(painter, row, self._frame.right() + 12, 24.0 + row * _ROW)
        painter.end()

    def changeEvent(self, event: QEvent) -> None:
        self._kept = None
        super().changeEvent(event)

    def _paint_all(self, target: QPixmap) -> None:
        target.fill(QColor(self._theme.panel))
        painter = QPainter(target)
        painter.setFont(small_font(self.font()))
        self._hits = []
        table = 72.0 + 38.0 * max(len(self._curves), 1)
        names = self._name_rows(painter)
        self._frame = frame = QRectF(34, 24, max(self.width() - 34 - 10 - table, 60),
                                     max(self.height() - 24 - 36 - names * _ROW, 40))
        self._paint_axes(painter, frame)
        self._paint_curves(painter, frame)
        self._paint_table(painter, frame.right() + 12)
        self._paint_names(painter)
        painter.end()

    def _place(self, frame: QRectF, lead: float, value: float) -> QPointF:
        last = max(self._leads[-1], 1e-9) if self._leads else 1.0
        part = (value - self._low) / (1.0 - self._low)
        return QPointF(frame.left() + lead / last * frame.width(), frame.bottom() - part * frame.height())

    def _paint_axes(self, painter: QPainter, frame: QRectF) -> None:
        faint, line = QColor(self._theme.faint_text), QColor(self._theme.line)
        metrics = QFontMetricsF(painter.font())
        painter.setPen(QColor(self._theme.text))
        painter.drawText(QPointF(8, 15), self._title)
        values = [v / 10 for v in range(-2, 11, 2) if v / 10 >= self._low]
        if frame.height() < 110:
            values = [v for v in values if v in (0.0, 0.4, 0.8)]
        for value in values:
            at = self._place(frame, 0.0, value)
            painter.setPen(faint if value == 0 else line)
            painter.drawLine(at, QPointF(frame.right(), at.y()))
            painter.setPen(faint)
            text = f"{value:.1f}"
            painter.drawText(QPointF(frame.left() - 6 - metrics.horizontalAdvance(text), at.y() + 4), text)
        self._paint_leads(painter, frame, metrics)

    def _paint_leads(self, painter: QPainter, frame: QRectF, metrics: QFontMetricsF) -> None:
        if not self._leads:
            return
        last = self._leads[-1]
        room = metrics.horizontalAdvance("+000") + 10
        step = next((s for s in _LEAD_STEPS if s / last * frame.width() >= room), last)
        marks = [i * step for i in range(int(last / step) + 1)]
        painter.setPen(QColor(self._theme.faint_text))
        for mark in marks:
            at = self._place(frame, mark, self._low)
            text = f"+{mark:g}" if mark else "0"
            painter.drawLine(at, at + QPointF(0, 3))
            painter.drawText(QPointF(at.x() - metrics.horizontalAdvance(text) / 2, at.y() + 15), text)
        painter.drawText(QRectF(frame.left(), frame.bottom() + 16, frame.width(), 16),
                         Qt.AlignmentFlag.AlignCenter, "lead time, min")

    def _paint_marker(self, painter: QPainter, frame: QRectF) -> None:
        if self._position is not None and self._leads and 0 <= self._position <= self._leads[-1]:
            top = self._place(frame, self._position, 1.0)
            painter.setPen(QPen(QColor(self._theme.accent), 1))
            painter.drawLine(top, QPointF(top.x(), frame.bottom()))

    def _paint_curves(self, painter: QPainter, frame: QRectF) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for model, values in self._curves.items():
            if model in self._hidden:
                continue
            for row, threshold in enumerate(self._thresholds[: len(values)]):
                if threshold not in self._hidden:
                    self._paint_curve(painter, frame, row, values[row], self._markers[model])
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _paint_curve(self, painter: QPainter, frame: QRectF, row: int, values: Sequence[float | None],
                     marker: str) -> None:
        style = threshold_style(row, len(self._thresholds))
        points = [None if (v := _number(value)) is None else self._place(frame, lead, min(max(v, self._low), 1.0))
                  for lead, value in zip(self._leads, values, strict=False)]
        painter.setPen(style.pen(1.6))
        for run in _runs(points):
            painter.drawPolyline(QPolygonF(run))
        painter.setPen(QPen(QColor(style.colour), 1.4))
        painter.setBrush(QColor(self._theme.panel))
        every = max(1, len(points) // 10)
        for index, point in enumerate(points):
            if point is not None and (index % every == 0 or self._alone(points, index)):
                draw_marker(painter, marker, point.x(), point.y(), 3.0)

    @staticmethod
    def _alone(points: Sequence[QPointF | None], index: int) -> bool:
        return all(points[i] is None for i in (index - 1, index + 1) if 0 <= i < len(points))

    def _paint_table(self, painter: QPainter, left: float) -> None:
        y = 24.0
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for column, model in enumerate(self._curves):
            painter.setPen(QPen(QColor(self._text(model)), 1.4))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            draw_marker(painter, self._markers[model], left + 62 + 38 * column + 18, y - 9)
        for row, threshold in enumerate(self._thresholds):
            top = y + row * _ROW
            self._hits.append((QRectF(left, top, self.width() - left, _ROW), threshold))
            style = threshold_style(row, len(self._thresholds))
            pen = style.pen(2)
            if threshold in self._hidden:
                pen.setColor(QColor(self._theme.line))
            painter.setPen(pen)
            painter.drawLine(QPointF(left, top + 9), QPointF(left + 26, top + 9))
            painter.setPen(QColor(self._text(threshold)))
            painter.drawText(QPointF(left + 31, top + 13), f"≥{threshold:g}")
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _paint_row(self, painter: QPainter, row: int, left: float, top: float) -> None:
        hidden = self._thresholds[row] in self._hidden
        for column, model in enumerate(self._curves):
            value = self.value_at(model, row)
            painter.setPen(QColor(self._theme.line if hidden else self._text(model)))
            text = "–" if value is None else f"{value:.2f}"
            painter.drawText(QRectF(left + 62 + 38 * column, top, 36, _ROW), Qt.AlignmentFlag.AlignCenter, text)

    def _name_rows(self, painter: QPainter) -> int:
        return 1 + max((row for _, row, _ in self._names(painter)), default=-1)

    def _names(self, painter: QPainter) -> list[tuple[float, int, str]]:
        """(x, row, model): the models' names, broken into rows as wide as the widget."""
        metrics = QFontMetricsF(painter.font())
        x, row, result = 12.0, 0, []
        for model in self._curves:
            wide = metrics.horizontalAdvance(model) + 30
            if x > 12 and x + wide > self.width() - 8:
                x, row = 12.0, row + 1
            result.append((x, row, model))
            x += wide
        return result

    def _paint_names(self, painter: QPainter) -> None:
        names = self._names(painter)
        rows = 1 + max((row for _, row, _ in names), default=-1)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for x, row, model in names:
            top = self.height() - 4 - (rows - row) * _ROW
            wide = QFontMetricsF(painter.font()).horizontalAdvance(model)
            self._hits.append((QRectF(x - 8, top, wide + 26, _ROW), model))
            painter.setPen(QPen(QColor(self._text(model)), 1.4))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            draw_marker(painter, self._markers[model], x, top + 9)
            painter.drawText(QPointF(x + 10, top + 13), model)

    def _text(self, key: float | str) -> str:
        return self._theme.line if key in self._hidden else self._theme.text


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _runs(points: Sequence[QPointF | None]) -> list[list[QPointF]]:
    """Stretches of known points, two at least."""
    runs: list[list[QPointF]] = [[]]
    for point in points:
        if point is None:
            runs.append([])
        else:
            runs[-1].append(point)
    return [run for run in runs if len(run) > 1]
