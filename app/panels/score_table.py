"""All scores of all models as a table: sorted by a click on a heading, copied to the clipboard."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QSortFilterProxyModel, Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from app.panels.verify_panel import Cell, Choice, VerifyPanel
from app.plots.axes import short
from app.plots.score_sheet import TextTable
from app.plots.sheet import Drawable
from app.runs import Run
from app.theme import small_font
from app.wishes import Wish
from engine.jobs.diagnosis import SIMILARITY
from engine.jobs.score_list import ScoreChoice, score_choices

EVENTS, FIELD = "events", "field"
MEAN, HERE = "mean", "here"
THRESHOLD = "≥"
SORT_ROLE = int(Qt.ItemDataRole.UserRole)
Index = QModelIndex | QPersistentModelIndex


class ScoreRows(QAbstractTableModel):
    """headings: (short, title). cells: one list per row, numbers or texts."""

    def __init__(self) -> None:
        super().__init__()
        self.headings: list[tuple[str, str]] = []
        self.cells: list[list[Cell]] = []
        self.bounded: frozenset[int] = frozenset()

    def set_cells(self, headings: list[tuple[str, str]], cells: list[list[Cell]], bounded: frozenset[int]) -> None:
        """bounded: columns of scores that end at 1."""
        self.bounded = bounded
        if (headings, cells) != (self.headings, self.cells):
            self.beginResetModel()
            self.headings, self.cells = headings, cells
            self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self.cells)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.headings)

    def data(self, index: Index, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        value = self.cells[index.row()][index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self.text(value, index.column())
        if role == SORT_ROLE:
            return math.inf if value is None else value
        if role == Qt.ItemDataRole.ToolTipRole and isinstance(value, float):
            return f"{self.headings[index.column()][1]}: {value:.6g}"
        if role == Qt.ItemDataRole.TextAlignmentRole and not isinstance(value, str):
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def text(self, value: Cell, column: int) -> str:
        """As the screen shows it."""
        if self.headings[column][0] == THRESHOLD and isinstance(value, float):
            return f"{value:g}"
        return written(value, column in self.bounded)

    def headerData(self, section: int, orientation: Qt.Orientation,
                   role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        if orientation == Qt.Orientation.Horizontal and section < len(self.headings):
            if role == Qt.ItemDataRole.DisplayRole:
                return self.headings[section][0]
            if role == Qt.ItemDataRole.ToolTipRole:
                return self.headings[section][1]
        return None


class ScoreTablePanel(VerifyPanel):
    """Rows are models and thresholds, or models alone where the scores are of the whole field."""

    title = "Score table"

    def build(self) -> None:
        self.what = Choice("Scores", "Scores of events by threshold, or errors of the whole field")
        self.what.fill([("events", EVENTS), ("field", FIELD)])
        self.when = Choice("Lead time", "Mean over lead times, or the lead time on show")
        self.when.fill([("mean of leads", MEAN), ("this lead", HERE)])
        for choice in (self.what, self.when):
            choice.activated.connect(self._chosen)
            self.bar.addWidget(choice)
        self._choices = score_choices()
        self.scores = ScoreRows()
        self.sorted = QSortFilterProxyModel(self)
        self.sorted.setSourceModel(self.scores)
        self.sorted.setSortRole(SORT_ROLE)
        self.view = QTableView()
        self.view.setModel(self.sorted)
        self.view.setAccessibleName(self.title)
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setAlternatingRowColors(True)
        self.view.setShowGrid(False)
        self.view.setFrameShape(QTableView.Shape.NoFrame)
        self.view.verticalHeader().hide()
        self.view.verticalHeader().setDefaultSectionSize(20)
        header = self.view.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSortIndicatorClearable(True)
        header.setMinimumSectionSize(30)
        self.view.setSortingEnabled(True)
        self.view.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
        self.view.setFont(small_font(self.view.font()))
        self.column.addWidget(self.view, 1)
        self._copy = QShortcut(QKeySequence(QKeySequence.StandardKey.Copy), self.view)
        self._copy.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        self._copy.activated.connect(self.copy_values)

    def _chosen(self, index: int) -> None:
        self.refresh()

    def _columns(self) -> list[ScoreChoice]:
        events = self.what.currentData() == EVENTS
        return [choice for choice in self._choices if choice.by_threshold == events]

    def wishes(self) -> list[Wish]:
        if self.what.currentData() == EVENTS:
            return []
        return [self.verification.diagnosis(SIMILARITY, run, pair) for run in self.verification.runs()
                for pair in self.verification.pairs(run)]

    def redraw(self) -> None:
        """Nothing of its own: the values follow the lead time."""

    def move_marks(self) -> None:
        events, columns = self.what.currentData() == EVENTS, self._columns()
        headings = [("model", "model")] + ([(THRESHOLD, "threshold, mm/h")] if events else [])
        headings += [(choice.short, choice.title) for choice in columns]
        rows: list[list[Cell]] = []
        for run in self.verification.runs():
            thresholds: Sequence[float | None] = self.session.thresholds if events else (None,)
            for row, threshold in enumerate(thresholds):
                cells: list[Cell] = [run.forecaster, *([threshold] if events else [])]
                rows.append(cells + [self._value(run, choice, row) for choice in columns])
        first = len(headings) - len(columns)
        self.scores.set_cells(headings, rows, frozenset(first + i for i, c in enumerate(columns) if c.high == 1.0))

    def _value(self, run: Run, choice: ScoreChoice, row: int) -> float | None:
        if choice.similarity:
            return self._similarity(run, choice)
        document = self.verification.document(run)
        if document is None:
            return None
        if self.when.currentData() == MEAN:
            mean: Any = document["mean"][choice.key]
            return _number(mean[row] if choice.by_threshold else mean)
        minutes = self.verification.minutes()
        if minutes is None or minutes not in document["lead_times_min"]:
            return None
        values = document[choice.key][row] if choice.by_threshold else document[choice.key]
        return _number(values[document["lead_times_min"].index(minutes)])

    def _similarity(self, run: Run, choice: ScoreChoice) -> float | None:
        here = self.verification.minutes()
        known = [found[choice.key] for pair in self.verification.pairs(run)
                 if self.when.currentData() == MEAN or pair.minutes == here
                 if (found := self.verification.get(self.verification.diagnosis(SIMILARITY, run, pair).name))]
        values = [value for value in known if value is not None]
        return sum(values) / len(values) if values else None

    def caption(self) -> tuple[str, ...]:
        minutes = self.verification.minutes()
        when = "mean over lead times" if self.when.currentData() == MEAN or minutes is None else f"+{minutes:g} min"
        first, *rest = super().caption()
        return (f"{first}, {when}", *rest)

    def _sorted_cells(self) -> list[list[Cell]]:
        return [self.scores.cells[self.sorted.mapToSource(self.sorted.index(row, 0)).row()]
                for row in range(self.sorted.rowCount())]

    def drawables(self) -> Sequence[Drawable]:
        texts = [[short_title for short_title, _ in self.scores.headings],
                 *([self.scores.text(cell, column) for column, cell in enumerate(row)]
                   for row in self._sorted_cells())]
        return (TextTable(texts, self.context.appearance.theme, self.font()),)

    def rows(self) -> list[list[Cell]]:
        """As sorted on the screen; the numbers in full."""
        keys = [choice.key for choice in self._columns()]
        first = ["model"] + (["threshold_mm_h"] if self.what.currentData() == EVENTS else [])
        return [[*first, *keys], *self._sorted_cells()]


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


def written(value: Cell, bounded: bool = False) -> str:
    if value is None:
        return "–"
    if bounded and isinstance(value, float):
        return f"{round(value, 3) + 0.0:.3f}"
    return short(value) if isinstance(value, float) else str(value)
