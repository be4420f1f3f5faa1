"""Map panes driven by mouse and wheel; a few pixels say where things are drawn."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QImage, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from app.plots.contours import line_path
from app.plots.map_pane import MapPane
from app.plots.styles import threshold_style
from app.theme import DARK, LIGHT
from engine.display.contours import Contour
from engine.display.picture import Picture
from engine.radar.grid import Grid

RED, GROUND = 0xFFFF0000, 0xFF102030
GRID = Grid.regular(left=10_000.0, top=90_000.0, dx=1000.0, dy=1000.0, nx=80, ny=80)


def picture(row: int = 0, column: int = 0, shape: tuple[int, int] = (80, 80), block: int = 1) -> Picture:
    image = np.full(shape, GROUND, np.uint32)
    image[row, column] = RED
    return Picture(np.zeros(shape, np.uint8), image, (), np.zeros(shape, np.float32), block)


def pane(qtbot: QtBot, grid: Grid | None = GRID) -> MapPane:
    result = MapPane()
    qtbot.addWidget(result)
    result.resize(420, 440)
    result.set_grid(grid)
    with qtbot.waitExposed(result):
        result.show()
    return result


def image_of(widget: MapPane) -> QImage:
    return widget.canvas.viewport().grab().toImage()


def colour_at(widget: MapPane, x: float, y: float) -> int:
    px, py = widget.canvas.placement().to_pixel(x, y)
    return image_of(widget).pixel(int(px), int(py))


def wheel(widget: MapPane, at: QPointF, notches: int = 1) -> None:
    viewport = widget.canvas.viewport()
    event = QWheelEvent(at, viewport.mapToGlobal(at), QPoint(), QPoint(0, 120 * notches), Qt.MouseButton.NoButton,
                        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False)
    QApplication.sendEvent(viewport, event)


def test_row_zero_is_drawn_in_the_north_west(qtbot: QtBot) -> None:
    shown = pane(qtbot)
    shown.set_picture(picture(0, 0))
    image = image_of(shown)
    red = [(x, y) for x in range(image.width()) for y in range(image.height()) if image.pixel(x, y) == RED]
    assert red
    assert max(x for x, _ in red) < 30
    assert max(y for _, y in red) < 30
    assert colour_at(shown, 10_500, 89_500) == RED


@pytest.mark.parametrize(("row", "column"), [(0, 79), (40, 13), (79, 79)])
def test_each_cell_lies_at_its_grid_coordinates_at_any_zoom(qtbot: QtBot, row: int, column: int) -> None:
    shown = pane(qtbot)
    shown.set_picture(picture(row, column))
    x, y = GRID.x[column], GRID.y[row]
    assert colour_at(shown, x, y) == RED
    px, py = shown.canvas.placement().to_pixel(x, y)
    for _ in range(6):
        wheel(shown, QPointF(px, py), 4)
    assert colour_at(shown, x, y) == RED
    assert colour_at(shown, x + (300 if column < 79 else -700), y) in (RED, GROUND)


def test_blocks_cover_their_cells_beyond_the_edge(qtbot: QtBot) -> None:
    grid = Grid.regular(left=0, top=70_000, dx=1000, dy=1000, nx=70, ny=70)
    shown = pane(qtbot, grid)
    shown.set_picture(picture(1, 1, (18, 18), block=4))
    assert colour_at(shown, 5_500, 64_500) == RED
    assert colour_at(shown, 3_500, 64_500) == GROUND


def test_wheel_keeps_the_place_under_the_cursor_and_double_click_resets(qtbot: QtBot) -> None:
    shown = pane(qtbot)
    before = shown.canvas.placement()
    at = QPointF(100, 150)
    wheel(shown, at, 3)
    after = shown.canvas.placement()
    assert after.km_pixels > before.km_pixels * 1.2
    assert after.to_grid(100, 150) == pytest.approx(before.to_grid(100, 150))
    with qtbot.waitSignal(shown.view_reset):
        QTest.mouseDClick(shown.canvas.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(50, 50))
    assert shown.canvas.placement() == before


def test_drag_pans_and_linked_panes_follow_exactly(qtbot: QtBot) -> None:
    one, two = pane(qtbot), pane(qtbot, None)
    two.link_view(one)
    assert two.canvas.placement() == one.canvas.placement()
    wheel(two, QPointF(200, 200), 4)
    x, y = one.canvas.placement().to_grid(200, 200)
    viewport = one.canvas.viewport()
    QTest.mousePress(viewport, Qt.MouseButton.LeftButton, pos=QPoint(200, 200))
    QTest.mouseMove(viewport, QPoint(230, 180))
    QTest.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=QPoint(230, 180))
    assert one.canvas.placement().to_grid(230, 180) == pytest.approx((x, y))
    assert two.canvas.placement() == one.canvas.placement()
    two.reset_view()
    assert two.canvas.placement() == one.canvas.placement()


def test_same_grid_keeps_the_view_and_another_one_goes_home(qtbot: QtBot) -> None:
    shown = pane(qtbot)
    shown.zoom_by(3)
    zoomed = shown.canvas.placement()
    shown.set_grid(Grid(GRID.x.copy(), GRID.y.copy()))
    assert shown.canvas.placement() == zoomed
    shown.set_grid(Grid.regular(left=0, top=500e3, dx=1e3, dy=1e3, nx=500, ny=500))
    assert shown.canvas.placement().to_grid(210, shown.canvas.viewport().height() / 2)[0] == pytest.approx(250e3)


def test_cursor_signal_gives_grid_coordinates(qtbot: QtBot) -> None:
    shown = pane(qtbot)
    x, y = shown.canvas.placement().to_grid(120, 90)
    with qtbot.waitSignal(shown.cursor_moved) as caught:
        QTest.mouseMove(shown.canvas.viewport(), QPoint(120, 90))
    assert caught.args == pytest.approx([x, y])
    assert GRID.index(*caught.args) == GRID.index(x, y)


def test_geographic_grid_has_equal_lengths_on_both_axes(qtbot: QtBot) -> None:
    grid = Grid.regular(left=10, top=60.5, dx=0.02, dy=0.01, nx=100, ny=100, crs="EPSG:4326")
    shown = pane(qtbot, grid)
    place = shown.canvas.placement()
    assert place.ax / place.ay == pytest.approx(np.cos(np.radians(60.0)), rel=0.01)


def test_contours_are_drawn_in_their_threshold_style_with_a_casing(qtbot: QtBot) -> None:
    shown = pane(qtbot)
    shown.set_thresholds((0.5, 2.0))
    shown.set_picture(picture())
    line = np.array([[20_000, 50_000], [80_000, 50_000]], np.float32)
    shown.set_contours((Contour(0.5, line, np.array([0, 2])),))
    px, py = (int(v) for v in shown.canvas.placement().to_pixel(50_000, 50_000))
    image = image_of(shown)
    column = [QColor(image.pixel(px, y)).name() for y in range(py - 4, py + 6)]
    assert threshold_style(0, 2).colour in column
    assert any(QColor(name).lightness() < 20 for name in column)


def test_path_breaks_at_points_that_are_not_finite() -> None:
    xy = np.array([[0, 0], [1, 1], [np.nan, 0], [2, 2], [3, 3], [9, 9], [8, 8]], np.float32)
    path = line_path(xy, np.array([0, 5, 7]))
    kinds = [path.elementAt(i).isMoveTo() for i in range(path.elementCount())]
    assert kinds == [True, False, True, False, True, False]
    assert line_path(np.empty((0, 2), np.float32), np.zeros(1, np.int64)).isEmpty()


def test_base_map_scale_bar_badges_and_message_are_drawn_in_both_themes(qtbot: QtBot) -> None:
    shown = pane(qtbot)
    empty = image_of(shown)
    coast = SimpleNamespace(kind="coast", xy=np.array([[10_000, 10_000], [90_000, 90_000]]))
    north = SimpleNamespace(kind="parallel", text="52° N", xy=np.array([[-9e4, 50_000], [19e4, 50_000]]))
    for theme in (DARK, LIGHT):
        shown.set_theme(theme)
        shown.set_basemap([coast], [north])
        lined = image_of(shown)
        shown.set_badges(("SYNTHETIC DATA",))
        badged = image_of(shown)
        assert lined != empty
        assert QColor(badged.pixel(12, 20)).name() == theme.warning
        shown.set_message("No observation yet")
        assert image_of(shown) != badged
        shown.set_badges(())
        shown.set_message("")


def test_paint_is_reported_and_none_clears_the_map(qtbot: QtBot) -> None:
    shown = pane(qtbot)
    with qtbot.waitSignal(shown.painted):
        shown.set_picture(picture(5, 5))
    shown.set_picture(None)
    assert colour_at(shown, GRID.x[5], GRID.y[5]) != RED
    shown.set_grid(None)
    wheel(shown, QPointF(10, 10))


def test_a_widget_left_open_is_noticed(qtbot: QtBot, nothing_left_behind) -> None:
    forgotten = QWidget()
    assert any("QWidget" in text for text in nothing_left_behind.leftovers(patience=0))
    forgotten.deleteLater()
