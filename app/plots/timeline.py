"""The scrubber: history, reference time and leads on one track that is easy to hit and exact."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Literal

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFontMetricsF,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QPolygonF,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app.theme import DARK, Theme, small_font
from engine.radar.times import clock

HEIGHT = 76
_SIDE = 24.0
_TOP, _BAR = 24.0, 26.0
_NOTCH = 120
_SECONDS = 0.2
"""Minutes that a time may lie beside a round one."""
_TICK_STEPS = (5, 6, 10, 12, 15, 30, 60, 90, 120, 180, 240, 360, 720, 1440)


@dataclass(frozen=True)
class TimelineEntry:
    """One frame of the track. label may be empty; lead_minutes only for leads. filled: made from its neighbours in
    the place of a missing one."""

    time: datetime
    kind: Literal["observed", "lead"]
    lead_minutes: float | None = None
    state: Literal["ready", "pending", "computed", "failed", "gap", "filled"] = "ready"
    label: str = ""


@dataclass(frozen=True)
class TimelineTrack:
    """Entries in the order of time and the index of the reference entry (None: no reference time yet)."""

    entries: tuple[TimelineEntry, ...] = ()
    reference: int | None = None


class Timeline(QWidget):
    """moved(index): the user went to another entry, at most once per paint. reference_moved(index): the flag of the
    reference time was dropped on an observed entry."""

    moved = Signal(int)
    reference_moved = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._track = TimelineTrack()
        self._position = 0
        self._theme: Theme = DARK
        self._drag: Literal["position", "reference"] | None = None
        self._wanted_reference: int | None = None
        self._awaiting_paint = self._held = False
        self._wheel = 0
        self._kept: QPixmap | None = None
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setFixedHeight(HEIGHT)
        self.setMinimumWidth(320)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Timeline")
        self.setMouseTracking(True)

    def sizeHint(self) -> QSize:
        return QSize(900, HEIGHT)

    @property
    def position(self) -> int:
        return self._position

    @property
    def track(self) -> TimelineTrack:
        return self._track

    def set_theme(self, theme: Theme) -> None:
        self._theme, self._kept = theme, None
        self.update()

    def set_track(self, track: TimelineTrack) -> None:
        self._track, self._kept = track, None
        self._position = min(self._position, max(len(track.entries) - 1, 0))
        self.update()

    def set_position(self, index: int) -> None:
        """Show an entry as the current one; emits nothing."""
        if self._track.entries:
            self._position = min(max(index, 0), len(self._track.entries) - 1)
            self.setAccessibleDescription(self.description(self._position))
            self.update()

    def description(self, index: int) -> str:
        entry = self._track.entries[index]
        lead = "" if entry.lead_minutes is None else f"  +{entry.lead_minutes:g} min"
        more = f"  {entry.label}" if entry.label else ""
        return f"{entry.time:%Y-%m-%d} {clock(entry.time)} UTC{lead}  {entry.state}{more}"

    def x_of(self, index: int) -> float:
        """Pixel of the middle of an entry."""
        count = max(len(self._track.entries), 1)
        return _SIDE + (index + 0.5) * (self.width() - 2 * _SIDE) / count

    def index_at(self, x: float) -> int:
        count = len(self._track.entries)
        return min(max(int((x - _SIDE) * count / (self.width() - 2 * _SIDE)), 0), max(count - 1, 0))

    def _go(self, index: int) -> None:
        before = self._position
        self.set_position(index)
        if self._position == before:
            return
        if self._awaiting_paint:
            self._held = True
            return
        self._awaiting_paint = self.isVisible()
        self.moved.emit(self._position)

    def _flush(self) -> None:
        if self._held:
            self._held = False
            self.moved.emit(self._position)

    def _on_flag(self, at: QPointF) -> bool:
        reference = self._track.reference
        return reference is not None and at.y() < _TOP and abs(at.x() - self.x_of(reference)) <= 14

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton or not self._track.entries:
            return
        self._drag = "reference" if self._on_flag(event.position()) else "position"
        if self._drag == "position":
            self._go(self.index_at(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._drag == "position":
            self._go(self.index_at(event.position().x()))
        elif self._drag == "reference":
            self._wanted_reference = self._nearest_observed(event.position().x())
            self.update()
        else:
            shape = Qt.CursorShape.SizeHorCursor if self._on_flag(event.position()) else Qt.CursorShape.ArrowCursor
            self.setCursor(shape)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._flush()
        wanted, self._wanted_reference, self._drag = self._wanted_reference, None, None
        if wanted is not None and wanted != self._track.reference:
            self.reference_moved.emit(wanted)
        self.update()

    def _nearest_observed(self, x: float) -> int | None:
        wanted = self.index_at(x)
        observed = [i for i, e in enumerate(self._track.entries) if e.kind == "observed" and e.state != "gap"]
        return min(observed, key=lambda i: abs(i - wanted)) if observed else None

    def wheelEvent(self, event: QWheelEvent) -> None:
        self._wheel += event.angleDelta().y() or event.angleDelta().x()
        steps = int(self._wheel / _NOTCH)
        self._wheel -= steps * _NOTCH
        if steps:
            self._go(self._position - steps)
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        plain = event.modifiers() in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)
        last = len(self._track.entries) - 1
        goals = {Qt.Key.Key_Left.value: self._position - 1, Qt.Key.Key_Right.value: self._position + 1,
                 Qt.Key.Key_Home.value: self._track.reference or 0, Qt.Key.Key_End.value: last}
        if plain and event.key() in goals and self._track.entries:
            self._go(goals[event.key()])
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip and self._track.entries:
            QToolTip.showText(event.globalPos(), self.description(self.index_at(event.pos().x())), self)
            return True
        return super().event(event)

    def changeEvent(self, event: QEvent) -> None:
        self._kept = None
        super().changeEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._track_picture())
        painter.setFont(small_font(self.font()))
        if self._track.entries:
            self._paint_flag(painter)
            self._paint_position(painter)
        if self.hasFocus():
            painter.setPen(QColor(self._theme.accent))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.end()
        self._awaiting_paint = False
        self._flush()

    def _track_picture(self) -> QPixmap:
        """All that stays while the position moves, drawn once."""
        ratio = self.devicePixelRatioF()
        if self._kept is None or self._kept.size() != self.size() * ratio:
            self._kept = QPixmap(self.size() * ratio)
            self._kept.setDevicePixelRatio(ratio)
            self._kept.fill(QColor(self._theme.panel))
            painter = QPainter(self._kept)
            painter.setFont(small_font(self.font()))
            if self._track.entries:
                self._paint_cells(painter)
                self._paint_labels(painter)
            else:
                painter.setPen(QColor(self._theme.faint_text))
                painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "No frames")
            painter.end()
        return self._kept

    def _paint_cells(self, painter: QPainter) -> None:
        wide = (self.width() - 2 * _SIDE) / len(self._track.entries)
        space = 1.0 if wide >= 4 else 0.0
        for index, entry in enumerate(self._track.entries):
            cell = QRectF(_SIDE + index * wide, _TOP, max(wide - space, 1.0), _BAR)
            self._paint_cell(painter, cell, entry)

    def _paint_cell(self, painter: QPainter, cell: QRectF, entry: TimelineEntry) -> None:
        theme = self._theme
        if entry.state == "gap":
            painter.fillRect(cell, QBrush(QColor(theme.warning), Qt.BrushStyle.BDiagPattern))
        elif entry.state == "filled":
            half = cell.height() / 2
            painter.fillRect(cell.adjusted(0, half, 0, 0), QColor(theme.faint_text))
            painter.fillRect(cell.adjusted(0, 0, 0, -half), QBrush(QColor(theme.warning), Qt.BrushStyle.BDiagPattern))
        elif entry.state == "failed":
            painter.fillRect(cell, QColor(theme.error))
        elif entry.state == "pending":
            painter.setPen(QColor(theme.faint_text))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(cell.adjusted(0.5, 0.5, -0.5, -0.5))
        elif entry.kind == "lead":
            painter.fillRect(cell, QColor(theme.accent))
        else:
            painter.fillRect(cell, QColor(theme.faint_text if entry.state == "ready" else theme.accent))

    def _paint_labels(self, painter: QPainter) -> None:
        metrics = QFontMetricsF(painter.font())
        taken: list[tuple[float, float]] = []
        room = metrics.horizontalAdvance("00:00") + 14
        for index in self._label_order(room):
            text = self._tick(index)
            wide = metrics.horizontalAdvance(text)
            x = min(max(self.x_of(index) - wide / 2, 2.0), self.width() - wide - 2)
            if any(x < right + 12 and x + wide > left - 12 for left, right in taken):
                continue
            taken.append((x, x + wide))
            strong = index == self._track.reference
            painter.setPen(QColor(self._theme.text if strong else self._theme.faint_text))
            painter.drawText(QPointF(x, HEIGHT - 8.0), text)
            painter.drawLine(QPointF(self.x_of(index), _TOP + _BAR), QPointF(self.x_of(index), _TOP + _BAR + 4))

    def _label_order(self, room: float) -> list[int]:
        """Most wanted first: the reference, both ends, then round times at one even step that leaves room."""
        entries, last = self._track.entries, len(self._track.entries) - 1
        order = [i for i in (self._track.reference, last, 0) if i is not None]
        between = [(b.time - a.time).total_seconds() / 60 for a, b in pairwise(entries)]
        step = min((minutes for minutes in between if minutes > 0), default=5.0)
        step = round(step) if abs(step - round(step)) < _SECONDS else step
        wide = (self.width() - 2 * _SIDE) / len(entries)
        even = next((m for m in _TICK_STEPS if m % step == 0 and m / step * wide >= room), 60)
        return order + [i for i, e in enumerate(entries) if i not in order and self._minutes(e) % even == 0]

    def _minutes(self, entry: TimelineEntry) -> float:
        """Of the day or the lead; volumes begin some seconds after the minute that they are meant for."""
        time = entry.time
        minutes = time.hour * 60 + time.minute + time.second / 60 if entry.lead_minutes is None else entry.lead_minutes
        return round(minutes) if abs(minutes - round(minutes)) < _SECONDS else minutes

    def _tick(self, index: int) -> str:
        entry = self._track.entries[index]
        if entry.lead_minutes is None:
            return clock(entry.time)
        last = index == len(self._track.entries) - 1
        return f"+{entry.lead_minutes:g}{' min' if last else ''}"

    def _paint_flag(self, painter: QPainter) -> None:
        index = self._track.reference if self._wanted_reference is None else self._wanted_reference
        if index is None:
            return
        x = self.x_of(index)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(self._theme.warning), 2))
        painter.setBrush(QColor(self._theme.warning))
        painter.drawLine(QPointF(x, _TOP - 6), QPointF(x, _TOP + _BAR + 4))
        painter.drawPolygon(QPolygonF([QPointF(x - 7, _TOP - 16), QPointF(x + 7, _TOP - 16), QPointF(x, _TOP - 4)]))

    def _paint_position(self, painter: QPainter) -> None:
        entry = self._track.entries[self._position]
        x = self.x_of(self._position)
        painter.setPen(QPen(QColor(self._theme.panel), 6))
        painter.drawLine(QPointF(x, _TOP - 3), QPointF(x, _TOP + _BAR + 3))
        painter.setPen(QPen(QColor(self._theme.text), 3))
        painter.drawLine(QPointF(x, _TOP - 3), QPointF(x, _TOP + _BAR + 3))
        lead = "" if entry.lead_minutes is None else f"  +{entry.lead_minutes:g} min"
        text = f"{clock(entry.time)}{lead}"
        wide = QFontMetricsF(painter.font()).horizontalAdvance(text)
        beside = x + 14 if x + 20 + wide < self.width() else x - 14 - wide
        reference = self._track.reference
        if reference is not None and beside - 12 < self.x_of(reference) < beside + wide + 12:
            beside = x - 14 - wide if beside > x and x - 20 - wide > 0 else self.x_of(reference) + 14
        painter.setPen(QColor(self._theme.text))
        painter.drawText(QPointF(min(beside, self.width() - wide - 2), _TOP - 8), text)
