"""The four charts of training runs."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QComboBox, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app.appearance import Appearance
from app.own_keys import OwnKeys
from app.plots.chart import Chart, Content
from app.plots.styles import ModelStyles
from app.training import curves
from engine.jobs.training_look import RunView

TITLES = ("Loss", "Validation CSI", "Learning rate", "Steps per second")


class CurvesPage(QWidget):
    """A single run shows its CSI at every threshold; several are compared at one."""

    def __init__(self, appearance: Appearance) -> None:
        super().__init__()
        self._appearance = appearance
        self._runs: tuple[RunView, ...] = ()
        self._styles = ModelStyles()
        self.charts = [Chart() for _ in TITLES]
        self.loss, self.csi, self.learning_rate, self.pace = self.charts
        self.threshold = QComboBox()
        self.threshold.setAccessibleName("Threshold")
        self.threshold.setToolTip("The threshold at which validation CSI is drawn")
        OwnKeys(self.threshold)
        grid = QGridLayout()
        grid.setSpacing(8)
        for number, (chart, title) in enumerate(zip(self.charts, TITLES, strict=True)):
            chart.setAccessibleName(title)
            grid.addWidget(chart, number // 2, number % 2)
        grid.setRowStretch(0, 3)
        grid.setRowStretch(1, 2)
        bar = QHBoxLayout()
        bar.addStretch(1)
        bar.addWidget(QLabel("CSI at"))
        bar.addWidget(self.threshold)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 4, 4, 4)
        column.addLayout(bar)
        column.addLayout(grid, 1)
        self._undrawn: list[Chart] = []
        self._next = QTimer(self)
        self._next.setSingleShot(True)
        self._next.setInterval(0)
        self._next.timeout.connect(self._draw_next)
        self.threshold.currentIndexChanged.connect(self._draw)
        appearance.changed.connect(self._draw)

    def set_runs(self, runs: Sequence[RunView]) -> None:
        """The chosen one first."""
        self._runs = tuple(runs)
        self._list_thresholds()
        self._draw()

    def _list_thresholds(self) -> None:
        wanted: list[float | None] = [*([None] if len(self._runs) < 2 else []), *curves.known_thresholds(self._runs)]
        if [self.threshold.itemData(row) for row in range(self.threshold.count())] == wanted:
            return
        before = self.threshold.currentData()
        self.threshold.blockSignals(True)
        self.threshold.clear()
        for one in wanted:
            self.threshold.addItem("all thresholds" if one is None else f"≥ {one:g} mm/h", one)
        found = self.threshold.findData(before) if before is not None else -1
        self.threshold.setCurrentIndex(found if found >= 0 else min(1, len(wanted) - 1) if len(self._runs) > 1 else 0)
        self.threshold.blockSignals(False)

    def _draw(self) -> None:
        """One chart after the other, each in a turn of its own: many long curves take some milliseconds each."""
        self._undrawn = list(self.charts)
        self._next.start()

    @property
    def settled(self) -> bool:
        """Whether all charts show what they should."""
        return not self._undrawn

    def _draw_next(self) -> None:
        if not self._undrawn:
            return
        chart = self._undrawn.pop(0)
        if chart.theme is not self._appearance.theme:
            chart.set_theme(self._appearance.theme)
        chart.set_content(self._content(chart))
        chart.repaint()
        if self._undrawn:
            self._next.start()

    def _content(self, chart: Chart) -> Content:
        runs, styles = self._runs, self._styles
        if chart is self.csi:
            return curves.csi(runs, styles, self.threshold.currentData())
        make = {self.loss: curves.loss, self.learning_rate: curves.learning_rate, self.pace: curves.pace}[chart]
        return make(runs, styles)
