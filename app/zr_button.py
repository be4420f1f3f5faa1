"""The Z-R pair in the status bar: shown always, changed by a click."""

from __future__ import annotations

from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QToolButton, QWidget

from app.context import Context
from engine.radar.units import ZR

PRESETS = (
    (200.0, 1.6, "Marshall and Palmer"), (223.0, 1.53, "FMI"), (256.0, 1.42, "DWD"), (300.0, 1.4, "WSR-88D"),
    (316.0, 1.5, "MeteoSwiss"), (58.53, 1.56, "Hong Kong"),
)
"""a and b of Z = a R^b, and where the pair is used."""


class ZRButton(QToolButton):
    """Its menu offers the pairs in use at weather services and the archive's own."""

    def __init__(self, context: Context, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = context.session
        self.setAutoRaise(True)
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.setStyleSheet("QToolButton { padding-right: 14px; }")  # room for the menu's arrow
        self.setAccessibleName("Z-R pair")
        self.choices = QMenu("Z-R pair", self)
        self.setMenu(self.choices)
        self._session.archive_changed.connect(self.follow)
        self._session.sequence_changed.connect(self.follow)
        self.choices.aboutToShow.connect(self.fill)
        self.follow()

    def follow(self) -> None:
        sequence = self._session.sequence
        self.setVisible(sequence is not None)
        if sequence is not None:
            self.setText(str(sequence.zr))
            self.setToolTip(f"From dBZ to mm/h; {sequence.layout.zr_source}")

    def fill(self) -> None:
        """The menu, with the pair in use ticked."""
        self.choices.clear()
        sequence, own = self._session.sequence, self._session.own_zr
        if sequence is None or own is None:
            return
        rows = [(ZR(a, b), where) for a, b, where in PRESETS]
        if own not in [zr for zr, _ in rows]:
            rows.insert(0, (own, ""))
        for zr, where in rows:
            note = ", ".join(filter(None, (where, "the archive's own" if zr == own else "")))
            action = QAction(f"{zr}   ({note})", self.choices)
            action.setCheckable(True)
            action.setChecked(zr == sequence.zr)
            action.setData((zr.a, zr.b))
            action.triggered.connect(self._chosen)
            self.choices.addAction(action)

    def _chosen(self) -> None:
        action = self.sender()
        if isinstance(action, QAction):
            self._session.set_zr(ZR(*action.data()))
