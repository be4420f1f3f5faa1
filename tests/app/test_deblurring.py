"""A deblurrer is chosen beside the forecaster; its run stands beside the plain one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from app.exporting import suggested_name
from app.settings import Settings
from engine import catalogue
from engine.jobs.models import describe
from engine.radar.packed import unpacked
from tests.app.driver import Driver, Key, opened_window, shot


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


def test_deblurrers_without_weights_need_training(driver: Driver) -> None:
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
