"""The scored region: drawn, dragged, typed, loaded and removed in the real window; scores follow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor
from pytestqt.qtbot import QtBot

from app.panels.region import RegionPanel
from app.plots.map_pane import MapCanvas
from app.region_shapes import MIDDLE, dragged, handles, title
from app.settings import Settings
from engine.radar.region import POLYGON, RECTANGLE, Region
from engine.radar.scaling import RAIN_CLASSES
from engine.verification.counts import tally_pair
from engine.verification.pooling import pool_pair
from tests.app.driver import LEFT, Driver, opened_window, quick_settings
from tests.app.storms import tiny_sequence

Key = Qt.Key
SHIFT = Qt.KeyboardModifier.ShiftModifier
GRID = tiny_sequence().grid


@pytest.fixture
def driver(qtbot: QtBot, tmp_path: Path) -> Iterator[Driver]:
    with opened_window(qtbot, quick_settings(tmp_path)) as driver:
        driver.show()
        driver.run()
        driver.until(lambda: driver.session.located)
        yield driver


def canvas(driver: Driver) -> MapCanvas:
    return driver.window.maps.observed.canvas


def pixel(driver: Driver, x: float, y: float) -> QPoint:
    return QPoint(*(round(v) for v in canvas(driver).placement().to_pixel(x, y)))


def drag(driver: Driver, start: tuple[float, float], *path: tuple[float, float]) -> None:
    view = canvas(driver).viewport()
    driver.qtbot.mousePress(view, LEFT, pos=pixel(driver, *start))
    for place in path:
        driver.qtbot.mouseMove(view, pixel(driver, *place))
    driver.qtbot.mouseRelease(view, LEFT, pos=pixel(driver, *path[-1]))


def click(driver: Driver, *places: tuple[float, float]) -> None:
    for place in places:
        driver.qtbot.mouseMove(canvas(driver).viewport(), pixel(driver, *place))
        driver.click(canvas(driver).viewport(), pixel(driver, *place))


def panel(driver: Driver) -> RegionPanel:
    found = driver.window.panels["region"]
    assert isinstance(found, RegionPanel)
    return found


def scores_note(driver: Driver) -> str:
    """What stands above the curves. The tabs keep their short names: longer ones push others out of sight."""
    assert driver.window.docks["scores"].windowTitle() == "Scores"
    return str(driver.window.panels["scores"].note.text())  # type: ignore[attr-defined]


def rectangle(driver: Driver) -> Region:
    driver.press(Key.Key_G)
    drag(driver, (10_500, 30_500), (30_000, 20_000), (40_500, 12_500))
    driver.quiet()
    region = driver.session.region
    assert region is not None
    return region


def check_scores(driver: Driver) -> None:
    """Those on show are the ones of the region's cells alone."""
    session = driver.session
    driver.quiet()
    run = session.shown_run
    assert run is not None
    assert run.scores is not None
    assert session.sequence is not None
    mask = None if session.region is None else session.region.mask(session.sequence.grid)
    assert run.scores["pool"] == session.pool
    for column, frame in enumerate(run.frames.values()):
        truth, predicted = session.sequence.rain_rate_at(frame.time), np.asarray(frame.rain_rate)
        assert truth is not None
        valid = mask
        if session.pool > 1:
            truth, predicted = pool_pair(truth, predicted, session.pool, mask)
            valid = None
        tally = tally_pair(truth, predicted, zr=session.sequence.zr, valid=valid)
        table = tally.contingency(RAIN_CLASSES)
        for name in ("tp", "fn", "fp", "tn"):
            assert [row[column] for row in run.scores["counts"][name]] == getattr(table, name).tolist()
        assert run.scores["mse"][column] == pytest.approx(tally.sums.squared, rel=1e-9)


def test_a_rectangle_is_dragged_and_scores_follow(driver: Driver) -> None:
    before = driver.session.shown_run.scores  # type: ignore[union-attr]
    region = rectangle(driver)
    assert region.kind == RECTANGLE
    assert region.bounds == pytest.approx((10_500, 12_500, 40_500, 30_500), abs=150)
    assert not driver.window.actions_by_key["region-rectangle"].isChecked(), "one rectangle, then the mouse pans again"
    assert canvas(driver).view.scale is None, "the map did not move"
    check_scores(driver)
    run = driver.session.shown_run
    assert run is not None
    assert run.scores is not None
    assert run.scores["counts"] != before["counts"]  # type: ignore[index]
    assert run.scores["region"]["kind"] == RECTANGLE
    driver.until(lambda: "Region: rectangle 30 × 18 km." in scores_note(driver))
    for pane in driver.window.maps.all_panes:
        assert pane.canvas.region._picture.region is region


def test_both_panes_show_the_outline(driver: Driver) -> None:
    rectangle(driver)
    driver.press(Key.Key_C)  # no contours over it
    driver.quiet()
    accent = QColor(driver.window.appearance.theme.accent)
    for pane in (driver.window.maps.observed, driver.window.maps.predicted):
        place = pane.canvas.placement()
        image = pane.canvas.viewport().grab().toImage()
        x, y = (round(v) for v in place.to_pixel(10_500, 24_000))
        near = [QColor(image.pixel(x + dx, y)) for dx in range(-3, 4)]
        assert any(abs(c.blue() - accent.blue()) + abs(c.red() - accent.red()) < 60 for c in near)


def test_two_clicks_make_a_rectangle_too_and_escape_gives_up(driver: Driver) -> None:
    driver.press(Key.Key_G)
    click(driver, (10_500, 30_500), (40_500, 12_500))
    assert driver.session.region is not None
    first = driver.session.region
    driver.press(Key.Key_G)
    click(driver, (5_500, 35_500))
    driver.qtbot.mouseMove(canvas(driver).viewport(), pixel(driver, 50_500, 5_500))
    assert driver.session.region is not first, "it is seen while it is drawn"
    driver.press(Key.Key_Escape)
    assert driver.session.region is first
    assert driver.window.regions.drawing == ""
    check_scores(driver)


def test_handles_resize_and_the_middle_moves(driver: Driver) -> None:
    rectangle(driver)
    drag(driver, (40_500, 12_500), (45_000, 9_000), (50_500, 6_500))
    assert driver.session.region is not None
    assert driver.session.region.bounds == pytest.approx((10_500, 6_500, 50_500, 30_500), abs=300)
    drag(driver, (10_500, 18_500), (55_000, 18_500))  # the western side, beyond the eastern one
    assert driver.session.region.bounds == pytest.approx((50_500, 6_500, 55_000, 30_500), abs=400)
    middle = (52_750, 18_500)
    drag(driver, middle, (32_750, 18_500))
    assert driver.session.region.bounds == pytest.approx((30_500, 6_500, 35_000, 30_500), abs=500)
    assert canvas(driver).view.scale is None
    check_scores(driver)
    drag(driver, (20_000, 35_000), (25_000, 30_000))
    assert canvas(driver).view.scale is not None, "beside its handles the map is panned as ever"


def test_escape_takes_a_drag_back(driver: Driver) -> None:
    region = rectangle(driver)
    view = canvas(driver).viewport()
    driver.qtbot.mousePress(view, LEFT, pos=pixel(driver, 40_500, 12_500))
    driver.qtbot.mouseMove(view, pixel(driver, 50_500, 6_500))
    assert driver.session.region is not region
    driver.press(Key.Key_Escape)
    assert driver.session.region is region
    driver.qtbot.mouseRelease(view, LEFT, pos=pixel(driver, 50_500, 6_500))
    assert driver.session.region is region


def test_a_polygon_is_clicked_and_closed_by_a_double_click(driver: Driver) -> None:
    driver.press(Key.Key_G, SHIFT)
    assert driver.window.actions_by_key["region-polygon"].isChecked()
    click(driver, (10_500, 30_500), (40_500, 32_500), (60_500, 1_000))
    driver.press(Key.Key_Backspace)
    click(driver, (45_500, 12_500))
    driver.qtbot.mouseDClick(canvas(driver).viewport(), LEFT, pos=pixel(driver, 45_500, 12_500))
    region = driver.session.region
    assert region is not None
    assert region.kind == POLYGON
    np.testing.assert_allclose(region.polygons[0][0], [(10_500, 30_500), (40_500, 32_500), (45_500, 12_500)], atol=200)
    assert canvas(driver).view.scale is None, "the double click did not reset the view"
    check_scores(driver)
    drag(driver, (45_500, 12_500), (55_500, 8_500))
    assert driver.session.region.polygons[0][0][2] == pytest.approx((55_500, 8_500), abs=300)
    check_scores(driver)


@pytest.mark.parametrize("way", ["enter", "first corner"])
def test_a_polygon_ends_with_enter_or_on_its_first_corner(driver: Driver, way: str) -> None:
    driver.press(Key.Key_G, SHIFT)
    click(driver, (10_500, 30_500), (40_500, 32_500), (45_500, 12_500), (12_000, 9_000))
    if way == "enter":
        driver.press(Key.Key_Return)
    else:
        click(driver, (10_500, 30_500))
    assert driver.session.region is not None
    assert len(driver.session.region.polygons[0][0]) == 4
    assert driver.window.regions.drawing == ""


def test_a_polygon_of_two_corners_comes_to_nothing(driver: Driver) -> None:
    driver.press(Key.Key_G, SHIFT)
    click(driver, (10_500, 30_500), (40_500, 32_500))
    driver.press(Key.Key_Return)
    assert driver.session.region is None
    driver.press(Key.Key_G, SHIFT)
    driver.press(Key.Key_G)
    assert driver.window.regions.drawing == RECTANGLE, "one tool takes the other's place"
    assert not driver.window.actions_by_key["region-polygon"].isChecked()
    driver.press(Key.Key_G)
    assert driver.window.regions.drawing == "", "the same key puts it away"


def test_delete_removes_it(driver: Driver) -> None:
    rectangle(driver)
    driver.press(Key.Key_Delete)
    assert driver.session.region is None
    check_scores(driver)
    driver.until(lambda: "Region" not in scores_note(driver))
    assert driver.window.maps.observed.canvas.region._picture.region is None


def test_numbers_move_and_stretch_it(driver: Driver) -> None:
    driver.window.actions_by_key["region-fields"].trigger()
    fields = panel(driver).fields
    driver.until(fields[0].isEnabled)
    assert driver.session.region is not None, "without a region the keyboard gets one in view"
    assert driver.session.sequence is not None
    grid = driver.session.sequence.grid
    lon, lat = grid.lonlat(np.array([30_500.0]), np.array([20_500.0]))
    wide_km, high_km = 20.0, 12.0
    for field, number in zip(fields, (lat[0], lon[0], wide_km, high_km), strict=True):
        field.setFocus()
        field.selectAll()
        driver.qtbot.keyClicks(field, f"{number:.3f}" if number > 100 else f"{number:.3f}"[:6])
        driver.qtbot.keyClick(field, Key.Key_Return)
    left, bottom, right, top = driver.session.region.bounds
    assert ((left + right) / 2, (bottom + top) / 2) == pytest.approx((30_500, 20_500), abs=1500)
    assert (right - left, top - bottom) == pytest.approx((20_000, 12_000), rel=1e-6)
    check_scores(driver)
    cells = int(driver.session.region.mask(GRID).sum())
    driver.until(lambda: f": {cells} cells" in panel(driver).note.text())


@pytest.mark.parametrize("pool", [4, 16])
def test_pooling_is_chosen_and_scored_at_once(driver: Driver, pool: int) -> None:
    choice = panel(driver).pool
    choice.setCurrentIndex(choice.findData(pool))
    choice.activated.emit(choice.currentIndex())
    check_scores(driver)
    rectangle(driver)
    check_scores(driver)
    driver.until(lambda: "Region: rectangle 30 × 18 km." in scores_note(driver))


def test_thresholds_change_inside_a_region(driver: Driver) -> None:
    rectangle(driver)
    driver.session.set_thresholds((0.7, 3.3), (0.7,))
    driver.quiet()
    run, sequence, region = driver.session.shown_run, driver.session.sequence, driver.session.region
    assert run is not None
    assert run.scores is not None
    assert sequence is not None
    assert region is not None
    from engine.radar.scaling import rain_bins

    frame = run.frames[2]
    truth = sequence.rain_rate_at(frame.time)
    assert truth is not None
    table = tally_pair(truth, np.asarray(frame.rain_rate), zr=sequence.zr, valid=region.mask(sequence.grid),
                       bins=rain_bins((0.7, 3.3))).contingency((0.7, 3.3))
    assert [row[2] for row in run.scores["counts"]["tp"]] == table.tp.tolist()
    assert run.scores["thresholds_mm_h"] == [0.7, 3.3]


def test_while_dragging_the_newest_region_is_scored_in_the_end(driver: Driver) -> None:
    rectangle(driver)
    arrived: list[object] = []
    driver.session.forecasting.scores_changed.connect(arrived.append)
    view = canvas(driver).viewport()
    driver.qtbot.mousePress(view, LEFT, pos=pixel(driver, 40_500, 12_500))
    for step in range(40):
        driver.qtbot.mouseMove(view, pixel(driver, 41_000 + 400 * step, 12_500))
        if step % 8 == 7:
            driver.qtbot.wait(20)
    driver.qtbot.mouseRelease(view, LEFT, pos=pixel(driver, 57_000, 12_500))
    check_scores(driver)
    assert 2 <= len(arrived) <= 40, "scores came while the hand moved, and no queue of stale ones grew"


def test_outlines_come_from_a_file(driver: Driver, tmp_path: Path) -> None:
    assert driver.session.sequence is not None
    lon, lat = driver.session.sequence.grid.lonlat(*(np.array(v, float) for v in (
        (8_000, 30_000, 20_000, 40_000, 60_000, 50_000), (8_000, 8_000, 30_000, 10_000, 12_000, 30_000))))
    rings = [[[float(lon[i]), float(lat[i])] for i in corners] for corners in ((0, 1, 2), (3, 4, 5))]
    (tmp_path / "basins.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {"name": name}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
        for name, ring in zip(("Upper", "Lower"), rings, strict=True)]}))
    driver.window.regions.load(tmp_path / "basins.geojson")
    driver.until(lambda: driver.session.region is not None)
    check_scores(driver)
    outline = panel(driver).outline
    assert [outline.itemText(i) for i in range(outline.count())] == ["basins (all 2)", "Upper", "Lower"]
    outline.setCurrentIndex(2)
    outline.activated.emit(2)
    assert driver.session.region is not None
    assert driver.session.region.name == "Lower"
    check_scores(driver)
    driver.until(lambda: "Region: Lower." in scores_note(driver))
    assert not panel(driver).fields[0].isEnabled(), "an outline stays where it is"
    (tmp_path / "far.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [
        [[100, 10], [101, 10], [101, 11]]]}))
    driver.window.regions.load(tmp_path / "far.geojson")
    driver.until(driver.window.message_bar.isVisible)
    assert "holds a cell" in driver.window.message_bar.text.text()
    assert driver.session.region.name == "Lower"


def test_another_grid_forgets_the_region_and_the_same_keeps_it(driver: Driver) -> None:
    region = rectangle(driver)
    driver.show(count=20)
    assert driver.session.region is region
    driver.window.actions_by_key["open-sample"].trigger()
    driver.until(lambda: driver.session.sequence is not None and driver.session.sequence.name != "tiny")
    driver.quiet()
    assert driver.session.region is None


def test_without_a_map_there_is_nothing_to_draw_on(qtbot: QtBot, tmp_path: Path) -> None:
    with opened_window(qtbot, Settings(tmp_path / "settings")) as driver:
        driver.press(Key.Key_G)
        assert "Open an archive first" in driver.window.message_bar.text.text()
        assert driver.window.regions.drawing == ""
        assert not driver.window.actions_by_key["region-rectangle"].isChecked()


# -- shapes

def test_handles_of_a_rectangle_stand_at_corners_and_sides() -> None:
    region = Region.rectangle(0, 0, 10, 20)
    assert set(handles(region)) == {(0, 0), (5, 0), (10, 0), (10, 10), (10, 20), (5, 20), (0, 20), (0, 10)}
    assert dragged(region, 3, (10, 10), (14, 99)).bounds == (0, 0, 14, 20)
    assert dragged(region, 0, (0, 0), (-1, -2)).bounds == (-1, -2, 10, 20)
    assert dragged(region, MIDDLE, (5, 10), (6, 8)).bounds == (1, -2, 11, 18)


def test_titles_give_the_size_in_km() -> None:
    assert title(Region.rectangle(0, 0, 120_000, 8_000), GRID) == "rectangle 120 × 8.0 km"
    assert title(None, GRID) == "whole map"


def test_corners_are_typed(driver: Driver) -> None:
    """A polygon without a mouse: from the rectangle that the keyboard gets, or anew."""
    driver.window.actions_by_key["region-fields"].trigger()
    corners = panel(driver).corners
    driver.until(corners.isVisible)
    assert corners.text().count(";") == 3
    assert driver.session.sequence is not None
    grid = driver.session.sequence.grid
    lon, lat = grid.lonlat(np.array([10_000.0, 40_000.0, 25_000.0]), np.array([10_000.0, 10_000.0, 30_000.0]))
    corners.setFocus()
    corners.selectAll()
    driver.qtbot.keyClicks(corners, "; ".join(f"{y:.5f} {x:.5f}" for y, x in zip(lat, lon, strict=True)))
    driver.qtbot.keyClick(corners, Key.Key_Return)
    region = driver.session.region
    assert region is not None
    assert region.kind == POLYGON
    assert region.bounds == pytest.approx((10_000, 10_000, 40_000, 30_000), abs=2)
    check_scores(driver)
    corners.selectAll()
    driver.qtbot.keyClicks(corners, "52.1 4.9; 52.2")
    driver.qtbot.keyClick(corners, Key.Key_Return)
    assert "'52.2' is no corner" in panel(driver).note.text()
    assert driver.session.region is region
