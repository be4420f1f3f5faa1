"""Threshold contours, rasterised once per frame and view, and paths from arrays."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QByteArray, QDataStream, QRectF
from PySide6.QtGui import QImage, QPainter, QPainterPath
from PySide6.QtWidgets import QStyleOptionGraphicsItem, QWidget

from app.plots.line_raster import MARGIN, rasterised
from app.plots.map_view import Layer, Placement
from app.plots.styles import LineStyle
from engine.display.contours import Contour

CACHE_BYTES = 64 << 20
SMALL_PANE = 420
"""Below this width lines stay one pixel wide, so that they do not hide the rain."""

Contours = tuple[Contour, ...]


def line_path(xy: NDArray[np.float32], starts: NDArray[np.int64]) -> QPainterPath:
    """Polylines as one path, built from a buffer and not point by point. xy: (N, 2); starts: first points, then N.
    Lines with points that are not finite are broken there."""
    good = np.asarray(np.isfinite(xy).all(axis=1), bool)
    if len(xy) == 0 or not good.any():
        return QPainterPath()
    element = np.empty(len(xy), np.dtype([("kind", ">i4"), ("x", ">f8"), ("y", ">f8")]))
    element["kind"] = 1
    element["kind"][np.asarray(starts[:-1])] = 0
    if not good.all():
        element["kind"][1:][~good[:-1]] = 0
    element["x"], element["y"] = xy[:, 0], xy[:, 1]
    element = element[good]
    raw = len(element).to_bytes(4, "big") + element.tobytes() + bytes(8)
    path = QPainterPath()
    QDataStream(QByteArray(raw)) >> path
    return path


class ContourItem(Layer):
    """Contours of one frame; the finished images are kept, least used out first."""

    def __init__(self) -> None:
        super().__init__()
        self._contours: Contours = ()
        self._styles: tuple[LineStyle, ...] = ()
        # keyed by identity; the entries hold the contours, so that an id stays its own
        self._images: OrderedDict[tuple[int, ...], tuple[Contours, QImage, NDArray[np.uint32]]] = OrderedDict()

    def boundingRect(self) -> QRectF:
        return QRectF(0, 0, self.place.width, self.place.height)

    def set_contours(self, contours: Contours, styles: tuple[LineStyle, ...]) -> None:
        """One style per contour."""
        if styles != self._styles:
            self._images.clear()
        self._contours, self._styles = contours, styles
        self.update()

    def set_place(self, place: Placement) -> None:
        if place != self.place:
            self._images.clear()
        super().set_place(place)

    def forget(self) -> None:
        """Drop all that is kept for other frames."""
        self._images.clear()

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        if not self._contours or not self._styles:
            return
        key = tuple(id(contour) for contour in self._contours)
        if key not in self._images:
            self._images[key] = (self._contours, *self._render())
        self._images.move_to_end(key)
        self.begin(painter)
        painter.drawImage(0, 0, self._images[key][1])
        painter.restore()
        size = self._images[key][2].nbytes
        while len(self._images) > 1 and len(self._images) * size > CACHE_BYTES:
            self._images.popitem(last=False)

    def _render(self) -> tuple[QImage, NDArray[np.uint32]]:
        pixels = rasterised(self._contours, self._styles, self.place, wide=self.place.width >= SMALL_PANE)
        height, width = (side - 2 * MARGIN for side in pixels.shape)
        inner = pixels.reshape(-1)[MARGIN * pixels.shape[1] + MARGIN:]  # the view itself has no plain buffer for Qt
        image = QImage(inner.data, width, height, pixels.strides[0], QImage.Format.Format_ARGB32_Premultiplied)
        image.setDevicePixelRatio(self.place.ratio)
        return image, pixels
