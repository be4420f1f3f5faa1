"""Lists of models to choose from: those that can run, then under a heading of their own those without weights."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from PySide6.QtCore import Qt
from PySide6.QtGui import QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QComboBox

from engine import catalogue
from engine.radar.changing_fields import MEASUREMENT_HEIGHT
from engine.radar.static_fields import ELEVATION

UNTRAINED = "Has no weights: see 'networks need training' below"
NETCDF = (".nc", ".nc4", ".cdf")
TOOLTIP = Qt.ItemDataRole.ToolTipRole


def lacking_data(gives: Collection[str], files: Collection[str]) -> dict[str, str]:
    """Why downscalers cannot run for want of what they read beside the rain, by name. gives: names of the fields that
    the archive gives; files: those with further fields. A NetCDF file may hold heights of measurement; the run tells
    if it does not."""
    height = MEASUREMENT_HEIGHT in gives or any(file.lower().endswith(NETCDF) for file in files)
    reasons = {}
    for row in catalogue.rows("downscaler"):
        if "measurement height" in row.reads and not height:
            reasons[row.name] = ("Reads the height of measurement, which this archive does not give: open MeteoNet's "
                                 "new reflectivity, or choose a NetCDF file that has it with File, Elevation model")
        elif "elevation" in row.reads and not files and ELEVATION not in gives:
            reasons[row.name] = "Reads an elevation model: choose one with File, Elevation model"
    return reasons


def fill(box: QComboBox, kind: str, usable: Collection[str], tips: Mapping[str, str], chosen: str,
         nothing: str = "", reasons: Mapping[str, str] | None = None) -> None:
    """Lists the catalogue's rows of a kind; emits nothing. usable: names that can run; others without
    weights are greyed, those that are not installed left out. tips: by name. nothing: what
    stands in the first line for no model at all (its name is empty); no such line where it is empty.
    reasons: why some of those with weights cannot run all the same."""
    rows, reasons = catalogue.rows(kind), reasons or {}
    barred = [row for row in rows if row.name in usable and row.name in reasons]
    before = box.blockSignals(True)
    box.clear()
    if nothing:
        box.addItem(nothing, "")
    for row in rows:
        if row.name in usable and row not in barred:
            box.addItem(row.title, row.name)
            box.setItemData(box.count() - 1, tips.get(row.name, ""), TOOLTIP)
    lacking = [row for row in rows if row.name not in usable and row.parameters]
    for heading, rest in (("Lacks data", barred), ("Needs training", lacking)):
        if rest:
            box.insertSeparator(box.count())
            _add_unusable(box, heading, None, "")
        for row in rest:
            _add_unusable(box, row.title, row.name, reasons[row.name] if row in barred else UNTRAINED)
    box.setCurrentIndex(max(0, box.findData(chosen)))
    box.blockSignals(before)


def _add_unusable(box: QComboBox, title: str, name: str | None, tip: str) -> None:
    box.addItem(title, name)
    model = box.model()
    assert isinstance(model, QStandardItemModel)
    item: QStandardItem = model.item(box.count() - 1)
    item.setEnabled(False)
    item.setToolTip(tip)
