"""Plays the time axis: one timer, a monotonic clock, and no step before the last frame was painted."""

from __future__ import annotations

import time

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from app.session import Session

MIN_SPEED, MAX_SPEED = 1, 30
DWELL_S = 0.8
PATIENCE_S = 2.0
"""After this a frame that never gets painted (a hidden window) holds the loop up no longer."""


class Player(QObject):
    """Every frame is shown: when painting is slower than the wished speed, the loop slows down."""

    playing_changed = Signal(bool)
    speed_changed = Signal(int)
    loop_changed = Signal(bool)

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._painted = True
        self._due = 0.0
        self._stepped = 0.0
        session.archive_changed.connect(self.pause)

    @property
    def playing(self) -> bool:
        return self._timer.isActive()

    @property
    def speed(self) -> int:
        return self._session.settings.values.speed

    @property
    def loop(self) -> bool:
        return self._session.settings.values.loop

    def toggle(self) -> None:
        if self.playing:
            self.pause()
        else:
            self.play()

    def play(self) -> None:
        """From the current place; from the start when it is the last one."""
        last = len(self._session.places) - 1
        if last < 1 or self.playing:
            return
        if self._session.position >= last:
            self._session.set_position(0)
        self._due = time.monotonic() + 1.0 / self.speed
        self._painted, self._stepped = True, time.monotonic()
        self._timer.start(self._interval())
        self.playing_changed.emit(True)

    def pause(self) -> None:
        if self.playing:
            self._timer.stop()
            self.playing_changed.emit(False)

    def step(self, by: int) -> None:
        self.pause()
        self._session.set_position(self._session.position + by)

    def forward(self) -> None:
        self.step(1)

    def back(self) -> None:
        self.step(-1)

    def to_reference(self) -> None:
        self.pause()
        self._session.set_position(self._session.reference_position)

    def to_start(self) -> None:
        self.pause()
        self._session.set_position(0)

    def to_end(self) -> None:
        self.pause()
        self._session.set_position(len(self._session.places) - 1)

    def set_speed(self, frames_per_second: int) -> None:
        frames_per_second = max(MIN_SPEED, min(frames_per_second, MAX_SPEED))
        if frames_per_second != self.speed:
            self._session.settings.values.speed = frames_per_second
            if self.playing:
                self._timer.setInterval(self._interval())
            self.speed_changed.emit(frames_per_second)

    def faster(self) -> None:
        self.set_speed(self.speed + (1 if self.speed < 10 else 2))

    def slower(self) -> None:
        self.set_speed(self.speed - (1 if self.speed <= 10 else 2))

    def set_loop(self, loop: bool) -> None:
        if loop != self.loop:
            self._session.settings.values.loop = loop
            self.loop_changed.emit(loop)

    def frame_painted(self) -> None:
        """Told by the maps once every pane has painted the current place."""
        self._painted = True

    def _interval(self) -> int:
        """Half a frame: the clock, not the timer, says when a frame is due."""
        return max(4, 500 // self.speed)

    def _tick(self) -> None:
        now = time.monotonic()
        if now < self._due or not (self._painted or now - self._stepped > PATIENCE_S):
            return
        last = len(self._session.places) - 1
        if self._session.position < last:
            self._advance(self._session.position + 1, now, dwell=self._session.position + 1 == last)
        elif self.loop and last > 0:
            self._advance(0, now, dwell=False)
        else:
            self.pause()

    def _advance(self, position: int, now: float, *, dwell: bool) -> None:
        self._painted, self._stepped = False, now
        late = now - self._due
        rhythm = 1.0 / self.speed
        # keep the rhythm over small delays, start it anew after large ones
        self._due = (self._due if late < rhythm else now) + rhythm + (DWELL_S if dwell else 0.0)
        self._session.set_position(position)
