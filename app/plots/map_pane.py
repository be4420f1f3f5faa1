"""One map with its title row: radar picture, contours, base map, cross-hair; pan by drag, zoom by wheel."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import (
    QFrame,
    QGraphicsScene,
    QGraphicsView,
    QHBoxLayout,
    QStyleOptionGraphicsItem,
    QVBoxLayout,
    QWidget,
)

from app.plots.basemap import BasemapItem, MapLine
from app.plots.contours import ContourItem
from app.plots.map_view import Layer, MapView, Placement
from app.plots.radar_image import RadarImage
from app.plots.styles import threshold_style
from app.plots.text_line import TextLine
from app.theme import DARK, Theme, tabular
from engine.display.contours import Contour
from engine.display.picture import Picture
from engine.radar.grid import Grid

WHEEL_STEP = 1.0015


class Overlay(Layer):
    """Cross-hair, badges and the message of an empty map."""

    def __init__(self) -> None:
        super().__init__()
        self.theme: Theme = DARK
        self.cursor_at: tuple[float, float] | None = None
        self.badges: tuple[str, ...] = ()
        self.message = ""

    def boundingRect(self) -> QRectF:
        return QRectF(0, 0, self.place.width, self.place.height)

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        if self.cursor_at is not None:
            self._cross(painter, *self.place.to_pixel(*self.cursor_at))
        if self.badges:
            self._badges(painter)
        if self.message:
            font = QFont(painter.font())
            font.setPixelSize(15)
            painter.setFont(font)
            painter.setPen(QColor(self.theme.faint_text))
            painter.drawText(self.boundingRect().adjusted(24, 24, -24, -24),
                             Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self.message)

    def _cross(self, painter: QPainter, px: float, py: float) -> None:
        x, y = int(px), int(py)
        for name, width, opacity in ((self.theme.map, 3, 0.35), (self.theme.map_text, 1, 0.7)):
            colour = QColor(name)
            colour.setAlphaF(opacity)
            painter.setPen(QPen(colour, width))
            for x0, y0, x1, y1 in ((0, y, x - 6, y), (x + 6, y, self.place.width, y),
                                   (x, 0, x, y - 6), (x, y + 6, x, self.place.height)):
                painter.drawLine(x0, y0, x1, y1)

    def _badges(self, painter: QPainter) -> None:
        font = QFont(painter.font())
        font.setPixelSize(11)
        font.setBold(True)
        painter.setFont(font)
        metrics = QFontMetricsF(font)
        x, y, high = 8.0, 8.0, metrics.height() + 6
        for badge in self.badges:
            wide = metrics.horizontalAdvance(badge) + 14
            if x > 8 and x + wide > self.place.width - 8:
                x, y = 8.0, y + high + 4
            rect = QRectF(x, y, wide, high)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(self.theme.warning))
            painter.drawRoundedRect(rect, 3, 3)
            painter.setPen(QColor("#ffffff" if self.theme.name == "light" else "#14171a"))
            painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, badge)
            x += wide + 6


class MapCanvas(QGraphicsView):
    """The map itself. Scene coordinates are the viewport's pixels; layers place themselves."""

    cursor_moved = Signal(float, float)
    cursor_left = Signal()
    painted = Signal()
    view_reset = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.image, self.contours, self.basemap, self.overlay = RadarImage(), ContourItem(), BasemapItem(), Overlay()
        self.layers: tuple[Layer, ...] = (self.image, self.basemap, self.contours, self.overlay)
        scene = QGraphicsScene(self)
        scene.setItemIndexMethod(QGraphicsScene.ItemIndexMethod.NoIndex)
        for depth, layer in enumerate(self.layers):
            layer.setZValue(depth)
            scene.addItem(layer)
        self.setScene(scene)
        self.view = MapView()
        self.view.changed.connect(self.place)
        self._dragged_from: QPointF | None = None
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

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self.view.grid is not None:
            self._dragged_from = event.position()
            self.viewport().setCursor(Qt.CursorShape.ClosedHandCursor)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self.view.grid is None:
            return
        if self._dragged_from is not None:
            step = event.position() - self._dragged_from
            self._dragged_from = event.position()
            self.view.pan(self.placement(), step.x(), step.y())
        x, y = self.placement().to_grid(event.position().x(), event.position().y())
        self.set_cursor(x, y)
        self.cursor_moved.emit(x, y)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._dragged_from = None
        self.viewport().setCursor(Qt.CursorShape.CrossCursor)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
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

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._left = TextLine(self)
        self._right = TextLine(self, "00:00 UTC  +0000 min", Qt.AlignmentFlag.AlignRight)
        self._thresholds: tuple[float, ...] = ()
        self._contours: tuple[Contour, ...] = ()
        self.canvas = MapCanvas(self)
        for source, target in ((self.canvas.cursor_moved, self.cursor_moved), (self.canvas.painted, self.painted),
                               (self.canvas.cursor_left, self.cursor_left),
                               (self.canvas.view_reset, self.view_reset)):
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
            self.set_contours(())
            self.set_cursor(None, None)
        self.canvas.place()

    def set_picture(self, picture: Picture | None) -> None:
        grid = self.canvas.view.grid
        if picture is None or grid is None:
            self.canvas.image.set_picture(None, (0.0, 1.0, 0.0, 1.0))
            return
        left, _, _, top = grid.extent
        height, width = picture.image.shape
        self.canvas.image.set_picture(picture, (left, left + width * picture.block * grid.dx,
                                                top - height * picture.block * grid.dy, top))

    def set_contours(self, contours: tuple[Contour, ...]) -> None:
        self._contours = contours
        count = len(self._thresholds)
        shown = tuple(threshold_style(self._thresholds.index(c.threshold) if c.threshold in self._thresholds else i,
                                      max(count, i + 1)) for i, c in enumerate(contours))
        self.canvas.contours.set_contours(contours, shown)

    def set_thresholds(self, thresholds: tuple[float, ...]) -> None:
        """Decides which style the contour of each threshold gets."""
        self._thresholds = thresholds
        self.set_contours(self._contours)

    def set_titles(self, left: str, right: str) -> None:
        self._left.setText(left)
        self._right.setText(right)
        self.canvas.setAccessibleName(f"Map: {left}, {right}")

    def set_badges(self, badges: tuple[str, ...]) -> None:
        if badges != self.canvas.overlay.badges:
            self.canvas.overlay.badges = badges
            self.canvas.viewport().update()

    def set_message(self, message: str) -> None:
        if message != self.canvas.overlay.message:
            self.canvas.overlay.message = message
            self.canvas.viewport().update()

    def set_basemap(self, lines: Sequence[MapLine], graticule: Sequence[MapLine] = ()) -> None:
        self.canvas.basemap.set_lines(lines, graticule)

    def set_basemap_opacity(self, opacity: float) -> None:
        self.canvas.basemap.set_opacity(opacity)

    def set_theme(self, theme: Theme) -> None:
        self.canvas.setBackgroundBrush(QColor(theme.missing))
        self.canvas.overlay.theme = theme
        self.canvas.basemap.set_theme(theme)
        self.canvas.viewport().update()

    def set_smooth(self, smooth: bool) -> None:
        self.canvas.image.smooth(smooth)

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
