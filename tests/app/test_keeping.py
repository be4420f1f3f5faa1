"""What was learnt online is not lost without a word: kept in a file of its own, or given up by a choice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QFileDialog

from engine.networks import weights
from tests.app import test_live
from tests.app.driver import Driver, shot
from tests.app.storms import tiny_sequence
from tests.app.test_live import come, line, open_with
from tests.engine.live_archive import LiveArchive

driver, live, weight_file = test_live.driver, test_live.live, test_live.weight_file


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """File dialogs are answered with the first of these names; what they suggested is added behind it."""
    names = [""]

    def answer(parent: object, title: str, suggested: str, kinds: str) -> tuple[str, str]:
        names.append(suggested)
        return names[0], kinds

    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
    monkeypatch.setattr("engine.jobs.weights.user_folder", lambda: tmp_path / "own")
    return names


@pytest.fixture
def learnt(driver: Driver, live: LiveArchive, weight_file: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """The network has learned once."""
    results = iter([2.0, 1.0])
    monkeypatch.setattr("engine.jobs.learn.FRAMES", 8)
    monkeypatch.setattr("tests.app.driver.LONG", 100_000)
    monkeypatch.setattr("engine.training.online.OnlineLearner._newest", lambda self, piece: next(results))
    driver.window.startup.ask_for_models()
    names = driver.run_panel.forecaster
    driver.until(lambda: names.model().item(names.findData("ms-convlstm")).isEnabled())
    names.setCurrentIndex(names.findData("ms-convlstm"))
    open_with(driver, live, 9)
    assert not driver.window.actions_by_key["learn-keep"].isEnabled()
    driver.window.actions_by_key["learn"].trigger()
    driver.until(lambda: "next after 5 new frames" in line(driver))
    come(driver, live, 5)
    driver.until(lambda: "learned once" in line(driver))
    assert driver.window.actions_by_key["learn-keep"].isEnabled()
    return driver


def answered(driver: Driver, button: Callable[[], object]) -> None:
    """Closes the window and presses a button of what it asks."""
    driver.window.close()
    box = driver.window.keeping.box
    assert box is not None
    assert "MS-ConvLSTM has learned once from" in box.text()
    assert driver.window.isVisible()
    shot(driver, "keep-learnt")
    driver.click(button())  # type: ignore[arg-type]


def test_closing_asks_and_keeps_it_in_a_file_of_its_own(learnt: Driver, weight_file: Path, tmp_path: Path,
                                                        asked: list[str]) -> None:
    before = hashlib.sha256(weight_file.read_bytes()).hexdigest()
    keeping = learnt.window.keeping
    answered(learnt, lambda: keeping.stay)
    assert learnt.window.isVisible()
    answered(learnt, lambda: keeping.keep_as)  # no name is given: nothing is kept, and the window stays
    assert learnt.window.isVisible()
    assert asked[1].endswith("ms-convlstm-online-20200601-1305.safetensors")
    assert Path(asked[1]).parent == tmp_path / "own"
    asked[0] = str(tmp_path / "kept.safetensors")
    answered(learnt, lambda: keeping.keep_as)
    learnt.until(lambda: not learnt.window.isVisible())
    header = weights.read_header(tmp_path / "kept.safetensors")
    assert header.name == "ms-convlstm"
    assert "online on archive" in header.card.data
    assert hashlib.sha256(weight_file.read_bytes()).hexdigest() == before


def test_it_is_given_up_by_a_choice_only(learnt: Driver, tmp_path: Path, asked: list[str]) -> None:
    window = learnt.window
    asked[0] = str(tmp_path / "weights" / "ms-convlstm.safetensors")
    window.actions_by_key["learn-keep"].trigger()
    learnt.until(lambda: "what the network began with" in window.message_bar.text.text())
    assert window.actions_by_key["learn-keep"].isEnabled(), "it is still to be kept"
    answered(learnt, lambda: window.keeping.discard)
    assert not window.isVisible()
    assert [file.name for file in (tmp_path / "weights").iterdir()] == ["ms-convlstm.safetensors"]


def test_another_archive_offers_to_keep_it(learnt: Driver, tmp_path: Path, asked: list[str]) -> None:
    window = learnt.window
    asked[0] = str(tmp_path / "kept.safetensors")
    learnt.session.set_sequence(tiny_sequence())
    learnt.until(window.message_bar.isVisible)
    assert "has learned once from" in window.message_bar.text.text()
    QTimer.singleShot(0, window.message_bar.action.click)
    learnt.until(lambda: (tmp_path / "kept.safetensors").exists())
    learnt.until(lambda: "is kept in" in window.message_bar.text.text())
    window.close()
    assert not window.isVisible(), "nothing is asked: nothing would be lost"


def test_what_is_forgotten_by_hand_is_offered_once_more(learnt: Driver, tmp_path: Path, asked: list[str]) -> None:
    window = learnt.window
    asked[0] = str(tmp_path / "kept.safetensors")
    window.actions_by_key["learn-reset"].trigger()
    learnt.until(window.message_bar.isVisible)
    assert "nothing learned yet" in line(learnt)
    QTimer.singleShot(0, window.message_bar.action.click)
    learnt.until(lambda: (tmp_path / "kept.safetensors").exists())
