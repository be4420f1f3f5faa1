"""Forecasts of a live archive: as long as the reference time is the newest one, it goes along with new frames."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from app.session import Session
from app.settings import Settings


class LiveForecasts(QObject):
    """A reference time that the user has moved away from the newest frame stays where it is; back there, it goes along
    again. changed: switched on or off."""

    changed = Signal(bool)

    def __init__(self, session: Session, settings: Settings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._settings = session, settings
        self._at_edge = False
        session.archive_changed.connect(self._see)
        session.reference_changed.connect(self._see)
        session.frames_added.connect(self._on_frames)

    @property
    def on(self) -> bool:
        return self._settings.values.live_forecasts

    def set_on(self, on: bool) -> None:
        """Switched on, it begins at once with the newest frame."""
        if on == self.on:
            return
        self._settings.values.live_forecasts = on
        self.changed.emit(on)
        if on and self._session.sequence is not None:
            self._forecast()

    def _newest(self) -> int | None:
        return max(self._session.possible_references(), default=None)

    def _see(self) -> None:
        self._at_edge = self._session.reference == self._newest()

    def _on_frames(self) -> None:
        newest = self._newest()
        if self.on and self._at_edge and newest is not None and newest != self._session.reference:
            self._forecast()
        elif self._session.reference == newest:
            self._at_edge = True

    def _forecast(self) -> None:
        newest = self._newest()
        if newest is not None:
            self._session.set_reference(newest)
            self._at_edge = True
            self._session.run_forecast()
