"""A panel that is built when it is first seen."""

from __future__ import annotations

import importlib

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.context import Context


class LazyPanel(QWidget):
    """Stands in for the panel "module:class"; ``built`` brings it. Its dock says when it is seen: Qt counts tabs that
    lie behind others as visible."""

    built = Signal(object)

    def __init__(self, context: Context, target: str) -> None:
        super().__init__()
        self._context = context
        self._target = target
        self._panel: QWidget | None = None
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)

    @property
    def is_built(self) -> bool:
        return self._panel is not None

    @property
    def panel(self) -> QWidget:
        """The panel itself, built now if it was not."""
        if self._panel is None:
            module, _, name = self._target.partition(":")
            self._panel = getattr(importlib.import_module(module), name)(self._context)
            self._column.addWidget(self._panel)
            self.built.emit(self._panel)
        return self._panel

    def set_seen(self, seen: bool) -> None:
        if seen or self.is_built:
            self.panel.set_seen(seen)  # type: ignore[attr-defined]
