"""The scored region on a map: outline, shade around it, handles, the line that is being drawn, its size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPainterPath, QPen

from app.plots.basemap import halo_text
from app.plots.cached_layer import CachedLayer
from app.plots.contours import line_path
from app.theme import DARK, Theme
from engine.radar.region import Region

HANDLE = 4.0
"""Half the side of a handle in pixels."""
SHADE = 0.38

Point = tuple[float, float]


@dataclass(frozen=True)
class RegionPicture:
    """What a map shows of the region; coordinates are the grid's. handles: to take hold of; middle: to move it all.
    trail: corners of a polygon that is not closed yet, the mouse last. text: beside the region."""

    region: Region | None = None
    handles: tuple[Point, ...] = ()
    middle: Point | None = None
    trail: tuple[Point, ...] = ()
    text: str = ""


NOTHING = RegionPicture()


class RegionItem(CachedLayer):
    """Drawn once for each view and region, then blitted."""

    def __init__(self) -> None:
        super().__init__()
        self.theme: Theme = DARK
        self._picture = NOTHING
        self._path = QPainterPath()

    def set_picture(self, picture: RegionPicture) -> None:
        if picture is self._picture:
            return
        if picture.region is not self._picture.region:
            self._path = _path(picture.region)
        self._picture = picture
        self.refresh()

    def set_theme(self, theme: Theme) -> None:
        self.theme = theme
        self.refresh()

    def shows_anything(self) -> bool:
        return self._picture is not NOTHING

    def draw(self, painter: QPainter) -> None:
        if self._picture.region is not None:
            self._region(painter, self.place.transform().map(self._path))
        self._trail(painter)
        self._handles(painter)
        self._text(painter)

    def _region(self, painter: QPainter, path: QPainterPath) -> None:
        shade = QPainterPath()
        shade.addRect(self.boundingRect())
        shade.addPath(path)  # odd and even: what lies in the region is left out, its holes are not
        colour = QColor(self.theme.map)
        colour.setAlphaF(SHADE)
        painter.fillPath(shade, colour)
        for name, width in ((self.theme.map, 4.0), (self.theme.accent, 2.0)):
            painter.strokePath(path, QPen(QColor(name), width))

    def _trail(self, painter: QPainter) -> None:
        trail = [QPointF(*self.place.to_pixel(*point)) for point in self._picture.trail]
        for name, width in ((self.theme.map, 4.0), (self.theme.accent, 2.0)):
            painter.setPen(QPen(QColor(name), width))
            painter.drawPolyline(trail)
        if len(trail) > 2:
            painter.setPen(QPen(QColor(self.theme.accent), 1.0, Qt.PenStyle.DashLine))
            painter.drawLine(trail[-1], trail[0])

    def _handles(self, painter: QPainter) -> None:
        painter.setPen(QPen(QColor(self.theme.map), 1.0))
        painter.setBrush(QColor(self.theme.map_text))
        for handle in self._picture.handles:
            x, y = self.place.to_pixel(*handle)
            painter.drawRect(QRectF(x - HANDLE, y - HANDLE, 2 * HANDLE, 2 * HANDLE))
        if self._picture.middle is not None:
            x, y = self.place.to_pixel(*self._picture.middle)
            painter.drawEllipse(QPointF(x, y), 7.0, 7.0)
            painter.setPen(QPen(QColor(self.theme.map), 1.5))
            painter.drawLine(QPointF(x - 4, y), QPointF(x + 4, y))
            painter.drawLine(QPointF(x, y - 4), QPointF(x, y + 4))

    def _text(self, painter: QPainter) -> None:
        if not self._picture.text or self._picture.region is None:
            return
        left, bottom, right, top = self._picture.region.bounds
        font = QFont(painter.font())
        font.setPixelSize(13)
        painter.setFont(font)
        wide = QFontMetricsF(font).horizontalAdvance(self._picture.text)
        (x0, y0), (x1, y1) = self.place.to_pixel(left, top), self.place.to_pixel(right, bottom)
        y = y1 + 20 if y1 + 24 < self.place.height else y0 - 10
        x = min(max((x0 + x1 - wide) / 2, 6.0), max(self.place.width - wide - 6, 6.0))
        halo_text(painter, QPointF(x, min(max(y, 20.0), self.place.height - 8.0)), self._picture.text, self.theme)


def _path(region: Region | None) -> QPainterPath:
    """Every ring closed, in grid coordinates."""
    if region is None or not region.polygons:
        return QPainterPath()
    rings = [np.concatenate([ring, ring[:1]]) for ring in region.rings]
    starts = np.concatenate([[0], np.cumsum([len(ring) for ring in rings])])
    path = line_path(np.concatenate(rings), starts)
    path.setFillRule(Qt.FillRule.OddEvenFill)
    return path
