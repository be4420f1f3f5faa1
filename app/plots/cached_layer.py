"""A layer of a map that is drawn once for each view and then blitted."""

from __future__ import annotations

from PySide6.QtCore import QRectF
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QStyleOptionGraphicsItem, QWidget

from app.plots.map_view import Layer, Placement


class CachedLayer(Layer):
    """A layer of this kind says what it draws in :meth:`draw`, and calls :meth:`refresh` when that has changed."""

    def __init__(self) -> None:
        super().__init__()
        self._cached: QImage | None = None

    def draw(self, painter: QPainter) -> None:
        """In screen coordinates, antialiased."""
        raise NotImplementedError

    def shows_anything(self) -> bool:
        """Whether there is something to draw."""
        return True

    def boundingRect(self) -> QRectF:
        return QRectF(0, 0, self.place.width, self.place.height)

    def refresh(self) -> None:
        self._cached = None
        self.update()

    def set_place(self, place: Placement) -> None:
        if place != self.place:
            self._cached = None
        super().set_place(place)

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        if not self.shows_anything():
            return
        if self._cached is None:
            self._cached = self._rendered()
        painter.drawImage(0, 0, self._cached)

    def _rendered(self) -> QImage:
        place = self.place
        image = QImage(round(place.width * place.ratio), round(place.height * place.ratio),
                       QImage.Format.Format_ARGB32_Premultiplied)
        image.setDevicePixelRatio(place.ratio)
        image.fill(0)
        painter = QPainter(image)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self.draw(painter)
        painter.end()
        return image
