"""Axes of charts: where values lie, which of them get a number, and how they are drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter

from app.theme import Theme

LEAD_STEPS = (1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 180.0, 360.0)
LEFT, BOTTOM = 38.0, 34.0
"""Room in pixels for the numbers and the title of the axes."""

THOUSAND = 1000.0


@dataclass(frozen=True)
class Axis:
    """low is left or below, high right or above; low may be the larger number. steps: between numbers, smallest
    first; () for 1, 2, 5 times a power of ten. lead: numbers are written as lead times."""

    low: float
    high: float
    title: str = ""
    log: bool = False
    steps: tuple[float, ...] = ()
    lead: bool = False

    def part(self, value: float) -> float:
        """0 at the low end, 1 at the high one; values beyond lie at the ends."""
        if self.log:
            part = math.log(max(value, 1e-9) / self.low) / math.log(self.high / self.low)
        else:
            part = (value - self.low) / (self.high - self.low)
        return min(max(part, 0.0), 1.0)

    def marks(self, count: int) -> list[float]:
        """At most about ``count`` values that get a number."""
        low, high = sorted((self.low, self.high))
        if self.log:
            return _decades(low, high, count)
        span = max(high - low, 1e-12)
        steps = self.steps or _nice_steps(span)
        step = next((s for s in steps if span / s <= count), steps[-1])
        first = math.ceil(low / step - 1e-9)
        return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]

    def text(self, value: float) -> str:
        if self.lead:
            return f"+{value:g}" if value else "0"
        return short(value) if abs(value) >= THOUSAND else f"{value:.10g}"


def lead_axis(leads: Sequence[float]) -> Axis:
    return Axis(0.0, max(leads, default=0.0) or 1.0, "lead time, min", steps=LEAD_STEPS, lead=True)


def upper_end(values: Sequence[float]) -> float:
    """A round number that holds them all."""
    most = max((v for v in values if math.isfinite(v)), default=0.0)
    if most <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(most))
    return next(step * power for step in (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0) if step * power >= most * 0.999)


def short(value: float) -> str:
    """At most five characters: 0.43, 12.3, 1.2k"""
    size = abs(value)
    if size >= THOUSAND * THOUSAND:
        return f"{value / THOUSAND / THOUSAND:.3g}M"
    if size >= THOUSAND:
        return f"{value / THOUSAND:.3g}k"
    if size >= 100:
        return f"{value:.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 0.01 or size == 0 else f"{value:.0e}"


def place(frame: QRectF, x: Axis, y: Axis, at: tuple[float, float]) -> QPointF:
    return QPointF(frame.left() + x.part(at[0]) * frame.width(), frame.bottom() - y.part(at[1]) * frame.height())


def draw_axes(painter: QPainter, frame: QRectF, x: Axis, y: Axis, theme: Theme) -> None:
    """Lines, numbers and titles; the title of the y axis stands above the frame."""
    metrics = QFontMetricsF(painter.font())
    faint, line = QColor(theme.faint_text), QColor(theme.line)
    for value in y.marks(max(2, int(frame.height() / 26))):
        height = frame.bottom() - y.part(value) * frame.height()
        painter.setPen(faint if value == 0 and y.low < 0 else line)
        painter.drawLine(QPointF(frame.left(), height), QPointF(frame.right(), height))
        painter.setPen(faint)
        text = y.text(value)
        painter.drawText(QPointF(frame.left() - 6 - metrics.horizontalAdvance(text), height + 4), text)
    painter.setPen(line)
    painter.drawLine(frame.bottomLeft(), frame.bottomRight())
    painter.setPen(faint)
    for value in fitting(x, frame.width(), metrics):
        at = QPointF(frame.left() + x.part(value) * frame.width(), frame.bottom())
        text = x.text(value)
        painter.drawLine(at, at + QPointF(0, 3))
        painter.drawText(QPointF(at.x() - metrics.horizontalAdvance(text) / 2, at.y() + 15), text)
    painter.drawText(QRectF(frame.left() - LEFT, frame.bottom() + 16, frame.width() + LEFT, 16),
                     Qt.AlignmentFlag.AlignCenter, x.title)


def fitting(axis: Axis, width: float, metrics: QFontMetricsF) -> list[float]:
    """As many values as have room side by side for what is written under them."""
    count = max(2, int(width / 24))
    while True:
        marks = axis.marks(count)
        room = max((metrics.horizontalAdvance(axis.text(value)) for value in marks), default=0.0) + 12
        if count == 2 or room * len(marks) <= width + room:
            return marks
        count -= 1


def _nice_steps(span: float) -> tuple[float, ...]:
    power = 10.0 ** math.floor(math.log10(span))
    return tuple(round(factor * power * scale, 12) for scale in (0.01, 0.1, 1.0) for factor in (1.0, 2.0, 5.0))


def _decades(low: float, high: float, count: int) -> list[float]:
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        marks = [factor * 10.0**e for e in exponents for factor in factors
                 if low * 0.999 <= factor * 10.0**e <= high * 1.001]
        if len(marks) <= count:
            return marks
    return marks
