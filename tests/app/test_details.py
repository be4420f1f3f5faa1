"""The visible part of a large frame cell by cell: when it is asked for, that it is right, and when it goes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from app.panels.details import _widened
from app.settings import Settings
from engine.display.picture import MAX_SIDE, colour, display_block
from engine.radar.grid import Grid
from engine.radar.scaling import rain_bins
from engine.radar.sequence import Field, FrameRef, Layout, RadarSequence
from engine.radar.units import Quantity
from tests.app.driver import Driver, opened_window
from tests.app.storms import START, STEP

SHAPE = (800, 4200)
GRID = Grid.regular(left=0.0, top=800_000.0, dx=1000.0, dy=1000.0, nx=SHAPE[1], ny=SHAPE[0], crs="EPSG:3035")


def field(number: int) -> Field:
    """Squares of rain, and single cells that differ from their neighbours, so that a block shows that it is one."""
    rows, columns = (index // 50 for index in np.indices(SHAPE, np.int32))
    rain = (((rows * 7 + columns * 13 + number) % 16) * np.float32(1.5)).astype(np.float32)
    rain[(rows + columns) % 4 != 0] = 0.0
    rain[10::50, 10::50] = 40.0
    return rain


def read(ref: FrameRef, layout: Layout) -> Field:
    return field(ref.key)


def large() -> RadarSequence:
    layout = Layout("test archive", "RATE", Quantity.RAIN_RATE, "mm/h", GRID)
    return RadarSequence(layout, tuple(FrameRef(START + i * STEP, Path(f"frame-{i}"), i) for i in range(3)), read,
                         name="large")


@pytest.fixture
def driver(qtbot: QtBot, tmp_path: Path) -> Iterator[Driver]:
    with opened_window(qtbot, Settings(tmp_path)) as driver:
        driver.session.settings.values.lead_times = 1
        driver.session.set_sequence(large())
        driver.quiet()
        yield driver


def close_up(driver: Driver) -> None:
    for _ in range(10):
        driver.press(Qt.Key.Key_Plus)
    driver.until(lambda: not driver.window.maps.details.pending)


def test_a_close_view_shows_every_cell(driver: Driver) -> None:
    maps = driver.window.maps
    assert not maps.details.pending
    coarse = maps.on_show(0)
    assert coarse is not None
    assert coarse[1].block == 3
    for _ in range(10):
        driver.press(Qt.Key.Key_Plus)
    assert maps.details.pending
    assert maps.observed.canvas.image._whole.picture is coarse[1]
    driver.until(lambda: not maps.details.pending)
    place = driver.session.place
    assert place is not None
    assert place.frame is not None
    for number, pane in enumerate((maps.observed, maps.predicted)):
        part = maps.details.on_show(number)
        assert part is not None
        assert part.window is not None
        rows, columns = part.window
        cells = np.ascontiguousarray(field(place.frame)[rows, columns])
        colours = driver.window.appearance.colours(driver.session.thresholds)
        np.testing.assert_array_equal(part.image, colour(rain_bins(driver.session.thresholds)(cells), colours))
        assert pane.canvas.image._detail.picture is part
        assert pane.canvas.image._detail.extent == pytest.approx(
            (columns.start * 1e3, columns.stop * 1e3, 8e5 - rows.stop * 1e3, 8e5 - rows.start * 1e3))
        assert pane.canvas.image._whole.picture is coarse[1]
        assert pane._contours == tuple(line for line in part.contours if line.threshold in driver.session.drawn)


def test_a_short_way_costs_nothing_and_a_long_one_a_new_part(driver: Driver) -> None:
    close_up(driver)
    maps, view = driver.window.maps, driver.window.maps.observed.canvas.view
    first, place = maps.details.on_show(0), maps.observed.canvas.placement()
    view.pan(place, 20, 10)
    driver.until(lambda: not maps.details.pending)
    assert maps.details.on_show(0) is first
    view.pan(place, 3 * place.width, 0)
    assert maps.details.covering(0) is None
    driver.until(lambda: not maps.details.pending)
    assert maps.details.on_show(0) is not first
    assert maps.details.covering(0) is maps.details.on_show(0)


def test_another_frame_takes_it_away_at_once_and_brings_its_own(driver: Driver) -> None:
    close_up(driver)
    maps = driver.window.maps
    here, before = driver.session.position, maps.details.on_show(0)
    driver.press(Qt.Key.Key_Left)
    driver.quiet()
    assert maps.details.on_show(0) is not before
    driver.until(lambda: not maps.details.pending)
    other = maps.details.on_show(0)
    assert other is not None
    assert other is not before
    assert other.window == before.window
    driver.session.set_position(here)
    driver.until(lambda: maps.details.on_show(0) is before)


def test_the_whole_map_needs_none(driver: Driver) -> None:
    close_up(driver)
    driver.press(Qt.Key.Key_0)
    assert driver.window.maps.details.on_show(0) is None
    assert driver.window.maps.observed.canvas.image._detail is None
    assert not driver.window.maps.details.pending


def test_swiping_both_sides_are_fine(driver: Driver) -> None:
    close_up(driver)
    maps = driver.window.maps
    driver.press(Qt.Key.Key_S)
    driver.quiet()
    driver.until(lambda: not maps.details.pending)
    assert maps.observed.canvas.other_image._detail.picture is maps.details.on_show(1)


def test_new_colours_give_a_new_part(driver: Driver) -> None:
    close_up(driver)
    before = driver.window.maps.details.on_show(0)
    driver.session.set_thresholds((1.0, 4.0), (1.0,))
    assert driver.window.maps.details.on_show(0) is None
    driver.quiet()
    driver.until(lambda: not driver.window.maps.details.pending)
    after = driver.window.maps.details.on_show(0)
    assert after is not None
    assert after is not before
    assert after.contours[0].threshold == 1.0


def test_small_frames_have_no_finer_part(driver: Driver) -> None:
    driver.show()
    for _ in range(10):
        driver.press(Qt.Key.Key_Plus)
    assert not driver.window.maps.details.pending


def test_the_margin_costs_no_detail() -> None:
    for seen in ((slice(100, 700), slice(0, 900)), (slice(0, 1000), slice(2000, 2000 + MAX_SIDE - 4)),
                 (slice(10, 3400), slice(5, 3600))):
        wide = _widened(seen, (3500, 7000))
        assert all(0 <= w.start <= s.start < s.stop <= w.stop for w, s in zip(wide, seen, strict=True))
        sizes = [tuple(part.stop - part.start for part in window) for window in (seen, wide)]
        if display_block(sizes[0]) == 1:  # type: ignore[arg-type]
            assert display_block(sizes[1]) == 1  # type: ignore[arg-type]


def test_neighbours_beyond_the_budget_are_not_fetched_for_ever(qtbot: QtBot, tmp_path: Path) -> None:
    with opened_window(qtbot, Settings(tmp_path)) as driver:
        driver.window.pictures._budget = 8 << 20
        sequence = large()
        many = tuple(FrameRef(START + timedelta(minutes=5 * i), Path(f"{i}"), i % 3) for i in range(9))
        driver.session.set_sequence(RadarSequence(sequence.layout, many, read, name="many"))
        driver.quiet()
        pictures = driver.window.pictures
        assert pictures._used <= 8 << 20
        assert ("observed", driver.session.position) in pictures._store
