"""The colour bar: rain-rate classes in mm/h with the matching dBZ, no data as a hatched swatch."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QColor, QFontMetricsF, QImage, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.theme import DARK, Theme, small_font
from engine.radar.scaling import NO_DATA
from engine.radar.units import MARSHALL_PALMER, ZR

_LOW, _HIGH = 0.1, 150.0
_SAMPLES = 512


class ColourBar(QWidget):
    """Vertical (heavy rain on top) or horizontal (heavy rain on the right)."""

    def __init__(self, orientation: Qt.Orientation = Qt.Orientation.Vertical, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._vertical = orientation == Qt.Orientation.Vertical
        self._theme: Theme = DARK
        self._ramp = np.zeros(_SAMPLES, np.uint32)
        self._missing = QColor(DARK.missing)
        self._classes: tuple[float, ...] = ()
        self._zr = MARSHALL_PALMER
        self._value: float | None = None
        fixed, free = QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding
        self.setSizePolicy(fixed if self._vertical else free, free if self._vertical else fixed)
        self.setFixedWidth(92) if self._vertical else self.setFixedHeight(54)
        self.setAccessibleName("Colour bar, rain rate in mm/h and reflectivity in dBZ")

    def sizeHint(self) -> QSize:
        return QSize(92, 320) if self._vertical else QSize(480, 54)

    def set_table(self, colours: NDArray[np.uint32], edges: NDArray[np.float32], classes: tuple[float, ...], zr: ZR,
                  theme: Theme) -> None:
        """colours: 256 values 0xffRRGGBB by bin. edges: 254 bin edges, mm/h. classes: limits to label, mm/h."""
        values = np.geomspace(_LOW, _HIGH, _SAMPLES)
        self._ramp = colours[np.searchsorted(edges, values, side="right")].astype(np.uint32)
        self._missing = QColor.fromRgb(int(colours[NO_DATA]))
        self._classes, self._zr, self._theme = classes, zr, theme
        self.update()

    def set_value(self, rain_rate: float | None) -> None:
        """Mark the value under the cursor, mm/h; None or NaN takes the mark away."""
        self._value = rain_rate if rain_rate is not None and math.isfinite(rain_rate) else None
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(self._theme.panel))
        painter.setFont(small_font(self.font()))
        bar = self._bar()
        pixels = np.ascontiguousarray(self._ramp[::-1][:, None] if self._vertical else self._ramp[None, :])
        image = QImage(pixels.data, pixels.shape[1], pixels.shape[0], pixels.strides[0], QImage.Format.Format_RGB32)
        painter.drawImage(bar, image)
        painter.setPen(QColor(self._theme.line))
        painter.drawRect(bar)
        self._paint_classes(painter, bar)
        self._paint_missing(painter, bar)
        self._paint_value(painter, bar)
        painter.end()

    def _bar(self) -> QRectF:
        if self._vertical:
            return QRectF(34, 26, 16, max(self.height() - 66, 20))
        return QRectF(44, 20, max(self.width() - 140, 40), 14)

    def _along(self, bar: QRectF, value: float) -> float:
        part = math.log(min(max(value, _LOW), _HIGH) / _LOW) / math.log(_HIGH / _LOW)
        return bar.bottom() - part * bar.height() if self._vertical else bar.left() + part * bar.width()

    def _paint_classes(self, painter: QPainter, bar: QRectF) -> None:
        metrics = QFontMetricsF(painter.font())
        painter.setPen(QColor(self._theme.faint_text))
        if self._vertical:
            painter.drawText(QPointF(4, 16), "mm/h")
            painter.drawText(QPointF(bar.right() + 8, 16), "dBZ")
        else:
            painter.drawText(QPointF(6, 14), "mm/h")
            painter.drawText(QPointF(6, 48), "dBZ")
        last = -1e9
        for value in sorted(self._classes):
            at = self._along(bar, value)
            room = 13.0 if self._vertical else metrics.horizontalAdvance("00.0") + 6
            if not _LOW <= value <= _HIGH or abs(at - last) < room:
                continue
            last = at
            self._paint_class(painter, bar, at, f"{value:g}", f"{self._zr.dbz_of(value):.0f}")

    def _paint_class(self, painter: QPainter, bar: QRectF, at: float, rate: str, dbz: str) -> None:
        metrics = QFontMetricsF(painter.font())
        painter.setPen(QColor(self._theme.text))
        if self._vertical:
            painter.drawText(QPointF(bar.left() - 7 - metrics.horizontalAdvance(rate), at + 4), rate)
            painter.drawText(QPointF(bar.right() + 8, at + 4), dbz)
            painter.drawLine(QPointF(bar.left() - 4, at), QPointF(bar.right() + 4, at))
        else:
            painter.drawText(QPointF(at - metrics.horizontalAdvance(rate) / 2, bar.top() - 6), rate)
            painter.drawText(QPointF(at - metrics.horizontalAdvance(dbz) / 2, bar.bottom() + 14), dbz)
            painter.drawLine(QPointF(at, bar.top() - 3), QPointF(at, bar.bottom() + 3))

    def _paint_missing(self, painter: QPainter, bar: QRectF) -> None:
        swatch = (QRectF(bar.left(), bar.bottom() + 10, bar.width(), 14) if self._vertical
                  else QRectF(bar.right() + 18, bar.top(), 16, bar.height()))
        painter.fillRect(swatch, self._missing)
        painter.fillRect(swatch, QBrush(QColor(self._theme.faint_text), Qt.BrushStyle.BDiagPattern))
        painter.setPen(QColor(self._theme.faint_text))
        painter.drawRect(swatch)
        left, bottom = (6.0, swatch.bottom() + 13) if self._vertical else (swatch.right() + 6, swatch.bottom() - 2)
        painter.drawText(QPointF(left, bottom), "no data")

    def _paint_value(self, painter: QPainter, bar: QRectF) -> None:
        if self._value is None or self._value < _LOW:
            return
        at = self._along(bar, self._value)
        x, y = (bar.right() + 1, at) if self._vertical else (at, bar.bottom() + 1)
        turn = ((7, -5), (7, 5)) if self._vertical else ((-5, 7), (5, 7))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(self._theme.panel), 1))
        painter.setBrush(QColor(self._theme.text))
        painter.drawPolygon(QPolygonF([QPointF(x, y), *(QPointF(x + dx, y + dy) for dx, dy in turn)]))
