"""Which networks have no weights, what they are good for, and how they come by some."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from engine.jobs.weights import user_folder

HEADINGS = ("Network", "Name", "Parameters", "Paper", "Good for")


class UntrainedDialog(QDialog):
    """models: entries of the job 'models' that have no weights. training_wanted: of the chosen network."""

    training_wanted = Signal(str)

    def __init__(self, models: Sequence[dict[str, object]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Networks that need training")
        self.resize(1000, 560)
        self.way = QLabel()
        self.way.setWordWrap(True)
        self.way.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.table = QTableWidget(len(models), len(HEADINGS))
        self.table.setHorizontalHeaderLabels(HEADINGS)
        self._fill(models)
        self.table.currentCellChanged.connect(self._tell)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.train = buttons.addButton("Train…", QDialogButtonBox.ButtonRole.ActionRole)
        self.train.setToolTip("Begin a training run of the chosen network")
        self.train.clicked.connect(self._train)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        for widget in (self.table, self.way, buttons):
            column.addWidget(widget, int(widget is self.table))
        self.table.setCurrentCell(0, 0)
        self._tell(0)

    def _fill(self, models: Sequence[dict[str, object]]) -> None:
        for row, model in enumerate(models):
            words = (model["title"], model["name"], f"{model['parameters']:,}", model.get("paper") or "–",
                     model.get("use") or "–")
            for column, word in enumerate(words):
                item = QTableWidgetItem(str(word))
                item.setToolTip(str(model.get("note") or word))
                if column == 2:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.table.setItem(row, column, item)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.table.setAlternatingRowColors(True)
        self.table.setShowGrid(False)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(len(HEADINGS) - 1, QHeaderView.ResizeMode.Stretch)

    def _name(self, row: int) -> str:
        item = self.table.item(row, 1)
        return item.text() if item else "NAME"

    def _train(self) -> None:
        name = self._name(self.table.currentRow())
        self.accept()
        self.training_wanted.emit(name)

    def _tell(self, row: int, column: int = 0, row_before: int = -1, column_before: int = -1) -> None:
        """The way to weights for the network of a row."""
        name = self._name(row)
        self.way.setText(
            f"Until a network has weights it forecasts nothing. Train it on archives of your own, here or in a "
            f"terminal:\n"
            f"    stormdeck-engine pack ARCHIVE -o pack.h5\n"
            f"    stormdeck-engine train {name} --pack pack.h5\n"
            f"or put weights that you have, {name}.safetensors, into\n    {user_folder()}\n"
            f"where they are found when Stormdeck starts. Published checkpoints of SimVP, TAU and Earthformer become "
            f"such a file by\n    stormdeck-engine import-weights")
