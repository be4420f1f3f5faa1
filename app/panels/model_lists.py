"""Lists of models to choose from: those that can run, then under a heading of their own those without weights."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from PySide6.QtCore import Qt
from PySide6.QtGui import QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QComboBox

from engine import catalogue

TOOLTIP = Qt.ItemDataRole.ToolTipRole


def fill(box: QComboBox, kind: str, usable: Collection[str], tips: Mapping[str, str], chosen: str,
         nothing: str = "") -> None:
    """Lists the catalogue's rows of a kind; emits nothing. usable: names that can run; others without
    weights are greyed, those that are not installed left out. tips: by name. nothing: what
    stands in the first line for no model at all (its name is empty); no such line where it is empty."""
    rows = catalogue.rows(kind)
    before = box.blockSignals(True)
    box.clear()
    if nothing:
        box.addItem(nothing, "")
    for row in rows:
        if row.name in usable:
            box.addItem(row.title, row.name)
            box.setItemData(box.count() - 1, tips.get(row.name, ""), TOOLTIP)
    lacking = [row for row in rows if row.name not in usable and row.parameters]
    if lacking:
        box.insertSeparator(box.count())
        _add_unusable(box, "Needs training", None)
        for row in lacking:
            _add_unusable(box, row.title, row.name)
    box.setCurrentIndex(max(0, box.findData(chosen)))
    box.blockSignals(before)


def _add_unusable(box: QComboBox, title: str, name: str | None) -> None:
    box.addItem(title, name)
    model = box.model()
    assert isinstance(model, QStandardItemModel)
    item: QStandardItem = model.item(box.count() - 1)
    item.setEnabled(False)
    item.setToolTip("Has no weights: see 'networks need training' below")
