"""How the maps stand: two, one, one with a divider, one that blinks; and the difference beside them."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from app import wording
from app.differences import Differences
from app.places import Place
from app.plots.difference_bar import DifferenceBar
from app.plots.map_pane import MapPane
from app.runs import Run
from engine.display.contours import Contour
from engine.display.difference import LIMITS
from engine.display.picture import Picture

if TYPE_CHECKING:
    from app.context import Context
    from app.panels.maps import MapsPanel

TWO, ONE, SWIPE, BLINK = "two", "one", "swipe", "blink"
BLINK_MS = 600


class MapModes(QObject):
    """changed: another arrangement was chosen. caught_up: the difference of the place on show is drawn."""

    changed = Signal()
    caught_up = Signal()

    def __init__(self, panel: MapsPanel, context: Context) -> None:
        super().__init__(panel)
        self._panel = panel
        self._context = context
        self._session = context.session
        self.mode = TWO
        self.difference_shown = False
        self.before = False
        self.difference = MapPane()
        self.difference.setAccessibleName("Difference map")
        self.difference.hide()
        self.bar = DifferenceBar()
        self.bar.hide()
        self._front = 1
        self._divider = 0.5
        self._wanted: Hashable = None
        self._drawn: Hashable = None
        self._titles = ("", "")
        self._differences = Differences(context.bridge, context.appearance, self)
        self._differences.arrived.connect(self._on_difference)
        self._differences.failed.connect(self._on_no_difference)
        self._timer = QTimer(self)
        self._timer.setInterval(BLINK_MS)
        self._timer.timeout.connect(self._blink)

    # -- arrangement

    def set_mode(self, mode: str) -> None:
        if mode == self.mode:
            return
        if self.mode == SWIPE:
            self._divider = self._panel.observed.canvas.overlay.divider or 0.5
        self.mode, self._front = mode, 1
        self._timer.start() if mode == BLINK else self._timer.stop()
        self._panel.observed.set_divider(self._divider if mode == SWIPE else None)
        self._panel.observed.set_other(None, ())
        self._arrange()
        self._panel.refresh()
        self.changed.emit()

    def show_one(self) -> None:
        self.set_mode(ONE)

    def show_two(self) -> None:
        self.set_mode(TWO)

    def set_swipe(self, on: bool) -> None:
        self.set_mode(SWIPE if on else TWO)

    def set_blink(self, on: bool) -> None:
        self.set_mode(BLINK if on else TWO)

    def set_difference(self, shown: bool) -> None:
        if shown != self.difference_shown:
            self.difference_shown = shown
            self.difference.setVisible(shown)
            self.bar.setVisible(shown)
            self._panel.refresh()
            self.changed.emit()

    def set_before(self, on: bool) -> None:
        """Sharpened forecasts stand beside what they were before, no longer beside the observation."""
        if on != self.before:
            self.before = on
            self._panel.refresh()
            self.changed.emit()

    @property
    def origin(self) -> Run | None:
        """The forecast before it was sharpened, where that is what the one on show is compared with."""
        forecasting = self._session.forecasting
        return forecasting.origin(forecasting.shown) if self.before else None

    def _arrange(self) -> None:
        observed = {TWO: True, ONE: False, SWIPE: True, BLINK: self._front == 0}[self.mode]
        predicted = {TWO: True, ONE: True, SWIPE: False, BLINK: self._front == 1}[self.mode]
        self._panel.setUpdatesEnabled(False)
        if observed:  # the one that stays is shown first, so that nothing between them is laid out
            self._panel.observed.show()
        self._panel.predicted.setVisible(predicted)
        self._panel.observed.setVisible(observed)
        layout = self._panel.layout()
        if layout is not None:
            layout.activate()  # titles are cut to the width that the panes have from now on
        self._panel.setUpdatesEnabled(True)

    def _blink(self) -> None:
        self._front = 1 - self._front
        self._arrange()

    def stop(self) -> None:
        self._timer.stop()

    def title(self, number: int, left: tuple[str, str]) -> str:
        """The title of a pane from those of both: a pane with a divider shows two things."""
        return f"{left[0]}  |  {left[1]}" if self.mode == SWIPE and number == 0 else left[number]

    def show_other(self, picture: Picture | None, contours: tuple[Contour, ...]) -> None:
        """The prediction, for the right side of the divider."""
        if self.mode == SWIPE:
            self._panel.observed.set_other(picture, contours)

    def show_other_detail(self, picture: Picture | None) -> None:
        """The same in smaller blocks, where the view is close."""
        if self.mode == SWIPE:
            self._panel.observed.set_other_detail(picture)

    # -- difference

    def new_archive(self) -> None:
        self._forget()
        sequence = self._session.sequence
        self.difference.set_picture(None)
        self.difference.set_grid(sequence.grid if sequence else None)

    def restyle(self) -> None:
        appearance = self._context.appearance
        self._forget()
        self.difference.set_theme(appearance.theme)
        self.bar.set_table(appearance.difference_colours(), LIMITS, appearance.theme)

    def _forget(self) -> None:
        self._differences.clear()
        self._wanted = self._drawn = None

    @property
    def owes(self) -> bool:
        """Whether the difference of the place on show is still to come."""
        return self.difference_shown and self._wanted != self._drawn

    def follow(self, place: Place) -> None:
        """Shows the difference of a place, or why there is none."""
        if not self.difference_shown:
            return
        run, sequence = self._session.shown_run, self._session.sequence
        origin = self.origin
        name = f"DIFFERENCE {run.forecaster} − {'before' if origin else 'observed'}" if run else "DIFFERENCE"
        self._titles = name, wording.when(place)
        message = ""
        if place.lead is None:
            message = "The difference begins with the first lead time."
        elif run is None or place.lead not in run.frames:
            message = "No forecast of this time yet."
        elif origin is not None and place.lead not in origin.frames:
            message = wording.why_none(origin, place.lead)
        elif origin is None and place.frame is None:
            message = "No observation yet"
        if message or run is None or sequence is None or place.lead is None:
            self._wanted = self._drawn = None
            self._show(None, message)
            return
        self._wanted = (run.serial, place.lead, origin.serial if origin else None)
        if self._differences.get(self._wanted) is not None:
            self._on_difference(self._wanted)
        else:
            other = origin.frames[place.lead].rain_rate if origin else None
            self._differences.want(self._wanted, run.frames[place.lead].rain_rate, sequence, place.frame, other)

    def _on_difference(self, name: Hashable) -> None:
        if name == self._wanted and self.difference_shown:
            self._drawn = name
            self._show(self._differences.get(name), "")
            self.caught_up.emit()

    def _on_no_difference(self, name: Hashable, reason: str) -> None:
        if name == self._wanted:
            self._drawn = name
            self._show(None, reason)
            self.caught_up.emit()

    def _show(self, picture: Picture | None, message: str) -> None:
        self.difference.set_titles(*self._titles)
        self.difference.set_message(message)
        self.difference.set_picture(picture)
        sequence = self._session.sequence
        self.difference.set_badges(("SYNTHETIC DATA",) if sequence is not None and sequence.layout.synthetic else ())
