"""Curves over two axes, with guiding lines behind them and a legend below."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from app.plots.axes import BOTTOM, LEFT, Axis, draw_axes, place
from app.plots.plot import ROW, Plot
from app.plots.strokes import stroke
from app.plots.styles import LineStyle, draw_marker

MARKER_ROOM = 26.0
OBSERVED = ""
"""Colour of what was observed: the text's."""


@dataclass(frozen=True)
class Series:
    """keys: the legend entries that hide it. x, y: one value per point, y None where there is none. style: colour
    OBSERVED stands for the text's colour. texts: what the mouse finds at each point. marker: "" for none. sparse:
    markers keep a distance, not every point gets one."""

    keys: tuple[Hashable, ...]
    x: tuple[float, ...]
    y: tuple[float | None, ...]
    style: LineStyle
    marker: str = ""
    texts: tuple[str, ...] = ()
    width: float = 1.6
    sparse: bool = False


@dataclass(frozen=True)
class Entry:
    """A row of the legend: what it hides, what it says, and a line or marker before it."""

    key: Hashable
    text: str
    style: LineStyle | None = None
    marker: str = ""


@dataclass(frozen=True)
class Guide:
    """A thin line behind the curves, with a word at its last point or at one of its own."""

    points: tuple[tuple[float, float], ...]
    word: str = ""
    dashed: bool = False
    word_at: tuple[float, float] | None = None


@dataclass(frozen=True)
class Content:
    """All that a chart shows. marks: values of x with a word each, drawn as short lines at the lower axis.
    message: stands where there is nothing to draw."""

    x: Axis
    y: Axis
    series: tuple[Series, ...] = ()
    legend: tuple[Entry, ...] = ()
    guides: tuple[Guide, ...] = ()
    marks: tuple[tuple[float, str, str], ...] = ()
    message: str = ""
    square: bool = False


@dataclass
class _Places:
    frame: QRectF = field(default_factory=QRectF)
    of: list[tuple[Series, list[QPointF | None]]] = field(default_factory=list)


class Chart(Plot):
    """``set_mark``: a vertical line. ``set_current``: the point of each curve that gets a ring."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._content = Content(Axis(0, 1), Axis(0, 1))
        self._mark: float | None = None
        self._current: int | None = None
        self._places = _Places()
        self.setMinimumSize(200, 170)

    def sizeHint(self) -> QSize:
        return QSize(320, 300)

    @property
    def content(self) -> Content:
        return self._content

    def set_content(self, content: Content) -> None:
        if content != self._content:
            self._content = content
            self.redraw()

    def set_mark(self, x: float | None) -> None:
        if x != self._mark:
            self._mark = x
            self.update()

    def set_current(self, index: int | None) -> None:
        if index != self._current:
            self._current = index
            self.update()

    def shown(self) -> tuple[Series, ...]:
        return tuple(s for s in self._content.series if all(self.is_shown(key) for key in s.keys))

    def place_of(self, series: int, point: int) -> QPointF | None:
        """Where a point of a shown curve was drawn."""
        return self._places.of[series][1][point]

    # -- drawing

    def draw(self, painter: QPainter, size: QSize) -> None:
        content, metrics = self._content, QFontMetricsF(painter.font())
        rows = _rows(content.legend, metrics, size.width())
        bottom = size.height() - BOTTOM - 4 - ROW * (1 + max((row for _, row, _ in rows), default=-1))
        frame = QRectF(LEFT, 22, max(size.width() - LEFT - 14, 60), max(bottom - 22, 60))
        if content.square:
            side = min(frame.width(), frame.height())
            frame = QRectF(frame.left() + (frame.width() - side) / 2, frame.top(), side, side)
        self._places = _Places(frame)
        painter.setPen(QColor(self.theme.text))
        painter.drawText(QPointF(8, 14), metrics.elidedText(content.y.title, Qt.TextElideMode.ElideRight,
                                                            size.width() - 12))
        draw_axes(painter, frame, content.x, content.y, self.theme)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._draw_guides(painter, frame)
        for series in self.shown():
            self._draw_series(painter, frame, series)
        self._draw_marks(painter, frame)
        self._draw_legend(painter, rows, frame.bottom() + BOTTOM + 4)
        if content.message:
            painter.setPen(QColor(self.theme.faint_text))
            painter.drawText(frame, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, content.message)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _draw_guides(self, painter: QPainter, frame: QRectF) -> None:
        x, y = self._content.x, self._content.y
        for guide in self._content.guides:
            pen = QPen(QColor(self.theme.line), 1)
            if guide.dashed:
                pen.setDashPattern([4, 4])
            painter.setPen(pen)
            line = [place(frame, x, y, point) for point in guide.points]
            painter.drawPolyline(QPolygonF(line))
            if guide.word and line:
                painter.setPen(QColor(self.theme.faint_text))
                at = line[-1] if guide.word_at is None else place(frame, x, y, guide.word_at)
                painter.drawText(at + QPointF(3, 4), guide.word)

    def _draw_series(self, painter: QPainter, frame: QRectF, series: Series) -> None:
        x, y, colour = self._content.x, self._content.y, self._colour(series.style)
        points = [None if v is None else place(frame, x, y, (u, v)) for u, v in zip(series.x, series.y, strict=True)]
        pen = series.style.pen(series.width, cosmetic=False)
        pen.setColor(colour)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for run in runs(points):
            stroke(painter, pen, run)
        if series.marker:
            painter.setPen(QPen(colour, 1.4))
            painter.setBrush(QColor(self.theme.panel))
            last = -MARKER_ROOM
            for index, point in enumerate(points):
                if point is None:
                    continue
                if not series.sparse or point.x() - last >= MARKER_ROOM or alone(points, index):
                    draw_marker(painter, series.marker, point.x(), point.y(), 3.0)
                    last = point.x()
        self._places.of.append((series, points))
        self.points += [(point, text) for point, text in zip(points, series.texts, strict=False) if point is not None]

    def _draw_marks(self, painter: QPainter, frame: QRectF) -> None:
        for number, (value, word, colour) in enumerate(self._content.marks):
            if not self._content.x.low >= value >= self._content.x.high \
                    and not self._content.x.low <= value <= self._content.x.high:
                continue
            at = place(frame, self._content.x, self._content.y, (value, self._content.y.low))
            painter.setPen(QPen(QColor(colour), 1.6))
            painter.drawLine(at, at - QPointF(0, 14 + 13 * number))
            wide = QFontMetricsF(painter.font()).horizontalAdvance(word)
            left = at.x() + 4 if at.x() + 4 + wide < frame.right() else at.x() - 4 - wide
            painter.setPen(QColor(self.theme.text))
            painter.drawText(QPointF(left, at.y() - 5 - 13 * number), word)

    def _draw_legend(self, painter: QPainter, rows: list[tuple[float, int, Entry]], first: float) -> None:
        metrics = QFontMetricsF(painter.font())
        for x, row, entry in rows:
            top = first + row * ROW
            self.hits.append((QRectF(x - 4, top, _wide(entry, metrics), ROW), entry.key))
            draw_key(painter, entry, QPointF(x, top + 9), None if self.is_shown(entry.key) else self.theme.line,
                     self._colour(entry.style) if entry.style else self.ink(entry.key))
            painter.setPen(self.ink(entry.key))
            painter.drawText(QPointF(x + _key_width(entry), top + 13), entry.text)

    def draw_live(self, painter: QPainter) -> None:
        frame, x = self._places.frame, self._content.x
        if self._mark is not None:
            at = frame.left() + x.part(self._mark) * frame.width()
            painter.setPen(QPen(QColor(self.theme.accent), 1))
            painter.drawLine(QPointF(at, frame.top()), QPointF(at, frame.bottom()))
        if self._current is None:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(self.theme.text), 1.6))
        for _, points in self._places.of:
            point = points[self._current] if self._current < len(points) else None
            if point is not None:
                painter.drawEllipse(point, 6.0, 6.0)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _colour(self, style: LineStyle) -> QColor:
        return QColor(style.colour or self.theme.text)


def draw_key(painter: QPainter, entry: Entry, at: QPointF, hidden: str | None, colour: QColor) -> None:
    """The line and the marker of a legend entry; ``at``: the middle of its left side."""
    colour = QColor(hidden) if hidden else colour
    if entry.style is not None:
        pen = entry.style.pen(2, cosmetic=False)
        pen.setColor(colour)
        painter.setPen(pen)
        painter.drawLine(at, at + QPointF(24, 0))
    if entry.marker:
        painter.setPen(QPen(colour, 1.4))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        draw_marker(painter, entry.marker, at.x() + (12 if entry.style is not None else 4), at.y())


def alone(points: Sequence[QPointF | None], index: int) -> bool:
    return all(points[i] is None for i in (index - 1, index + 1) if 0 <= i < len(points))


def runs(points: Sequence[QPointF | None]) -> list[list[QPointF]]:
    """Stretches of known points, two at least."""
    found: list[list[QPointF]] = [[]]
    for point in points:
        if point is None:
            found.append([])
        else:
            found[-1].append(point)
    return [run for run in found if len(run) > 1]


def _key_width(entry: Entry) -> float:
    return 30.0 if entry.style is not None else 14.0 if entry.marker else 2.0


def _wide(entry: Entry, metrics: QFontMetricsF) -> float:
    return _key_width(entry) + metrics.horizontalAdvance(entry.text) + 10


def _rows(legend: Sequence[Entry], metrics: QFontMetricsF, width: float) -> list[tuple[float, int, Entry]]:
    """(x, row, entry), broken into rows that fit."""
    x, row, result = 8.0, 0, []
    for entry in legend:
        wide = _wide(entry, metrics) + 4
        if x > 8 and x + wide > width - 4:
            x, row = 8.0, row + 1
        result.append((x, row, entry))
        x += wide
    return result
