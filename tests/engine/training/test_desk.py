"""Training runs as the window sees them: what lies in their folders, and processes that are started and asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import UnreadableInput, WrongUsage
from engine.jobs import training_desk, training_look, training_sample
from engine.jobs.events import Finished
from engine.jobs.scope import Scope
from engine.jobs.training_desk import AskRequest, RecipesRead, RecipesRequest, StartRequest
from engine.jobs.training_list import remember
from engine.jobs.training_look import Known, LookRequest, RunsSeen, RunView, view
from engine.training import status
from engine.training.kept_samples import Samples
from engine.training.preparation import preparation
from engine.training.told import SampleForecast
from tests.engine.training.packed import as_toml, recipe, write_pack

ROOT = Path(__file__).resolve().parents[3]


def curves(folder: Path, first: int, last: int, **values: float) -> None:
    with (folder / "curves.jsonl").open("a") as file:
        for step in range(first, last + 1):
            words = {"step": step, "epoch": 0.1, "loss": 100.0 / step, "learning_rate": 1e-3,
                     "sequences_per_second": 8.0, **values}
            file.write(json.dumps(words) + "\n")


def validation(folder: Path, step: int) -> None:
    score = {"thresholds_mm_h": [0.5, 30.0], "csi": [[0.5], [None]], "csi_mean": [0.5, None], "b_mse": 3.0,
             "b_mae": 2.0}
    scores = {"loss": 4.0, "sequences": 2, "net": score, "persistence": score}
    words = {"step": step, "validation": scores, "better": True}
    with (folder / "curves.jsonl").open("a") as file:
        file.write(json.dumps(words) + "\n")


def write_recipe(folder: Path, **run: Any) -> None:
    (folder / "recipe.json").write_text(recipe(run={"steps": 500, "batch": 4, **run}).to_json())


def test_a_look_reads_what_is_new(tmp_path: Path) -> None:
    write_recipe(tmp_path)
    curves(tmp_path, 1, 3)
    validation(tmp_path, 3)
    seen = view(tmp_path, Known())
    assert seen.model == seen.title == "ms-convlstm"
    assert seen.curves["loss"].steps == (1, 2, 3)
    assert seen.curves["loss"].values == pytest.approx((100, 50, 100 / 3))
    assert seen.latest["steps_per_second"] == 2.0
    assert seen.validations[0].scores["net"].csi == (0.5, None)
    assert (seen.status.step, seen.status.steps) == (3, 500)
    with (tmp_path / "curves.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')  # half a line, still being written
    assert view(tmp_path, seen.known).known.offset == seen.known.offset
    with (tmp_path / "curves.jsonl").open("a") as file:
        file.write('ss": 1.0}\n')
    again = view(tmp_path, seen.known)
    assert again.curves["loss"].steps == (1, 2, 3, 4)
    assert len(again.validations) == 1
    (tmp_path / "curves.jsonl").write_text('{"step": 1, "loss": 7.0}\n')  # gone on from an earlier checkpoint
    assert view(tmp_path, again.known).curves["loss"].values == (7.0,)


def test_long_curves_are_means_over_stretches(tmp_path: Path) -> None:
    write_recipe(tmp_path)
    curves(tmp_path, 1, 5000)
    seen = view(tmp_path, Known())
    loss = seen.curves["loss"]
    assert len(loss.steps) == training_look.MOST_POINTS
    assert loss.steps[0] == pytest.approx((5000 / training_look.MOST_POINTS + 1) / 2, abs=0.6)
    first = 100.0 / np.arange(1, 5001)
    assert np.mean(loss.values) == pytest.approx(first.mean(), rel=0.01)


def test_runs_of_older_versions_and_things_that_are_none(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    write_recipe(old, steps=20)
    (old / "step-000000020.checkpoint").touch()
    assert view(old, Known()).status.state == status.DONE
    (old / "step-000000020.checkpoint").rename(old / "step-000000012.checkpoint")
    seen = view(old, Known())
    assert (seen.status.state, seen.can_go_on, seen.status.step) == (status.PAUSED, True, 12)
    nothing = view(tmp_path, Known())
    assert (nothing.status.state, nothing.status.reason) == (status.FAILED, "No training run lies in this folder.")
    (tmp_path / status.LOG_FILE).write_text("reading\nerror: Cannot read rain.h5: damaged\nTake another.\n")
    assert view(tmp_path, Known()).status.reason == "Cannot read rain.h5: damaged Take another."
    (tmp_path / status.LOG_FILE).write_text("Traceback (most recent call last):\n  File\nImportError: no torch\n")
    assert view(tmp_path, Known()).status.reason == "ImportError: no torch"
    (tmp_path / status.LOG_FILE).write_text("")
    assert view(tmp_path, Known()).status.state == status.STARTING
    os.utime(tmp_path / status.LOG_FILE, (1.0, 1.0))
    assert view(tmp_path, Known()).status.state == status.FAILED


def test_samples_are_drawn(tmp_path: Path) -> None:
    frames = np.zeros((4, 8, 8), np.float32)
    Samples(tmp_path, preparation(recipe().data), 2).add(SampleForecast(5, frames, frames + 0.9))
    colours = np.arange(256, dtype=np.uint32) | np.uint32(0xFF000000)
    request = training_sample.SampleRequest(tmp_path, 5, colours, (0.5, 10.0))
    ready = next(training_sample.run(request, Scope()))
    assert isinstance(ready, training_sample.SampleReady)
    assert ready.leads == (1, 2)
    assert ready.observed[0].shape == (8, 8)
    assert ready.forecast[0][0, 0] > ready.observed[0][0, 0]
    with pytest.raises(UnreadableInput):
        next(training_sample.run(training_sample.SampleRequest(tmp_path, 6, colours, (0.5,)), Scope()))


def test_recipes_say_what_they_are(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(as_toml(recipe()))
    read = next(training_desk.recipes(RecipesRequest(own), Scope()))
    assert isinstance(read, RecipesRead)
    lines = {line.title: line for line in read.recipes}
    assert read.recipes[0].title == "own"
    assert read.recipes[0].length == "3 → 2 frames, batches of 4, 6 steps"
    assert read.recipes[0].wants_packs
    assert lines["small"].model == "ms-convlstm"
    assert not lines["trajgru-mnist-l5"].wants_packs
    own.write_text("[model]\nnam = 3\n")
    assert "did you mean 'name'" in next(training_desk.recipes(RecipesRequest(own), Scope())).recipes[0].problem


def test_the_command_line_of_a_start(tmp_path: Path) -> None:
    whole = StartRequest(tmp_path, "small", (tmp_path / "a.h5",), 20, 3, "cpu", tmp_path / "w.safetensors")
    assert training_desk.arguments(whole, tmp_path) == [
        "train", "small", "-o", str(tmp_path), "--device", "cpu", "--pack", str(tmp_path / "a.h5"), "--steps", "20",
        "--seed", "3", "--start-from", str(tmp_path / "w.safetensors")]
    assert training_desk.arguments(StartRequest(tmp_path), tmp_path) == [
        "train", str(tmp_path), "-o", str(tmp_path), "--device", "auto", "--resume"]


def test_nobody_is_asked_where_nobody_trains(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="Nobody"):
        list(training_desk.answer(AskRequest(tmp_path, status.PAUSE), Scope()))
    (tmp_path / "step-000000003.checkpoint").touch()
    with pytest.raises(WrongUsage, match="holds a run"):
        list(training_desk.start(StartRequest(tmp_path, "small"), Scope()))


def test_the_look_loads_no_torch() -> None:
    code = ("import sys, engine.jobs.training_look, engine.jobs.training_desk, engine.jobs.training_sample\n"
            "from engine.jobs.scope import Scope\n"
            "list(engine.jobs.training_desk.recipes(engine.jobs.training_desk.RecipesRequest(), Scope()))\n"
            "print('torch' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def until(folder: Path, true: Callable[[RunView], bool]) -> RunView:
    known, end = Known(), time.monotonic() + 240
    while time.monotonic() < end:
        seen = view(folder, known)
        known = seen.known
        if true(seen):
            return seen
        time.sleep(0.1)
    raise AssertionError(f"{view(folder, known).status}\n{(folder / status.LOG_FILE).read_text()}")


@pytest.mark.slow
def test_a_process_is_started_paused_and_goes_on(tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "rain.h5")
    own, folder = tmp_path / "own.toml", tmp_path / "run"
    own.write_text(as_toml(recipe(run={"steps": 4000, "save_every": 1000, "validate_every": 1000})))
    began = list(training_desk.start(StartRequest(folder, str(own), (pack,), device="cpu"), Scope()))
    assert isinstance(began[-1], Finished)
    seen = until(folder, lambda run: run.status.step >= 2)
    assert seen.status.state == status.RUNNING
    if hasattr(os, "getpriority"):
        assert os.getpriority(os.PRIO_PROCESS, seen.status.pid) >= training_desk.NICENESS
    remember(folder)
    looked = next(training_look.run(LookRequest(), Scope()))
    assert isinstance(looked, RunsSeen)
    assert folder in [run.folder for run in looked.runs]
    list(training_desk.answer(AskRequest(folder, status.PAUSE), Scope()))
    seen = until(folder, lambda run: run.status.state == status.PAUSED)
    paused_at = seen.status.step
    assert paused_at in seen.checkpoints
    list(training_desk.start(StartRequest(folder, device="cpu"), Scope()))
    seen = until(folder, lambda run: run.status.state == status.RUNNING and run.status.step > paused_at)
    os.kill(seen.status.pid, 9)
    seen = until(folder, lambda run: run.status.state == status.DIED)
    assert seen.can_go_on
    assert "killed" in seen.status.reason
