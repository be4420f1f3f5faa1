"""What a run's folder says to those who watch, and how a run is asked to pause and to stop."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from engine.cancel import CancelToken
from engine.commands import run as command
from engine.errors import Cancelled, Diverged, NotEnoughInput, WrongUsage
from engine.jobs.events import Finished, TrainingStep
from engine.jobs.scope import Scope
from engine.jobs.train import TrainRequest
from engine.jobs.train import run as train_job
from engine.jobs.training_list import forget, remember, remembered
from engine.training import kept_samples, status
from engine.training.checkpoint import newest
from engine.training.lock import RunLock, is_trained_in
from engine.training.preparation import preparation
from engine.training.status import ask, read_status
from engine.training.told import SampleForecast
from tests.engine.training.packed import as_toml, recipe, write_pack

ROOT = Path(__file__).resolve().parents[3]
HOLDER = """
import sys, time
from pathlib import Path
from engine.training.status import Desk
with Desk(Path(sys.argv[1]), "held", "cpu") as desk:
    desk.step(7, 10, 0.5)
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pack(tmp_path_factory.mktemp("pack") / "rain.h5")


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that says it trains in the folder."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
                          ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        yield child
        child.kill()


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    assert not is_trained_in(tmp_path)
    with holder(tmp_path) as child:
        assert is_trained_in(tmp_path)
        found = read_status(tmp_path)
        assert found is not None
        assert (found.state, found.step, found.pid) == (status.RUNNING, 7, child.pid)
        assert not RunLock(tmp_path).take(patience=0.0)
        with pytest.raises(WrongUsage, match="Another process"), status.Desk(tmp_path, "second", "cpu"):
            pass
        child.kill()
        child.wait()
        assert not is_trained_in(tmp_path)
    found = read_status(tmp_path)
    assert found is not None
    assert found.state == status.DIED
    assert "after step 7" in found.reason


def end_with(folder: Path, error: BaseException | None) -> None:
    with status.Desk(folder, "a", "cpu") as desk:
        desk.step(3, 10, 0.1)
        if error is not None:
            raise error


@pytest.mark.parametrize(("error", "state", "reason"), [
    (Cancelled(), status.PAUSED, ""), (Diverged("loss is no number"), status.FAILED, "loss is no number"),
    (MemoryError(), status.FAILED, "MemoryError")])
def test_what_ends_a_run_is_written_down(tmp_path: Path, error: BaseException, state: str, reason: str) -> None:
    with pytest.raises(type(error)):
        end_with(tmp_path, error)
    found = read_status(tmp_path)
    assert found is not None
    assert (found.state, found.reason, found.step) == (state, reason, 3)
    assert not is_trained_in(tmp_path)
    end_with(tmp_path, None)
    found = read_status(tmp_path)
    assert found is not None
    assert (found.state, found.reason) == (status.DONE, "")


def test_a_status_fits_where_there_is_no_room_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.write_text

    def full(self: Path, *words: object, **more: object) -> int:
        if self.name.startswith(".status"):
            raise OSError(28, "No space left on device")
        return real(self, *words, **more)  # type: ignore[arg-type]

    end_with(tmp_path, None)
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(Diverged):
        end_with(tmp_path, Diverged("no more"))
    found = read_status(tmp_path)
    assert found is not None
    assert (found.state, found.reason) == (status.FAILED, "no more")


def test_a_start_that_fails_leaves_nothing_where_nothing_was(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with pytest.raises(NotEnoughInput), status.Desk(folder, "a", "cpu", made=True):
        raise NotEnoughInput("nothing")
    assert not folder.exists()


def test_damaged_words_are_no_status(tmp_path: Path) -> None:
    assert read_status(tmp_path) is None
    for words in ("", "{", "[1]", '{"step": 3}', '"a"'):
        (tmp_path / status.STATUS_FILE).write_text(words)
        assert read_status(tmp_path) is None


@pytest.mark.parametrize("wish", [status.PAUSE, status.STOP])
def test_a_run_pauses_or_stops_when_it_is_asked(pack: Path, tmp_path: Path, wish: str, monkeypatch: pytest.MonkeyPatch
                                                ) -> None:
    monkeypatch.setattr(status, "ASK_S", 0.0)
    file, folder = tmp_path / "recipe.toml", tmp_path / "run"
    file.write_text(as_toml(recipe(pack, run={"validate_every": 2})))
    last = None
    try:
        for event in train_job(TrainRequest(str(file), output=folder, device="cpu"), Scope(CancelToken())):
            if isinstance(event, TrainingStep) and event.step == 3:
                ask(folder, wish)
            last = event
    except Cancelled:
        assert wish == status.PAUSE
    else:
        assert isinstance(last, Finished)
        assert last.result["stopped"]
        assert last.result["best_step"] == 2
        assert Path(last.result["weights"]).is_file()
    found = read_status(folder)
    assert found is not None
    assert found.state == (status.PAUSED if wish == status.PAUSE else status.STOPPED)
    assert found.step == newest(folder)["step"] == 3
    assert found.asked == "", "the request was answered"
    assert folder in remembered()
    again = list(train_job(TrainRequest(str(folder), resume=True, device="cpu"), Scope()))
    assert isinstance(again[-1], Finished)
    assert [event.step for event in again if isinstance(event, TrainingStep)] == [4, 5, 6]
    found = read_status(folder)
    assert found is not None
    assert (found.state, found.step, found.steps) == (status.DONE, 6, 6)
    assert list(kept_samples.files(folder)) == [2, 4, 6]


def test_a_run_goes_on_by_its_folder_alone(pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, folder = tmp_path / "recipe.toml", tmp_path / "run"
    file.write_text(as_toml(recipe(pack)))
    assert command(["train", str(file), "-o", str(folder), "--steps", "2", "--device", "cpu", "--json"]) == 0
    capsys.readouterr()
    assert command(["train", str(folder), "--resume", "--steps", "4", "--device", "cpu", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["steps"] == 4
    assert Path(answer["output"]) == folder


def test_samples_are_in_rain_rate(tmp_path: Path) -> None:
    made = preparation(recipe().data)
    units = np.array([made.unit(rate) for rate in (0.0, 0.5, 10.0, 30.0)], np.float32)
    frames = np.tile(units, (5, 3, 1))
    frames[0, 0, 0] = np.nan
    kept_samples.Samples(tmp_path, made, 2).add(SampleForecast(12, frames, frames[::-1]))
    path = kept_samples.files(tmp_path)[12]
    sample = kept_samples.read(path)
    assert sample.leads.tolist() == [1, 2], "of the outputs only what is forecast"
    np.testing.assert_allclose(sample.observed[-1, 0], [0.0, 0.5, 10.0, 30.0], rtol=0.02, atol=0.01)
    assert sample.forecast.shape == (2, 3, 4)
    assert np.isnan(sample.forecast[-1, 0, 0])
    for step in range(100, 100 + kept_samples.MOST_FILES):
        kept_samples.Samples(tmp_path, made, 2).add(SampleForecast(step, frames, frames))
    assert len(kept_samples.files(tmp_path)) == kept_samples.MOST_FILES


def test_the_list_of_runs(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        remember(tmp_path / name)
        time.sleep(0.02)
    assert [folder for folder in remembered() if folder.parent == tmp_path] == [tmp_path / "two", tmp_path / "one"]
    forget(tmp_path / "two")
    (tmp_path / "one").rmdir()
    assert not [folder for folder in remembered() if folder.parent == tmp_path]
