"""What becomes of training runs when the window is closed: they go on by themselves, or pause; the user says which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QCheckBox

from app.dialogs.question import Question

if TYPE_CHECKING:
    from app.settings import Settings
    from app.training.runs import TrainingRuns
    from app.window import MainWindow

ASK, KEEP, PAUSE = "ask", "keep", "pause"


class Closing(QObject):
    """Asks once, about runs that this window has begun; the others are somebody else's."""

    def __init__(self, window: MainWindow, runs: TrainingRuns, settings: Settings) -> None:
        super().__init__(window)
        self._window, self._runs, self._settings = window, runs, settings
        self._answered = False
        self.box: Question | None = None

    def may_close(self) -> bool:
        """False where the user is asked first; the window is closed again after the answer."""
        going = self._runs.own_under_way()
        wish = self._settings.values.training_at_close
        if not going or self._answered:
            return True
        if wish == PAUSE:
            self._runs.pause_now(going)
        if wish != ASK:
            return True
        self._ask(len(going))
        return False

    def _ask(self, count: int) -> None:
        what = "A training run goes on." if count == 1 else f"{count} training runs go on."
        box = Question(self._window, "Training goes on", what,
                       "It can go on without the window and is found again at the next start, or pause and be resumed.",
                       "Keep training", "Pause")
        self.keep, self.pause, self.stay = box.yes, box.no, box.stay
        self.always = QCheckBox("Do so from now on without asking")
        box.setCheckBox(self.always)
        box.finished.connect(self._on_answer)
        self.box = box
        box.open()

    def _on_answer(self, result: int) -> None:
        box, self.box = self.box, None
        assert box is not None
        clicked = box.clickedButton()
        box.deleteLater()
        if clicked not in (self.keep, self.pause):
            return
        if self.always.isChecked():
            self._settings.values.training_at_close = KEEP if clicked is self.keep else PAUSE
        if clicked is self.pause:
            self._runs.pause_now(self._runs.own_under_way())
        self._answered = True
        self._window.close()
