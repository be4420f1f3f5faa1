"""The radar picture: a cached RGB32 image that is blitted, cropped to what the pane shows; and a finer part of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PySide6.QtCore import QRectF
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QStyleOptionGraphicsItem, QWidget

from app.plots.map_view import Layer
from engine.display.picture import Picture

Extent = tuple[float, float, float, float]


@dataclass(frozen=True)
class _Shown:
    """picture holds the numpy buffer that image points into. extent: outer edges in grid coordinates."""

    picture: Picture
    image: QImage
    extent: Extent


class RadarImage(Layer):
    """Draws Picture.image without copying it; the numpy buffer lives as long as the image does."""

    def __init__(self) -> None:
        super().__init__()
        self._whole: _Shown | None = None
        self._detail: _Shown | None = None
        self._smooth = False

    def boundingRect(self) -> QRectF:
        return QRectF(0, 0, self.place.width, self.place.height)

    @property
    def picture(self) -> Picture | None:
        """The whole one that is shown, None where there is none."""
        return None if self._whole is None else self._whole.picture

    def set_picture(self, picture: Picture | None, extent: Extent) -> None:
        """extent: outer edges (left, right, bottom, top) of the image in grid coordinates. Another picture takes the
        finer part of the one before away."""
        if self._whole is None or self._whole.picture is not picture:
            self._detail = None
        self._whole = _shown(picture, extent)
        self.update()

    def set_detail(self, picture: Picture | None, extent: Extent) -> None:
        """A part of the same picture in smaller blocks, drawn over it."""
        self._detail = _shown(picture, extent)
        self.update()

    def smooth(self, on: bool) -> None:
        self._smooth = on
        self.update()

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        for shown in (self._whole, self._detail):
            crop = None if shown is None else self._crop(shown)
            if shown is None or crop is None:
                continue
            source, target = crop
            self.begin(painter)
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, self._smooth)
            painter.drawImage(target, shown.image, source)
            painter.restore()

    def _crop(self, shown: _Shown) -> tuple[QRectF, QRectF] | None:
        """Whole cells that the pane shows, and where they go: keeps Qt's fixed-point scaling exact at any zoom."""
        columns, rows = shown.image.width(), shown.image.height()
        left, right, bottom, top = shown.extent
        x0, y0 = self.place.to_pixel(left, top)
        x1, y1 = self.place.to_pixel(right, bottom)
        wide, high = (x1 - x0) / columns, (y1 - y0) / rows
        first, last = max(0, math.floor(-x0 / wide)), min(columns, math.ceil((self.place.width - x0) / wide))
        upper, lower = max(0, math.floor(-y0 / high)), min(rows, math.ceil((self.place.height - y0) / high))
        if first >= last or upper >= lower:
            return None
        source = QRectF(first, upper, last - first, lower - upper)
        return source, QRectF(x0 + first * wide, y0 + upper * high, (last - first) * wide, (lower - upper) * high)


def _shown(picture: Picture | None, extent: Extent) -> _Shown | None:
    if picture is None:
        return None
    height, width = picture.image.shape
    image = QImage(picture.image.data, width, height, picture.image.strides[0], QImage.Format.Format_RGB32)
    return _Shown(picture, image, extent)
