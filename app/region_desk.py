"""What the window does about regions: the file dialog, ticks of the menu, its panel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QFileDialog

from engine.radar.region import POLYGON, RECTANGLE

if TYPE_CHECKING:
    from app.panels.region import RegionPanel
    from app.window import MainWindow


class RegionDesk(QObject):
    """Ties the region's tool, panel and menu together."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        regions = window.regions
        regions.failed.connect(window.show_problem)
        regions.drawing_changed.connect(self._tick)
        self.panel.use(regions, window.actions_by_key)

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
