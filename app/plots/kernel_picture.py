"""The weights of a blur kernel as a small picture: one square for each cell, light where the weight is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from app.theme import DARK, Theme

SIDE = 82


class KernelPicture(QWidget):
    """Nothing is drawn without a kernel. Negative weights are drawn in the warning colour."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme: Theme = DARK
        self.kernel: NDArray[np.float32] | None = None
        self.setFixedSize(SIDE, SIDE)

    def set_kernel(self, kernel: NDArray[np.float32] | None) -> None:
        self.kernel = kernel
        self.update()

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.update()

    def colour(self, row: int, column: int) -> QColor:
        """Of a cell: from the map's ground to the text's or the warning colour, by size of the weight."""
        assert self.kernel is not None
        most = float(np.abs(self.kernel).max()) or 1.0
        share = float(self.kernel[row, column]) / most
        ground, full = QColor(self._theme.map), QColor(self._theme.text if share >= 0 else self._theme.warning)
        parts = ((a, b) for a, b in ((ground.red(), full.red()), (ground.green(), full.green()),
                                     (ground.blue(), full.blue())))
        return QColor(*(round(a + abs(share) * (b - a)) for a, b in parts))

    def cell(self, row: int, column: int) -> QRectF:
        """Where it is drawn, in pixels."""
        assert self.kernel is not None
        high, wide = (SIDE - 2) / self.kernel.shape[0], (SIDE - 2) / self.kernel.shape[1]
        return QRectF(1 + column * wide, 1 + row * high, wide, high)

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.kernel is None:
            return
        painter = QPainter(self)
        for row in range(self.kernel.shape[0]):
            for column in range(self.kernel.shape[1]):
                painter.fillRect(self.cell(row, column).toAlignedRect(), self.colour(row, column))
        painter.setPen(QColor(self._theme.line))
        painter.drawRect(0, 0, SIDE - 1, SIDE - 1)
        painter.end()
