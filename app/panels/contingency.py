"""Hits, misses and false alarms on the map, for one threshold at the lead time on show."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter

from app import wording
from app.panels.verify_panel import Cell, Choice, VerifyPanel
from app.places import Place
from app.plots.kinds_legend import KINDS, KindsLegend
from app.plots.map_pane import MapCanvas, MapPane
from app.plots.sheet import Drawable
from app.runs import Run
from app.verification import Pair
from app.wishes import Wish, Wishes
from engine.display.contingency import CORRECT_NEGATIVE, EventCounts, contingency_colours
from engine.display.picture import Picture
from engine.jobs.basemap import BasemapReady, BasemapRequest
from engine.jobs.contingency import ContingencyReady, ContingencyRequest
from engine.jobs.events import Event

if TYPE_CHECKING:
    from app.panels.maps import MapsPanel

KEPT, KEPT_BYTES = 48, 160 << 20
"""Maps that are kept at most."""
NEIGHBOURS = 4
SMALLEST_MAP = QSize(480, 360)


class MapSheet:
    """The map as part of a file."""

    def __init__(self, canvas: MapCanvas) -> None:
        self._canvas = canvas

    def sheet_size(self) -> QSize:
        size = self._canvas.viewport().size()
        return size.scaled(SMALLEST_MAP.expandedTo(size), Qt.AspectRatioMode.KeepAspectRatio)

    def draw_sheet(self, painter: QPainter, size: QSize) -> None:
        self._canvas.render(painter, QRectF(0, 0, size.width(), size.height()), self._canvas.viewport().rect(),
                            Qt.AspectRatioMode.KeepAspectRatio)


class ContingencyPanel(VerifyPanel):
    """Follows the time, the predicted pane's model, the threshold, the pooling and the region."""

    title = "Hits and misses"

    def build(self) -> None:
        self.threshold = Choice("Threshold", "Threshold of the map")
        self.threshold.activated.connect(self._threshold_chosen)
        self.bar.addWidget(self.threshold)
        self.pane, self.legend = MapPane(), KindsLegend()
        self.pane.setAccessibleName("Map of hits and misses")
        self.pane.canvas.setAcceptDrops(False)
        self.pane.canvas.viewport().setAcceptDrops(False)
        self.pane.canvas.setMinimumSize(120, 100)
        self.column.addWidget(self.pane, 1)
        self.column.addWidget(self.legend)
        self.picture: Picture | None = None
        self._grid: object = None
        self._maps = Wishes(self.context.bridge, self, KEPT)
        self._maps.arrived.connect(self._on_map)
        self.legend.toggled.connect(self._kind_toggled)
        self.session.archive_changed.connect(self._maps.clear)
        self.session.sequence_changed.connect(self._maps.clear)
        self.context.appearance.changed.connect(self._maps.clear)

    def join_maps(self, maps: MapsPanel) -> None:
        """Shows the same part of the world as the maps, with one cursor."""
        self.pane.link_view(maps.observed)
        self._others = maps
        self.pane.cursor_moved.connect(self._point)
        self.pane.cursor_left.connect(self._leave)
        maps.cursor_moved.connect(self.pane.set_cursor)
        maps.cursor_left.connect(self._no_cursor)

    def _point(self, x: float, y: float) -> None:
        for pane in self._others.all_panes:
            pane.set_cursor(x, y)
        self._others.cursor_moved.emit(x, y)

    def _leave(self) -> None:
        for pane in self._others.all_panes:
            pane.set_cursor(None, None)
        self._others.cursor_left.emit()

    def _no_cursor(self) -> None:
        self.pane.set_cursor(None, None)

    def _kind_toggled(self, kind: object) -> None:
        self.move_marks()

    def _threshold_chosen(self, index: int) -> None:
        self.verification.set_threshold(float(self.threshold.currentData()))

    # -- maps

    def _colours(self) -> Any:
        theme = self.context.appearance.theme
        ground, no_data = (int(text.lstrip("#"), 16) for text in (theme.map, theme.missing))
        table = contingency_colours(ground, no_data, theme.name == "dark")
        for kind in self.legend.hidden:
            table[kind] = table[CORRECT_NEGATIVE]
        return table

    def _map(self, run: Run, pair: Pair) -> Wish:
        session, threshold = self.session, self.verification.threshold
        name = (run.serial, pair.lead, threshold, session.pool, session.region, self.legend.hidden,
                self.context.appearance.theme.name)
        return Wish(name, "contingency", partial(self._request, name, pair, threshold, session.pool,
                                                 session.region), _taken)

    def _request(self, name: Hashable, pair: Pair, threshold: float, pool: int, region: Any) -> ContingencyRequest:
        assert self.session.sequence is not None
        return ContingencyRequest(name, pair.rain_rate, self.session.sequence, pair.frame, threshold, self._colours(),
                                  pool, region)

    def _here(self) -> tuple[Place | None, Run | None, Pair | None]:
        place, run = self.session.place, self.session.shown_run
        if place is None or place.lead is None or run is None:
            return place, run, None
        return place, run, next((pair for pair in self.verification.pairs(run) if pair.lead == place.lead), None)

    def _ask(self) -> None:
        """The map on show first, then its neighbours in time."""
        _, run, pair = self._here()
        wanted = [] if run is None or pair is None or not self.seen else \
            [self._map(run, near) for near in self.verification.pairs(run)[:NEIGHBOURS]]
        self._maps.want(self, wanted)

    def redraw(self) -> None:
        self.fill_thresholds(self.threshold, every=False)
        self.threshold.choose(self.verification.threshold)
        theme, sequence = self.context.appearance.theme, self.session.sequence
        self.pane.set_theme(theme)
        self.legend.set_theme(theme)
        grid = sequence.grid if sequence else None
        if grid is not self._grid:
            self._grid = grid
            if self.pane.canvas.view.grid is not grid:
                self.pane.set_grid(grid)
            self.pane.canvas.basemap.set_shown(grid is not None)
            self.pane.set_basemap((), ())
            if grid is not None:
                self.context.bridge.submit("basemap", BasemapRequest(grid), self._on_basemap, key="basemap-contingency")

    def _on_basemap(self, job: int, event: Event) -> None:
        if isinstance(event, BasemapReady) and event.grid is self._grid:
            self.pane.set_basemap(event.lines, event.graticule)

    def _on_map(self, name: Hashable) -> None:
        found = self._maps.get(name)
        if found is not None:  # the rain rate belongs to the run
            own = found[0].nbytes - found[0].rain_rate.nbytes
            self._maps.kept = max(NEIGHBOURS + 1, min(KEPT, KEPT_BYTES // max(own, 1)))
        self.move_marks()

    def move_marks(self) -> None:
        place, run, pair = self._here()
        self._ask()
        self.pane.set_titles(run.forecaster if run else "", wording.when(place) if place is not None else "")
        sequence = self.session.sequence
        self.pane.set_badges(("SYNTHETIC DATA",) if sequence is not None and sequence.layout.synthetic else ())
        picture, counts, message = self._content(place, run, pair)
        self.pane.set_message(message)
        self.picture = picture
        self.pane.set_picture(picture)
        self.legend.set_kinds(tuple(int(value) for value in self._colours()), counts)

    def _content(self, place: Place | None, run: Run | None,
                 pair: Pair | None) -> tuple[Picture | None, EventCounts | None, str]:
        if place is None or run is None:
            return None, None, ""
        if place.lead is None:
            return None, None, "Hits and misses begin\nwith the first lead time."
        if pair is None:
            return None, None, "No observation yet" if place.frame is None else "No forecast of this time yet."
        wish = self._map(run, pair)
        found = self._maps.get(wish.name)
        if found is None:
            return None, None, self._maps.why_not(wish.name)
        return found[0], found[1], ""

    @property
    def settled(self) -> bool:
        """Whether the map of the lead time on show is drawn."""
        return self._maps.idle()

    # -- saving

    def drawables(self) -> Sequence[Drawable]:
        return (MapSheet(self.pane.canvas), self.legend)

    def caption(self) -> tuple[str, ...]:
        _, run, pair = self._here()
        first, *rest = super().caption()
        if run is None or pair is None:
            return (first, *rest)
        return (f"{first}: {run.forecaster}  +{pair.minutes:g} min  ≥ {self.verification.threshold:g} mm/h", *rest)

    def rows(self) -> list[list[Cell]]:
        table: list[list[Cell]] = [["model", "lead_min", "threshold_mm_h", "pool", *(name for _, name in KINDS)]]
        place, run, pair = self._here()
        _, counts, _ = self._content(place, run, pair)
        if run is not None and pair is not None and counts is not None:
            table.append([run.forecaster, pair.minutes, self.verification.threshold, self.session.pool, counts.hits,
                          counts.misses, counts.false_alarms, counts.correct_negatives])
        return table


def _taken(event: Event) -> Any:
    return (event.picture, event.counts) if isinstance(event, ContingencyReady) else None
