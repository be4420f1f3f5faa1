"""Distance and bearing between two clicks on a map."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

from PySide6.QtCore import QObject, Signal

from app.plots.map_pane import MapPane
from app.plots.overlay import Measured
from app.session import Session
from engine.radar.measuring import distance_and_bearing


class Measure(QObject):
    """First click: start; the line follows the mouse; second click: end. A third one starts anew."""

    ended = Signal()

    def __init__(self, session: Session, panes: Sequence[MapPane], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._panes = tuple(panes)
        self._start: tuple[float, float] | None = None
        self._fixed = False
        self.active = False
        self.shown: Measured | None = None
        session.archive_changed.connect(self._restart)
        for pane in self._panes:
            pane.clicked.connect(self._on_click)
            pane.cursor_moved.connect(self._on_cursor)

    def set_active(self, active: bool) -> None:
        self.active = active
        self._restart()

    def _restart(self) -> None:
        self._start, self._fixed = None, False
        self._show(None)

    def _on_click(self, x: float, y: float) -> None:
        if not self.active:
            return
        if self._start is None or self._fixed:
            self._start, self._fixed = (x, y), False
            self._show(None)
        else:
            self._to(x, y)
            self._fixed = True

    def _on_cursor(self, x: float, y: float) -> None:
        if self.active and self._start is not None and not self._fixed:
            self._to(x, y)

    def _to(self, x: float, y: float) -> None:
        sequence = self._session.sequence
        # the projection is prepared by the engine, not under the mouse
        if sequence is None or self._start is None or not (self._session.located or sequence.grid.crs is None):
            return
        km, bearing = distance_and_bearing(sequence.grid, self._start, (x, y))
        text = "outside the projection" if isnan(km) else f"{km:.1f} km  {round(bearing) % 360:03d}°"
        self._show(Measured(self._start, (x, y), text))

    def _show(self, measured: Measured | None) -> None:
        self.shown = measured
        for pane in self._panes:
            pane.set_measured(measured)
