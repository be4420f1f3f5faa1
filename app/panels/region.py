"""The region as numbers: place, size, outline, pooling; what a hand at the keyboard uses instead of a mouse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app import region_shapes as shapes
from app.context import Context
from app.own_keys import OwnKeys
from app.panels.corners import Corners
from app.panels.flow import FlowRow
from app.settings import POOLS
from engine.jobs.events import Event, Finished
from engine.jobs.region_cells import RegionCellsRequest
from engine.radar.grid import Grid
from engine.radar.region import OUTLINE, Region

if TYPE_CHECKING:
    from app.regions import Regions

FIELDS = ("Latitude", "Longitude", "Width", "Height")
PLAIN = ("y", "x", "Width", "Height")
"""Of a map that nobody knows the place of."""


class RegionPanel(QWidget):
    """Edits are taken at once; dragging on the map moves the numbers."""

    def __init__(self, context: Context, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = context.session
        self._bridge = context.bridge
        self._regions: Regions | None = None
        self._counting = 0
        self._cells: tuple[Region | None, Grid | None, dict[str, Any] | None] = (None, None, None)
        self.fields = [_field(name) for name in FIELDS]
        self._labels = [QLabel(name) for name in FIELDS]
        self.corners = Corners()
        self.outline = QComboBox()
        self.outline.setAccessibleName("Outline")
        self.pool = QComboBox()
        self.pool.setAccessibleName("Pooling")
        self.pool.setToolTip("Scores of the maxima over windows of so many cells: an event counts wherever in its "
                             "window it lies")
        for size in POOLS:
            self.pool.addItem("single cells" if size == 1 else f"maxima of {size} × {size}", size)
        self.note = QLabel()
        self.note.setObjectName("faint")
        self.note.setWordWrap(True)
        self.new = QToolButton()
        self.new.setText("In view")
        self.new.setToolTip("A rectangle in the middle of what the maps show")
        self.buttons = FlowRow()
        OwnKeys(*self.fields, self.corners, self.outline, self.pool)
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setVerticalSpacing(2)
        for first in (0, 2):
            pair = QHBoxLayout()
            pair.setSpacing(6)
            pair.addWidget(self.fields[first], 1)
            pair.addWidget(self._labels[first + 1])
            pair.addWidget(self.fields[first + 1], 1)
            form.addRow(self._labels[first], pair)
        form.addRow("Corners", self.corners)
        form.addRow("Outline", self.outline)
        form.addRow("Score", self.pool)
        self._form = form
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(4)
        column.addLayout(self.buttons)
        column.addLayout(form)
        column.addWidget(self.note)
        column.addStretch(1)

    def _connect(self) -> None:
        session = self._session
        for field in self.fields:
            field.valueChanged.connect(self._edited)
        self.corners.edited.connect(session.set_region)
        self.corners.wrong.connect(self.note.setText)
        self.pool.activated.connect(self._pool_chosen)
        self.outline.activated.connect(self._outline_chosen)
        session.archive_changed.connect(self._show)
        session.basemap_changed.connect(self._show)
        session.region_changed.connect(self._show)

    def use(self, regions: Regions, actions: Mapping[str, QAction]) -> None:
        """The tool that draws, and the window's actions for the buttons."""
        self._regions = regions
        regions.outlines_changed.connect(self._list_outlines)
        self.new.clicked.connect(regions.rectangle_in_view)
        for key, text in (("region-rectangle", "Rectangle"), ("region-polygon", "Polygon"),
                          ("region-outline", "File…"), ("region-remove", "Remove")):
            button = QToolButton()
            actions[key].setIconText(text)  # what a button says; the menu keeps the longer words
            button.setDefaultAction(actions[key])
            self.buttons.addWidget(button)
            if key == "region-polygon":
                self.buttons.addWidget(self.new)
        self._list_outlines()
        self._show()

    def begin(self) -> None:
        """For a hand at the keyboard: a rectangle if there is no region, and its first number in focus."""
        if self._session.region is None and self._regions is not None:
            self._regions.rectangle_in_view()
        (self.fields[0] if self.fields[0].isEnabled() else self.pool).setFocus()

    # -- what is shown

    def _show(self) -> None:
        session = self._session
        region, grid = session.region, session.sequence.grid if session.sequence else None
        self.pool.setCurrentIndex(self.pool.findData(session.pool))
        for label, name in zip(self._labels, FIELDS if session.located else PLAIN, strict=True):
            label.setText(name)
        usable = region is not None and grid is not None and region.kind != OUTLINE
        for field in self.fields:
            field.setEnabled(usable)
        for row in (0, 1, self.corners):
            self._form.setRowVisible(row, usable)
        self.new.setEnabled(grid is not None)
        if region is not None and grid is not None:
            self._show_numbers(region, grid)
            self.corners.show_region(region, grid, session.located)
        self.note.setText(self._words(region, grid))

    def _show_numbers(self, region: Region, grid: Grid) -> None:
        left, bottom, right, top = region.bounds
        x, y = (left + right) / 2, (bottom + top) / 2
        if self._session.located:
            lon, lat = grid.lonlat(np.array([x]), np.array([y]))
            x, y = float(lon[0]), float(lat[0])
        numbers = (y, x, *shapes.size_km(region, grid))
        for field, number in zip(self.fields, numbers, strict=True):
            if not field.hasFocus() or abs(field.value() - number) > 10.0 ** -field.decimals():
                field.blockSignals(True)
                field.setValue(number if np.isfinite(number) else 0.0)
                field.blockSignals(False)

    def _words(self, region: Region | None, grid: Grid | None) -> str:
        if grid is None:
            return "Open an archive first."
        if region is None:
            return "The whole map is scored. Draw a region (G, Shift+G) or take one from a file."
        if self._cells[0] is not region or self._cells[1] is not grid:
            self._cells = (region, grid, None)
            self._counting = self._bridge.submit("region-cells", RegionCellsRequest(region, grid), self._on_cells,
                                                 key="region-cells")
        return self._counted(region, grid)

    def _counted(self, region: Region, grid: Grid) -> str:
        told = self._cells[2]
        if told is None:
            return shapes.title(region, grid)
        if not told["cells"]:
            return "No cell's centre lies in this region: there is nothing to score."
        return f"{shapes.title(region, grid)}: {told['cells']:,} cells, {100 * told['share']:.3g} %"

    def _on_cells(self, job: int, event: Event) -> None:
        region, grid, _ = self._cells
        if job == self._counting and isinstance(event, Finished) and region is not None and grid is not None \
                and region is self._session.region:
            self._cells = (region, grid, event.result)
            self.note.setText(self._counted(region, grid))

    def _list_outlines(self) -> None:
        outlines = self._regions.outlines if self._regions else ()
        self.outline.clear()
        self.outline.addItems([outline.name + (f" (all {len(outlines) - 1})" if number == 0 and len(outlines) > 1
                                               else "") for number, outline in enumerate(outlines)])
        self.outline.setEnabled(bool(outlines))
        self._form.setRowVisible(self.outline, bool(outlines))

    # -- what is edited

    def _edited(self) -> None:
        region, sequence = self._session.region, self._session.sequence
        if region is None or sequence is None:
            return
        y, x, wide, high = (field.value() for field in self.fields)
        grid = sequence.grid
        if self._session.located:
            xs, ys = grid.from_lonlat(np.array([x]), np.array([y]))
            x, y = float(xs[0]), float(ys[0])
        if not np.isfinite([x, y]).all():
            self.note.setText("The map's projection does not reach this place.")
            return
        km_high, km_wide = grid.pixel_km
        half_x, half_y = wide / km_wide * grid.dx / 2, high / km_high * grid.dy / 2
        self._session.set_region(region.fitted(x - half_x, y - half_y, x + half_x, y + half_y))

    def _pool_chosen(self, index: int) -> None:
        self._session.set_pool(int(self.pool.itemData(index)))

    def _outline_chosen(self, index: int) -> None:
        if self._regions is not None:
            self._regions.choose(index)


def _field(name: str) -> QDoubleSpinBox:
    field = QDoubleSpinBox()
    degrees = name in FIELDS[:2]
    field.setRange(*((-1e8, 1e8) if degrees else (0.1, 1e5)))
    field.setDecimals(3 if degrees else 1)
    field.setSingleStep(0.05 if degrees else 5.0)
    field.setSuffix("" if degrees else " km")
    field.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
    field.setKeyboardTracking(False)
    field.setMinimumWidth(64)
    field.setAccessibleName(f"Region: {name.lower()}")
    return field
