"""Networks without weights stand apart with the way to some; what a network forecasts on other pixels or steps than
it was trained on says so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from PySide6.QtCore import Qt
from PySide6.QtGui import QStandardItemModel
from pytestqt.qtbot import QtBot

from app.dialogs.untrained import UntrainedDialog
from app.settings import Settings
from engine import catalogue
from engine.jobs import weights
from engine.jobs.models import describe
from engine.networks.configuration import Configuration, build
from engine.networks.weights import Card, Header, save
from tests.app.driver import Driver, Key, opened_window

WEIGHTS = {"file": "x", "sha256": "0", "trained_on": "storms", "step_minutes": 5.0, "pixel_km": 1.0,
           "numbers": 1000}
TINY = Configuration("recurrent", "convlstm", "multi-scale", 4, inputs=3, leads=3)


@pytest.fixture
def driver(qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setattr(weights, "folders", lambda: iter([folder]))
    torch.manual_seed(0)
    save(folder / "ms-convlstm.safetensors", build(TINY), Header("ms-convlstm", TINY, 10.0, 1.0, card=Card("made up")))
    settings = Settings(tmp_path)
    settings.values.forecaster, settings.values.lead_times, settings.values.inputs = "persistence", 3, 3
    with opened_window(qtbot, settings) as hand:
        rows = catalogue.rows("forecaster")
        hand.run_panel.set_models([describe(row) for row in rows])
        yield hand


def shot(driver: Driver, widget: object, name: str) -> None:
    """For a person who wants to look: STORMDECK_SHOTS names a folder."""
    folder = os.environ.get("STORMDECK_SHOTS")
    if folder:
        widget.grab().save(str(Path(folder) / f"{name}.png"))  # type: ignore[attr-defined]


def test_what_cannot_run_stands_under_a_heading_of_its_own(driver: Driver) -> None:
    box = driver.run_panel.forecaster
    model = box.model()
    assert isinstance(model, QStandardItemModel)
    names = [box.itemData(row) for row in range(box.count())]
    heading = box.findText("Needs training")
    assert 0 < heading < names.index("ms-predrnn")
    assert names.index("ms-convlstm") < heading
    assert box.currentData() == "persistence"
    told = box.itemData(names.index("ms-convlstm"), Qt.ItemDataRole.ToolTipRole)
    assert told.startswith("Trained on made up: 1 km, 10 min. A smaller network than the paper's: ")
    assert told.endswith(" of 250,057 numbers")
    assert all(model.item(row).isEnabled() for row in range(names.index("ms-convlstm") + 1))
    assert not any(model.item(row).isEnabled() for row in range(heading, box.count()))
    installed = {row.name for row in catalogue.rows("forecaster") if all(find_spec(name) for name in row.needs)}
    assert set(names) - {None} == installed
    shot(driver, driver.window, "run-panel")


def test_the_way_to_weights_is_told(driver: Driver) -> None:
    panel = driver.run_panel
    assert panel.lacking.isVisible()
    panel.lacking.linkActivated.emit("#")
    dialog = panel.findChild(UntrainedDialog)
    assert dialog is not None
    names = [dialog.table.item(row, 1).text() for row in range(dialog.table.rowCount())]
    assert "ms-predrnn" in names
    assert "ms-convlstm" not in names
    dialog.table.setCurrentCell(names.index("trajgru"), 0)
    assert "stormdeck-engine train trajgru --pack" in dialog.way.text()
    assert str(weights.user_folder()) in dialog.way.text()
    assert dialog.table.item(names.index("trajgru"), 2).text() == "12,150,053"
    shot(driver, dialog, "untrained")
    dialog.close()


def test_a_model_that_gets_weights_moves_up(driver: Driver) -> None:
    box = driver.run_panel.forecaster
    told = [describe(row) for row in catalogue.rows("forecaster")]
    driver.run_panel.set_models([{**model, "weights": WEIGHTS} if model["parameters"] else model
                                 for model in told])
    assert box.findText("Needs training") < 0
    assert not driver.run_panel.lacking.isVisible()
    assert box.currentData() == "persistence"


def test_what_runs_otherwise_than_trained_says_so(driver: Driver) -> None:
    driver.show()
    box = driver.run_panel.forecaster
    box.setCurrentIndex(box.findData("ms-convlstm"))
    driver.run()
    run = driver.session.forecasting.shown
    assert run is not None
    assert run.forecaster == "ms-convlstm"
    assert "trained at 1 km and 10 min" in driver.run_panel.status.text()
    driver.press(Key.Key_End)
    driver.quiet()
    assert "NOT AS TRAINED" in driver.window.maps.predicted.canvas.overlay.badges
    assert "NOT AS TRAINED" not in driver.window.maps.observed.canvas.overlay.badges
    shot(driver, driver.window, "not-as-trained")
    box.setCurrentIndex(box.findData("persistence"))
    driver.run()
    assert "NOT AS TRAINED" not in driver.window.maps.predicted.canvas.overlay.badges
    assert "trained" not in driver.run_panel.status.text()
