"""What stands on a sheet, compared with hand-made answers and a slow search."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from engine.display.contours import Contour
from engine.errors import (
    WrongUsage,
)
from engine.export.layout import arrange, even_size, map_aspect
from engine.export.line_layer import LineCanvas, dashes
from engine.export.look import DARK, LIGHT, LineStyle, packed
from engine.export.radar_layer import RadarLayer
from engine.export.sheet import Sheet, SheetFrame, SheetHeader, lead_text
from engine.radar.grid import Grid
from engine.radar.scaling import NO_DATA, rain_bins
from engine.radar.units import ZR
from tests.engine.export_scenes import LOOK, SIZE, START, STEP, km_grid, storm, times

# --- where things stand

@pytest.mark.parametrize("size", [(640, 360), (1280, 720), (1920, 1080), (1000, 1000), (720, 1280)])
@pytest.mark.parametrize("aspect", [0.5, 0.62, 1.0, 1.2, 2.0, 4.0])
def test_panes_keep_the_shape_of_the_map_and_stay_on_the_sheet(size: tuple[int, int], aspect: float) -> None:
    place = arrange(size, aspect)
    first, second = place.panes
    assert (first.width, first.height) == (second.width, second.height)
    assert first.width / first.height == pytest.approx(aspect, rel=2.0 / min(first.width, first.height))
    rects = [place.header, *place.captions, *place.panes, place.legend, place.timeline, place.footer]
    for rect in rects:
        assert rect.left >= 0
        assert rect.right <= size[0]
        assert rect.top >= 0
        assert rect.bottom <= size[1]
    for one in range(len(rects)):
        for two in range(one):
            a, b = rects[one], rects[two]
            apart = a.right <= b.left or b.right <= a.left or a.bottom <= b.top or b.bottom <= a.top
            assert apart, (a, b)


def test_a_kilometre_is_as_long_both_ways() -> None:
    assert map_aspect(km_grid(ny=50, nx=100, dx=500.0, dy=2000.0), (0, 50e3, 0, 100e3)) == pytest.approx(0.5)
    degrees = Grid.regular(left=0, top=60.5, dx=0.01, dy=0.01, nx=100, ny=100, crs="EPSG:4326")
    assert map_aspect(degrees, degrees.extent) == pytest.approx(math.cos(math.radians(60)), rel=0.01)


def test_sizes_become_even_and_absurd_ones_are_refused() -> None:
    assert even_size((1281, 719)) == (1280, 718)
    for size in ((100, 100), (20_000, 720), (0, 0)):
        with pytest.raises(WrongUsage, match="pixels cannot be made"):
            even_size(size)
    with pytest.raises(WrongUsage, match="view"):
        map_aspect(km_grid(), (5e3, 1e3, 0, 1e3))


# --- radar pixels

@pytest.mark.parametrize(("width", "height"), [(60, 48), (120, 96), (30, 24), (23, 37), (77, 20)])
@pytest.mark.parametrize("view", [None, (10e3, 40e3, 5e3, 30e3), (-20e3, 90e3, -10e3, 70e3)])
def test_radar_pixels_equal_a_search_over_all_cells(width: int, height: int, view: tuple | None) -> None:
    """A pixel that holds cell centres shows their highest bin; one inside a cell shows that cell."""
    grid, draw = km_grid(), np.random.default_rng(1)
    field = draw.gamma(0.4, 8.0, grid.shape).astype(np.float32)
    field[draw.random(grid.shape) < 0.3] = np.nan
    view = view or grid.extent
    image = RadarLayer(grid, view, (width, height), LOOK, 0.5)(field)
    bins = rain_bins()(field)
    px, py = (view[1] - view[0]) / width, (view[3] - view[2]) / height
    for row in range(height):
        for column in range(width):
            middle = (view[0] + (column + 0.5) * px, view[3] - (row + 0.5) * py)
            cell = grid.index(*middle)
            got = int(image[row, column])
            if cell is None:
                assert got == packed(DARK.outside)
                continue
            rows, columns = np.array([cell[0]]), np.array([cell[1]])
            if py >= grid.dy:
                rows = np.flatnonzero(np.floor((view[3] - grid.y) / py + 1e-9) == row)
            if px >= grid.dx:
                columns = np.flatnonzero(np.floor((grid.x - view[0]) / px + 1e-9) == column)
            cells = bins[np.ix_(rows, columns)]
            if (cells == NO_DATA).all():
                assert got != packed(DARK.outside)
                assert got not in LOOK.colours[:NO_DATA]
            else:
                assert got == LOOK.colours[cells[cells != NO_DATA].max()]


def test_an_empty_pane_and_a_view_beside_the_grid_are_blank() -> None:
    grid = km_grid()
    blank = packed(DARK.outside)
    assert (RadarLayer(grid, grid.extent, (50, 40), LOOK, 1.0)(None) == blank).all()
    away = RadarLayer(grid, (500e3, 560e3, 0, 48e3), (50, 40), LOOK, 1.0)
    assert (away(storm(grid, 1)) == blank).all()


# --- lines

def test_dashes_have_the_lengths_of_their_pattern() -> None:
    line = np.array([[0.0, 0.0], [30.0, 40.0], [30.0, 90.0]])  # 50 + 50 pixels
    strokes = list(dashes(line, (7.0, 3.0)))
    lengths = [np.hypot(*np.diff(stroke, axis=0).T).sum() for stroke in strokes]
    assert lengths == pytest.approx([7.0] * 10)
    assert strokes[1][0] == pytest.approx([6.0, 8.0])  # ten pixels along the first leg
    short = list(dashes(line, (1000.0, 3.0)))
    assert len(short) == 1
    assert np.allclose(short[0][[0, -1]], line[[0, -1]])
    assert next(dashes(line, ())) is line


def test_a_contour_lies_where_its_coordinates_say_in_its_own_colour() -> None:
    grid, look = km_grid(), replace(LOOK, styles=(LineStyle((250, 10, 20), (), 1.0),))
    xy = np.array([[15e3, 0.0], [15e3, 48e3], [40e3, 0.0], [40e3, 48e3]], np.float32)
    contour = Contour(0.5, xy, np.array([0, 2, 4]))
    pane = np.zeros((480, 600, 3), np.uint8)
    LineCanvas(grid.extent, 600, 480, 2.0).contours((contour,), look).lay_on(pane)
    red = np.flatnonzero((pane[200].astype(int) - (250, 10, 20) == 0).all(axis=1))
    assert red.size >= 2
    assert set(np.round(red / 10).astype(int)) == {15, 40}
    assert abs(red[red < 250].mean() + 0.5 - 150) <= 1.0
    assert abs(red[red > 250].mean() + 0.5 - 400) <= 1.0
    assert (pane[:, 250] == 0).all()  # the two lines are not joined


# --- the sheet

def sheet_for_tests(**changes: object) -> tuple[Sheet, SheetFrame]:
    grid, reference = km_grid(), START + 6 * STEP
    header = SheetHeader("Test archive", "rover-nonlinear", reference, track=tuple(times()))
    options: dict = {"size": SIZE} | changes
    sheet = Sheet(grid, header, LOOK, **options)
    return sheet, SheetFrame(reference + 2 * STEP, 10.0, storm(grid, 8), storm(grid, 9))


def test_panes_show_the_radar_colours_of_their_own_field() -> None:
    sheet, frame = sheet_for_tests()
    image = np.asarray(sheet.draw(frame))
    for pane, field in zip(sheet.place.panes, (frame.observed, frame.predicted), strict=True):
        for row, column in ((20, 25), (10, 30), (30, 20)):
            x = pane.left + int((column + 0.5) / 60 * pane.width)
            y = pane.top + int((row + 0.5) / 48 * pane.height)
            assert packed(tuple(int(v) for v in image[y, x])) == LOOK.colours[rain_bins()(field[row, column])]


def test_captions_say_when_and_why_a_pane_is_empty() -> None:
    sheet, frame = sheet_for_tests(size=(1280, 720))
    words = [caption.text for caption in sheet.captions(frame)]
    assert words == ["Valid 2010-08-26 04:40 UTC", "lead time +10 min", "04:40 UTC", "+10 min   04:40 UTC"]
    words = [caption.text for caption in sheet.captions(replace(frame, observed=None))]
    assert "No observation for 04:40 UTC" in words
    past = replace(frame, valid_time=START + 5 * STEP, lead_minutes=-5.0, predicted=None)
    words = [caption.text for caption in sheet.captions(past)]
    assert "history -5 min" in words
    assert "The forecast starts from 04:30 UTC" in words
    assert lead_text(0) == "0 min"


def test_the_legend_shows_the_table_and_matching_reflectivity() -> None:
    sheet, frame = sheet_for_tests(size=(1280, 720))
    image, rect = np.asarray(sheet.draw(frame)), sheet.place.legend
    column = [packed(tuple(pixel.tolist())) for pixel in image[rect.top: rect.bottom, rect.left + 50]]
    rates = np.array([60.0, 7.1, 3.2, 0.3], np.float32)
    heights = [column.index(int(colour)) for colour in LOOK.colours[rain_bins()(rates)]]
    top, tall = 24, rect.height - 72
    for height, rate in zip(heights, rates, strict=True):
        assert height == pytest.approx(top + tall * (1 - math.log10(rate / 0.1) / 3), abs=6)
    assert ZR(200, 1.6).dbz_of(5.0) == pytest.approx(10 * math.log10(200 * 5**1.6))


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_words_stand_out_from_the_paper(theme: object) -> None:
    def light(colour: tuple) -> float:  # WCAG 2.2, relative luminance
        parts = [(c / 255 / 12.92) if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    for ink in (theme.text, theme.muted, theme.accent):
        high, low = sorted((light(ink), light(theme.paper)), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5
