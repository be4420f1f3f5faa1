"""The verification panels by hand: choices, legends by click and key, values under the mouse, files, the table."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ET
from collections.abc import Hashable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.panels.contingency import ContingencyPanel
from app.panels.fractions import FractionsPanel
from app.panels.lazy import LazyPanel
from app.panels.performance import PerformancePanel, bias_line, csi_line
from app.panels.score_table import ScoreTablePanel
from app.panels.scores import ScoresPanel
from app.panels.spectrum import SpectrumPanel
from app.panels.verify_panel import Choice, VerifyPanel
from app.plots.plot import Plot
from app.runs import Run
from app.settings import Settings
from app.verification import Verification
from engine.display.contingency import HIT, MISS
from engine.jobs.diagnosis import DiagnoseRequest
from engine.radar.region import Region
from tests.app.driver import LEFT, Driver, Key, opened_window

MODELS = ("persistence", "rover-linear")
CELL, GROUND = 20.0, 1.0
WIDE, HIGH, STEP = 8, 8, 2
"""The storm of tests.app.storms: a cell of 8 x 8 that moves 2 columns a frame."""


@pytest.fixture
def driver(qtbot: QtBot, tmp_path: Path) -> Iterator[Driver]:
    settings = Settings(tmp_path)
    settings.values.lead_times = 4
    with opened_window(qtbot, settings) as made:
        made.show()
        for model in MODELS:
            settings.values.forecaster = model
            made.run()
        made.session.set_position(made.session.reference_position + 2)
        yield made


def open_panel(driver: Driver, key: Key) -> VerifyPanel:
    driver.press(key, Qt.KeyboardModifier.AltModifier)
    name = {Key.Key_1: "scores", Key.Key_2: "performance", Key.Key_3: "fractions", Key.Key_4: "spectrum",
            Key.Key_5: "contingency", Key.Key_6: "score-table"}[key]
    stand_in = driver.window.panels[name]
    panel = stand_in.panel if isinstance(stand_in, LazyPanel) else stand_in
    assert isinstance(panel, VerifyPanel)
    driver.until(panel.isVisible)
    quiet(driver)
    return panel


def quiet(driver: Driver) -> None:
    driver.qtbot.wait(60)  # choices and results are gathered before they are drawn
    driver.until(lambda: driver.window.context.verification.idle() and not driver.window.bridge.busy())
    driver.qtbot.wait(60)
    driver.quiet()


def pick(driver: Driver, choice: Choice, text: str) -> None:
    """By keys, as a hand does."""
    choice.setFocus()
    steps = choice.findText(text) - choice.currentIndex()
    for _ in range(abs(steps)):
        QTest.keyClick(choice, Key.Key_Down if steps > 0 else Key.Key_Up)
    assert choice.currentText() == text
    quiet(driver)


def table(panel: VerifyPanel) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(panel.text(","))))


def run_of(driver: Driver, model: str) -> Run:
    return next(run for run in driver.session.forecasting.runs() if run.forecaster == model)


def click_legend(plot: Plot, key: object) -> None:
    rect = plot.legend_rect(key)
    assert rect is not None
    QTest.mouseClick(plot, LEFT, pos=rect.center().toPoint())


# -- all of them

def test_panels_are_built_when_they_are_first_seen(driver: Driver) -> None:
    waiting = [panel for panel in driver.window.panels.values() if isinstance(panel, LazyPanel)]
    assert len(waiting) == 5
    assert not any(panel.is_built for panel in waiting)
    assert isinstance(open_panel(driver, Key.Key_2), PerformancePanel)
    assert sum(panel.is_built for panel in waiting) == 1


@pytest.mark.parametrize("key", [Key.Key_1, Key.Key_2, Key.Key_3, Key.Key_4, Key.Key_5, Key.Key_6])
def test_every_panel_is_saved_as_picture_drawing_and_table(driver: Driver, key: Key, tmp_path: Path) -> None:
    panel = open_panel(driver, key)
    for kind in ("png", "svg", "csv"):
        path = tmp_path / f"panel.{kind}"
        panel.save_as(path, kind)
        driver.until(path.exists)
    image = QImage(str(tmp_path / "panel.png"))
    assert image.width() >= 600
    assert len({image.pixel(x, y) for x in range(0, image.width(), 3) for y in range(0, image.height(), 3)}) > 4
    drawing = ET.parse(tmp_path / "panel.svg").getroot()
    words = " ".join(drawing.itertext())
    assert "SYNTHETIC DATA" in words
    assert "2020-06-01" in words
    rows = (tmp_path / "panel.csv").read_text("utf-8").splitlines()
    assert len(rows) > 1
    quiet(driver)
    assert "Saved panel" in panel.note.text()


def test_what_cannot_be_written_is_told(driver: Driver, tmp_path: Path) -> None:
    panel = open_panel(driver, Key.Key_2)
    with driver.qtbot.waitSignal(driver.session.failed):
        panel.save_as(tmp_path / "no" / "x.csv", "csv")
    driver.until(driver.window.message_bar.isVisible)


@pytest.mark.parametrize("key", [Key.Key_1, Key.Key_2, Key.Key_3, Key.Key_4, Key.Key_5, Key.Key_6])
def test_a_panel_fits_a_narrow_dock(driver: Driver, key: Key) -> None:
    panel = open_panel(driver, key)
    assert panel.minimumSizeHint().width() <= 240
    panel.setParent(None)
    panel.resize(230, 520)
    panel.show()
    driver.qtbot.wait(50)
    boxes = [w.geometry() for w in panel.findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly)
             if w.isVisible()]
    assert all(panel.rect().contains(box) for box in boxes)
    assert not any(a.intersects(b) for i, a in enumerate(boxes) for b in boxes[:i])
    panel.close()
    panel.deleteLater()


# -- scores against lead time

def test_scores_are_chosen_and_remembered(driver: Driver) -> None:
    panel = open_panel(driver, Key.Key_1)
    assert isinstance(panel, ScoresPanel)
    pick(driver, panel.scores["upper"], "FAR")
    pick(driver, panel.scores["lower"], "MSE mm/h")
    assert driver.window.settings.values.scores == ("far", "mse_mm_h")
    scores = run_of(driver, "persistence").scores
    assert scores is not None
    assert panel.plots["upper"].value_at("persistence", 0) == scores["far"][0][1]
    assert panel.plots["lower"].value_at("persistence", 0) == scores["mse_mm_h"][1]
    far = [row for row in table(panel) if row["score"] == "far" and row["model"] == "persistence"]
    assert [float(row["threshold_mm_h"]) for row in far] == list(driver.session.thresholds)


def test_persistence_of_a_moving_cell_by_hand(driver: Driver) -> None:
    """After k steps 8 columns overlap in 8 - 2k: hits over hits, misses and false alarms."""
    panel = open_panel(driver, Key.Key_1)
    [row] = [row for row in table(panel)
             if (row["model"], row["score"], row["threshold_mm_h"]) == ("persistence", "csi", "10.0")]
    overlap = [max(WIDE - STEP * k, 0) for k in range(1, 5)]
    wanted = [hits / (2 * WIDE - hits) for hits in overlap]
    assert [float(row[f"+{5 * k} min"]) for k in range(1, 5)] == pytest.approx(wanted)


def test_one_threshold_gives_each_model_its_own_line(driver: Driver) -> None:
    panel = open_panel(driver, Key.Key_1)
    assert isinstance(panel, ScoresPanel)
    pick(driver, panel.thresholds, "≥ 10 mm/h")
    plot = panel.plots["upper"]
    assert plot.value_at("persistence", 0) == pytest.approx(4 / 12)
    assert plot._line("persistence", 0) != plot._line("rover-linear", 0)


def test_similarity_comes_from_the_engine(driver: Driver) -> None:
    panel = open_panel(driver, Key.Key_1)
    assert isinstance(panel, ScoresPanel)
    pick(driver, panel.scores["upper"], "SSIM")
    driver.until(lambda: panel.plots["upper"].value_at("persistence", 0) is not None)
    value = panel.plots["upper"].value_at("persistence", 0)
    assert value is not None
    assert 0 < value < 1


def test_values_stand_under_the_mouse(driver: Driver) -> None:
    panel = open_panel(driver, Key.Key_1)
    assert isinstance(panel, ScoresPanel)
    plot = panel.plots["upper"]
    at, text = plot.points[0]
    QTest.mouseMove(plot, at.toPoint() + QPoint(2, 2))
    driver.until(lambda: plot.hover_text != "")
    assert "persistence" in text
    assert "min" in plot.hover_text


def test_a_region_changes_the_curves(driver: Driver) -> None:
    """West of the cell nothing above 10 mm/h was seen nor foretold: the score is undefined there."""
    panel = open_panel(driver, Key.Key_1)
    assert isinstance(panel, ScoresPanel)
    row = driver.session.thresholds.index(10.0)
    assert panel.plots["upper"].value_at("persistence", row) is not None
    driver.session.set_region(Region.rectangle(0.0, 0.0, 4000.0, 40_000.0))
    driver.until(lambda: panel.plots["upper"].value_at("persistence", row) is None)
    quiet(driver)
    assert "region" in " ".join(panel.caption())


def test_pooling_is_one_choice_for_all_panels(driver: Driver) -> None:
    scores, diagram = open_panel(driver, Key.Key_1), open_panel(driver, Key.Key_2)
    before = table(diagram)
    pick(driver, diagram.pool, "pool 4")
    assert driver.session.pool == 4
    driver.until(lambda: table(diagram) != before)
    open_panel(driver, Key.Key_1)
    assert scores.pool.currentData() == 4


# -- performance diagram

def test_guides_are_roebbers(driver: Driver) -> None:
    for csi in (0.1, 0.5, 0.9):
        for ratio, pod in csi_line(csi).points:
            assert 1 / (1 / ratio + 1 / pod - 1) == pytest.approx(csi)
            assert 0 < pod <= 1.0000001
    for bias in (0.5, 1.0, 4.0):
        ratio, pod = bias_line(bias).points[-1]
        assert pod / ratio == pytest.approx(bias)
        assert max(ratio, pod) == 1.0


def test_one_point_per_lead_time_and_a_ring_at_the_one_on_show(driver: Driver) -> None:
    panel = open_panel(driver, Key.Key_2)
    assert isinstance(panel, PerformancePanel)
    pick(driver, panel.thresholds, "≥ 10 mm/h")
    [persistence, _] = panel.chart.shown()
    assert persistence.x == pytest.approx(persistence.y)  # as many cells foretold as seen: bias 1
    assert [p for p in persistence.y if p is not None] == pytest.approx([0.75, 0.5, 0.25, 0.0])
    before = panel.chart.grab().toImage()
    driver.press(Key.Key_Right)
    driver.until(lambda: panel.chart.grab().toImage() != before)
    assert "CSI" in persistence.texts[0]


def test_the_legend_hides_curves_by_click_and_by_key(driver: Driver) -> None:
    panel = open_panel(driver, Key.Key_2)
    assert isinstance(panel, PerformancePanel)
    chart = panel.chart
    everything = len(chart.shown())
    click_legend(chart, "persistence")
    assert len(chart.shown()) == everything // 2
    click_legend(chart, "persistence")
    chart.setFocus()
    driver.until(chart.hasFocus)
    playing = driver.window.player.playing
    QTest.keyClick(chart, Key.Key_Down)
    QTest.keyClick(chart, Key.Key_Space)
    assert not chart.is_shown("rover-linear")
    assert driver.window.player.playing is playing
    QTest.keyClick(chart, Key.Key_Return)
    assert len(chart.shown()) == everything


# -- neighbourhoods

def test_a_click_on_a_cell_chooses_what_the_curves_show(driver: Driver) -> None:
    panel = open_panel(driver, Key.Key_3)
    assert isinstance(panel, FractionsPanel)
    driver.session.forecasting.show("persistence")
    quiet(driver)
    click_legend(panel.matrix, (5, 10.0))
    quiet(driver)
    assert panel.scale.currentData() == 5
    assert driver.window.context.verification.threshold == 10.0
    rows = [row for row in table(panel) if row["model"] == "persistence" and row["threshold_mm_h"] == "10.0"]
    smallest = [float(row["fss"]) for row in rows if row["side_cells"] == "1"]
    assert smallest == pytest.approx([0.75, 0.5, 0.25, 0.0])  # hits over cells, as both hold 64
    wide = [float(row["fss"]) for row in rows if row["side_cells"] == "17"]
    assert all(b > a for a, b in zip(smallest, wide, strict=True))


def test_scrubbing_finds_what_was_computed(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = open_panel(driver, Key.Key_3)
    assert isinstance(panel, FractionsPanel)
    asked: list[Hashable] = []
    before = Verification._diagnose

    def watched(self: Verification, name: Hashable, *rest: Any) -> DiagnoseRequest:
        asked.append(name)
        return before(self, name, *rest)

    monkeypatch.setattr(Verification, "_diagnose", watched)
    for key in (Key.Key_Right, Key.Key_Right, Key.Key_Left):
        driver.press(key)
        quiet(driver)
        assert panel.matrix._scores is not None
    assert asked == []


# -- spectra

def test_persistence_keeps_all_scales_of_a_cell_that_only_moves(driver: Driver) -> None:
    panel = open_panel(driver, Key.Key_4)
    assert isinstance(panel, SpectrumPanel)
    rows = table(panel)
    assert float(rows[0]["wavelength_km"]) > float(rows[-2]["wavelength_km"])
    long, last = rows[:3], rows[-1]
    assert last["wavelength_km"] == "effective resolution, km"
    assert all(abs(float(row["observed_db"]) - float(row["persistence_db"])) < 3 for row in long)
    driver.session.set_position(driver.session.reference_position)
    quiet(driver)
    assert panel.chart.content.message == "Choose a lead time."


# -- hits and misses

def test_the_map_of_hits_and_misses_by_hand(driver: Driver) -> None:
    panel = open_panel(driver, Key.Key_5)
    assert isinstance(panel, ContingencyPanel)
    driver.session.forecasting.show("persistence")
    pick(driver, panel.threshold, "≥ 10 mm/h")
    driver.until(lambda: len(table(panel)) == 1)
    [row] = table(panel)
    assert (row["hits"], row["misses"], row["false alarms"]) == ("32", "32", "32")  # 4 columns of 8 rows each
    picture = panel.picture
    assert picture is not None
    assert [int(np.count_nonzero(picture.bins == kind)) for kind in (HIT, MISS)] == [32, 32]
    before = picture.image.copy()
    click_legend(panel.legend, MISS)
    driver.until(lambda: not np.array_equal(getattr(panel.picture, "image", before), before))


def test_the_map_shares_view_and_cursor_with_the_others(driver: Driver) -> None:
    panel = open_panel(driver, Key.Key_5)
    assert isinstance(panel, ContingencyPanel)
    maps = driver.window.maps
    assert panel.pane.canvas.view is maps.observed.canvas.view
    canvas = panel.pane.canvas.viewport()
    QTest.mouseMove(canvas, canvas.rect().center())
    driver.until(lambda: maps.observed.canvas.overlay.cursor_at is not None)


def test_before_the_first_lead_time_the_map_says_why_it_is_empty(driver: Driver) -> None:
    panel = open_panel(driver, Key.Key_5)
    assert isinstance(panel, ContingencyPanel)
    driver.press(Key.Key_Home)
    driver.until(lambda: "first lead time" in panel.pane.canvas.overlay.message)
    assert panel.picture is None


# -- table

def test_the_table_sorts_by_click_and_copies_what_it_shows(driver: Driver) -> None:
    panel = open_panel(driver, Key.Key_6)
    assert isinstance(panel, ScoreTablePanel)
    header = panel.view.horizontalHeader()
    column = [title for title, _ in panel.scores.headings].index("CSI")
    at = QPoint(header.sectionViewportPosition(column) + 8, header.height() // 2)
    for wanted in (False, True):
        QTest.mouseClick(header.viewport(), LEFT, pos=at)
        values = [float(row["csi"]) for row in table(panel) if row["csi"]]
        assert values == sorted(values, reverse=wanted)
        assert len(values) > 4
    panel.view.setFocus()
    QTest.keyClick(panel.view, Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    driver.until(lambda: QGuiApplication.clipboard().text() == panel.text("\t"))
    assert QGuiApplication.clipboard().text().startswith("model\tthreshold_mm_h\tcsi")


def test_the_table_has_the_errors_of_the_field_at_a_lead_time(driver: Driver) -> None:
    panel = open_panel(driver, Key.Key_6)
    assert isinstance(panel, ScoreTablePanel)
    pick(driver, panel.what, "field")
    pick(driver, panel.when, "this lead")
    [persistence, _] = table(panel)
    scores = run_of(driver, "persistence").scores
    assert scores is not None
    assert float(persistence["b_mse"]) == scores["b_mse"][1]
    driver.until(lambda: table(panel)[0]["ssim"] != "")
