"""Contours as pixels, against lines worked out by hand and against Qt's own painter."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtGui import QColor, QImage, QPainter, QPen

from app.plots.contours import line_path
from app.plots.line_raster import CASING, MARGIN, line_pixels, rasterised
from app.plots.map_view import Placement
from app.plots.styles import LineStyle
from engine.display.contours import Contour

HEIGHT, WIDTH = 60, 80
PLACE = Placement(ax=1.0, bx=0.0, ay=1.0, by=60.0, width=WIDTH, height=HEIGHT, ratio=1.0, km_pixels=1.0)
RED = LineStyle("#ff0000", ())


def contour(*lines: list[tuple[float, float]]) -> Contour:
    points = np.array([point for line in lines for point in line], np.float32)
    return Contour(1.0, points, np.cumsum([0, *(len(line) for line in lines)]))


def inner(lines: tuple[Contour, ...], styles: tuple[LineStyle, ...], place: Placement, *, wide: bool
          ) -> NDArray[np.uint32]:
    return rasterised(lines, styles, place, wide=wide)[MARGIN:-MARGIN, MARGIN:-MARGIN]


def cells(lines: Contour, dash: tuple[float, ...] = ()) -> set[tuple[int, int]]:
    return {divmod(int(flat), WIDTH) for flat in line_pixels(lines, PLACE, (HEIGHT, WIDTH), dash)}


def test_a_level_line_covers_its_columns_and_two_lines_are_not_joined() -> None:
    found = cells(contour([(10.5, 39.5), (20.5, 39.5)], [(40.5, 9.5), (40.5, 4.5)]))
    assert found == {(20, x) for x in range(10, 20)} | {(y, 40) for y in range(50, 55)}


def test_lines_end_at_the_edge_of_the_pane() -> None:
    assert cells(contour([(-50.0, 30.5), (500.0, 30.5)])) == {(29, x) for x in range(WIDTH)}
    assert cells(contour([(-50.0, -30.0), (-20.0, 500.0)])) == set()
    assert cells(contour([(10.0, 10.0)])) == set()


def test_a_dash_is_counted_along_the_line() -> None:
    found = cells(contour([(5.5, 30.5), (10.5, 30.5), (25.5, 30.5)]), dash=(4, 2))
    assert found == {(29, x) for x in range(5, 25) if (x - 5) % 6 < 4}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_close_to_what_a_painter_draws(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lines = contour(*[[tuple(p) for p in rng.uniform(-10, 90, (6, 2))] for _ in range(4)])
    image = QImage(WIDTH, HEIGHT, QImage.Format.Format_RGB32)
    image.fill(0)
    painter = QPainter(image)
    pen = QPen(QColor("#ffffff"), 1.0)
    pen.setCosmetic(True)
    painter.setPen(pen)
    painter.setTransform(PLACE.transform())
    painter.drawPath(line_path(lines.xy, lines.starts))
    painter.end()
    theirs = {(y, x) for y in range(HEIGHT) for x in range(WIDTH) if image.pixel(x, y) & 0xFFFFFF}
    ours = cells(lines)
    assert len(theirs) > 200

    def far(some: set[tuple[int, int]], others: set[tuple[int, int]]) -> int:
        return sum(not any((y + dy, x + dx) in others for dy in (-1, 0, 1) for dx in (-1, 0, 1)) for y, x in some)

    assert far(ours, theirs) <= 2  # a line that only grazes the edge
    assert far(theirs, ours) <= 2


@pytest.mark.parametrize("wide", [False, True])
def test_every_line_has_a_casing_and_colours_lie_over_casings(wide: bool) -> None:
    lines = (contour([(10.5, 30.5), (60.5, 30.5)]), contour([(30.5, 5.5), (30.5, 55.5)]))
    pixels = inner(lines, (RED, LineStyle("#0000ff", ())), PLACE, wide=wide)
    assert pixels.shape == (HEIGHT, WIDTH)
    assert pixels[29, 30] == 0xFF0000FF
    assert pixels[29, 29] == 0xFFFF0000
    assert pixels[28, 20] == CASING
    assert pixels[29, 20] == 0xFFFF0000
    assert pixels[30, 20] == (0xFFFF0000 if wide else CASING)
    assert pixels[31, 20] == (CASING if wide else 0)
    assert not pixels[33:, 35:].any()


def test_a_line_along_the_edge_stays_inside() -> None:
    pixels = inner((contour([(0.5, 0.5), (79.5, 0.5), (79.5, 59.5)]),), (RED,), PLACE, wide=True)
    assert pixels[59, 40] == 0xFFFF0000
    assert pixels[10, 79] == 0xFFFF0000
    assert not pixels[:50, :70].any()
