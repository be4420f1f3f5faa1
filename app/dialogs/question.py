"""What is asked before something ends: go on one way, or the other, or stay."""

from __future__ import annotations

from PySide6.QtWidgets import QMessageBox, QWidget


class Question(QMessageBox):
    """yes: what Enter takes. no: the other way. stay: what Escape takes; nothing happens then."""

    def __init__(self, parent: QWidget, title: str, text: str, more: str, yes: str, no: str) -> None:
        super().__init__(QMessageBox.Icon.NoIcon, title, text, QMessageBox.StandardButton.NoButton, parent)
        self.setInformativeText(more)
        self.yes = self.addButton(yes, QMessageBox.ButtonRole.AcceptRole)
        self.no = self.addButton(no, QMessageBox.ButtonRole.DestructiveRole)
        self.stay = self.addButton("Stay", QMessageBox.ButtonRole.RejectRole)
        self.setDefaultButton(self.yes)
        self.setEscapeButton(self.stay)
