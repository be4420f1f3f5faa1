"""One score against lead time: a line per threshold, a marker per model, a table of the current values beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPen, QResizeEvent
from PySide6.QtWidgets import QWidget

from app.plots.axes import BOTTOM, LEFT, Axis, draw_axes, lead_axis, place, short, upper_end
from app.plots.chart import alone, runs
from app.plots.plot import ROW, Plot
from app.plots.strokes import stroke
from app.plots.styles import LineStyle, ModelStyles, draw_marker, threshold_style
from app.theme import small_font

Values = Sequence[Sequence[float | None]]
TOP = 24.0
COLUMN = 42.0
GAP = 20.0
"""Between curves and numbers, so that the last lead time under the curves has room."""
NARROWEST = 70.0
"""Pixels that the curves need; with less beside them the numbers are left to the mouse."""
LOW = 160
"""Height below which the lead times stand under the curves without the word for them."""
LEAST_ROW = 12.0
LEAST_HEIGHT = 104


class ScoreCurves(Plot):
    """Curves in fixed axes. A click on a threshold or a model in the legend hides and shows its lines.

    Several thresholds are told apart by colour and dash and the models by their marker; where there is one line
    for each model (one threshold, or a score without any) it has the model's own colour and dash.
    """

    def __init__(self, parent: QWidget | None = None, styles: ModelStyles | None = None) -> None:
        super().__init__(parent)
        self._styles = styles or ModelStyles()
        self._title = ""
        self._low, self._high = 0.0, 1.0
        self._open_end = False
        self._leads: tuple[float, ...] = ()
        self._thresholds: tuple[float, ...] = ()
        self._all: tuple[float, ...] = ()
        self._curves: dict[str, Values] = {}
        self._position: float | None = None
        self._frame = QRectF()
        self._numbers_fit = True
        self._row = ROW
        self.setMinimumSize(200, LEAST_HEIGHT)

    def sizeHint(self) -> QSize:
        return QSize(340, 220)

    def set_axes(self, score_title: str, lead_minutes: Sequence[float], low: float | None = None,
                 high: float | None = 1.0) -> None:
        """The axes stay as they are until this is called again. high: None for the highest value there is."""
        self._title, self._leads = score_title, tuple(lead_minutes)
        self._low = (-0.2 if "HSS" in score_title.upper() else 0.0) if low is None else low
        self._open_end, self._high = high is None, high or 1.0
        self.setAccessibleName(f"{score_title} against lead time")
        self.redraw()

    def set_thresholds(self, thresholds: Sequence[float], of: Sequence[float] = ()) -> None:
        """thresholds: a row of values each, in mm/h; none for a score of the whole field. of: all that there are,
        which decides the styles."""
        self._thresholds, self._all = tuple(thresholds), tuple(of or thresholds)
        self._keep_room()
        self.redraw()

    def set_curves(self, model: str, values: Values) -> None:
        """values: [threshold][lead], None or NaN where the score is undefined or not known yet."""
        self._styles.of(model)
        self._curves[model] = values
        self._keep_room()
        self.redraw()

    def remove(self, model: str) -> None:
        self._curves.pop(model, None)
        self._hidden.discard(model)
        self._keep_room()
        self.redraw()

    def set_position(self, lead_minutes: float | None) -> None:
        if lead_minutes != self._position:
            self._position = lead_minutes
            self.update()

    def value_at(self, model: str, row: int) -> float | None:
        """The score at the marked lead time."""
        if self._position is None or self._position not in self._leads:
            return None
        column = self._leads.index(self._position)
        values = self._curves.get(model, ())
        return _number(values[row][column]) if row < len(values) and column < len(values[row]) else None

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._keep_room()

    def _keep_room(self) -> None:
        """Rows of numbers and names never lie over each other."""
        names = self._names(QFontMetricsF(small_font(self.font())), self.size())
        rows = 1 + max((row for _, row, _ in names), default=-1)
        needed = TOP + self._rows * LEAST_ROW + rows * ROW + 4
        self.setMinimumHeight(max(LEAST_HEIGHT, math.ceil(needed)))

    # -- what is drawn

    @property
    def _rows(self) -> int:
        return len(self._thresholds) or 1

    def _by_model(self) -> bool:
        return self._rows == 1

    def _line(self, model: str, row: int) -> LineStyle:
        if self._by_model():
            return self._styles.of(model).line
        return threshold_style(self._all.index(self._thresholds[row]), len(self._all))

    def _shows(self, model: str, row: int) -> bool:
        return self.is_shown(model) and (not self._thresholds or self.is_shown(self._thresholds[row]))

    def _axis(self) -> Axis:
        high = self._high
        if self._open_end:
            known = [v for model, values in self._curves.items() for row, line in enumerate(values[: self._rows])
                     if self._shows(model, row) for value in line if (v := _number(value)) is not None]
            high = upper_end(known)
        return Axis(self._low, high)

    def draw(self, painter: QPainter, size: QSize) -> None:
        keys = 34.0 if self._by_model() else 62.0
        full = keys + COLUMN * max(len(self._curves), 1)
        self._numbers_fit = size.width() - LEFT - GAP - 2 - full >= NARROWEST
        table = full if self._numbers_fit else keys if self._thresholds else 0.0
        metrics, x, y = QFontMetricsF(painter.font()), lead_axis(self._leads), self._axis()
        names = self._names(metrics, size)
        rows = 1 + max((row for _, row, _ in names), default=-1)
        self._row = min(ROW, max(LEAST_ROW, (size.height() - TOP - 4 - rows * ROW) / self._rows))
        low = size.height() < LOW
        below = (BOTTOM - 14 if low else BOTTOM) + 2 + rows * ROW
        self._frame = frame = QRectF(LEFT, TOP, max(size.width() - LEFT - GAP - 2 - table, 60),
                                     max(size.height() - TOP - below, 40))
        painter.setPen(QColor(self.theme.text))
        painter.drawText(QPointF(8, 15), metrics.elidedText(self._title, Qt.TextElideMode.ElideRight,
                                                            int(frame.right() - 8)))
        draw_axes(painter, frame, replace(x, title="") if low else x, y, self.theme)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for model, values in self._curves.items():
            for row in range(min(self._rows, len(values))):
                if self._shows(model, row):
                    self._draw_curve(painter, y, model, row, values[row])
        self._draw_table(painter, frame.right() + GAP, size.width())
        self._draw_names(painter, names, size.height())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _draw_curve(self, painter: QPainter, y: Axis, model: str, row: int, values: Sequence[float | None]) -> None:
        style, marker, x = self._line(model, row), self._styles.of(model).marker, lead_axis(self._leads)
        numbers = [_number(value) for value in values[: len(self._leads)]]
        points = [None if v is None else place(self._frame, x, y, (lead, v))
                  for lead, v in zip(self._leads, numbers, strict=False)]
        for run in runs(points):
            stroke(painter, style.pen(1.6, cosmetic=False), run)
        painter.setPen(QPen(QColor(style.colour), 1.4))
        painter.setBrush(QColor(self.theme.panel))
        every = max(1, len(points) // 10)
        of = f"  ≥ {self._thresholds[row]:g} mm/h" if self._thresholds else ""
        for index, (point, value) in enumerate(zip(points, numbers, strict=True)):
            if point is None or value is None:
                continue
            if index % every == 0 or alone(points, index):
                draw_marker(painter, marker, point.x(), point.y(), 3.0)
            self.points.append((point, f"{model}{of}\n+{self._leads[index]:g} min  {_exact(value)}"))

    def _draw_table(self, painter: QPainter, left: float, width: float) -> None:
        first = left + (30.0 if self._by_model() else 58.0)
        for column, model in enumerate(self._curves if self._numbers_fit else ()):
            painter.setPen(QPen(self.ink(model), 1.4))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            draw_marker(painter, self._styles.of(model).marker, first + COLUMN * column + COLUMN / 2, TOP - 9)
        for row, threshold in enumerate(self._thresholds):
            top, middle = TOP + row * self._row, TOP + (row + 0.5) * self._row
            self.hits.append((QRectF(left - 3, top, width - left, self._row), threshold))
            if not self._by_model():
                pen = threshold_style(self._all.index(threshold), len(self._all)).pen(2, cosmetic=False)
                if not self.is_shown(threshold):
                    pen.setColor(QColor(self.theme.line))
                painter.setPen(pen)
                painter.drawLine(QPointF(left, middle), QPointF(left + 24, middle))
            painter.setPen(self.ink(threshold))
            painter.drawText(QPointF(first - 29, middle + 4), f"≥{threshold:g}")

    def draw_live(self, painter: QPainter) -> None:
        frame = self._frame
        if self._position is not None and self._leads and 0 <= self._position <= self._leads[-1]:
            at = frame.left() + lead_axis(self._leads).part(self._position) * frame.width()
            painter.setPen(QPen(QColor(self.theme.accent), 1))
            painter.drawLine(QPointF(at, frame.top()), QPointF(at, frame.bottom()))
        first = frame.right() + GAP + (30.0 if self._by_model() else 58.0)
        for row in range(self._rows if self._curves and self._numbers_fit else 0):
            for column, model in enumerate(self._curves):
                value = self.value_at(model, row)
                painter.setPen(QColor(self.theme.text if self._shows(model, row) else self.theme.line))
                painter.drawText(QRectF(first + COLUMN * column, TOP + row * self._row, COLUMN, self._row),
                                 Qt.AlignmentFlag.AlignCenter, "–" if value is None else self._short(value))

    def _short(self, value: float) -> str:
        return short(value) if self._open_end else f"{round(value, 2) + 0.0:.2f}"

    def _names(self, metrics: QFontMetricsF, size: QSize) -> list[tuple[float, int, str]]:
        """(x, row, model): the models' names, broken into rows as wide as the widget."""
        x, row, result = 12.0, 0, []
        for model in self._curves:
            wide = metrics.horizontalAdvance(model) + self._key_width + 20
            if x > 12 and x + wide > size.width() - 8:
                x, row = 12.0, row + 1
            result.append((x, row, model))
            x += wide
        return result

    @property
    def _key_width(self) -> float:
        return 30.0 if self._by_model() else 10.0

    def _draw_names(self, painter: QPainter, names: list[tuple[float, int, str]], height: float) -> None:
        rows = 1 + max((row for _, row, _ in names), default=-1)
        for x, row, model in names:
            top = height - 4 - (rows - row) * ROW
            wide = QFontMetricsF(painter.font()).horizontalAdvance(model) + self._key_width
            self.hits.append((QRectF(x - 8, top, wide + 14, ROW), model))
            colour = self.ink(model)
            middle = x
            if self._by_model():
                pen = self._styles.of(model).line.pen(2, cosmetic=False)
                if not self.is_shown(model):
                    pen.setColor(colour)
                colour, middle = pen.color(), x + 10
                painter.setPen(pen)
                painter.drawLine(QPointF(x - 2, top + 9), QPointF(x + 22, top + 9))
            painter.setPen(QPen(colour, 1.4))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            draw_marker(painter, self._styles.of(model).marker, middle, top + 9)
            painter.setPen(self.ink(model))
            painter.drawText(QPointF(x + self._key_width, top + 13), model)


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _exact(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 100 else f"{value:,.1f}"
