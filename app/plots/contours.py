"""Threshold contours, rasterised once per frame and view.

A cosmetic line one pixel wide costs a tenth of a wider one in Qt's raster engine, so lines are drawn one
pixel wide into a clear image, and width and dark casing are added there by shifting the whole image.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QByteArray, QDataStream, QRectF
from PySide6.QtGui import QImage, QPainter, QPainterPath, QTransform
from PySide6.QtWidgets import QStyleOptionGraphicsItem, QWidget

from app.plots.map_view import Layer, Placement
from app.plots.styles import LineStyle
from engine.display.contours import Contour

CASING = 0xC0000000
CACHE_BYTES = 64 << 20
MAX_PATHS = 320
SHORTEST = 2.4
"""Shorter steps along a line, in pixels, cost time and show nothing."""
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


def thinned(contour: Contour, pixels_per_unit: float) -> tuple[NDArray[np.float32], NDArray[np.int64], int]:
    """Every n-th point of each line and its ends, so that steps are about SHORTEST pixels, and n."""
    xy, starts = contour.xy, contour.starts
    if len(xy) < 2:
        return xy, starts, 1
    sample = np.abs(np.diff(xy[:2000], axis=0)).max(axis=1)
    known = sample[np.isfinite(sample) & (sample > 0)]
    step = float(np.median(known)) * pixels_per_unit if known.size else 1.0
    every = int(min(max(SHORTEST / max(step, 1e-9), 1.0), 16.0))
    if every == 1:
        return xy, starts, 1
    place = np.arange(len(xy)) - np.repeat(starts[:-1], np.diff(starts))
    keep = place % every == 0
    keep[starts[1:] - 1] = True
    return xy[keep], np.concatenate([[0], np.cumsum(keep)])[starts], every


class ContourItem(Layer):
    """Contours of one frame; both the paths and the finished images are kept, least used out first."""

    def __init__(self) -> None:
        super().__init__()
        self._contours: Contours = ()
        self._styles: tuple[LineStyle, ...] = ()
        # keyed by identity; the entries hold the contours, so that an id stays its own
        self._paths: OrderedDict[tuple[int, float], tuple[Contour, QPainterPath]] = OrderedDict()
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
        self._paths.clear()
        self._images.clear()

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        if not self._contours or not self._styles:
            return
        key = tuple(id(contour) for contour in self._contours)
        if key not in self._images:
            self._images[key] = (self._contours, *self._render())
        self._images.move_to_end(key)
        painter.drawImage(0, 0, self._images[key][1])
        size = self._images[key][2].nbytes
        while len(self._images) > 1 and len(self._images) * size > CACHE_BYTES:
            self._images.popitem(last=False)

    def _path(self, contour: Contour) -> QPainterPath:
        key = id(contour), self.place.ax * self.place.ratio
        if key not in self._paths:
            self._paths[key] = contour, line_path(*thinned(contour, key[1])[:2])
        self._paths.move_to_end(key)
        while len(self._paths) > MAX_PATHS:
            self._paths.popitem(last=False)
        return self._paths[key][1]

    def _render(self) -> tuple[QImage, NDArray[np.uint32]]:
        ratio = self.place.ratio
        height, width = round(self.place.height * ratio), round(self.place.width * ratio)
        pixels = np.zeros((height, width), np.uint32)
        thin = _image(pixels)
        painter = QPainter(thin)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setTransform(self.place.transform() * QTransform.fromScale(ratio, ratio))
        for contour, style in zip(self._contours, self._styles, strict=False):
            painter.setPen(style.pen())
            painter.drawPath(self._path(contour))
        painter.end()
        result = _cased(pixels, wide=self.place.width >= SMALL_PANE)
        image = _image(result)
        image.setDevicePixelRatio(ratio)
        return image, result


def _image(pixels: NDArray[np.uint32]) -> QImage:
    height, width = pixels.shape
    return QImage(pixels.data, width, height, pixels.strides[0], QImage.Format.Format_ARGB32_Premultiplied)


def _cased(pixels: NDArray[np.uint32], wide: bool) -> NDArray[np.uint32]:
    """Lines of one pixel made two wide if asked, with a dark casing of one pixel around."""
    thick = pixels.copy()
    if wide:
        np.maximum(thick[:, 1:], pixels[:, :-1], out=thick[:, 1:])
        np.maximum(thick[1:], pixels[:-1], out=thick[1:])
    line = thick != 0
    near = line.copy()
    near[1:] |= line[:-1]
    near[:-1] |= line[1:]
    near[:, 1:] |= line[:, :-1]
    near[:, :-1] |= line[:, 1:]
    casing = near.view(np.uint8) ^ line.view(np.uint8)
    thick |= casing * np.uint32(CASING)
    return thick
