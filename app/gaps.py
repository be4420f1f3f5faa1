"""What stands in gaps of the time axis: nothing, or frames made from their neighbours."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from app.actions import Actions
from app.session import Session
from engine.errors import StormdeckError

RULES = {"gaps-leave": "", "gaps-nearest": "nearest", "gaps-linear": "linear"}


class Gaps(QObject):
    """Behind the three actions, of which one is chosen."""

    failed = Signal(object)

    def __init__(self, session: Session, actions: Actions, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._actions = actions
        session.archive_changed.connect(self._follow)
        session.sequence_changed.connect(self._follow)
        self._follow()

    def leave(self, chosen: bool) -> None:
        if chosen:
            self._session.set_filling("")

    def fill_nearest(self, chosen: bool) -> None:
        if chosen:
            self._fill("nearest")

    def fill_linear(self, chosen: bool) -> None:
        if chosen:
            self._fill("linear")

    def _fill(self, rule: str) -> None:
        self._session.set_filling(rule)
        sequence = self._session.sequence
        if sequence is not None and sequence.gaps:
            longest = max(gap.missing for gap in sequence.gaps)
            self.failed.emit(StormdeckError(f"Gaps too long to be filled stay: {len(sequence.gaps)}, the longest of "
                                            f"{longest} frames."))

    def _follow(self) -> None:
        for key, rule in RULES.items():
            action = self._actions[key]
            action.setEnabled(self._session.has_gaps)
            action.blockSignals(True)  # what is so already is not chosen anew
            action.setChecked(rule == self._session.filling)
            action.blockSignals(False)
