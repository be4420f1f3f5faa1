"""The legend of the map of hits and misses: colours with counts and shares."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPen
from PySide6.QtWidgets import QWidget

from app.plots.plot import ROW, Plot
from engine.display.contingency import CORRECT_NEGATIVE, FALSE_ALARM, HIT, MISS, EventCounts

KINDS = ((HIT, "hits"), (MISS, "misses"), (FALSE_ALARM, "false alarms"), (CORRECT_NEGATIVE, "correct negatives"))


class KindsLegend(Plot):
    """A click or key on a kind hides it on the map and shows it again; correct negatives are the ground."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._colours: tuple[int, ...] = (0,) * 256
        self._counts: EventCounts | None = None
        self.setMinimumSize(160, round(2 * ROW + 6))
        self.setFixedHeight(round(2 * ROW + 6))
        self.setAccessibleName("Legend: hits, misses, false alarms, correct negatives")

    def sizeHint(self) -> QSize:
        return QSize(320, self.minimumHeight())

    def sheet_size(self) -> QSize:
        return QSize(480, self.minimumHeight())

    def set_kinds(self, colours: tuple[int, ...], counts: EventCounts | None) -> None:
        """colours: 0xffRRGGBB by bin."""
        if (colours, counts) != (self._colours, self._counts):
            self._colours, self._counts = colours, counts
            self.redraw()

    @property
    def hidden(self) -> frozenset[int]:
        return frozenset(kind for kind, _ in KINDS if not self.is_shown(kind))

    def draw(self, painter: QPainter, size: QSize) -> None:
        metrics, wide = QFontMetricsF(painter.font()), size.width() / 2
        shares = self._counts.shares() if self._counts else None
        for number, (kind, name) in enumerate(KINDS):
            box = QRectF(4 + (number % 2) * wide, 2 + (number // 2) * ROW, wide - 6, ROW)
            self.hits.append((box, kind))
            swatch = QRectF(box.left() + 3, box.top() + 3, 14, ROW - 6)
            painter.fillRect(swatch, QColor.fromRgb(self._colours[kind]))
            painter.setPen(QPen(QColor(self.theme.line), 1))
            painter.drawRect(swatch)
            painter.setPen(self.ink(kind))
            text = name if shares is None else f"{name} {_percent(shares[number])}"
            if metrics.horizontalAdvance(text) > box.width() - 24:
                text = text.replace("correct negatives", "correct neg.").replace("false alarms", "false al.")
            if shares is not None and metrics.horizontalAdvance(text) > box.width() - 24:
                text = f"{text.split(' ')[0]} {100 * shares[number]:.0f} %"
            painter.drawText(QPointF(box.left() + 23, box.top() + 13), text)
            if self._counts is not None:
                count = (self._counts.hits, self._counts.misses, self._counts.false_alarms,
                         self._counts.correct_negatives)[number]
                self.points.append((swatch.center(), f"{name}: {count:,} of {self._counts.total:,}"))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.001 or share == 0 else "< 0.1 %"
