"""What was learnt online is kept as a weight file of its own: on wish, and asked for before it would be lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt
from PySide6.QtWidgets import QFileDialog

from app.dialogs.question import Question
from app.learning import Keepable
from engine import catalogue
from engine.jobs.events import TERMINAL, Event, Failed, Finished

if TYPE_CHECKING:
    from app.window import MainWindow

AFTER = ("It is in memory only. Kept, it becomes a weight file of its own; the weights that forecasts begin with stay "
         "as they are.")


class Keeping(QObject):
    """The Live menu's way to a file, the question at the window's end, and the offer when another archive is opened."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window, self._learning = window, window.learning
        self._given_up: list[Keepable] = []
        self._waiting: list[Keepable] = []
        self._jobs: dict[int, Keepable] = {}
        self._closing = False
        self.box: Question | None = None
        self._learning.changed.connect(self._follow)
        self._learning.left.connect(self._offer, Qt.ConnectionType.QueuedConnection)  # once the new archive is there
        self._follow()

    def _follow(self) -> None:
        self._window.actions_by_key["learn-keep"].setEnabled(bool(self._learning.unsaved()))

    # -- on wish

    def keep(self) -> None:
        """Asks for a file for each network that has learnt something."""
        self._save(self._learning.unsaved())

    def _save(self, wanted: Sequence[Keepable]) -> None:
        """One after the other; a dialog that is left without a name ends it."""
        self._waiting = list(wanted)
        self._save_next()

    def _save_next(self) -> None:
        from engine.jobs.keep_learnt import KeepLearntRequest

        if not self._waiting:
            if self._closing and not self._at_stake():
                self._window.close()
            return
        one = self._waiting.pop(0)
        name, _ = QFileDialog.getSaveFileName(self._window, f"Keep what {_title(one)} has learnt",
                                              str(suggested(one)), "Weights (*.safetensors)")
        if not name:
            self._waiting, self._closing = [], False
            return
        request = KeepLearntRequest(one.learner, one.learnt.network, one.learnt.learned,
                                    one.learnt.rolled_back, one.archive, one.until, Path(name))
        self._jobs[self._window.bridge.submit("keep-learnt", request, self._on_event)] = one

    def _on_event(self, job: int, event: Event) -> None:
        one = self._jobs.get(job)
        if one is None or not isinstance(event, TERMINAL):
            return
        del self._jobs[job]
        if isinstance(event, Finished):
            self._learning.mark_saved(one)
            self._window.message_bar.tell(f"What {_title(one)} has learnt is kept in {event.result['weights']}.")
            self._save_next()
            return
        self._waiting, self._closing = [], False
        if isinstance(event, Failed):
            self._window.show_problem(event.error)

    # -- before it is lost

    def _at_stake(self) -> list[Keepable]:
        return [one for one in self._learning.unsaved() if one not in self._given_up]

    def may_close(self) -> bool:
        """False where the user is asked first; the window is closed again after the answer."""
        at_stake = self._at_stake()
        if at_stake and self._jobs:
            self._closing = True  # as soon as it is saved
        elif at_stake and self.box is None:
            self._ask(at_stake)
        return not at_stake

    def _ask(self, at_stake: Sequence[Keepable]) -> None:
        box = Question(self._window, "Learnt from new frames", " ".join(map(_told, at_stake)), AFTER, "Keep as…",
                       "Discard")
        self.keep_as, self.discard, self.stay = box.yes, box.no, box.stay
        box.finished.connect(self._on_answer)
        self.box = box
        box.open()

    def _on_answer(self, result: int) -> None:
        box, self.box = self.box, None
        assert box is not None
        clicked = box.clickedButton()
        box.deleteLater()
        if clicked is self.keep_as:
            self._closing = True
            self._save(self._at_stake())
        elif clicked is self.discard:
            self._given_up += self._at_stake()
            self._window.close()

    def _offer(self, left: tuple[Keepable, ...]) -> None:
        """After another archive, or other weights, have put an end to it."""
        self._window.message_bar.tell(" ".join(map(_told, left)), "Forecasts use the weights of the file again.",
                                      "Keep as…", lambda: self._save(left))


def suggested(one: Keepable) -> Path:
    """A file in the user's folder of weights, under a name that no forecaster looks for."""
    from engine.jobs.weights import user_folder

    return user_folder() / f"{one.forecaster}-online-{one.until:%Y%m%d-%H%M}.safetensors"


def _title(one: Keepable) -> str:
    return catalogue.row("forecaster", one.forecaster).title


def _told(one: Keepable) -> str:
    times = "once" if one.learnt.learned == 1 else f"{one.learnt.learned} times"
    return f"{_title(one)} has learned {times} from {one.archive}."
