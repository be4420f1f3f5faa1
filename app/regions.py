"""Drawing the region that is scored: rectangle or polygon by mouse, handles to change it, outlines from files.

A rectangle is dragged, or given by two clicks; a polygon by clicks, closed by a double click, Enter or a click on its
first corner; Backspace takes the last corner back. Escape gives up and leaves what was there before.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QObject, QPointF, Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QWidget

from app import region_shapes as shapes
from app.bridge import EngineBridge
from app.plots.map_pane import MapCanvas, MapPane
from app.plots.region_item import NOTHING, RegionPicture
from app.session import Session
from engine.errors import StormdeckError
from engine.jobs.events import Event, Failed, Finished, Stopped
from engine.radar.region import OUTLINE, POLYGON, RECTANGLE, Region

GRIP = 9.0
"""Pixels from a handle within which it is taken hold of."""
STILL = 4.0
CURSORS = {(-1, -1): Qt.CursorShape.SizeBDiagCursor, (1, 1): Qt.CursorShape.SizeBDiagCursor,
           (1, -1): Qt.CursorShape.SizeFDiagCursor, (-1, 1): Qt.CursorShape.SizeFDiagCursor,
           (0, -1): Qt.CursorShape.SizeVerCursor, (0, 1): Qt.CursorShape.SizeVerCursor,
           (-1, 0): Qt.CursorShape.SizeHorCursor, (1, 0): Qt.CursorShape.SizeHorCursor}

Point = tuple[float, float]


class Regions(QObject):
    """The mouse tool of all panes. drawing_changed: a drawing began ("rectangle", "polygon") or ended ("")."""

    drawing_changed = Signal(str)
    outlines_changed = Signal()
    failed = Signal(object)

    def __init__(self, session: Session, bridge: EngineBridge, panes: Sequence[MapPane], parent: QWidget) -> None:
        super().__init__(parent)
        self._session, self._bridge = session, bridge
        self._panes = tuple(panes)
        self.drawing = ""
        self.outlines: tuple[Region, ...] = ()
        self._corners: list[Point] = []
        self._mouse: Point | None = None
        self._before: Region | None = None
        self._handle: int | None = None
        self._pressed: tuple[QPointF, Point] | None = None
        self._job = 0
        self._keys = [QShortcut(QKeySequence(key), parent) for key in ("Return", "Enter", "Backspace")]
        for shortcut, does in zip(self._keys, (self.close_polygon, self.close_polygon, self._take_back), strict=True):
            shortcut.setEnabled(False)
            shortcut.activated.connect(does)
        for pane in self._panes:
            pane.canvas.tool = self
        session.region_changed.connect(self._show)
        session.archive_changed.connect(self._new_archive)

    # -- drawing

    def draw_rectangle(self, on: bool = True) -> None:
        self._draw(RECTANGLE if on else "", RECTANGLE)

    def draw_polygon(self, on: bool = True) -> None:
        self._draw(POLYGON if on else "", POLYGON)

    def _draw(self, kind: str, of: str) -> None:
        if not kind and self.drawing != of:
            return  # the other tool took its place
        if kind and self._session.sequence is None:
            self.failed.emit(StormdeckError("There is no map to draw on.", advice="Open an archive first."))
            kind = ""
        if self._handle is None:
            self._before = self._session.region
        self._begin(kind)

    def _begin(self, kind: str) -> None:
        self.drawing, self._corners, self._mouse = kind, [], None
        self._handle = self._pressed = None
        for shortcut in self._keys:
            shortcut.setEnabled(kind == POLYGON)
        self.drawing_changed.emit(kind)
        self._show()

    def cancel(self) -> bool:
        """Gives a drawing or a drag up; False if there was none."""
        if not self.drawing and self._handle is None:
            return False
        before = self._before
        self._begin("")
        self._session.set_region(before)
        return True

    def remove(self) -> None:
        """Scores are of the whole map again."""
        self._begin("")
        self._session.set_region(None)

    def close_polygon(self) -> None:
        """Ends the polygon; with fewer than three corners nothing comes of it."""
        if self.drawing == POLYGON:
            corners = self._corners
            self._begin("")
            if len(corners) >= 3:
                self._session.set_region(Region.polygon(corners))

    def _take_back(self) -> None:
        if self._corners:
            self._corners.pop()
            self._show()

    def rectangle_in_view(self) -> None:
        """A rectangle in the middle of what the maps show, for hands at the keyboard."""
        if self._session.sequence is None:
            return
        place = self._panes[0].canvas.placement()
        left, top = place.to_grid(place.width * 0.3, place.height * 0.3)
        right, bottom = place.to_grid(place.width * 0.7, place.height * 0.7)
        self._begin("")
        self._session.set_region(Region.rectangle(left, bottom, right, top))

    # -- the mouse, as the canvases report it

    def press(self, canvas: MapCanvas, at: QPointF) -> bool:
        """Whether the mouse is the region's until it is released."""
        here = canvas.placement().to_grid(at.x(), at.y())
        if self.drawing:
            self._pressed = at, here
            self._mouse = here
            if self.drawing == RECTANGLE and not self._corners:
                self._corners = [here]
            return True
        self._handle = self._handle_at(canvas, at)
        if self._handle is None:
            return False
        self._pressed, self._before = (at, here), self._session.region
        return True

    def drag(self, canvas: MapCanvas, at: QPointF) -> None:
        """The mouse moves with its button held."""
        self._to(canvas.placement().to_grid(at.x(), at.y()))

    def hover(self, canvas: MapCanvas, at: QPointF) -> Qt.CursorShape | None:
        """The mouse moves; returns the cursor where the region has something to say about it."""
        if self.drawing:
            if self._corners:
                self._to(canvas.placement().to_grid(at.x(), at.y()))
            return Qt.CursorShape.CrossCursor
        handle = self._handle_at(canvas, at)
        if handle is None or self._session.region is None:
            return None
        if handle == shapes.MIDDLE or self._session.region.kind != RECTANGLE:
            return Qt.CursorShape.SizeAllCursor
        return CURSORS[shapes.SIDES[handle]]

    def release(self, canvas: MapCanvas, at: QPointF) -> None:
        pressed, self._pressed = self._pressed, None
        if pressed is None:
            return
        here = canvas.placement().to_grid(at.x(), at.y())
        if self._handle is not None:
            self._to(here)
            self._handle = None
            self._show()
        elif self.drawing == RECTANGLE:
            still = (at - pressed[0]).manhattanLength() <= STILL
            if not still or self._corners[0] != pressed[1]:  # dragged, or the second click
                self._to(here)
                self._begin("")
        elif self.drawing == POLYGON:
            self._add_corner(canvas, at, here)

    def double_click(self, canvas: MapCanvas, at: QPointF) -> bool:
        """Closes a polygon; the first click of the two has set its last corner."""
        if self.drawing == POLYGON:
            self.close_polygon()
            return True
        return bool(self.drawing)

    def _add_corner(self, canvas: MapCanvas, at: QPointF, here: Point) -> None:
        place = canvas.placement()
        first = [place.to_pixel(*corner) for corner in self._corners[:1]]
        if len(self._corners) >= 3 and shapes.nearest(first, (at.x(), at.y()), GRIP) is not None:
            self.close_polygon()
        else:
            self._corners.append(here)
            self._show()

    def _to(self, here: Point) -> None:
        """What the mouse at a place makes of the region."""
        self._mouse = here
        if self._handle is not None and self._before is not None and self._pressed is not None:
            self._session.set_region(shapes.dragged(self._before, self._handle, self._pressed[1], here))
        elif self.drawing == RECTANGLE and self._corners and self._corners[0] != here:
            self._session.set_region(Region.rectangle(*self._corners[0], *here))
        else:
            self._show()

    def _handle_at(self, canvas: MapCanvas, at: QPointF) -> int | None:
        region, place = self._session.region, canvas.placement()
        middle = shapes.middle(region)
        if region is None or middle is None:
            return None
        points = [place.to_pixel(*point) for point in (*shapes.handles(region), middle)]
        found = shapes.nearest(points, (at.x(), at.y()), GRIP)
        return shapes.MIDDLE if found == len(points) - 1 else found

    # -- outlines from files

    def load(self, path: Path) -> None:
        """Reads a file of outlines; the first region of it is scored when it is there."""
        from engine.jobs.outline import OutlineRequest

        if self._session.sequence is None:
            self.failed.emit(StormdeckError("There is no map to lay outlines on.", advice="Open an archive first."))
            return
        request = OutlineRequest(path, self._session.sequence.grid)
        self._job = self._bridge.submit("outline", request, self._on_outlines, key="outline")

    def choose(self, number: int) -> None:
        """Scores another outline of the file."""
        if 0 <= number < len(self.outlines):
            self._begin("")
            self._session.set_region(self.outlines[number])

    def _on_outlines(self, job: int, event: Event) -> None:
        from engine.jobs.outline import OutlinesReady

        if job != self._job:
            return
        if isinstance(event, OutlinesReady):
            self.outlines = event.regions
            self.outlines_changed.emit()
            self.choose(0)
        elif isinstance(event, Finished | Failed | Stopped):
            self._job = 0
            if isinstance(event, Failed):
                self.failed.emit(event.error)

    # -- what is shown

    def _new_archive(self) -> None:
        if self.outlines and (self._session.region is None or self._session.region.kind != OUTLINE):
            self.outlines = ()
            self.outlines_changed.emit()
        self._begin("")

    def _show(self) -> None:
        picture = self._picture()
        for pane in self._panes:
            pane.set_region(picture)

    def _picture(self) -> RegionPicture:
        region, sequence = self._session.region, self._session.sequence
        trail: tuple[Point, ...] = ()
        if self.drawing == POLYGON:
            trail = (*self._corners, *([self._mouse] if self._mouse and self._corners else []))
        if (region is None and not trail) or sequence is None:
            return NOTHING
        if self.drawing == POLYGON:
            return RegionPicture(region, tuple(self._corners), None, trail)
        busy = self._handle is not None or bool(self.drawing)
        return RegionPicture(region, shapes.handles(region), shapes.middle(region),
                             text=shapes.title(region, sequence.grid) if busy else "")
