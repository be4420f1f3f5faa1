"""Training runs in their window: begun, watched, paused, resumed, stopped, compared, taken into use, found again."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QMessageBox, QWidget
from pytestqt.qtbot import QtBot

from app.dialogs.untrained import UntrainedDialog
from app.settings import Settings
from app.training.form import StartForm
from app.training.window import TrainingWindow
from engine.jobs.scope import Scope
from engine.jobs.train import TrainRequest
from engine.jobs.train import run as train_job
from engine.jobs.training_list import remember
from engine.training import status
from engine.training.kept_samples import Samples
from engine.training.lock import RunLock
from engine.training.preparation import preparation
from engine.training.told import SampleForecast
from tests.app.driver import Driver, opened_window, shot
from tests.engine.training.packed import as_toml, recipe, write_pack

Key = Qt.Key
PATIENT = 280_000


@pytest.fixture(autouse=True)
def own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has a list of runs and a folder of weights of its own."""
    monkeypatch.setenv("STORMDECK_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("STORMDECK_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr("engine.jobs.promote.user_folder", lambda: tmp_path / "weights")
    monkeypatch.setattr("app.training.runs.WATCH_MS", 150)


@pytest.fixture
def driver(qtbot: QtBot, tmp_path: Path) -> Iterator[Driver]:
    with opened_window(qtbot, Settings(tmp_path / "settings")) as driver:
        yield driver


def opened(driver: Driver) -> TrainingWindow:
    """By its key."""
    driver.press(Key.Key_T, Qt.KeyboardModifier.ControlModifier)
    window = driver.window.dialogs.training_window
    driver.until(window.isVisible)
    driver.until(lambda: not driver.window.training._look_job)
    return window


def made_run(folder: Path, state: str, step: int = 40, steps: int = 100, **more: Any) -> Path:
    """A run's folder as it lies there after so many steps."""
    folder.mkdir(parents=True)
    asked = recipe(run={"steps": steps, "batch": 4})
    (folder / "recipe.json").write_text(asked.to_json())
    score = {"thresholds_mm_h": [0.5, 30.0], "csi": [[0.5], [None]], "csi_mean": [0.5, None], "b_mse": 3.0,
             "b_mae": 2.0}
    lines: list[dict[str, Any]] = [{"step": n, "epoch": n / 50, "loss": 100.0 / n, "learning_rate": 2e-4,
                                    "sequences_per_second": 8.0} for n in range(1, step + 1)]
    scores = {"loss": 5.0, "sequences": 4, "ms-convlstm": score, "persistence": {**score, "csi_mean": [0.4, None]}}
    lines.append({"step": step, "validation": scores, "better": True})
    (folder / "curves.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / f"step-{step - 10:09d}.checkpoint").touch()
    words = {"state": state, "title": "ms-convlstm", "step": step, "steps": steps, "epoch": step / 50, "device": "cpu",
             "started": 1.0, "updated": time.time(), **more}
    (folder / status.STATUS_FILE).write_text(json.dumps(words))
    frames = np.full((2, 16, 16), 0.6, np.float32)
    for n in (step // 2, step):
        Samples(folder, preparation(asked.data), 2).add(SampleForecast(n, frames, frames))
    remember(folder)
    time.sleep(0.02)  # the list knows them by time
    return folder


def names(window: TrainingWindow) -> list[str]:
    return [window.list.item(row).text().partition("\n")[0] for row in range(window.list.count())]


def choose(driver: Driver, window: TrainingWindow, name: str) -> None:
    row = window.list.visualItemRect(window.list.item(names(window).index(name)))
    driver.qtbot.mouseClick(window.list.viewport(), Qt.MouseButton.LeftButton, pos=row.center())
    assert window.run is not None
    assert window.run.folder.name == name


def tick(driver: Driver, window: TrainingWindow, name: str) -> None:
    row = window.list.visualItemRect(window.list.item(names(window).index(name)))
    driver.qtbot.mouseClick(window.list.viewport(), Qt.MouseButton.LeftButton,
                            pos=QPoint(row.left() + 8, row.center().y()))


def fill(driver: Driver, field: QWidget, text: str) -> None:
    driver.qtbot.mouseDClick(field, Qt.MouseButton.LeftButton)
    driver.qtbot.keyClick(field, Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    driver.qtbot.keyClicks(field, text)


def test_without_runs_it_says_how_to_begin(driver: Driver) -> None:
    window = opened(driver)
    assert window.empty.isVisible()
    assert "New…" in window.empty.text()
    assert not window.head.isVisible()
    assert not window.forget.isEnabled()


def test_runs_are_listed_with_how_they_stand(driver: Driver, tmp_path: Path) -> None:
    made_run(tmp_path / "stopped", status.PAUSED)
    made_run(tmp_path / "killed", status.RUNNING)
    window = opened(driver)
    driver.until(lambda: names(window) == ["killed", "stopped"])
    choose(driver, window, "killed")
    head = window.head
    assert "was killed" in head.reason.text()
    assert "go on from step 30" in head.reason.text()
    assert head.figures.text().startswith("died  ·  step 40 of 100  ·  epoch 0.8  ·  2 steps/s")
    assert (head.pause.text(), head.pause.isEnabled(), head.stop.isEnabled()) == ("Resume", True, False)
    driver.until(lambda: window.curves.settled)
    assert window.curves.loss.content.series[0].y[:2] == pytest.approx((100.0, 50.0))
    assert [s.y for s in window.curves.csi.content.series] == [(0.5,), (0.4,)], "the network's, then persistence's"
    assert window.curves.learning_rate.content.y.title == "learning rate, 10⁻⁴"
    choose(driver, window, "stopped")
    assert not head.reason.isVisible()
    assert head.progress.value() == 400


def test_runs_are_compared(driver: Driver, tmp_path: Path) -> None:
    for name in ("one", "two"):
        made_run(tmp_path / name, status.PAUSED)
    window = opened(driver)
    driver.until(lambda: names(window) == ["two", "one"])
    choose(driver, window, "two")
    tick(driver, window, "one")
    driver.until(lambda: window.curves.settled and len(window.curves.loss.content.legend) == 2)
    assert [entry.text for entry in window.curves.loss.content.legend] == ["two", "one"]
    assert "≥ 30 mm/h" in window.curves.csi.content.y.title or "≥ 0.5 mm/h" in window.curves.csi.content.y.title
    driver.qtbot.keyClick(window.curves.threshold, Key.Key_Home)
    driver.until(lambda: window.curves.settled and "≥ 0.5" in window.curves.csi.content.y.title)
    assert len(window.curves.csi.content.series) == 4
    tick(driver, window, "one")
    driver.until(lambda: window.curves.settled and not window.curves.loss.content.legend)


def test_sample_forecasts_of_each_validation(driver: Driver, tmp_path: Path) -> None:
    made_run(tmp_path / "one", status.PAUSED)
    window = opened(driver)
    bar = window.pages.tabBar()
    driver.click(bar, bar.tabRect(1).center())
    page = window.samples
    driver.until(lambda: page.pictures.leads == (1, 2))
    assert page.words.text() == "step 40"
    page.slider.setFocus()
    driver.qtbot.keyClick(page.slider, Key.Key_Left)
    assert page.words.text() == "step 20"
    driver.until(lambda: not driver.window.bridge.busy())


def test_a_run_is_forgotten_and_shown_again(driver: Driver, tmp_path: Path) -> None:
    folder = made_run(tmp_path / "one", status.PAUSED)
    window = opened(driver)
    driver.until(lambda: names(window) == ["one"])
    driver.click(window.forget)
    driver.until(lambda: names(window) == [])
    assert folder.is_dir()
    window.add_folder(folder)
    driver.until(lambda: names(window) == ["one"])


def test_what_is_new_in_a_folder_is_seen(driver: Driver, tmp_path: Path) -> None:
    folder = made_run(tmp_path / "one", status.RUNNING)
    lock = RunLock(folder)
    assert lock.take()
    window = opened(driver)
    driver.until(lambda: window.run is not None and window.run.status.state == status.RUNNING)
    assert window.head.pause.text() == "Pause"
    with (folder / "curves.jsonl").open("a") as file:
        file.write(json.dumps({"step": 41, "loss": 1.5, "learning_rate": 1e-4, "sequences_per_second": 8.0}) + "\n")
    driver.until(lambda: window.run is not None and window.run.curves["loss"].values[-1] == 1.5)
    driver.until(lambda: "training" in _chip(driver).text())
    driver.click(window.head.pause)
    driver.until(lambda: (folder / status.REQUEST_FILE).is_file())
    driver.until(lambda: window.head.figures.text().startswith("pausing…"))
    assert not window.head.pause.isEnabled()
    lock.give_back()
    driver.until(lambda: window.run is not None and window.run.status.state == status.DIED)
    assert not _chip(driver).isVisible()


def _chip(driver: Driver) -> Any:
    from app.training.chip import TrainingChip

    return driver.window.findChild(TrainingChip)


def form_of(driver: Driver, window: TrainingWindow) -> StartForm:
    """By its key, once the recipes are there."""
    window.activateWindow()
    driver.until(window.isActiveWindow)
    driver.qtbot.keyClick(window, Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    driver.until(lambda: window.findChild(StartForm) is not None)
    form = window.findChild(StartForm)
    driver.until(lambda: form.recipe.count() > 20)
    return form


def test_the_form_says_what_is_missing(driver: Driver, tmp_path: Path) -> None:
    window = opened(driver)
    form = form_of(driver, window)
    assert form.recipe.currentData() == "small"
    assert "3,000 steps" in form.about.text()
    assert form.folder.text().endswith("small-1")
    driver.click(form.begin)
    assert "Add a pack" in form.complaint.text()
    form.use_packs([tmp_path / "rain.h5"])
    made_run(tmp_path / "taken", status.PAUSED)
    fill(driver, form.folder, str(tmp_path / "taken"))
    driver.click(form.begin)
    driver.until(lambda: "holds a run already" in form.complaint.text())
    assert form.begin.isEnabled()
    own = tmp_path / "own.toml"
    own.write_text("[model]\nnam = 'x'\n")
    form.use_recipe(own)
    driver.until(lambda: "did you mean 'name'" in form.about.text())
    assert not form.begin.isEnabled()
    own.write_text(as_toml(recipe()))
    form.use_recipe(own)
    driver.until(lambda: "6 steps" in form.about.text())
    assert form.request().packs == (tmp_path / "rain.h5",)
    driver.qtbot.keyClick(form, Key.Key_Escape)


def test_a_network_without_weights_is_trained_from_the_list_of_such(driver: Driver) -> None:
    driver.window.startup.ask_for_models()
    panel = driver.run_panel
    driver.until(panel.lacking.isVisible)
    panel.lacking.linkActivated.emit("#")
    dialog = panel.findChild(UntrainedDialog)
    names_there = [dialog.table.item(row, 1).text() for row in range(dialog.table.rowCount())]
    dialog.table.setCurrentCell(names_there.index("ms-mim"), 0)
    driver.click(dialog.train)
    window = driver.window.dialogs.training_window
    driver.until(window.isVisible)
    form = window.findChild(StartForm)
    driver.until(lambda: form.recipe.currentData() == "ms-mim")
    driver.qtbot.keyClick(form, Key.Key_Escape)
    driver.until(lambda: not driver.window.bridge.busy())


def test_a_checkpoint_is_taken_into_use(driver: Driver, tmp_path: Path) -> None:
    """The small network of a recipe serves as the model that the lists know."""
    pack, folder, own = write_pack(tmp_path / "rain.h5"), tmp_path / "run", tmp_path / "own.toml"
    own.write_text('name = "tiny"\n' + as_toml(recipe(pack, run={"steps": 2, "validate_every": 2})))
    list(train_job(TrainRequest(str(own), output=folder, device="cpu"), Scope()))
    names_of = driver.run_panel.forecaster
    assert not names_of.model().item(names_of.findData("ms-convlstm")).isEnabled()
    window = opened(driver)
    driver.until(lambda: names(window) == ["run"])
    driver.until(window.head.use.isEnabled)
    window.head.use_best.trigger()
    driver.until(lambda: "ms-convlstm now use these weights (step 2)" in window.message_bar.text.text())
    assert (tmp_path / "weights" / "ms-convlstm.safetensors").is_file()
    driver.until(lambda: names_of.model().item(names_of.findData("ms-convlstm")).isEnabled())
    driver.until(lambda: window.head.use.isEnabled())
    window.head.use_last.trigger()
    driver.until(lambda: "kept as" in window.message_bar.text.text())
    assert (tmp_path / "weights" / "ms-convlstm.before").is_file()


@pytest.mark.parametrize("answer", ["keep", "pause", "stay"])
def test_closing_asks_about_runs_that_were_begun_here(qtbot: QtBot, tmp_path: Path, answer: str) -> None:
    folder = made_run(tmp_path / "one", status.RUNNING)
    lock = RunLock(folder)
    assert lock.take()
    with opened_window(qtbot, Settings(tmp_path / "settings")) as driver:
        opened(driver)
        driver.window.training._own.add(folder)
        driver.window.close()
        assert driver.window.isVisible()
        closing = driver.window.closing
        assert isinstance(closing.box, QMessageBox)
        driver.click(getattr(closing, answer))
        driver.until(lambda: driver.window.isVisible() == (answer == "stay"))
        assert (folder / status.REQUEST_FILE).is_file() == (answer == "pause")
        lock.give_back()
        driver.window.training.look()
        if answer == "stay":
            driver.until(lambda: not driver.window.training.own_under_way())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_from_beginning_to_end(qtbot: QtBot, tmp_path: Path) -> None:
    """Begun by clicks and keys, watched, paused, resumed; the window is closed and opened; killed, resumed, stopped."""
    pack, own, folder = write_pack(tmp_path / "rain.h5"), tmp_path / "own.toml", tmp_path / "run"
    own.write_text(as_toml(recipe(run={"steps": 100_000, "save_every": 50, "validate_every": 50})))

    def wait(true: Any) -> None:
        """A run that fails says why, instead of being waited for."""
        def there() -> bool:
            found = status.read_status(folder)
            assert found is None or found.state != status.FAILED, found.reason
            return bool(true())

        qtbot.waitUntil(there, timeout=PATIENT)

    with opened_window(qtbot, Settings(tmp_path / "settings")) as driver:
        window = opened(driver)
        form = form_of(driver, window)
        form.use_recipe(own)
        driver.until(lambda: form.recipe.currentText() == "own")
        form.use_packs([pack])
        fill(driver, form.folder, str(folder))
        form.device.setFocus()
        qtbot.keyClicks(form.device, "CPU")
        driver.click(form.begin)
        driver.until(lambda: window.findChild(StartForm) is None or not window.findChild(StartForm).isVisible())
        wait(lambda: window.run is not None and window.run.status.step >= 55)
        assert window.run is not None
        driver.until(lambda: bool(window.curves.csi.content.series))
        shot_of(window, "training-running")
        driver.click(window.head.pause)
        wait(lambda: window.run.status.state == status.PAUSED)
        paused_at = window.run.status.step
        assert paused_at in window.run.checkpoints
        driver.window.settings.values.device = "cpu"
        driver.click(window.head.pause)
        wait(lambda: window.run.status.state == status.RUNNING and window.run.status.step > paused_at)
        driver.window.close()
        driver.click(driver.window.closing.keep)
        driver.until(lambda: not driver.window.isVisible())
    settings = Settings(tmp_path / "settings")
    settings.values.device = "cpu"
    with opened_window(qtbot, settings) as driver:
        window = opened(driver)
        wait(lambda: window.run is not None and window.run.status.state == status.RUNNING)
        os.kill(window.run.status.pid, 9)
        wait(lambda: window.run.status.state == status.DIED)
        assert "go on from step" in window.head.reason.text()
        shot_of(window, "training-died")
        driver.click(window.head.pause)
        wait(lambda: window.run.status.state == status.RUNNING)
        driver.until(window.head.stop.isEnabled)
        driver.click(window.head.stop)
        wait(lambda: window.run.status.state == status.STOPPED)
        assert window.run.weights is not None
        shot(driver, "training-over")


def shot_of(window: TrainingWindow, name: str) -> None:
    folder = os.environ.get("STORMDECK_SHOTS")
    if folder:
        window.grab().save(str(Path(folder) / f"{name}.png"))
