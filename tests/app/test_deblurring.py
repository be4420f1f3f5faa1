"""A deblurrer is chosen beside the forecaster; its run stands beside the plain one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PySide6.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot

from app.exporting import suggested_name
from app.settings import Settings
from engine import catalogue
from engine.jobs import weights
from engine.jobs.models import describe
from engine.networks.configuration import Configuration, build
from engine.networks.weights import Header, save
from engine.radar.packed import unpacked
from tests.app.driver import LEFT, Driver, Key, opened_window, shot


@pytest.fixture
def driver(qtbot: QtBot, tmp_path: Path) -> Iterator[Driver]:
    settings = Settings(tmp_path)
    settings.values.forecaster, settings.values.lead_times, settings.values.inputs = "rover-nonlinear", 3, 3
    with opened_window(qtbot, settings) as hand:
        yield hand


def test_the_plain_and_the_sharpened_run_stand_side_by_side(driver: Driver) -> None:
    driver.show()
    driver.run()
    box = driver.run_panel.deblurrer
    assert (box.currentData(), box.itemText(0)) == ("", "as forecast")
    box.setCurrentIndex(box.findData("unsharp"))
    driver.run()
    plain, sharp = driver.session.forecasting.runs()
    assert (plain.forecaster, sharp.forecaster) == ("rover-nonlinear", "rover-nonlinear + unsharp")
    assert (sharp.method, sharp.deblurrer) == ("rover-nonlinear", "unsharp")
    before, after = (np.asarray(unpacked(run.frames[2].rain_rate)) for run in (plain, sharp))
    assert np.nanmax(after) > np.nanmax(before)
    driver.press(Key.Key_End)
    driver.quiet()
    assert driver.session.forecasting.shown is sharp
    assert suggested_name(driver.window.context).startswith("stormdeck_rover-nonlinear+unsharp_")
    assert "SHARPENED" in driver.window.maps.predicted.canvas.overlay.badges
    shot(driver, "sharpened")
    box.setCurrentIndex(0)
    driver.run()
    assert "SHARPENED" not in driver.window.maps.predicted.canvas.overlay.badges
    assert len(driver.session.forecasting.runs()) == 2


def test_deblurrers_without_weights_need_training(driver: Driver, tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "folders", lambda: iter([tmp_path]))
    told = [describe(row) for kind in ("forecaster", "deblurrer") for row in catalogue.rows(kind)]
    driver.run_panel.set_models(told)
    box = driver.run_panel.deblurrer
    names = [box.itemData(row) for row in range(box.count())]
    without = [row.name for row in catalogue.rows("deblurrer") if row.parameters == 0]
    assert names[:1 + len(without)] == ["", *without]
    assert set(names) - {None, ""} == {row.name for row in catalogue.rows("deblurrer")}
    assert box.currentData() == ""


def test_the_choice_is_remembered(qtbot: QtBot, tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    settings.values.deblurrer = "wiener"
    with opened_window(qtbot, settings) as hand:
        assert hand.run_panel.deblurrer.currentData() == "wiener"
    settings.values.deblurrer = "no such thing"
    with opened_window(qtbot, settings) as hand:
        assert hand.run_panel.deblurrer.currentData() == ""
        assert settings.values.deblurrer == ""


def test_postcast_comes_with_weights(driver: Driver) -> None:
    driver.show()
    choose(driver, "postcast")
    assert driver.run_panel.deblurrer.currentText() == "PostCast"


@pytest.fixture
def postcast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A network that was never trained, found as the weights of PostCast."""
    torch.manual_seed(0)
    tiny = Configuration("diffusion-unet", inputs=1, leads=1, options={
        "base": 8, "multipliers": (1, 2), "blocks": 1, "attention": (), "groups": 4, "fold": 2, "velocity": True})
    save(tmp_path / "postcast.safetensors", build(tiny), Header("postcast", tiny, 5.0, 1.0))
    monkeypatch.setattr(weights, "folders", lambda: iter([tmp_path]))
    return "postcast"


def choose(driver: Driver, deblurrer: str) -> None:
    told = [describe(row) for kind in ("forecaster", "deblurrer") for row in catalogue.rows(kind)]
    driver.run_panel.set_models(told)
    box = driver.run_panel.deblurrer
    assert box.findData(deblurrer) > 0
    box.setCurrentIndex(box.findData(deblurrer))


def test_one_run_brings_the_forecast_and_the_sharpened_one_with_its_blur(driver: Driver, postcast: str) -> None:
    driver.show()
    choose(driver, postcast)
    row = driver.run_panel.sharpened
    assert not row.isVisible()
    driver.run()
    plain, sharp = driver.session.forecasting.runs()
    assert (plain.forecaster, plain.state) == ("rover-nonlinear", "done")
    assert sharp.forecaster == "rover-nonlinear + postcast"
    assert plain.scores is not None, "the forecast beside it is scored like any other"
    assert plain.marks == ()
    assert "SHARPENED" in sharp.marks
    assert row.isVisible()
    assert not row.picture.isVisible()
    driver.press(Key.Key_End)
    driver.quiet()
    assert row.picture.isVisible()
    kernel = sharp.frames[2].kernel
    assert kernel is not None
    assert kernel.shape == (9, 9)
    assert row.picture.kernel is kernel
    assert "+15 min" in row.words.text()
    drawn = row.picture.grab().toImage()
    strongest = np.unravel_index(np.abs(kernel).argmax(), kernel.shape)
    middle = row.picture.cell(int(strongest[0]), int(strongest[1])).center().toPoint()
    assert drawn.pixelColor(middle) == row.picture.colour(int(strongest[0]), int(strongest[1]))
    shot(driver, "kernel")


def test_before_and_after_in_two_maps_swiped_and_subtracted(driver: Driver) -> None:
    driver.show()
    assert not driver.window.actions_by_key["before"].isEnabled()
    choose(driver, "unsharp")
    driver.run()
    driver.press(Key.Key_End)
    driver.quiet()
    plain, sharp = driver.session.forecasting.runs()
    maps = driver.window.maps
    assert maps.observed._left.text() == "OBSERVED"
    assert driver.run_panel.sharpened.before.isEnabled()
    driver.click(driver.run_panel.sharpened.before)
    driver.quiet()
    assert driver.window.actions_by_key["before"].isChecked()
    assert maps.observed._left.text() == "BEFORE rover-nonlinear"
    before, after = (np.asarray(unpacked(run.frames[2].rain_rate)) for run in (plain, sharp))
    shown = maps.observed.canvas.image.picture
    assert shown is not None
    np.testing.assert_array_equal(np.asarray(shown.rain_rate), before)
    driver.press(Key.Key_D)
    driver.quiet()
    difference = maps.modes.difference
    assert difference._titles[0] == "DIFFERENCE rover-nonlinear + unsharp − before"
    picture = difference.canvas.image.picture
    assert picture is not None
    np.testing.assert_allclose(np.asarray(picture.rain_rate), after - before, atol=1e-6)
    shot(driver, "before-difference")
    driver.press(Key.Key_D)
    driver.press(Key.Key_S)
    driver.quiet()
    assert maps.observed._left.text() == "BEFORE rover-nonlinear  |  PREDICTED rover-nonlinear + unsharp"
    canvas = maps.observed.canvas
    wide, y = canvas.viewport().width(), canvas.viewport().height() // 3
    driver.qtbot.mousePress(canvas.viewport(), LEFT, pos=QPoint(wide // 2, y))
    driver.qtbot.mouseMove(canvas.viewport(), QPoint(wide // 4, y))
    driver.qtbot.mouseRelease(canvas.viewport(), LEFT, pos=QPoint(wide // 4, y))
    assert canvas.overlay.divider == pytest.approx(0.25, abs=0.01)
    right = canvas.other_image.picture
    assert right is not None
    np.testing.assert_array_equal(np.asarray(right.rain_rate), after)
    assert "SHARPENED" in canvas.overlay.badges
    shot(driver, "before-swipe")
    driver.press(Key.Key_S)
    driver.press(Key.Key_N)  # the plain forecast has nothing before it: the observation comes back
    driver.quiet()
    assert driver.session.forecasting.shown is plain
    assert maps.observed._left.text() == "OBSERVED"
    assert not driver.window.actions_by_key["before"].isEnabled()
    assert not driver.run_panel.sharpened.isVisible()


def test_the_spectrum_has_both(driver: Driver) -> None:
    driver.show()
    choose(driver, "unsharp")
    driver.run()
    driver.session.set_position(driver.session.reference_position + 1)
    driver.press(Key.Key_4, Qt.KeyboardModifier.AltModifier)
    panel = driver.window.panels["spectrum"].panel  # type: ignore[attr-defined]
    driver.until(lambda: len(panel.rows()) > 2)
    driver.until(lambda: driver.window.context.verification.idle() and not panel.chart.content.message)
    assert panel.rows()[0] == ["wavelength_km", "observed_db", "rover-nonlinear_db", "rover-nonlinear + unsharp_db"]
    shot(driver, "before-spectrum")


def test_stopping_a_sharpened_run_stops_the_one_beside_it(driver: Driver, postcast: str) -> None:
    driver.show()
    choose(driver, postcast)
    driver.press(Key.Key_R)
    driver.until(lambda: driver.session.forecasting.active is not None)
    driver.press(Key.Key_Escape)
    driver.quiet()
    for run in driver.session.forecasting.runs():
        assert run.state in ("partial", "done")
        assert run.frames
