"""Coasts, borders and graticule with labels at the edges, and the scale bar: drawn once per view, then blitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPainterPath, QPen

from app.plots.cached_layer import CachedLayer
from app.plots.contours import line_path
from app.plots.map_view import Placement
from app.theme import DARK, Theme

_FAINT = {"coast": 1.0, "lake": 0.7, "border": 0.7, "river": 0.4}
_KM_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
HALO = 3
_CLEAR = 20.0


class MapLine(Protocol):
    """A line of the map: what it is and its points (N, 2) in grid coordinates."""

    @property
    def kind(self) -> str: ...

    @property
    def xy(self) -> NDArray[np.floating]: ...


class BasemapItem(CachedLayer):
    """Thin calm lines over the radar picture."""

    def __init__(self) -> None:
        super().__init__()
        self.theme: Theme = DARK
        self.opacity_of_lines = 0.75
        self._lines: list[tuple[str, QPainterPath]] = []
        self._graticule: Sequence[MapLine] = ()
        self._grid_path = QPainterPath()
        self._font = QFont()
        self._font.setPixelSize(11)
        self._visible = False

    def set_lines(self, lines: Sequence[MapLine], graticule: Sequence[MapLine] = ()) -> None:
        by_kind: dict[str, list[MapLine]] = {}
        for line in lines:
            by_kind.setdefault(str(line.kind), []).append(line)
        self._lines = [(kind, _path(same)) for kind, same in by_kind.items()]
        self._graticule, self._grid_path = tuple(graticule), _path(graticule)
        self.refresh()

    def set_shown(self, shown: bool) -> None:
        """Nothing is drawn where no grid is."""
        self._visible = shown
        self.refresh()

    def set_theme(self, theme: Theme) -> None:
        self.theme = theme
        self.refresh()

    def set_opacity(self, opacity: float) -> None:
        """0 (no lines) to 1."""
        self.opacity_of_lines = min(max(opacity, 0.0), 1.0)
        self.refresh()

    def shows_anything(self) -> bool:
        return self._visible

    def draw(self, painter: QPainter) -> None:
        painter.setTransform(self.place.transform())
        self._draw_lines(painter)
        painter.resetTransform()
        painter.setFont(self._font)
        used = [self._draw_scale(painter), QRectF(0, 0, self.place.width, 34)]  # badges stand on top
        self._draw_labels(painter, used)

    def _draw_lines(self, painter: QPainter) -> None:
        self._stroke(painter, self._grid_path, 0.28 * self.opacity_of_lines)
        for kind, path in self._lines:
            self._stroke(painter, path, _FAINT.get(kind, 0.7) * self.opacity_of_lines)

    def _stroke(self, painter: QPainter, path: QPainterPath, opacity: float) -> None:
        colour = QColor(self.theme.coast)
        colour.setAlphaF(opacity)
        pen = QPen(colour, 1.0)
        pen.setCosmetic(True)
        painter.setPen(pen)
        painter.drawPath(path)

    def _draw_scale(self, painter: QPainter) -> QRectF:
        longest = max(60.0, self.place.width * 0.2)
        fitting = [km for km in _KM_STEPS if km * self.place.km_pixels <= longest]
        km = fitting[-1] if fitting else _KM_STEPS[0]
        length = km * self.place.km_pixels
        right, base = self.place.width - 14.0, self.place.height - 12.0
        bar = QPainterPath(QPointF(right - length, base - 5))
        for point in (QPointF(right - length, base), QPointF(right, base), QPointF(right, base - 5)):
            bar.lineTo(point)
        for colour, width in ((self.theme.map, 4.0), (self.theme.map_text, 1.6)):
            painter.setPen(QPen(QColor(colour), width))
            painter.drawPath(bar)
        text = f"{km} km"
        wide = QFontMetricsF(self._font).horizontalAdvance(text)
        halo_text(painter, QPointF(right - length / 2 - wide / 2, base - 7), text, self.theme)
        left = min(right - length, right - length / 2 - wide / 2)
        return QRectF(left - 10, base - 28, right - left + 24, 40)

    def _draw_labels(self, painter: QPainter, used: list[QRectF]) -> None:
        metrics = QFontMetricsF(self._font)
        for line in self._graticule:
            label = str(getattr(line, "text", "") or getattr(line, "label", "") or "")
            point = self._edge(line) if label else None
            if point is None:
                continue
            wide, high = metrics.horizontalAdvance(label), metrics.height()
            x = min(max(point.x() + 4, 4.0), self.place.width - wide - 4)
            y = min(max(point.y() - 4, high + 2), self.place.height - 5.0)
            rect = QRectF(x - 4, y - high, wide + 8, high + 4)
            if not any(rect.intersects(other) for other in used):
                used.append(rect)
                halo_text(painter, QPointF(x, y), label, self.theme)

    def _edge(self, line: MapLine) -> QPointF | None:
        """Where a parallel meets the left edge, a meridian the bottom edge."""
        xy = np.asarray(line.xy, np.float64)
        px, py = self.place.ax * xy[:, 0] + self.place.bx, self.place.by - self.place.ay * xy[:, 1]
        parallel = line.kind == "parallel" or (line.kind != "meridian" and bool(np.ptp(px) > np.ptp(py)))
        along, across, limit, edge = ((px, py, self.place.height, 0.0) if parallel
                                      else (py, px, self.place.width, float(self.place.height)))
        crossing = np.flatnonzero((along[:-1] - edge) * (along[1:] - edge) <= 0)
        for i in crossing:
            step = along[i + 1] - along[i]
            at = across[i] + (across[i + 1] - across[i]) * ((edge - along[i]) / step if step else 0.0)
            if np.isfinite(at) and 0 <= at <= limit:
                return QPointF(edge, at) if parallel else QPointF(at, edge)
        return _end_inside(px, py, along, self.place, parallel)


def _end_inside(px: NDArray[np.floating], py: NDArray[np.floating], along: NDArray[np.floating], place: Placement,
                parallel: bool) -> QPointF | None:
    """The first (west or south) end of a line that does not reach the edge; None if it leaves by another edge."""
    known = np.flatnonzero(np.isfinite(along))
    if known.size == 0:
        return None
    i = known[np.argmin(along[known]) if parallel else np.argmax(along[known])]
    x, y = float(px[i]), float(py[i])
    side_x, side_y = (0.0, _CLEAR) if parallel else (_CLEAR, 0.0)
    inside = side_x <= x <= place.width - side_x and side_y <= y <= place.height - side_y
    return QPointF(x, y) if inside else None


def halo_text(painter: QPainter, base: QPointF, text: str, theme: Theme) -> None:
    """Text that reads on any ground: an outline in the colour of the map behind it."""
    path = QPainterPath()
    path.addText(base, painter.font(), text)
    painter.setPen(QPen(QColor(theme.map), HALO, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap,
                        Qt.PenJoinStyle.RoundJoin))
    painter.drawPath(path)
    painter.setPen(QColor(theme.map_text))
    painter.drawText(base, text)


def _path(lines: Sequence[MapLine]) -> QPainterPath:
    if not lines:
        return QPainterPath()
    points = [np.asarray(line.xy, np.float32) for line in lines]
    starts = np.concatenate([[0], np.cumsum([len(part) for part in points])])
    return line_path(np.concatenate(points), np.unique(starts))
