"""Say what a folder of images means, with a map that shows at once what comes of it; the answer is kept beside them."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from app.context import Context
from app.dialogs.describe_form import DescribeForm
from app.plots.colour_bar import ColourBar
from app.plots.map_pane import MapPane
from engine.errors import StormdeckError
from engine.jobs.basemap import BasemapReady, BasemapRequest
from engine.jobs.describe import (
    DescribeRequest,
    Description,
    Previewed,
    PreviewRequest,
    Proposed,
    ProposeRequest,
)
from engine.jobs.events import Event, Failed, Finished
from engine.radar.grid import Grid
from engine.radar.scaling import rain_bins

SHOWN_TIMES = 3
BLAMED = {"value": "law", "grid": "at"}


class DescribeImagesDialog(QDialog):
    """Non-modal. Nothing is written before Save; Save opens the folder."""

    def __init__(self, context: Context, folder: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context, self._bridge, self._folder = context, context.bridge, folder
        self._pictures: tuple[Path, ...] = ()
        self._description: Description | None = None
        self._grid: Grid | None = None
        self._closed = False
        self.setWindowTitle(f"Describe images – {folder.name}")
        theme = context.appearance.theme
        self.form = DescribeForm(theme)
        self.form.setEnabled(False)
        self.pane = MapPane()
        self.pane.set_theme(theme)
        self.colour_bar = ColourBar(Qt.Orientation.Horizontal)
        self.which = QSlider(Qt.Orientation.Horizontal)
        self.which.setAccessibleName("Image on show")
        self.range = QLabel()
        self.status = QLabel("Looking at the images…")
        self.status.setWordWrap(True)
        self.save = QPushButton("Save and open")
        self.save.setEnabled(False)
        self.stop = QPushButton("Cancel")
        for button in (self.save, self.stop):  # Return in a field must not save
            button.setAutoDefault(False)
        self._lay_out()
        self.form.changed.connect(self._edited)
        self.which.valueChanged.connect(self._preview)
        self.save.clicked.connect(self._write)
        self.stop.clicked.connect(self.reject)
        self._bridge.submit("describe", ProposeRequest(folder), self._on_proposal, key="propose-description")

    def _lay_out(self) -> None:
        scroll = QScrollArea()
        scroll.setWidget(self.form)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFixedWidth(430)
        look = QVBoxLayout()
        look.addWidget(self.pane, 1)
        look.addWidget(self.which)
        look.addWidget(self.range)
        look.addWidget(self.colour_bar)
        both = QHBoxLayout()
        both.addWidget(scroll)
        both.addLayout(look, 1)
        buttons = QHBoxLayout()
        buttons.addWidget(self.status, 1)
        buttons.addWidget(self.save)
        buttons.addWidget(self.stop)
        column = QVBoxLayout(self)
        column.addLayout(both, 1)
        column.addLayout(buttons)
        self.resize(1080, 760)

    # -- what the engine says

    def _on_proposal(self, job: int, event: Event) -> None:
        if self._closed:
            return
        if isinstance(event, Proposed):
            self._pictures = event.pictures
            self.which.setRange(0, len(event.pictures) - 1)
            self.form.fill(event.description, event.doubts)
            self.form.setEnabled(True)
            self.status.setText("The description that lies in the folder is replaced by Save." if event.replaces
                                else "Save writes stormdeck.toml into the folder; the images stay as they are.")
            self._edited()
        elif isinstance(event, Failed):
            self._tell(event.error)

    def _edited(self) -> None:
        self._description, errors = self.form.description()
        self.form.show_errors(errors)
        self.save.setEnabled(False)
        self._preview()

    def _preview(self) -> None:
        """Asks for the image on show under the description as it stands; a newer wish replaces an older one."""
        if self._description is None or not self._pictures:
            return
        session = self._context.session
        request = PreviewRequest(self._folder, self._description, self._pictures, self.which.value(),
                                 self._context.appearance.colours(session.thresholds), session.thresholds)
        self._bridge.submit("describe", request, self._on_preview, key="preview", priority=5)

    def _on_preview(self, job: int, event: Event) -> None:
        if self._closed or self._description is None:
            return
        if isinstance(event, Previewed):
            errors = {BLAMED[event.about]: f"{event.error}."} if event.error else {}
            if event.time_error:
                errors["pattern"] = event.time_error
            self.form.show_errors(errors)
            self.save.setEnabled(not errors)
            self._show_times(event)
            self._show_picture(event)
        elif isinstance(event, Failed):
            self._tell(event.error)

    def _show_times(self, seen: Previewed) -> None:
        lines = [f"{path.name}: {time:%Y-%m-%d %H:%M:%S} UTC" if time else f"{path.name}: does not fit"
                 for path, time in zip(self._pictures[:SHOWN_TIMES], seen.times, strict=False)]
        fitting = sum(time is not None for time in seen.times)
        self.form.told_times.say("\n".join([*lines, f"{fitting} of {len(seen.times)} images get a time."]))

    def _show_picture(self, seen: Previewed) -> None:
        description, time = self._description, seen.times[seen.index]
        assert description is not None
        grid = seen.picture.grid if seen.picture else None
        if grid is not None and (self._grid is None or not grid.same_as(self._grid)):
            self.pane.set_basemap(())
            self._bridge.submit("basemap", BasemapRequest(grid), self._on_basemap, key="preview-basemap")
        self._grid = grid
        self.pane.set_grid(grid)
        self.pane.set_picture(seen.picture)
        self.pane.set_message("" if seen.picture else seen.error)
        self.pane.set_titles(self._pictures[seen.index].name, f"{time:%H:%M} UTC" if time else "no time")
        thresholds, appearance = self._context.session.thresholds, self._context.appearance
        self.colour_bar.set_table(appearance.colours(thresholds), rain_bins(thresholds).edges, thresholds,
                                  description.zr, appearance.theme)
        if seen.size is not None:
            self.form.told_size.say(f"{seen.size[1]} × {seen.size[0]} pixels{_extent(grid)}")
        unit = description.value.quantity.unit
        self.range.setText("No pixel has an echo." if seen.low is None or seen.high is None
                           else f"Values from {seen.low:.4g} to {seen.high:.4g} {unit}")

    def _on_basemap(self, job: int, event: Event) -> None:
        if not self._closed and isinstance(event, BasemapReady) and self._grid is not None \
                and event.grid.same_as(self._grid):
            self.pane.set_basemap(event.lines, event.graticule)

    # -- the end

    def _write(self) -> None:
        if self._description is not None:
            self.save.setEnabled(False)
            self._bridge.submit("describe", DescribeRequest(self._folder, self._description), self._on_written)

    def _on_written(self, job: int, event: Event) -> None:
        if isinstance(event, Finished):
            self._context.session.open([self._folder])
            if not self._closed:
                self.accept()
        elif isinstance(event, Failed) and not self._closed:
            self._tell(event.error)
            self.save.setEnabled(True)

    def _tell(self, error: StormdeckError) -> None:
        self.status.setText(f"{error}. {error.advice}".strip())

    def done(self, result: int) -> None:
        """However it is closed, what is still under way is no longer shown."""
        self._closed = True
        super().done(result)


def _extent(grid: Grid | None) -> str:
    if grid is None:
        return ""
    high, wide = grid.pixel_km
    return f", {grid.shape[1] * wide:.4g} × {grid.shape[0] * high:.4g} km"
