"""Choose one of the many sequences of a file by time, place and type: a list to search and sort."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QSortFilterProxyModel, Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QLabel,
    QLineEdit,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from app.parts import Parts
from app.theme import tabular

Index = QModelIndex | QPersistentModelIndex
HEADINGS = ("Event", "First frame (UTC)", "Frames", "Place", "Type")
SORT_ROLE = Qt.ItemDataRole.UserRole


class EventTable(QAbstractTableModel):
    """The parts of a file as rows."""

    def __init__(self, parts: Parts, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows = parts.known

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  Qt's own signature
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(HEADINGS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return HEADINGS[section]
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        part = self.rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return (part.name, f"{part.time:%Y-%m-%d %H:%M}", str(part.frames), place(part.lon, part.lat),
                    part.kind or "–")[index.column()]
        if role == SORT_ROLE:
            west = -1e9 if part.lon is None else part.lon
            return (part.name, part.time.timestamp(), part.frames, west, part.kind)[index.column()]
        if role == Qt.ItemDataRole.TextAlignmentRole and index.column() == 2:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None


def place(lon: float | None, lat: float | None) -> str:
    """38.25 N 97.50 W"""
    if lon is None or lat is None:
        return "–"
    return f"{abs(lat):.2f} {'N' if lat >= 0 else 'S'}  {abs(lon):.2f} {'E' if lon >= 0 else 'W'}"


class EventsDialog(QDialog):
    """Return or a double click opens the chosen event; the window goes on meanwhile."""

    def __init__(self, parts: Parts, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._parts = parts
        self.setWindowTitle(f"Events of {parts.file.name}")
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search: name, date, place or type")
        self.search.setClearButtonEnabled(True)
        self.search.setAccessibleName("Search events")
        self.rows = QSortFilterProxyModel(self)
        self.rows.setSourceModel(EventTable(parts, self))
        self.rows.setSortRole(SORT_ROLE)
        self.rows.setFilterKeyColumn(-1)
        self.rows.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.table = QTableView()
        self.count = QLabel()
        self.count.setObjectName("faint")
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Open | QDialogButtonBox.StandardButton.Close)
        self._prepare_table()
        column = QVBoxLayout(self)
        for widget in (self.search, self.table, self.count, self.buttons):
            column.addWidget(widget)
        self.search.textChanged.connect(self._filter)
        self.table.doubleClicked.connect(self.open_chosen)
        self.buttons.accepted.connect(self.open_chosen)
        self.buttons.rejected.connect(self.reject)
        self.resize(720, 480)
        self._filter("")
        self._choose(parts.current)

    def _prepare_table(self) -> None:
        self.table.setModel(self.rows)
        self.table.setSortingEnabled(True)
        self.table.sortByColumn(1, Qt.SortOrder.AscendingOrder)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setAccessibleName("Events")
        self.table.setFont(tabular(self.table.font()))
        self.table.setTabKeyNavigation(False)
        self.table.setShowGrid(False)
        self.table.setAlternatingRowColors(True)
        self.table.verticalHeader().hide()
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setResizeContentsPrecision(50)  # not every one of thousands of rows is measured
        header.setStretchLastSection(True)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.table.setStyleSheet("QTableView::item, QHeaderView::section { padding-left: 8px; padding-right: 8px; }")

    def _filter(self, text: str) -> None:
        self.rows.setFilterFixedString(text.strip())
        shown, total = self.rows.rowCount(), len(self._parts.known)
        self.count.setText(f"{total} events" if shown == total else f"{shown} of {total} events")
        if shown and not self.table.currentIndex().isValid():
            self.table.selectRow(0)
        self.buttons.button(QDialogButtonBox.StandardButton.Open).setEnabled(bool(shown))

    def _choose(self, name: str) -> None:
        for row in range(self.rows.rowCount()):
            if self.rows.index(row, 0).data() == name:
                self.table.selectRow(row)
                self.table.scrollTo(self.rows.index(row, 0), QAbstractItemView.ScrollHint.PositionAtCenter)
                return

    def open_chosen(self) -> None:
        chosen = self.table.currentIndex()
        if chosen.isValid():
            self._parts.open(str(self.rows.index(chosen.row(), 0).data()))
            self.accept()
