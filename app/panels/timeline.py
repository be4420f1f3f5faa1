"""The scrubber over the full width, with the play controls beside it."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QHBoxLayout, QSpinBox, QToolButton, QVBoxLayout, QWidget

from app import wording
from app.context import Context
from app.places import Place
from app.player import MAX_SPEED, MIN_SPEED
from app.plots.text_line import TextLine
from app.plots.timeline import Timeline, TimelineEntry, TimelineTrack
from app.runs import FAILED, PARTIAL, Run
from app.theme import tabular

State = Literal["ready", "pending", "computed", "failed", "gap", "filled"]

CONTROLS = ("to-start", "back", "play", "forward", "to-reference", "to-end", "loop")


class TimelinePanel(QWidget):
    """Shows the session's time axis and moves it."""

    def __init__(self, context: Context, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._session = context.session
        self.scrubber = Timeline()
        self.scrubber.setAccessibleName("Time axis")
        self.readout = TextLine(widest="0000-00-00 00:00 UTC")
        self.lead = TextLine(widest="+0000 min  ")
        self.speed = QSpinBox()
        self._moving_reference = False
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(30)
        self._later.timeout.connect(self._redraw)
        self._lay_out()
        self._connect()
        self._restyle()
        self._redraw()

    def _restyle(self) -> None:
        self.scrubber.set_theme(self._context.appearance.theme)

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.setSpacing(2)
        for key in CONTROLS:
            button = QToolButton()
            button.setDefaultAction(self._context.actions[key])
            button.setAutoRaise(True)
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            row.addWidget(button)
        self.speed.setRange(MIN_SPEED, MAX_SPEED)
        self.speed.setSuffix(" fps")
        self.speed.setValue(self._context.player.speed)
        self.speed.setAccessibleName("Speed of the loop")
        self.speed.setToolTip("Speed of the loop in frames per second (up and down arrow)")
        self.speed.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.speed.setKeyboardTracking(False)
        row.addSpacing(8)
        row.addWidget(self.speed)
        row.addSpacing(16)
        for line, bold in ((self.readout, False), (self.lead, True)):
            font = tabular(line.font())
            font.setBold(bold)
            line.setFont(font)
            row.addWidget(line)
        row.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(4)
        column.addLayout(row)
        column.addWidget(self.scrubber)

    def _connect(self) -> None:
        session, player = self._session, self._context.player
        session.track_changed.connect(self._redraw)
        session.archive_changed.connect(self._redraw)
        session.reference_changed.connect(self._redraw)
        session.position_changed.connect(self._move)
        session.forecasting.frame_arrived.connect(self._redraw_soon)
        session.forecasting.shown_changed.connect(self._redraw)
        self.scrubber.moved.connect(self._on_moved)
        self._context.appearance.changed.connect(self._restyle)
        self.scrubber.reference_moved.connect(session.set_reference_near)
        self.speed.valueChanged.connect(player.set_speed)
        player.speed_changed.connect(self.speed.setValue)

    def _on_moved(self, index: int) -> None:
        self._context.player.pause()
        self._session.set_position(index)

    def _redraw_soon(self) -> None:
        self._later.start()

    def _redraw(self) -> None:
        session, run = self._session, self._session.shown_run
        filled = session.sequence.filled if session.sequence else frozenset()
        entries = tuple(TimelineEntry(p.time, "observed" if p.lead is None else "lead",
                                      None if p.lead is None else p.minutes, _state(p, run, filled), wording.when(p))
                        for p in session.places)
        self.scrubber.set_track(TimelineTrack(entries, session.reference_position))
        self._move(session.position)

    def _move(self, position: int) -> None:
        self.scrubber.set_position(position)
        place = self._session.place
        self.readout.setText("" if place is None else wording.date_and_clock(place.time))
        self.lead.setText("" if place is None else wording.lead(place.minutes))


def _state(place: Place, run: Run | None, filled: frozenset[int]) -> State:
    if place.lead is None:
        return "gap" if place.frame is None else "filled" if place.frame in filled else "ready"
    if run is not None and place.lead in run.frames:
        return "computed"
    return "failed" if run is not None and run.state in (FAILED, PARTIAL) else "pending"
