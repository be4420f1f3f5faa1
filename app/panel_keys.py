"""The verification panels by menu and key: shown, brought to the front, and given the focus."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QDockWidget


class PanelKeys(QObject):
    """One method for each panel, for the table of actions."""

    def __init__(self, docks: Mapping[str, QDockWidget], parent: QObject) -> None:
        super().__init__(parent)
        self._docks = docks

    def _show(self, key: str) -> None:
        self._docks[key].show()
        self._docks[key].raise_()

    def show_scores(self) -> None:
        self._show("scores")

    def show_performance(self) -> None:
        self._show("performance")

    def show_fractions(self) -> None:
        self._show("fractions")

    def show_spectrum(self) -> None:
        self._show("spectrum")

    def show_contingency(self) -> None:
        self._show("contingency")

    def show_table(self) -> None:
        self._show("score-table")
