"""The radar picture: a cached RGB32 image that is blitted, cropped to what the pane shows."""

from __future__ import annotations

import math

from PySide6.QtCore import QRectF
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QStyleOptionGraphicsItem, QWidget

from app.plots.map_view import Layer
from engine.display.picture import Picture

Extent = tuple[float, float, float, float]


class RadarImage(Layer):
    """Draws Picture.image without copying it; the numpy buffer lives as long as the image does."""

    def __init__(self) -> None:
        super().__init__()
        self._picture: Picture | None = None
        self._image: QImage | None = None
        self._extent: Extent = (0.0, 1.0, 0.0, 1.0)
        self._smooth = False

    def boundingRect(self) -> QRectF:
        return QRectF(0, 0, self.place.width, self.place.height)

    def set_picture(self, picture: Picture | None, extent: Extent) -> None:
        """extent: outer edges (left, right, bottom, top) of the image in grid coordinates."""
        self._picture, self._extent = picture, extent
        self._image = None
        if picture is not None:
            height, width = picture.image.shape
            self._image = QImage(picture.image.data, width, height, picture.image.strides[0],
                                 QImage.Format.Format_RGB32)
        self.update()

    def smooth(self, on: bool) -> None:
        self._smooth = on
        self.update()

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        if self._image is None:
            return
        crop = self._crop(self._image.width(), self._image.height())
        if crop is None:
            return
        source, target = crop
        self.begin(painter)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, self._smooth)
        painter.drawImage(target, self._image, source)
        painter.restore()

    def _crop(self, columns: int, rows: int) -> tuple[QRectF, QRectF] | None:
        """Whole cells that the pane shows, and where they go: keeps Qt's fixed-point scaling exact at any zoom."""
        left, right, bottom, top = self._extent
        x0, y0 = self.place.to_pixel(left, top)
        x1, y1 = self.place.to_pixel(right, bottom)
        wide, high = (x1 - x0) / columns, (y1 - y0) / rows
        first, last = max(0, math.floor(-x0 / wide)), min(columns, math.ceil((self.place.width - x0) / wide))
        upper, lower = max(0, math.floor(-y0 / high)), min(rows, math.ceil((self.place.height - y0) / high))
        if first >= last or upper >= lower:
            return None
        source = QRectF(first, upper, last - first, lower - upper)
        return source, QRectF(x0 + first * wide, y0 + upper * high, (last - first) * wide, (lower - upper) * high)
