"""The few symbols of the play controls, drawn so that they follow the theme and any resolution."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPen, QPixmap, QPolygonF

SIDE = 32


def icon(key: str, colour: str) -> QIcon:
    """key: an action of the play controls, or "pause". colour: '#rrggbb'."""
    pixmap = QPixmap(SIDE, SIDE)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colour))
    for shape in SHAPES[key]:
        if len(shape) == 4 and isinstance(shape[0], float):
            painter.drawRect(QRectF(*shape))
        else:
            painter.drawPolygon(QPolygonF([QPointF(x, y) for x, y in shape]))
    if key == "loop":
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(colour), 3.0))
        painter.drawArc(QRectF(7, 7, 18, 18), 60 * 16, 300 * 16)
    if key == "to-reference":
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(colour), 3.0))
        painter.drawLine(QPointF(16, 4), QPointF(16, 28))
    painter.end()
    return QIcon(pixmap)


def _right(x: float) -> tuple[tuple[float, float], ...]:
    return (x, 7.0), (x, 25.0), (x + 12.0, 16.0)


def _left(x: float) -> tuple[tuple[float, float], ...]:
    return (x, 7.0), (x, 25.0), (x - 12.0, 16.0)


SHAPES: dict[str, tuple[tuple, ...]] = {  # type: ignore[type-arg]
    "play": (((8.0, 5.0), (8.0, 27.0), (26.0, 16.0)),),
    "pause": ((8.0, 6.0, 6.0, 20.0), (18.0, 6.0, 6.0, 20.0)),
    "back": ((21.0, 7.0, 4.0, 18.0), _left(19.0)),
    "forward": ((7.0, 7.0, 4.0, 18.0), _right(13.0)),
    "to-start": ((4.0, 7.0, 3.0, 18.0), _left(18.0), _left(29.0)),
    "to-end": (_right(3.0), _right(14.0), (26.0, 7.0, 3.0, 18.0)),
    "to-reference": (((9.0, 10.0), (9.0, 22.0), (15.0, 16.0)), ((23.0, 10.0), (23.0, 22.0), (17.0, 16.0))),
    "loop": (((19.0, 2.0), (19.0, 13.0), (26.0, 7.5)),),
}
