"""Two processes as one run, and a run's figures in TensorBoard's files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.errors import WrongUsage
from engine.jobs.events import SampleShown
from engine.terminal import _sketch
from engine.training import checkpoint
from engine.training.board import MISSING, Board
from engine.training.data import Plan, Share
from engine.training.share import check
from engine.training.told import StepDone
from tests.engine.training.packed import as_toml, recipe, write_pack
from tests.engine.training.test_loop import ROOT, trained


@pytest.mark.slow
def test_two_processes_are_one_at_the_same_global_batch(tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "rain.h5")
    wish = recipe(pack)
    file, folder = tmp_path / "recipe.toml", tmp_path / "two"
    file.write_text(as_toml(wish))
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "engine",
         "train", str(file), "-o", str(folder), "--device", "cpu", "--json"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=110,
        env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout)["steps"] == 6
    two = checkpoint.newest(folder)
    one = trained(wish, tmp_path / "one")
    for name, value in one.items():
        torch.testing.assert_close(two["network"][name], value, rtol=1e-3, atol=1e-5)
    alone = checkpoint.newest(tmp_path / "one")
    for ours, theirs in zip(two["history"], alone["history"], strict=True):
        assert ours["step"] == theirs["step"]
        assert ours["scores"]["sequences"] == theirs["scores"]["sequences"]
        assert ours["figure"] == pytest.approx(theirs["figure"], rel=1e-3)


def test_processes_share_every_batch_without_overlap() -> None:
    whole = list(Plan(3, 5, batch=8, parts=1, share=Share()))
    shares = [list(Plan(3, 5, batch=8, parts=2, share=Share(rank, 2))) for rank in (0, 1)]
    for step in (0, 1):
        places = [place for share in shares for part in share[2 * step:2 * step + 2] for place in part]
        assert sorted(places) == whole[step]
    assert len(Plan(3, 5, batch=8, parts=2, share=Share(0, 2))) == len(shares[0]) == 4
    with pytest.raises(WrongUsage, match="cannot be shared"):
        check(Share(0, 3), 8, 1)


def test_figures_in_tensorboard_files(tmp_path: Path) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with Board(tmp_path, 0) as board:
        for step in (1, 2, 3):
            board.add(StepDone(step, 3, step / 3, {"loss": 1 / step}))
    found = events.EventAccumulator(str(tmp_path)).Reload().Scalars("training/loss")
    assert [(event.step, event.value) for event in found] == [
        (1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))]


def test_a_sample_forecast_as_signs() -> None:
    """A frame of 4 x 72 pixels: every second column and fourth row, the forecast on the right."""
    observed, forecast = np.zeros((2, 8, 72), np.float32), np.full((2, 8, 72), 0.5, np.float32)
    observed[1, :, :36], observed[1, :, 70:] = 1.0, np.nan
    head, *rows = _sketch(SampleShown(5, observed, forecast)).splitlines()
    assert head.split() == ["observed", "forecast"]
    assert rows == ["@" * 18 + " " * 17 + "?" + "   " + "*" * 36] * 2


def test_without_tensorboard_a_note_is_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with Board(tmp_path, 0) as board:
        board.add(StepDone(1, 3, 0.1, {"loss": 1.0}))
    assert board.note == MISSING
    assert not list(tmp_path.iterdir())
