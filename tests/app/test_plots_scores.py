"""Score curves and the colour bar."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetricsF
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.plots.axes import Axis, fitting, lead_axis, short, upper_end
from app.plots.colour_bar import ColourBar
from app.plots.score_curves import ScoreCurves
from app.plots.styles import ModelStyles, model_marker, threshold_style
from app.theme import LIGHT
from engine.radar.scaling import RAIN_CLASSES, rain_bins
from engine.radar.units import ZR


@pytest.fixture
def curves(qtbot: QtBot) -> ScoreCurves:
    shown = ScoreCurves()
    qtbot.addWidget(shown)
    shown.resize(360, 240)
    shown.set_axes("CSI", [6.0, 12.0, 18.0])
    shown.set_thresholds((0.5, 2.0))
    shown.set_curves("rover-linear", [[0.9, None, 0.7], [0.5, float("nan"), 0.3]])
    with qtbot.waitExposed(shown):
        shown.show()
    return shown


def test_read_out_follows_the_position(curves: ScoreCurves) -> None:
    assert curves.value_at("rover-linear", 0) is None
    curves.set_position(18.0)
    assert curves.value_at("rover-linear", 1) == 0.3
    curves.set_position(12.0)
    assert curves.value_at("rover-linear", 0) is None
    assert curves.value_at("rover-linear", 1) is None


@pytest.mark.parametrize("key", [2.0, "rover-linear"])
def test_legend_hides_and_shows_lines_by_click(curves: ScoreCurves, key: float | str) -> None:
    before = curves.grab().toImage()
    rect = curves.legend_rect(key)
    assert rect is not None
    QTest.mouseClick(curves, Qt.MouseButton.LeftButton, pos=rect.center().toPoint())
    assert not curves.is_shown(key)
    assert curves.grab().toImage() != before
    QTest.mouseClick(curves, Qt.MouseButton.LeftButton, pos=rect.center().toPoint())
    assert curves.grab().toImage() == before


def test_markers_stay_with_their_model(curves: ScoreCurves) -> None:
    curves.set_curves("persistence", [[0.1] * 3] * 2)
    curves.remove("rover-linear")
    curves.set_curves("rover-nonlinear", [[0.2] * 3] * 2)
    assert curves._styles.of("rover-linear").marker == model_marker(0)
    assert curves._styles.of("persistence").marker == model_marker(1)
    assert curves._styles.of("rover-nonlinear").marker == model_marker(2)


@pytest.mark.parametrize("axis", [Axis(0.0, 1.0), lead_axis([120.0]), Axis(512.0, 2.0, log=True), Axis(0.0, 12_500.0)])
@pytest.mark.parametrize("width", [80.0, 200.0, 430.0, 900.0])
def test_numbers_of_an_axis_stand_apart(qapp: QApplication, axis: Axis, width: float) -> None:
    metrics = QFontMetricsF(qapp.font())
    marks = sorted(fitting(axis, width, metrics), key=axis.part)
    assert marks
    for a, b in itertools.pairwise(marks):
        wide = (metrics.horizontalAdvance(axis.text(a)) + metrics.horizontalAdvance(axis.text(b))) / 2
        if len(marks) > 3:
            assert (axis.part(b) - axis.part(a)) * width > wide


def test_models_have_styles_of_their_own() -> None:
    styles = ModelStyles()
    known = {name: styles.of(name) for name in map(str, range(24))}
    assert len(set(known.values())) == 24
    assert len({(style.line.colour, style.marker) for style in known.values()}) == 24
    assert styles.of("3") == known["3"]


def test_scores_without_an_end_get_a_round_one() -> None:
    assert upper_end([0.0]) == 1.0
    assert upper_end([37.0, 2.0, float("inf")]) == 40.0
    assert upper_end([0.0012]) == 0.0015
    written = {0.431: "0.43", 12.34: "12.3", 456.7: "457", 1234.0: "1.23k", 2.5e6: "2.5M", 0.0: "0.00"}
    assert {value: short(value) for value in written} == written


def test_styles_are_distinct() -> None:
    styles = [threshold_style(i, 12) for i in range(12)]
    assert len(set(styles)) == 12
    with pytest.raises(ValueError, match="threshold 5 of 5"):
        threshold_style(5, 5)


@pytest.mark.parametrize("orientation", list(Qt.Orientation))
def test_colour_bar_shows_the_table_and_marks_the_value(qtbot: QtBot, orientation: Qt.Orientation) -> None:
    bar = ColourBar(orientation)
    qtbot.addWidget(bar)
    bar.resize(480, 320)
    colours = np.full(256, 0xFF808080, np.uint32)
    edges = rain_bins().edges
    colours[np.flatnonzero(edges >= 30.0) + 1] = 0xFFFF0000
    bar.set_table(colours, edges, RAIN_CLASSES, ZR(), LIGHT)
    plain = bar.grab().toImage()
    box = bar._bar()
    high = (box.center().x(), box.top() + 8) if orientation == Qt.Orientation.Vertical else \
        (box.right() - 8, box.center().y())
    assert plain.pixel(int(high[0]), int(high[1])) == 0xFFFF0000
    bar.set_value(12.0)
    assert bar.grab().toImage() != plain
    bar.set_value(float("nan"))
    assert bar.grab().toImage() == plain
