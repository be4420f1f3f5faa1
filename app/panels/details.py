"""The visible part of large frames cell by cell: asked for when the view comes to rest, drawn over the coarse picture.

Frames larger than a screen are drawn in blocks of cells. Once blocks are larger than pixels, the part that the panes
show is made anew from smaller ones. Until it is there the coarse picture stays; both panes get theirs together.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer

from engine.display.picture import MAX_SIDE, Picture, Window, display_block
from engine.jobs.display import DisplayRequest, PictureReady, Wanted
from engine.jobs.events import TERMINAL, Event, Finished
from engine.radar.grid import Grid

if TYPE_CHECKING:
    from app.context import Context
    from app.panels.maps import MapsPanel

REST_MS = 120
"""How long view and place must have stood still."""
COARSE = 1.25
"""Pixels of a block from which on it is worth being resolved."""
MARGIN = 0.25
"""Share of the visible part that is made beyond each of its edges, so that a short way is panned at once."""
KEPT_BYTES = 96 << 20


class Details(QObject):
    """Finer parts of the pictures of both panes. The newest wish replaces earlier ones."""

    def __init__(self, panel: MapsPanel, context: Context) -> None:
        super().__init__(panel)
        self._panel = panel
        self._context = context
        self._store: OrderedDict[Hashable, Picture] = OrderedDict()
        self._shown: list[Picture | None] = [None, None]
        self._window: Window | None = None
        self._wanted: tuple[Hashable, ...] = ()
        self._job = 0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REST_MS)
        self._timer.timeout.connect(self._ask)

    @property
    def pending(self) -> bool:
        """Whether a finer part may still come."""
        return self._timer.isActive() or self._job != 0

    def on_show(self, number: int) -> Picture | None:
        """The finer part that a pane draws."""
        return self._shown[number]

    def covering(self, number: int) -> Picture | None:
        """The same where it reaches over all that the pane shows, so that its contours stand for the coarse ones."""
        picture, seen, drawn = self._shown[number], self._visible(), self._panel.on_show(number)
        if picture is None or seen is None or drawn is None:
            return None
        return picture if _within(_scaled(seen, self._cells(drawn[0])), picture.window) else None

    def clear(self) -> None:
        """After colours, thresholds or values have changed."""
        self._cancel()
        self._store.clear()
        self._window = None
        for number in range(len(self._shown)):
            self._show(number, None)

    def follow(self) -> None:
        """View or place may have changed: what does not belong there any more goes, the rest follows at rest."""
        needed = self._needed() is not None
        for number, picture in enumerate(self._shown):
            if picture is not None and not (needed and self._belongs(number, picture)):
                self._show(number, None)
        if not needed:
            self._cancel()
        else:
            self._timer.start()

    def _cancel(self) -> None:
        self._timer.stop()
        if self._job:
            self._context.bridge.cancel(self._job)
        self._job, self._wanted = 0, ()

    # -- what is needed

    def _belongs(self, number: int, picture: Picture) -> bool:
        drawn = self._panel.on_show(number)
        return drawn is not None and picture.rain_rate is drawn[1].rain_rate

    def _needed(self) -> Window | None:
        """The window to draw, None where the coarse pictures do."""
        seen, grid = self._visible(), self._grid()
        blocks = [drawn[1].block / self._cells(drawn[0])
                  for drawn in map(self._panel.on_show, (0, 1)) if drawn is not None]
        if seen is None or grid is None or not blocks or self._pixels(grid, max(blocks)) <= COARSE:
            return None
        if self._window is not None and _within(seen, self._window):
            block = display_block(_shape(self._window))
            if block == 1 or self._pixels(grid, block) <= COARSE:
                return self._window
        window = _widened(seen, grid.shape)
        return window if display_block(_shape(window)) < max(blocks) else None

    def _grid(self) -> Grid | None:
        sequence = self._context.session.sequence
        return None if sequence is None else sequence.grid

    def _cells(self, wanted: Wanted) -> int:
        """Cells of what is drawn along a cell of the archive: more than one after a downscaler."""
        grid = self._grid()
        return 1 if grid is None or wanted.grid is None else max(1, wanted.grid.shape[1] // grid.shape[1])

    def _pixels(self, grid: Grid, block: float) -> float:
        """Screen pixels of a block's longer side."""
        place = self._panel.observed.canvas.placement()
        return block * place.ratio * max(place.ax * grid.dx, place.ay * grid.dy)

    def _visible(self) -> Window | None:
        """Rows and columns that any pane shows, None where the view lies beside the grid."""
        grid = self._grid()
        panes = [pane for pane in (self._panel.observed, self._panel.predicted) if pane.isVisible()]
        if grid is None or not panes:
            return None
        left, _, _, top = grid.extent
        edges = []
        for pane in panes:
            place = pane.canvas.placement()
            (west, north), (east, south) = place.to_grid(0, 0), place.to_grid(place.width, place.height)
            edges.append(((top - north) / grid.dy, (top - south) / grid.dy, (west - left) / grid.dx,
                          (east - left) / grid.dx))
        first, last, west, east = (min(e[0] for e in edges), max(e[1] for e in edges), min(e[2] for e in edges),
                                   max(e[3] for e in edges))
        rows, columns = _clipped(first, last, grid.shape[0]), _clipped(west, east, grid.shape[1])
        return None if rows is None or columns is None else (rows, columns)

    # -- asking and showing

    def _ask(self) -> None:
        window = self._needed()
        if window is None:
            return
        self._window = window
        wishes: dict[Hashable, Wanted] = {}
        for number in (0, 1):
            drawn = self._panel.on_show(number)
            if drawn is None:
                continue
            part = _scaled(window, self._cells(drawn[0]))
            if drawn[1].block > display_block(_shape(part)):
                name = _name(drawn[0], window)
                wishes[name] = replace(drawn[0], name=name, window=part)
        names = tuple(wishes)
        lacking = tuple(wish for name, wish in wishes.items() if name not in self._store)
        if not lacking:
            self._cancel()
            self._show_all()
        elif not (self._job and names == self._wanted):
            request = DisplayRequest(lacking, *self._context.pictures.style)
            self._wanted = names
            self._job = self._context.bridge.submit("display", request, self._on_event, key="detail", priority=5)

    def _on_event(self, job: int, event: Event) -> None:
        if job != self._job:
            return
        if isinstance(event, PictureReady):
            self._store[event.name] = event.picture
            while len(self._store) > 2 and sum(p.nbytes for p in self._store.values()) > KEPT_BYTES:
                self._store.popitem(last=False)
        elif isinstance(event, TERMINAL):
            self._job, self._wanted = 0, ()
            if isinstance(event, Finished):
                self._show_all()

    def _show_all(self) -> None:
        for number in (0, 1):
            drawn = self._panel.on_show(number)
            picture = self._store.get(_name(drawn[0], self._window)) if drawn is not None else None
            if picture is not None and self._belongs(number, picture):
                self._show(number, picture)
        self._panel.redraw_contours()

    def _show(self, number: int, picture: Picture | None) -> None:
        self._shown[number] = picture
        self._panel.show_detail(number, picture)


def _name(wanted: Wanted, window: Window | None) -> Hashable:
    return wanted.name, None if window is None else tuple((part.start, part.stop) for part in window)


def _scaled(window: Window, cells: int) -> Window:
    """A window in the archive's cells, in those of a grid with so many cells along each."""
    rows, columns = window
    return (slice(rows.start * cells, rows.stop * cells), slice(columns.start * cells, columns.stop * cells))


def _shape(window: Window) -> tuple[int, int]:
    return window[0].stop - window[0].start, window[1].stop - window[1].start


def _clipped(first: float, last: float, size: int) -> slice | None:
    """Whole cells of an axis, at least two."""
    start, stop = max(0, min(int(first), size - 2)), min(size, max(int(last) + 1, 2))
    return slice(start, stop) if stop - start >= 2 and last > 0 and first < size else None


def _within(inner: Window, outer: Window | None) -> bool:
    return outer is not None and all(o.start <= i.start and i.stop <= o.stop
                                     for i, o in zip(inner, outer, strict=True))


def _widened(seen: Window, shape: tuple[int, int]) -> Window:
    """With a margin, which is smaller where it would cost detail."""
    most = max(MAX_SIDE, *_shape(seen)) if display_block(_shape(seen)) == 1 else None
    rows, columns = (_wider(part, size, most) for part, size in zip(seen, shape, strict=True))
    return rows, columns


def _wider(part: slice, size: int, most: int | None) -> slice:
    length = part.stop - part.start
    margin = int(length * MARGIN) if most is None else min(int(length * MARGIN), (most - length) // 2)
    return slice(max(0, part.start - margin), min(size, part.stop + margin))
