"""CSI and HSS against lead time for every run of the reference time; curves grow as lead times arrive."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from app.context import Context
from app.plots.score_curves import ScoreCurves
from app.runs import Run

SCORES = (("csi", "CSI"), ("hss", "HSS"))

PLAYING_MS = 120
"""How often the marker moves while the loop plays: drawing all curves for each frame would cost the maps theirs."""

Values = list[list[float | None]]


class ScoresPanel(QWidget):
    """One small plot per score, one line per threshold, one marker per forecaster."""

    def __init__(self, context: Context, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._session = context.session
        self.plots = {key: ScoreCurves() for key, _ in SCORES}
        self.note = QLabel()
        self.note.setWordWrap(True)
        self.note.setObjectName("faint")
        self._shown: set[str] = set()
        self._axis: tuple[float, ...] | None = None
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 4, 4, 4)
        column.addWidget(self.note)
        for key, title in SCORES:
            self.plots[key].setAccessibleName(f"{title} against lead time")
            column.addWidget(self.plots[key], 1)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(30)
        self._later.timeout.connect(self._redraw)
        self._marker = QTimer(self)
        self._marker.setSingleShot(True)
        self._marker.setInterval(PLAYING_MS)
        self._marker.timeout.connect(self._move)
        self._connect()
        self._restyle()

    def _connect(self) -> None:
        session = self._session
        session.archive_changed.connect(self._redraw)
        session.track_changed.connect(self._redraw_soon)
        session.position_changed.connect(self._on_position)
        session.thresholds_changed.connect(self._restyle)
        session.forecasting.scores_changed.connect(self._redraw_soon)
        session.forecasting.shown_changed.connect(self._redraw_soon)
        self._context.appearance.changed.connect(self._restyle)

    def _restyle(self) -> None:
        for plot in self.plots.values():
            plot.set_theme(self._context.appearance.theme)
            plot.set_thresholds(self._session.thresholds)
        self._redraw()

    def _redraw_soon(self) -> None:
        self._later.start()

    def _redraw(self) -> None:
        session = self._session
        runs = session.forecasting.runs()
        axis = tuple(p.minutes for p in session.places if p.lead is not None)
        for key, title in SCORES:
            plot = self.plots[key]
            if axis != self._axis:
                plot.set_axes(title, axis)
            for name in self._shown - {run.forecaster for run in runs}:
                plot.remove(name)
            for run in runs:
                plot.set_curves(run.forecaster, _on_axis(run, key, axis, session.thresholds))
        self._axis = axis
        self._shown = {run.forecaster for run in runs}
        self.note.setText(self._note(runs))
        self.note.setVisible(bool(self.note.text()))
        self._move()

    def _note(self, runs: tuple[Run, ...]) -> str:
        if self._session.sequence is None or not runs:
            return "Run a forecast to see its scores."
        leads = [p for p in self._session.places if p.lead is not None]
        known = sum(p.frame is not None for p in leads)
        if known == 0:
            return "No observation yet at these lead times; scores wait for the truth."
        if known < len(leads):
            return f"Truth is there for {known} of {len(leads)} lead times."
        return ""

    def _on_position(self, position: int) -> None:
        if not self._context.player.playing:
            self._move()
        elif not self._marker.isActive():
            self._marker.start()

    def _move(self) -> None:
        place = self._session.place
        for plot in self.plots.values():
            plot.set_position(place.minutes if place is not None and place.lead is not None else None)


def _on_axis(run: Run, key: str, axis: tuple[float, ...], thresholds: tuple[float, ...]) -> Values:
    """[threshold][lead] on the axis of all runs, None where there is nothing yet."""
    document = run.scores
    if document is None or tuple(document["thresholds_mm_h"]) != thresholds:
        return [[None] * len(axis) for _ in thresholds]
    column = {round(minutes, 3): i for i, minutes in enumerate(document["lead_times_min"])}
    places = [column.get(round(minutes, 3)) for minutes in axis]
    return [[None if place is None else row[place] for place in places] for row in document[key]]
