"""What the window does about regions: the file dialog, ticks of the menu, titles of the panels that hold scores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QFileDialog

from app.panels import PANELS
from app.region_shapes import title
from engine.radar.region import POLYGON, RECTANGLE

if TYPE_CHECKING:
    from app.panels.region import RegionPanel
    from app.window import MainWindow

SCORED = frozenset({"scores", "performance", "fractions", "spectrum", "contingency", "score-table"})
"""Panels whose title says what is scored."""


class RegionDesk(QObject):
    """Ties the region's tool, panel and menu together."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        session, regions = window.session, window.regions
        regions.failed.connect(window.show_problem)
        regions.drawing_changed.connect(self._tick)
        session.region_changed.connect(self._name_panels)
        session.archive_changed.connect(self._name_panels)
        for key in SCORED & window.docks.keys():
            window.docks[key].visibilityChanged.connect(self._name_panels)
        self.panel.use(regions, window.actions_by_key)
        self._name_panels()

    @property
    def panel(self) -> RegionPanel:
        panel: RegionPanel = self._window.panels["region"]  # type: ignore[assignment]
        return panel

    def choose_outline(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self._window, "Outline of the region", str(Path.home()),
                                              "Outlines (*.geojson *.json *.shp *.kml);;All files (*)")
        if name:
            self._window.regions.load(Path(name))

    def show_panel(self) -> None:
        """Brings the numbers to the front, with the first of them in focus."""
        self._window.docks["region"].show()
        self._window.docks["region"].raise_()
        self.panel.begin()

    def _tick(self, kind: str) -> None:
        actions = self._window.actions_by_key
        for key, of in (("region-rectangle", RECTANGLE), ("region-polygon", POLYGON)):
            actions[key].blockSignals(True)
            actions[key].setChecked(kind == of)
            actions[key].blockSignals(False)
        if kind and self._window.measure.active:
            actions["measure"].setChecked(False)

    def _name_panels(self) -> None:
        """Only the panels in front are named by the region: the titles of those behind are tabs, which must stay
        short."""
        session = self._window.session
        grid = session.sequence.grid if session.sequence else None
        for row in PANELS:
            if row.key in SCORED:
                dock = self._window.docks[row.key]
                in_front = dock.isVisible() and not dock.visibleRegion().isEmpty()
                named = session.region is not None and (in_front)
                dock.setWindowTitle(f"{row.title}: {title(session.region, grid)}" if named else row.title)
