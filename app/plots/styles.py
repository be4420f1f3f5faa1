"""One colour and dash per threshold, one marker per model, the same in contours, curves and tables; and a colour and
dash per model for curves of one threshold or of none."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen, QPolygonF


@dataclass(frozen=True)
class LineStyle:
    """colour: '#rrggbb'. dash: lengths of strokes and spaces in pixels, empty for a solid line."""

    colour: str
    dash: tuple[float, ...]

    def pen(self, width: float = 1.0, cosmetic: bool = True) -> QPen:
        """cosmetic: as wide on maps of any scale; curves grow with the sheet instead."""
        pen = QPen(QColor(self.colour), width)
        pen.setCosmetic(cosmetic)
        if self.dash:
            pen.setDashPattern([length / max(width, 1.0) for length in self.dash])
        return pen


# Okabe and Ito (2008) colours that stay apart under colour blindness and read on dark and light ground
_COLOURS = ("#56b4e9", "#009e73", "#e69f00", "#d55e00", "#cc79a7", "#8a8f98")
_DASHES: tuple[tuple[float, ...], ...] = ((), (10, 4), (5, 3), (12, 3, 3, 3), (3, 3), (14, 5))
_MODEL_COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#d55e00", "#3f7fbf")
_MARKERS = ("o", "s", "t", "d", "+", "x", "t1", "star")


def threshold_style(index: int, count: int) -> LineStyle:
    """The style of threshold number index of count; more than six repeat the colours with other dashes."""
    if not 0 <= index < max(count, 1):
        raise ValueError(f"threshold {index} of {count}")
    turn = index // len(_COLOURS)
    return LineStyle(_COLOURS[index % len(_COLOURS)], _DASHES[(index + turn) % len(_DASHES)])


def model_marker(index: int) -> str:
    """A marker name (pyqtgraph's letters) for the index-th model."""
    return _MARKERS[index % len(_MARKERS)]


@dataclass(frozen=True)
class ModelStyle:
    """How a model is drawn: its marker everywhere, its line where the thresholds are not told apart by theirs."""

    line: LineStyle
    marker: str


class ModelStyles:
    """A style for each model, given out as models appear and never changed; 24 differ in colour, dash and marker."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def of(self, model: str) -> ModelStyle:
        number = self._numbers.setdefault(model, len(self._numbers))
        return ModelStyle(LineStyle(_MODEL_COLOURS[number % len(_MODEL_COLOURS)],
                                    _DASHES[(number + number // len(_MARKERS)) % len(_DASHES)]), model_marker(number))


def draw_marker(painter: QPainter, name: str, x: float, y: float, radius: float = 3.5) -> None:
    """Draw a marker with the painter's pen and brush."""
    r = radius
    if name == "o":
        painter.drawEllipse(QPointF(x, y), r, r)
    elif name == "s":
        painter.drawRect(QRectF(x - r, y - r, 2 * r, 2 * r))
    elif name in {"+", "x", "star"}:
        painter.drawPath(_cross(name, x, y, r))
    else:
        painter.drawPolygon(QPolygonF([QPointF(x + dx * r, y + dy * r) for dx, dy in _POLYGONS[name]]))


_POLYGONS = {
    "t": ((-1.1, -0.9), (1.1, -0.9), (0.0, 1.2)),
    "t1": ((-1.1, 0.9), (1.1, 0.9), (0.0, -1.2)),
    "d": ((0.0, -1.3), (1.1, 0.0), (0.0, 1.3), (-1.1, 0.0)),
}


def _cross(name: str, x: float, y: float, r: float) -> QPainterPath:
    path = QPainterPath()
    strokes = []
    if name in {"+", "star"}:
        strokes += [(-1.2, 0.0, 1.2, 0.0), (0.0, -1.2, 0.0, 1.2)]
    if name in {"x", "star"}:
        strokes += [(-1.0, -1.0, 1.0, 1.0), (-1.0, 1.0, 1.0, -1.0)]
    for x0, y0, x1, y1 in strokes:
        path.moveTo(x + x0 * r, y + y0 * r)
        path.lineTo(x + x1 * r, y + y1 * r)
    return path
