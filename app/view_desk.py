"""The View menu's switches: contours, smoothing, themes, rain colours, and the marks in the menu that follow them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QMenu

from app.panels.map_modes import BLINK, SWIPE

if TYPE_CHECKING:
    from app.window import MainWindow


class ViewDesk(QObject):
    """Ties the View menu to maps, settings and appearance."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._values, self._actions = window.settings.values, window.actions_by_key
        self._maps, self._appearance = window.maps, window.appearance
        self._palettes: QMenu | None = None

    def connect_up(self) -> None:
        """Ticks what the settings say; before the actions are wired, so that nothing is done."""
        values, actions = self._values, self._actions
        actions["contours"].setChecked(values.contours != "off")
        actions["crossed"].setChecked(values.contours == "crossed")
        actions["smooth"].setChecked(values.smooth)
        actions["loop"].setChecked(values.loop)
        actions["follow"].setChecked(values.follow)
        actions["live-forecasts"].setChecked(values.live_forecasts)
        actions["learn"].setChecked(values.learn)
        actions[values.theme].setChecked(True)
        self._maps.set_smooth(values.smooth)
        self._maps.modes.changed.connect(self._show_modes)

    # -- contours and pictures

    def set_contours_shown(self, shown: bool) -> None:
        self._set_contours("off" if not shown else "crossed" if self._actions["crossed"].isChecked() else "own")

    def set_contours_crossed(self, crossed: bool) -> None:
        if not self._actions["contours"].isChecked():
            self._actions["contours"].setChecked(True)
        self._set_contours("crossed" if crossed else "own")

    def _set_contours(self, mode: str) -> None:
        self._values.contours = mode
        self._maps.redraw_contours()

    def set_smooth(self, smooth: bool) -> None:
        self._values.smooth = smooth
        self._maps.set_smooth(smooth)

    def _show_modes(self) -> None:
        modes = self._maps.modes
        for key, on in (("swipe", modes.mode == SWIPE), ("blink", modes.mode == BLINK),
                        ("difference", modes.difference_shown)):
            action = self._actions[key]
            action.blockSignals(True)
            action.setChecked(on)
            action.blockSignals(False)

    # -- colours

    def use_dark(self, chosen: bool) -> None:
        if chosen:
            self._appearance.set_theme("dark")

    def use_light(self, chosen: bool) -> None:
        if chosen:
            self._appearance.set_theme("light")

    def fill_palettes(self, menu: QMenu) -> None:
        """A tick for each colour table."""
        for name, title in self._appearance.palettes():
            action = menu.addAction(title)
            action.setObjectName(name)
            action.setCheckable(True)
            action.triggered.connect(self._palette_chosen)
        self._palettes = menu
        menu.aboutToShow.connect(self._tick_palette)

    def _palette_chosen(self) -> None:
        sender = self.sender()
        if sender is not None:
            self._appearance.set_palette(sender.objectName())

    def _tick_palette(self) -> None:
        for action in self._palettes.actions() if self._palettes is not None else ():
            action.setChecked(action.objectName() == self._appearance.palette)
