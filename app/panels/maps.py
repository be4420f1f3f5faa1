"""The two maps, observed and predicted, side by side: one view, one cursor, one colour bar."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.context import Context
from app.panels.details import Details
from app.panels.map_contents import Content, MapContents
from app.panels.map_modes import MapModes
from app.plots.colour_bar import ColourBar
from app.plots.map_pane import MapPane
from app.runs import Run
from engine.display.contours import Contour
from engine.display.picture import Picture
from engine.jobs.display import Wanted
from engine.radar.grid import Grid
from engine.radar.scaling import rain_bins


class MapsPanel(QWidget):
    """``shown`` when both panes have painted the place that the session is at."""

    shown = Signal(int)
    cursor_moved = Signal(float, float)
    cursor_left = Signal()

    def __init__(self, context: Context, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._session = context.session
        self.observed = MapPane()
        self.predicted = MapPane()
        self.observed.setAccessibleName("Observed map")
        self.predicted.setAccessibleName("Predicted map")
        self._panes = (self.observed, self.predicted)
        self._contents = [Content(), Content()]
        self._drawn: list[Picture | None] = [None, None]
        self._unpainted: set[int] = set()
        self._due = False
        self.modes = MapModes(self, context)
        self._chooser = MapContents(context, self.modes)
        self.details = Details(self, context)
        self.colour_bar = ColourBar(Qt.Orientation.Horizontal)
        self._lay_out()
        self._connect()
        self.restyle()

    def _lay_out(self) -> None:
        maps = QHBoxLayout()
        maps.setSpacing(8)
        for pane in self._panes:
            maps.addWidget(pane, 1)
        maps.addWidget(self.modes.difference, 1)
        for pane in self.all_panes:
            pane.canvas.setAcceptDrops(False)  # files dropped on a map are for the window
            pane.canvas.viewport().setAcceptDrops(False)
        bars = QHBoxLayout()
        bars.setSpacing(8)
        bars.addWidget(self.colour_bar, 2)
        bars.addWidget(self.modes.bar, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 4, 4, 4)
        column.setSpacing(4)
        column.addLayout(maps, 1)
        column.addLayout(bars)
        for pane in self.all_panes[1:]:
            pane.link_view(self.observed)

    @property
    def all_panes(self) -> tuple[MapPane, ...]:
        return (*self._panes, self.modes.difference)

    def _connect(self) -> None:
        session, pictures = self._session, self._context.pictures
        session.archive_changed.connect(self._new_archive)
        session.sequence_changed.connect(self.restyle)
        session.position_changed.connect(self._on_position)
        session.thresholds_changed.connect(self.restyle)
        session.basemap_changed.connect(self._set_basemap)
        session.forecasting.frame_arrived.connect(self._on_frame)
        session.forecasting.runs_changed.connect(self.refresh)
        session.forecasting.shown_changed.connect(self.refresh)
        self._context.appearance.changed.connect(self.restyle)
        pictures.arrived.connect(self._on_picture)
        pictures.failed.connect(self._on_bad_picture)
        self.observed.painted.connect(self._observed_painted)
        self.predicted.painted.connect(self._predicted_painted)
        self.modes.caught_up.connect(self._announce)
        self.observed.canvas.view.changed.connect(self._on_view)
        for pane in self.all_panes:
            pane.cursor_moved.connect(self._on_cursor)
            pane.cursor_left.connect(self._on_cursor_left)

    # -- what changes rarely

    def _new_archive(self) -> None:
        self._context.pictures.clear()
        self.details.clear()
        sequence = self._session.sequence
        assert sequence is not None
        for number, pane in enumerate(self._panes):
            self._contents[number], self._drawn[number] = Content(), None
            pane.set_picture(None)
            pane.set_contours(())
            pane.set_grid(sequence.grid)
            pane.reset_view()
        self.modes.new_archive()
        self._restyle_bar()

    def restyle(self) -> None:
        """New colours, thresholds or theme; the panes keep what they show until it is made anew."""
        thresholds = self._session.thresholds
        colours = self._context.appearance.colours(thresholds)
        self._context.pictures.restyle(colours, thresholds)
        self.details.clear()
        for pane in self._panes:
            pane.set_thresholds(thresholds)
            pane.set_theme(self._context.appearance.theme)
        self.modes.restyle()
        self._restyle_bar()
        self.refresh()

    def _restyle_bar(self) -> None:
        from engine.radar.units import MARSHALL_PALMER

        sequence, thresholds = self._session.sequence, self._session.thresholds
        self.colour_bar.set_table(
            self._context.appearance.colours(thresholds), rain_bins(thresholds).edges, thresholds,
            sequence.zr if sequence else MARSHALL_PALMER, self._context.appearance.theme)

    def _set_basemap(self, lines: tuple[Any, ...], graticule: tuple[Any, ...]) -> None:
        for pane in self.all_panes:
            pane.set_basemap(lines, graticule)

    def set_smooth(self, smooth: bool) -> None:
        for pane in self.all_panes:
            pane.set_smooth(smooth)

    def reset_view(self) -> None:
        self.observed.reset_view()

    def zoom_in(self) -> None:
        self.observed.zoom_by(1.4)

    def zoom_out(self) -> None:
        self.observed.zoom_by(1 / 1.4)

    # -- what to show

    def refresh(self) -> None:
        """Shows the session's place; what is not made yet is asked for and follows."""
        place = self._session.place
        if place is None:
            self._show_empty()
            return
        self._contents = self._chooser.at(place)
        self._unpainted, self._due = {0, 1}, True
        self.modes.follow(place)
        self._apply(0)
        self._apply(1)
        self._ask()

    def _show_empty(self) -> None:
        self.observed.set_titles("OBSERVED", "")
        self.predicted.set_titles("PREDICTED", "")
        self.observed.set_message("Drop a radar archive here,\nor press Ctrl+O to open one")
        self.predicted.set_message("")

    def _ask(self) -> None:
        visible = {c.name: c.wanted for c in self._contents if c.wanted is not None}
        self._context.pictures.want(visible.values(), self._chooser.neighbours())

    def _apply(self, number: int) -> None:
        """Picture and titles change together, so that no frame ever stands under another frame's time."""
        content, pane = self._contents[number], self._panes[number]
        picture = self._context.pictures.get(content.name) if content.wanted else None
        if content.wanted is not None and picture is None:
            return
        same = picture is self._drawn[number]
        self._drawn[number] = picture
        self._title(number)
        pane.set_message(content.message)
        pane.set_picture(picture)
        self.details.follow()
        self._draw_contours()
        if same or picture is None or not pane.isVisible():
            self._painted(number)

    def _title(self, number: int) -> None:
        content, pane = self._contents[number], self._panes[number]
        pane.set_titles(self.modes.title(number, (self._contents[0].left, self._contents[1].left)), content.right)

    def _draw_contours(self) -> None:
        mode, drawn = self._session.settings.values.contours, set(self._session.drawn)
        place = self._session.place
        for number, pane in enumerate(self._panes):
            source = self._finest(1 - number if mode == "crossed" else number)
            foreign = mode == "crossed" and source is not None and place is not None and place.lead is not None
            own = self._chooser.badges(number, self._contents[number])
            pane.set_badges((*own, f"contours: {self._chooser.other(number)}") if foreign else own)
            lines = () if source is None or mode == "off" or self._drawn[number] is None else source.contours
            pane.set_contours(_only(lines, drawn))
        finest = self._finest(1)
        self.modes.show_other(self._drawn[1], _only(finest.contours, drawn) if finest is not None and mode != "off"
                              else ())

    def _finest(self, number: int) -> Picture | None:
        """The picture whose contours are drawn: of the finer part where that is all one sees."""
        return self.details.covering(number) or self._drawn[number]

    def on_show(self, number: int) -> tuple[Wanted, Picture] | None:
        """What a pane draws, None where it shows none or still that of another place."""
        wanted, picture = self._contents[number].wanted, self._drawn[number]
        if wanted is None or picture is None or self._context.pictures.get(wanted.name) is not picture:
            return None
        return wanted, picture

    def show_detail(self, number: int, picture: Picture | None) -> None:
        """A finer part over what a pane draws."""
        self._panes[number].set_detail(picture)
        if number == 1:
            self.modes.show_other_detail(picture)

    def _on_view(self) -> None:
        self.details.follow()
        self._draw_contours()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.details.follow()

    def redraw_contours(self) -> None:
        self._draw_contours()

    # -- what arrives

    def _on_position(self, position: int) -> None:
        self.refresh()

    def _on_frame(self, run: Run, lead: int) -> None:
        place = self._session.place
        if run is self._session.shown_run and place is not None:
            if place.lead == lead:
                self.refresh()
            elif self._context.pictures.idle():
                self._ask()

    def _on_picture(self, name: Hashable) -> None:
        for number, content in enumerate(self._contents):
            if content.wanted is not None and content.name == name:
                self._apply(number)

    def _on_bad_picture(self, name: Hashable, reason: str) -> None:
        if name in (content.name for content in self._contents):
            self.refresh()

    def _observed_painted(self) -> None:
        self._painted(0)

    def _predicted_painted(self) -> None:
        self._painted(1)

    def _painted(self, number: int) -> None:
        content = self._contents[number]
        if content.wanted is not None and self._context.pictures.get(content.name) is not self._drawn[number]:
            return
        if number in self._unpainted:
            self._unpainted.discard(number)
            self._announce()

    def _announce(self) -> None:
        if self._due and self.settled:
            self._due = False
            self.shown.emit(self._session.position)

    @property
    def settled(self) -> bool:
        """Whether all panes show the session's place."""
        return not self._unpainted and not self.modes.owes

    # -- under the cursor

    def values_at(self, x: float, y: float) -> tuple[float | None, float | None]:
        """Observed and predicted mm/h at grid coordinates; None outside or where nothing is shown."""
        sequence = self._session.sequence
        if sequence is None:
            return None, None
        observed, predicted = (_value(picture, sequence.grid, x, y) for picture in self._drawn)
        return observed, predicted

    def _on_cursor(self, x: float, y: float) -> None:
        for pane in self.all_panes:
            pane.set_cursor(x, y)
        value = self.values_at(x, y)[1 if self.sender() is self.predicted else 0]
        self.colour_bar.set_value(value)
        self.cursor_moved.emit(x, y)

    def _on_cursor_left(self) -> None:
        for pane in self.all_panes:
            pane.set_cursor(None, None)
        self.colour_bar.set_value(None)
        self.cursor_left.emit()


def _value(picture: Picture | None, grid: Grid, x: float, y: float) -> float | None:
    """mm/h of the cell that holds a point; a downscaled forecast has a grid of its own."""
    cell = None if picture is None else (picture.grid or grid).index(x, y)
    return None if picture is None or cell is None else float(picture.rain_rate[cell])


def _only(lines: tuple[Contour, ...], drawn: set[float]) -> tuple[Contour, ...]:
    """The contours that are drawn; the same tuple where all are, so that its paths are found again."""
    return lines if all(line.threshold in drawn for line in lines) \
        else tuple(line for line in lines if line.threshold in drawn)
