"""Panels as files: a caption and what the panel draws, below one another, as PNG or SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QPointF, QRectF, QSize
from PySide6.QtGui import QColor, QFont, QFontMetrics, QImage, QImageWriter, QPainter
from PySide6.QtWidgets import QApplication

from app.theme import Theme, small_font

PNG_SCALE = 2
CAPTION_LINE = 18


class Drawable(Protocol):
    def sheet_size(self) -> QSize: ...

    def draw_sheet(self, painter: QPainter, size: QSize) -> None: ...


def png(parts: Sequence[Drawable], caption: Sequence[str], theme: Theme) -> bytes:
    """A PNG file, twice as fine as the screen."""
    size = _size(parts, caption)
    image = QImage(size * PNG_SCALE, QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(PNG_SCALE)
    painter = QPainter(image)
    _draw(painter, size, parts, caption, theme)
    painter.end()
    content, buffer = _buffer()
    QImageWriter(buffer, QByteArray(b"PNG")).write(image)
    return bytes(content.data())


def svg(parts: Sequence[Drawable], caption: Sequence[str], theme: Theme) -> bytes:
    """An SVG file; curves and letters stay lines and text, maps are pictures."""
    from PySide6.QtSvg import QSvgGenerator

    size = _size(parts, caption)
    content, buffer = _buffer()
    generator = QSvgGenerator()
    generator.setOutputDevice(buffer)
    generator.setSize(size)
    generator.setViewBox(QRectF(0, 0, size.width(), size.height()))
    generator.setTitle(" ".join(caption))
    painter = QPainter(generator)
    _draw(painter, size, parts, caption, theme)
    painter.end()
    return bytes(content.data())


def _size(parts: Sequence[Drawable], caption: Sequence[str]) -> QSize:
    sizes = [part.sheet_size() for part in parts]
    metrics = QFontMetrics(_font())
    return QSize(max([metrics.horizontalAdvance(line) + 16 for line in caption] + [size.width() for size in sizes]),
                 sum(size.height() for size in sizes) + CAPTION_LINE * len(caption) + 10)


def _draw(painter: QPainter, size: QSize, parts: Sequence[Drawable], caption: Sequence[str], theme: Theme) -> None:
    painter.fillRect(QRectF(0, 0, size.width(), size.height()), QColor(theme.panel))
    painter.setFont(_font())
    for number, line in enumerate(caption):
        painter.setPen(QColor(theme.faint_text if number else theme.text))
        painter.drawText(QPointF(8, CAPTION_LINE * (number + 1)), line)
    top = CAPTION_LINE * len(caption) + 10
    for part in parts:
        wanted = QSize(size.width(), part.sheet_size().height())
        painter.save()
        painter.translate(0, top)
        part.draw_sheet(painter, wanted)
        painter.restore()
        top += wanted.height()


def _font() -> QFont:
    return small_font(QApplication.font() if QApplication.instance() else QFont(), 12)


def _buffer() -> tuple[QByteArray, QBuffer]:
    content = QByteArray()
    buffer = QBuffer(content)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    return content, buffer
