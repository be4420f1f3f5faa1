"""Parts that forms share: a number, a field with its button, the buttons below."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSpinBox, QWidget


def spin(low: int, high: int, value: int, name: str, suffix: str = "") -> QSpinBox:
    """name: for those who hear the window."""
    field = QSpinBox()
    field.setRange(low, high)
    field.setValue(value)
    field.setSuffix(suffix)
    field.setAccessibleName(name)
    return field


def row(field: QWidget, button: QPushButton) -> QHBoxLayout:
    """The field takes what the button leaves."""
    line = QHBoxLayout()
    line.addWidget(field, 1)
    line.addWidget(button)
    return line


def footer(*buttons: QPushButton) -> QHBoxLayout:
    """At the right end, below a form."""
    line = QHBoxLayout()
    line.addStretch(1)
    for button in buttons:
        line.addWidget(button)
    return line
