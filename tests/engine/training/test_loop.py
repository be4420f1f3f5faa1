"""Runs that are stopped, killed, starved of disk or led astray, and what becomes of their weights."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from engine.cancel import CancelToken
from engine.commands import run as command
from engine.errors import Cancelled, Diverged, NotEnoughInput, UnwritableOutput, WrongUsage
from engine.jobs.events import Finished, TrainingStep
from engine.jobs.scope import Scope
from engine.jobs.train import TrainRequest, read_curves
from engine.jobs.train import run as train_job
from engine.networks.weights import load as load_weights
from engine.training import checkpoint
from engine.training.loop import Training
from engine.training.publish import publish
from engine.training.recipe import Recipe
from engine.training.start import data, run_of
from engine.training.told import Note, SampleForecast, Saved, StepDone, Validated
from tests.engine.training.packed import as_toml, recipe, write_pack

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pack(tmp_path_factory.mktemp("pack") / "rain.h5")


def training(wish: Recipe, folder: Path, **more: Any) -> Training:
    return run_of(wish, data(wish), folder, **more)


def weights(made: Training) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in made.network.state_dict().items()}


def trained(wish: Recipe, folder: Path) -> dict[str, torch.Tensor]:
    made = training(wish, folder)
    for _ in made.run():
        pass
    return weights(made)


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def test_a_run_tells_its_steps_validations_and_checkpoints(pack: Path, tmp_path: Path) -> None:
    told = list(training(recipe(pack), tmp_path).run())
    assert [t.step for t in told if isinstance(t, StepDone)] == [1, 2, 3, 4, 5, 6]
    validated = [t for t in told if isinstance(t, Validated)]
    assert [t.step for t in validated] == [4, 6]
    assert set(validated[0].scores) == {"loss", "sequences", "ms-convlstm", "persistence"}
    assert [t.step for t in told if isinstance(t, Saved)] == [2, 4, 6]
    sample = next(t for t in told if isinstance(t, SampleForecast))
    assert sample.observed.shape == sample.forecast.shape == (4, 16, 16)
    assert [step for step, _ in checkpoint.steps_kept(tmp_path)] == [4, 6]
    assert (tmp_path / checkpoint.BEST).is_file()


def test_training_lowers_the_loss(pack: Path, tmp_path: Path) -> None:
    wish = recipe(pack, run={"steps": 60, "save_every": 60, "validate_every": 60}, optimiser={"lr": 0.01},
                  augment={"intensity": 0.0})
    steps = [t.values["loss"] for t in training(wish, tmp_path).run() if isinstance(t, StepDone)]
    assert sum(steps[-5:]) < 0.6 * sum(steps[:5])


def test_a_stopped_run_goes_on_to_the_same_weights(pack: Path, tmp_path: Path) -> None:
    """Everything with a state takes part: AdamW, averaged weights, a discriminator, rain-biased sampling."""
    wish = recipe(pack, model={"name": "db-convlstm"}, optimiser={"name": "adamw", "ema": 0.9, "warm_up": 4},
                  data={"rain_bias": 0.5, "crop": 0, "resize": [32, 32]},
                  loss={"terms": [{"name": "mae", "to": 0.1, "epochs": 2}, {"name": "adversarial"}],
                        "scheduled_sampling": True, "discriminator": {"name": "convlstm"}})
    whole = training(wish, tmp_path / "whole")
    for _ in whole.run():
        pass
    token = CancelToken()
    stopped = training(wish, tmp_path / "parts", token=token)

    def stop_after(step: int) -> None:
        for told in stopped.run():
            if isinstance(told, StepDone) and told.step == step:
                token.cancel()

    with pytest.raises(Cancelled):
        stop_after(3)
    assert checkpoint.newest(tmp_path / "parts")["step"] == 3
    resumed = training(wish, tmp_path / "parts", resume=True)
    first = [t.step for t in resumed.run() if isinstance(t, StepDone)]
    assert first == [4, 5, 6]
    assert_same(weights(whole), weights(resumed))
    assert whole.average is not None
    assert resumed.average is not None
    assert_same(whole.average.kept, resumed.average.kept)
    assert whole.rival is not None
    assert resumed.rival is not None
    assert_same(whole.rival.network.state_dict(), resumed.rival.network.state_dict())


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_weights(pack: Path, tmp_path: Path) -> None:
    """kill -9 in the middle, in a process of its own; the resumed weights are those of a run that was left alone."""
    wish = recipe(pack, run={"steps": 60, "save_every": 7, "validate_every": 20})
    file = tmp_path / "recipe.toml"
    file.write_text(as_toml(wish))
    folder = tmp_path / "killed"
    arguments = [sys.executable, "-m", "engine", "train", str(file), "-o", str(folder), "--device", "cpu"]
    child = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        while child.poll() is None and len(read_curves(folder / "curves.jsonl")) < 16:
            time.sleep(0.02)
        assert child.poll() is None, child.stderr.read().decode() if child.stderr else ""
        child.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    finally:
        child.kill()
        child.wait()
        if child.stderr:
            child.stderr.close()
    assert 14 <= checkpoint.newest(folder)["step"] < 60
    finished = list(train_job(TrainRequest(str(file), output=folder, resume=True, device="cpu"), Scope()))[-1]
    assert isinstance(finished, Finished)
    assert_same(trained(wish, tmp_path / "alone"), checkpoint.newest(folder)["network"])
    steps = [line["step"] for line in read_curves(folder / "curves.jsonl") if "loss" in line]
    assert steps == list(range(1, 61))


def test_disk_full_leaves_the_last_checkpoint_whole(pack: Path, tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    real = torch.save

    def full(content: dict[str, Any], file: Any) -> None:
        if content["step"] > 2:
            file.write(b"half a checkpoint")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(content, file)

    monkeypatch.setattr(torch, "save", full)
    wish = recipe(pack)
    with pytest.raises(UnwritableOutput, match="No space left"):
        list(training(wish, tmp_path).run())
    monkeypatch.undo()
    assert [file.name for file in tmp_path.iterdir() if "checkpoint" in file.name] == ["step-000000002.checkpoint"]
    resumed = training(wish, tmp_path, resume=True)
    list(resumed.run())
    assert_same(weights(resumed), trained(wish, tmp_path / "alone"))


def test_a_damaged_newest_checkpoint_is_passed_over(pack: Path, tmp_path: Path) -> None:
    wish = recipe(pack)
    first = trained(wish, tmp_path)
    newest = checkpoint.step_file(tmp_path, 6)
    newest.write_bytes(newest.read_bytes()[:500])
    resumed = training(wish, tmp_path, resume=True)
    assert resumed.progress.step == 4
    list(resumed.run())
    assert_same(first, weights(resumed))


def test_a_loss_that_is_no_number_stops_the_run_with_a_reason(pack: Path, tmp_path: Path) -> None:
    made = training(recipe(pack, run={"steps": 20, "save_every": 2}), tmp_path)

    def spoil_after(step: int) -> None:
        for told in made.run():
            if isinstance(told, StepDone) and told.step == step:
                next(iter(made.network.parameters())).data.fill_(float("nan"))

    with pytest.raises(Diverged, match=r"step 4: .*loss.* not a finite number\. The checkpoint of step 2"):
        spoil_after(3)
    kept = checkpoint.newest(tmp_path)
    assert kept["step"] == 2
    assert all(bool(value.isfinite().all()) for value in kept["network"].values())


def test_parts_of_a_batch_and_recomputing_change_nothing_but_rounding(pack: Path, tmp_path: Path) -> None:
    plain = trained(recipe(pack), tmp_path / "plain")
    for name, run in (("parts", {"accumulate": 4}), ("again", {"recompute": True})):
        other = trained(recipe(pack, run=run), tmp_path / name)
        for key, value in plain.items():
            torch.testing.assert_close(other[key], value, rtol=2e-3, atol=2e-5)


@pytest.mark.slow
def test_workers_read_the_same_batches(pack: Path, tmp_path: Path) -> None:
    wish = recipe(pack, run={"steps": 2})
    plain = trained(wish, tmp_path / "plain")
    assert_same(plain, trained(replace(wish, data=replace(wish.data, workers=2)), tmp_path / "workers"))


def test_a_run_stops_early_when_nothing_gets_better(pack: Path, tmp_path: Path) -> None:
    wish = recipe(pack, optimiser={"lr": 1e-12}, run={"steps": 50, "validate_every": 2, "patience": 2})
    told = list(training(wish, tmp_path).run())
    assert max(t.step for t in told) < 50
    assert isinstance(told[-1], Note)
    assert "early" in told[-1].text


def test_a_staged_network_starts_from_a_forecasting_one_that_stays_as_it_is(pack: Path, tmp_path: Path) -> None:
    list(training(recipe(pack), tmp_path / "first").run())
    wish = recipe(pack)
    publish(tmp_path / "first" / checkpoint.BEST, tmp_path / "first.safetensors", wish, data(wish).learn.about())
    staged = {"name": "ms-convlstm-s", "freeze": ["forecasting."]}
    with pytest.raises(WrongUsage, match="no weights to start from"):
        training(recipe(pack, model=staged), tmp_path / "staged")
    made = training(recipe(pack, model={**staged, "start_from": str(tmp_path / "first.safetensors")}),
                    tmp_path / "staged")
    before = weights(made)
    first = load_weights(tmp_path / "first.safetensors")[0].state_dict()
    assert_same({f"forecasting.{name}": value for name, value in first.items()},
                {name: value for name, value in before.items() if name.startswith("forecasting.")})
    list(made.run())
    after = weights(made)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all(name.startswith("deblurring.") for name in moved)


def test_a_run_leaves_the_global_random_numbers_alone(pack: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    trained(recipe(pack, run={"steps": 2}), tmp_path)
    assert torch.equal(torch.rand(3), wanted)


def test_a_folder_belongs_to_one_run(pack: Path, tmp_path: Path) -> None:
    trained(recipe(pack), tmp_path)
    with pytest.raises(WrongUsage, match="holds a run already"):
        training(recipe(pack), tmp_path)
    with pytest.raises(WrongUsage, match="another recipe"):
        training(recipe(pack, loss={"scale": 0.5}), tmp_path, resume=True)
    assert training(recipe(pack, run={"steps": 9}), tmp_path, resume=True).steps == 9
    with pytest.raises(NotEnoughInput, match="no checkpoint"):
        training(recipe(pack), tmp_path / "other", resume=True)


def test_a_run_from_before_a_key_existed_goes_on(pack: Path, tmp_path: Path) -> None:
    trained(recipe(pack, run={"steps": 2}), tmp_path)
    kept = json.loads((tmp_path / "recipe.json").read_text(encoding="utf-8"))
    del kept["model"]["topology"], kept["data"]["fixed_files"]
    (tmp_path / "recipe.json").write_text(json.dumps(kept), encoding="utf-8")
    assert training(recipe(pack, run={"steps": 3}), tmp_path, resume=True).progress.step == 2


def test_a_checkpoint_that_runs_code_is_refused(tmp_path: Path) -> None:
    torch.save({"format": checkpoint.FORMAT, "step": 1, "network": nn.Linear(1, 1)}, checkpoint.step_file(tmp_path, 1))
    with pytest.raises(NotEnoughInput):
        checkpoint.newest(tmp_path)


def test_the_command_trains_and_its_weights_load(pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
                                                 ) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(as_toml(recipe()))
    arguments = ["train", str(file), "--pack", str(pack), "-o", str(tmp_path / "run"), "--device", "cpu", "--json"]
    assert command(arguments) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["steps"] == 6
    network, header = load_weights(Path(answer["weights"]))
    best = checkpoint.load(tmp_path / "run" / checkpoint.BEST)
    assert_same(dict(network.state_dict()), best["network"])
    assert (header.step_minutes, header.pixel_km, header.zr_a) == (5.0, 1.0, 200.0)
    assert header.card.steps == best["step"]
    assert "test archive" in header.card.data
    assert "2020-07-01" in header.card.data
    assert set(header.card.scores) == {"ms-convlstm", "persistence"}
    assert command([*arguments, "--resume"]) == 0
    assert command([*arguments, "--pack", str(tmp_path / "none.h5"), "--resume"]) == 3


def test_the_job_can_be_stopped(pack: Path, tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(as_toml(recipe(pack)))
    token = CancelToken()
    events = train_job(TrainRequest(str(file), output=tmp_path / "run", device="cpu"), Scope(token))

    def stop_at_once() -> None:
        for event in events:
            if isinstance(event, TrainingStep):
                token.cancel()

    with pytest.raises(Cancelled):
        stop_at_once()
    assert checkpoint.newest(tmp_path / "run")["step"] == 1
