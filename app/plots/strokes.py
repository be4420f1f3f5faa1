"""Curves drawn quickly: Qt's time for a wide antialiased line grows with the square of its points, so that it is
handed a few of them at a time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from PySide6.QtCore import QLineF, QPointF, Qt
from PySide6.QtGui import QPainter, QPen, QPolygonF

PIECE = 4
"""Points of a piece of a dashed curve."""


def stroke(painter: QPainter, pen: QPen, points: Sequence[QPointF]) -> None:
    """The line through the points; dashes go on from piece to piece. The painter keeps another pen afterwards."""
    pen = QPen(pen)
    if pen.dashPattern():
        _dashed(painter, pen, points)
        return
    pen.setCapStyle(Qt.PenCapStyle.SquareCap)  # pieces meet without a notch
    painter.setPen(pen)
    painter.drawLines([QLineF(a, b) for a, b in itertools.pairwise(points)])


def _dashed(painter: QPainter, pen: QPen, points: Sequence[QPointF]) -> None:
    wide, along = max(pen.widthF(), 1.0), pen.dashOffset()
    period = sum(pen.dashPattern())
    for first in range(0, len(points) - 1, PIECE):
        piece = points[first:first + PIECE + 1]
        pen.setDashOffset(along)
        painter.setPen(pen)
        painter.drawPolyline(QPolygonF(piece))
        along = math.fmod(along + sum(QLineF(a, b).length() for a, b in itertools.pairwise(piece)) / wide, period)
