"""Fields that need the arrow keys for themselves while they have the focus, and the wheel only then."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractSpinBox, QComboBox, QWidget

OWN = (Qt.Key.Key_Up, Qt.Key.Key_Down)


class OwnKeys(QObject):
    """Keeps the window's keys for up and down away from the widgets it is given. A wheel that scrolls a panel changes
    none of the fields that come to lie under it: only the one in focus takes it."""

    def __init__(self, *widgets: QWidget) -> None:
        super().__init__(widgets[0])
        for widget in widgets:
            if isinstance(widget, QComboBox | QAbstractSpinBox):
                widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # else the wheel itself would give it the focus
            widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and event.key() in OWN:
            event.accept()
            return True
        if event.type() == QEvent.Type.Wheel and isinstance(watched, QComboBox | QAbstractSpinBox) \
                and not watched.hasFocus():
            event.ignore()  # goes on to what lies around it
            return True
        return False
