"""Colours of the rain and of the window, as the user chose them."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QApplication

import resources
from app.settings import Settings
from app.theme import DARK, LIGHT, Theme, apply_theme
from engine.display.difference import difference_colours
from engine.errors import UnreadableInput
from engine.radar.colours import ColourTable, load_colours
from engine.radar.scaling import rain_bins

log = logging.getLogger(__name__)


class Appearance(QObject):
    """Theme and colour table; ``changed`` after either has."""

    changed = Signal()

    def __init__(self, settings: Settings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self._tables: dict[str, ColourTable] = {}
        self._load_tables()
        self.apply()

    @property
    def theme(self) -> Theme:
        return LIGHT if self._settings.values.theme == "light" else DARK

    def palettes(self) -> tuple[tuple[str, str], ...]:
        """Names and titles of the colour tables."""
        return tuple((name, table.title) for name, table in self._tables.items())

    @property
    def palette(self) -> str:
        wish = self._settings.values.palette
        return wish if wish in self._tables else next(iter(self._tables))

    @property
    def table(self) -> ColourTable:
        return self._tables[self.palette]

    def colours(self, thresholds: tuple[float, ...]) -> NDArray[np.uint32]:
        """256 opaque colours for the bins of these thresholds."""
        background, no_data = (int(text.lstrip("#"), 16) for text in (self.theme.map, self.theme.missing))
        return self.table.rgb32(rain_bins(thresholds), background, no_data)

    def difference_colours(self) -> NDArray[np.uint32]:
        """256 opaque colours for :func:`engine.display.difference.difference_bins`."""
        background, no_data = (int(text.lstrip("#"), 16) for text in (self.theme.map, self.theme.missing))
        return difference_colours(background, no_data, self.theme is DARK)

    def set_theme(self, name: str) -> None:
        if name != self._settings.values.theme:
            self._settings.values.theme = name
            self.apply()
            self.changed.emit()

    def set_palette(self, name: str) -> None:
        if name in self._tables and name != self.palette:
            self._settings.values.palette = name
            self.changed.emit()

    def apply(self) -> None:
        app = QApplication.instance()
        if isinstance(app, QApplication):
            apply_theme(app, self.theme)

    def _load_tables(self) -> None:
        for path in resources.colour_tables().values():
            try:
                table = load_colours(path)
            except UnreadableInput as problem:
                log.warning("%s", problem)
            else:
                self._tables[table.name] = table
