"""A word in the status bar while training goes on; a click opens its window."""

from __future__ import annotations

from PySide6.QtGui import QAction
from PySide6.QtWidgets import QToolButton

from app.training import words
from app.training.runs import TrainingRuns


class TrainingChip(QToolButton):
    """Hidden while no run is under way."""

    def __init__(self, runs: TrainingRuns, action: QAction) -> None:
        super().__init__()
        self._runs = runs
        self.setAutoRaise(True)
        self.setAccessibleName("Training")
        self.clicked.connect(action.trigger)
        runs.changed.connect(self._show)
        self._show()

    def _show(self) -> None:
        going = self._runs.under_way()
        self.setVisible(bool(going))
        if going:
            done = words.share(going[0])
            share = "" if done is None else f" {done:.0%}"
            self.setText(f"training{share}" if len(going) == 1 else f"{len(going)} trainings")
            self.setToolTip("\n".join(f"{words.title(run)}: {words.line(run)}" for run in going))
