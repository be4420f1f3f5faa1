"""One map with its title row: radar picture, contours, base map, cross-hair; pan by drag, zoom by wheel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from PySide6.QtCore import QEvent, QPointF, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPaintEvent, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QFrame, QGraphicsScene, QGraphicsView, QHBoxLayout, QVBoxLayout, QWidget

from app.plots.basemap import BasemapItem, MapLine
from app.plots.contours import ContourItem
from app.plots.map_view import Layer, MapView, Placement
from app.plots.overlay import Measured, Overlay
from app.plots.radar_image import Extent, RadarImage
from app.plots.region_item import RegionItem, RegionPicture
from app.plots.styles import LineStyle, threshold_style
from app.plots.text_line import TextLine
from app.theme import DARK, Theme, tabular
from engine.display.contours import Contour
from engine.display.picture import Picture
from engine.radar.grid import Grid

WHEEL_STEP = 1.0015
WIDEST, WIDEST_WITH_SECONDS = "00:00 UTC  +0000 min", "00:00:00 UTC  +000.0 min"
TIGHT = 300
"""Width in pixels below which the valid time goes: the time axis and the status bar have it."""
SHORTER = (("PREDICTED", "PRED."), ("DIFFERENCE", "DIFF."), (" − observed", ""))
SHORTEST = (("PRED. ", ""), ("DIFF. ", "Δ "))
"""Words that are cut one after the other until the title fits."""
TITLE_GAPS = 28
"""Pixels around and between the two titles."""
STILL = 4
"""Pixels that the mouse may move between press and release of a click."""
GRIP = 8
"""Pixels from the divider within which it is taken hold of."""


NOWHERE = (0.0, 1.0, 0.0, 1.0)


class MouseTool(Protocol):
    """What may take the mouse from the map; places are pixels of the canvas. press: whether it takes it until it is
    released. hover: the cursor it wishes for, or None. double_click: whether it was meant for the tool."""

    def press(self, canvas: MapCanvas, at: QPointF) -> bool: ...

    def drag(self, canvas: MapCanvas, at: QPointF) -> None: ...

    def hover(self, canvas: MapCanvas, at: QPointF) -> Qt.CursorShape | None: ...

    def release(self, canvas: MapCanvas, at: QPointF) -> None: ...

    def double_click(self, canvas: MapCanvas, at: QPointF) -> bool: ...


class MapCanvas(QGraphicsView):
    """The map itself. Scene coordinates are the viewport's pixels; layers place themselves."""

    cursor_moved = Signal(float, float)
    cursor_left = Signal()
    painted = Signal()
    view_reset = Signal()
    clicked = Signal(float, float)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.image, self.contours, self.basemap, self.overlay = RadarImage(), ContourItem(), BasemapItem(), Overlay()
        self.other_image, self.other_contours = RadarImage(), ContourItem()
        self.region = RegionItem()
        self.tool: MouseTool | None = None
        self._taken = False
        self.layers: tuple[Layer, ...] = (self.image, self.other_image, self.basemap, self.contours,
                                          self.other_contours, self.region, self.overlay)
        scene = QGraphicsScene(self)
        scene.setItemIndexMethod(QGraphicsScene.ItemIndexMethod.NoIndex)
        for depth, layer in enumerate(self.layers):
            layer.setZValue(depth)
            scene.addItem(layer)
        self.setScene(scene)
        self.view = MapView()
        self.view.changed.connect(self.place)
        self._dragged_from: QPointF | None = None
        self._pressed_at: QPointF | None = None
        self._dividing = False
        self._prepare()

    def _prepare(self) -> None:
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self.setViewportUpdateMode(QGraphicsView.ViewportUpdateMode.FullViewportUpdate)
        self.setOptimizationFlag(QGraphicsView.OptimizationFlag.DontSavePainterState)
        self.setOptimizationFlag(QGraphicsView.OptimizationFlag.DontAdjustForAntialiasing)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setMouseTracking(True)
        self.setMinimumSize(120, 120)
        self.setAcceptDrops(False)
        self.viewport().setCursor(Qt.CursorShape.CrossCursor)

    def placement(self) -> Placement:
        return self.view.placement(self.viewport().width(), self.viewport().height(), self.devicePixelRatioF())

    def place(self) -> None:
        place = self.placement()
        for layer in self.layers:
            layer.set_place(place)
        self.viewport().update()

    def share(self, view: MapView) -> None:
        self.view.changed.disconnect(self.place)
        self.view = view
        self.view.changed.connect(self.place)
        self.place()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.setSceneRect(0, 0, self.viewport().width(), self.viewport().height())
        self.place()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        self.painted.emit()

    def set_divider(self, share: float | None) -> None:
        """Share of the width left of which the first picture is drawn and right of which the other; None: one only."""
        self.overlay.divider = share = None if share is None else min(max(share, 0.02), 0.98)
        for layer in (self.image, self.contours):
            layer.span = (0.0, 1.0 if share is None else share)
        for layer in (self.other_image, self.other_contours):
            layer.span = (1.0 if share is None else share, 1.0)
        self.viewport().update()

    def _on_divider(self, at: QPointF) -> bool:
        share = self.overlay.divider
        return share is not None and abs(at.x() - share * self.viewport().width()) <= GRIP

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton or self.view.grid is None:
            return
        self._taken = self.tool is not None and not self._on_divider(event.position()) \
            and self.tool.press(self, event.position())
        if self._taken:
            return
        self._dividing = self._on_divider(event.position())
        if not self._dividing:
            self._dragged_from = self._pressed_at = event.position()
            self.viewport().setCursor(Qt.CursorShape.ClosedHandCursor)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self.view.grid is None:
            return
        if self._taken and self.tool is not None:
            self.tool.drag(self, event.position())
        elif self._dividing:
            self.set_divider(event.position().x() / max(self.viewport().width(), 1))
        elif self._dragged_from is not None:
            step = event.position() - self._dragged_from
            self._dragged_from = event.position()
            self.view.pan(self.placement(), step.x(), step.y())
        else:
            self.viewport().setCursor(self._cursor_at(event.position()))
        x, y = self.placement().to_grid(event.position().x(), event.position().y())
        self.set_cursor(x, y)
        self.cursor_moved.emit(x, y)

    def _cursor_at(self, at: QPointF) -> Qt.CursorShape:
        if self._on_divider(at):
            return Qt.CursorShape.SplitHCursor
        wish = self.tool.hover(self, at) if self.tool is not None else None
        return Qt.CursorShape.CrossCursor if wish is None else wish

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._taken and self.tool is not None:
            self._taken = False
            self.tool.release(self, event.position())
            return
        pressed, self._pressed_at = self._pressed_at, None
        self._dragged_from, self._dividing = None, False
        self.viewport().setCursor(Qt.CursorShape.CrossCursor)
        if pressed is not None and (event.position() - pressed).manhattanLength() <= STILL:
            self.clicked.emit(*self.placement().to_grid(event.position().x(), event.position().y()))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if self.tool is not None and self.tool.double_click(self, event.position()):
            return
        if event.button() == Qt.MouseButton.LeftButton:
            self.view.reset()
            self.view_reset.emit()

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.view.grid is not None and event.angleDelta().y():
            at = event.position()
            self.view.zoom(self.placement(), WHEEL_STEP ** event.angleDelta().y(), at.x(), at.y())
        event.accept()

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self.set_cursor(None, None)
        self.cursor_left.emit()

    def set_cursor(self, x: float | None, y: float | None) -> None:
        at = None if x is None or y is None else (x, y)
        if at != self.overlay.cursor_at:
            self.overlay.cursor_at = at
            self.viewport().update()


class MapPane(QWidget):
    """Title row and map. Coordinates in signals are the grid's own; row 0 of images is the north."""

    cursor_moved = Signal(float, float)
    cursor_left = Signal()
    painted = Signal()
    view_reset = Signal()
    clicked = Signal(float, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._left = TextLine(self)
        self._right = TextLine(self, WIDEST, Qt.AlignmentFlag.AlignRight)
        self._titles = ("", "")
        self._widest = WIDEST
        self._thresholds: tuple[float, ...] = ()
        self._contours: tuple[Contour, ...] = ()
        self.canvas = MapCanvas(self)
        for source, target in ((self.canvas.cursor_moved, self.cursor_moved), (self.canvas.painted, self.painted),
                               (self.canvas.cursor_left, self.cursor_left),
                               (self.canvas.view_reset, self.view_reset), (self.canvas.clicked, self.clicked)):
            source.connect(target)
        self._lay_out()
        self.set_theme(DARK)

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.setContentsMargins(8, 4, 8, 4)
        row.setSpacing(12)
        row.addWidget(self._left, 1)
        row.addWidget(self._right)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(row)
        layout.addWidget(self.canvas, 1)
        for label, bold in ((self._left, True), (self._right, False)):
            font = tabular(label.font())
            font.setPixelSize(13)
            font.setBold(bold)
            label.setFont(font)

    def set_grid(self, grid: Grid | None) -> None:
        """Another grid goes home; the same grid keeps the view."""
        self.canvas.view.set_grid(grid)
        self.canvas.basemap.set_shown(grid is not None)
        if grid is None:
            self.set_picture(None)
            self.set_other(None, ())
            self.set_contours(())
            self.set_cursor(None, None)
        self.canvas.place()

    def set_picture(self, picture: Picture | None) -> None:
        self._draw(self.canvas.image, picture)

    def set_other(self, picture: Picture | None, contours: tuple[Contour, ...]) -> None:
        """What is drawn right of the divider."""
        self._draw(self.canvas.other_image, picture)
        self.canvas.other_contours.set_contours(contours, self._styles(contours))

    def set_divider(self, share: float | None) -> None:
        """See :meth:`MapCanvas.set_divider`."""
        self.canvas.set_divider(share)

    def _draw(self, layer: RadarImage, picture: Picture | None) -> None:
        grid = self.canvas.view.grid
        if picture is None or grid is None:
            layer.set_picture(None, NOWHERE)
        else:
            layer.set_picture(picture, _outline(picture, picture.grid or grid))

    def set_detail(self, picture: Picture | None) -> None:
        """A part of the picture in smaller blocks, drawn over it; :meth:`set_picture` takes it away."""
        self._refine(self.canvas.image, picture)

    def set_other_detail(self, picture: Picture | None) -> None:
        """The same right of the divider."""
        self._refine(self.canvas.other_image, picture)

    @staticmethod
    def _refine(layer: RadarImage, picture: Picture | None) -> None:
        if picture is None or picture.grid is None:
            layer.set_detail(None, NOWHERE)
        else:
            layer.set_detail(picture, _outline(picture, picture.grid))

    def set_contours(self, contours: tuple[Contour, ...]) -> None:
        self._contours = contours
        self.canvas.contours.set_contours(contours, self._styles(contours))

    def _styles(self, contours: tuple[Contour, ...]) -> tuple[LineStyle, ...]:
        count = len(self._thresholds)
        return tuple(threshold_style(self._thresholds.index(c.threshold) if c.threshold in self._thresholds else i,
                                     max(count, i + 1)) for i, c in enumerate(contours))

    def set_thresholds(self, thresholds: tuple[float, ...]) -> None:
        """Decides which style the contour of each threshold gets."""
        self._thresholds = thresholds
        self.set_contours(self._contours)

    def set_titles(self, left: str, right: str) -> None:
        self._titles = left, right
        self.canvas.setAccessibleName(f"Map: {left}, {right}")
        self._fit_titles()

    def _fit_titles(self) -> None:
        """In a narrow pane words are cut before the forecaster's name and the lead time are."""
        left, right = self._titles
        tight = self.width() < TIGHT
        if len(right) > len(self._widest):
            self._widest = WIDEST_WITH_SECONDS
        self._right.reserve("+000 min" if tight else self._widest)
        room = self.width() - self._right.sizeHint().width() - TITLE_GAPS
        for word, short in (*SHORTER, *SHORTEST):
            if self._left.fontMetrics().horizontalAdvance(left) <= room:
                break
            left = left.replace(word, short)
        chained = " + " in left  # both ends tell something: what forecast and what came after it
        self._left.elide = Qt.TextElideMode.ElideMiddle if chained else Qt.TextElideMode.ElideRight
        self._left.setText(left)
        self._right.setText(right.split("  ")[-1] if tight else right)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_titles()

    def set_badges(self, badges: tuple[str, ...]) -> None:
        if badges != self.canvas.overlay.badges:
            self.canvas.overlay.badges = badges
            self.canvas.viewport().update()

    def set_message(self, message: str) -> None:
        if message != self.canvas.overlay.message:
            self.canvas.overlay.message = message
            self.canvas.viewport().update()

    def set_measured(self, measured: Measured | None) -> None:
        self.canvas.overlay.measured = measured
        self.canvas.viewport().update()

    def set_region(self, picture: RegionPicture) -> None:
        self.canvas.region.set_picture(picture)
        self.canvas.viewport().update()

    def set_basemap(self, lines: Sequence[MapLine], graticule: Sequence[MapLine] = ()) -> None:
        self.canvas.basemap.set_lines(lines, graticule)

    def set_basemap_opacity(self, opacity: float) -> None:
        self.canvas.basemap.set_opacity(opacity)

    def set_theme(self, theme: Theme) -> None:
        self.canvas.setBackgroundBrush(QColor(theme.missing))
        self.canvas.overlay.theme = theme
        self.canvas.basemap.set_theme(theme)
        self.canvas.region.set_theme(theme)
        self.canvas.viewport().update()

    def set_smooth(self, smooth: bool) -> None:
        self.canvas.image.smooth(smooth)
        self.canvas.other_image.smooth(smooth)

    def set_cursor(self, x: float | None, y: float | None) -> None:
        self.canvas.set_cursor(x, y)

    def link_view(self, other: MapPane) -> None:
        """From now on both show the same place at the same scale."""
        self.canvas.share(other.canvas.view)
        self.canvas.basemap.set_shown(self.canvas.view.grid is not None)

    def reset_view(self) -> None:
        self.canvas.view.reset()

    def zoom_by(self, factor: float) -> None:
        place = self.canvas.placement()
        self.canvas.view.zoom(place, factor, place.width / 2, place.height / 2)


def _outline(picture: Picture, grid: Grid) -> Extent:
    """Outer edges of a picture whose first cell is the grid's; its last blocks may reach beyond."""
    left, _, _, top = grid.extent
    height, width = picture.image.shape
    return left, left + width * picture.block * grid.dx, top - height * picture.block * grid.dy, top
