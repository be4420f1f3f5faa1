"""Where the map stands in a pane: shared centre and scale, so that linked panes follow one truth and cannot fight."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QObject, QRectF, Signal
from PySide6.QtGui import QPainter, QTransform
from PySide6.QtWidgets import QGraphicsItem

from engine.radar.grid import Grid

MARGIN = 0.98
ZOOM_LIMIT = 400.0


@dataclass(frozen=True)
class Placement:
    """Grid coordinates to pixels: px = ax x + bx, py = by - ay y. size in pixels, ratio device pixels per pixel."""

    ax: float
    bx: float
    ay: float
    by: float
    width: int
    height: int
    ratio: float
    km_pixels: float

    def to_pixel(self, x: float, y: float) -> tuple[float, float]:
        return self.ax * x + self.bx, self.by - self.ay * y

    def to_grid(self, px: float, py: float) -> tuple[float, float]:
        return (px - self.bx) / self.ax, (self.by - py) / self.ay

    def transform(self) -> QTransform:
        return QTransform(self.ax, 0.0, 0.0, -self.ay, self.bx, self.by)


class MapView(QObject):
    """Centre (grid coordinates) and scale (pixels per km); scale None means the whole grid is fitted."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.grid: Grid | None = None
        self.centre = (0.0, 0.0)
        self.scale: float | None = None
        self._km = (1e-3, 1e-3)

    def set_grid(self, grid: Grid | None) -> None:
        """Go home if the grid is another one; the same grid keeps the view."""
        same = grid is self.grid or (grid is not None and self.grid is not None and grid.same_as(self.grid))
        self.grid = grid
        if grid is None or same:
            return
        high, wide = grid.pixel_km
        self._km = wide / grid.dx, high / grid.dy
        self.reset()

    def reset(self) -> None:
        self.scale = None
        if self.grid is not None:
            left, right, bottom, top = self.grid.extent
            self.centre = (left + right) / 2, (bottom + top) / 2
        self.changed.emit()

    def fitted_scale(self, width: int, height: int) -> float:
        if self.grid is None:
            return 1.0
        left, right, bottom, top = self.grid.extent
        return MARGIN * min(width / ((right - left) * self._km[0]), height / ((top - bottom) * self._km[1]))

    def placement(self, width: int, height: int, ratio: float) -> Placement:
        width, height = max(width, 1), max(height, 1)
        scale = self.scale if self.scale is not None else self.fitted_scale(width, height)
        ax, ay = scale * self._km[0], scale * self._km[1]
        return Placement(ax, width / 2 - ax * self.centre[0], ay, height / 2 + ay * self.centre[1],
                         width, height, ratio, scale)

    def pan(self, place: Placement, dx: float, dy: float) -> None:
        """Move the map by pixels; at least its centre line stays near the grid."""
        self.scale = place.km_pixels
        self._set_centre(self.centre[0] - dx / place.ax, self.centre[1] + dy / place.ay)

    def zoom(self, place: Placement, factor: float, px: float, py: float) -> None:
        """Magnify by factor about a pixel."""
        fitted = self.fitted_scale(place.width, place.height)
        scale = min(max(place.km_pixels * factor, fitted / 3), fitted * ZOOM_LIMIT)
        x, y = place.to_grid(px, py)
        ratio = place.km_pixels / scale
        self.scale = scale
        self._set_centre(x + (self.centre[0] - x) * ratio, y + (self.centre[1] - y) * ratio)

    def _set_centre(self, x: float, y: float) -> None:
        if self.grid is not None:
            left, right, bottom, top = self.grid.extent
            x, y = min(max(x, left), right), min(max(y, bottom), top)
        self.centre = x, y
        self.changed.emit()


class Layer(QGraphicsItem):
    """One thing drawn over the whole map; it paints in pixels and is told where the map stands. span: the share of
    the pane's width that it keeps to, for two pictures side by side in one pane."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Placement(1.0, 0.0, 1.0, 0.0, 1, 1, 1.0, 1.0)
        self.span: tuple[float, float] = (0.0, 1.0)

    def begin(self, painter: QPainter) -> None:
        """Keeps to the layer's share of the pane's width; ended by ``painter.restore()``."""
        painter.save()
        if self.span != (0.0, 1.0):
            left, right = (round(part * self.place.width) for part in self.span)
            painter.setClipRect(QRectF(left, 0, right - left, self.place.height))

    def set_place(self, place: Placement) -> None:
        if place != self.place:
            self.prepareGeometryChange()
            self.place = place
