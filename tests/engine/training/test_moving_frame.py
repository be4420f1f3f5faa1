"""What the network in the moving frame is taught, and the decision that is chosen after it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.commands import run as command
from engine.networks.lagrangian_unet import THRESHOLDS_MM_H, LagrangianUNet
from engine.networks.weights import load
from engine.radar.units import ZR
from engine.training.moving_frame import BINS, best_decision
from engine.training.packs import Pack, PackSettings, PackWriter, assigned, candidates, cut_out
from engine.training.preparation import Sample, Teaching, preparation
from engine.training.recipe import DataPart
from tests.engine.sequences import sequence


def counted(chance_by_class: NDArray[np.float64], cells: float = 1000.0) -> torch.Tensor:
    """(2, leads 3, thresholds 1, BINS): a forecast that is right as often as it says."""
    events = torch.from_numpy(chance_by_class) * cells
    return torch.stack((cells - events, events))[:, None, None].expand(2, 3, 1, BINS).clone()


def test_the_decision_has_the_highest_csi_of_all() -> None:
    """For a calibrated forecast the best is CSI / (1 + CSI), half of the F1 score (Lipton, Elkan and Narayanaswamy
    2014, theorem 1)."""
    chance = (np.arange(BINS) + 0.5) / BINS
    decision = best_decision(counted(chance))
    assert decision.shape == (3, 1)
    above = chance[int(decision[0, 0] * BINS + 0.5):]
    csi = above.sum() / (chance.sum() + (1 - above).sum())
    assert float(decision[0, 0]) == pytest.approx(csi / (1 + csi), abs=1.0 / BINS)


def test_the_decision_stays_within_its_limits() -> None:
    sure = np.zeros(BINS)
    sure[90:] = 1.0
    assert float(best_decision(counted(sure))[0, 0]) <= 0.6 + 1e-6
    assert float(best_decision(counted(np.full(BINS, 0.001)))[0, 0]) >= 0.04 - 1e-6


def test_inputs_targets_and_what_is_known() -> None:
    codes = np.random.default_rng(0).integers(0, 255, (8, 16, 16)).astype(np.uint8)
    codes[2, :4] = 255
    codes[6] = 255
    made = preparation(DataPart(inputs=3, leads=5, preparation="moving-frame"))
    shown, pixel = made.prepare(Sample(codes, ZR(200, 1.6), 5.0, 2.0), np.random.default_rng(0)).inputs
    example = made.prepare(Sample(codes, ZR(200, 1.6), 5.0, 2.0), np.random.default_rng(0))
    assert shown.shape == (4, 16, 16)
    assert float(pixel) == 2.0
    assert not shown[3, :4].any()
    assert shown[3, 4:].all()
    np.testing.assert_allclose(shown[0].numpy(), codes[0] / 254.0, atol=1e-6)
    assert example.targets.shape == (5, 1, 16, 16)
    assert not example.valid[3].any()
    assert example.valid[0].all()


def test_a_step_looks_at_some_lead_times_only() -> None:
    data = DataPart(inputs=3, leads=5, preparation="moving-frame", preparation_options={"leads_at_once": 2})
    made, network = preparation(data), LagrangianUNet(3, 5, (8, 8, 8))
    codes = np.random.default_rng(0).integers(0, 255, (8, 16, 16)).astype(np.uint8)
    example = made.prepare(Sample(codes, ZR(200, 1.6), 5.0, 1.0), np.random.default_rng(0))
    batch = type(example)(tuple(given[None] for given in example.inputs), example.targets[None], example.valid[None])
    taught = made.taught(network, batch, Teaching("forecast", draw=torch.Generator().manual_seed(0)))
    assert taught.readouts[0].shape == (1, 2, len(THRESHOLDS_MM_H), 16, 16)
    assert taught.truth.shape == (1, 2, 1, 16, 16)
    assert made.taught(network.eval(), batch, Teaching("forecast")).readouts[0].shape[1] == 5


def moving_pack(path: Path) -> Path:
    def rain(index: int) -> NDArray[np.float32]:
        y, x = np.mgrid[:48, :48].astype(np.float32)
        return (25 * np.exp(-((x - 10 - index) ** 2 + (y - 24) ** 2) / 30)).astype(np.float32)

    archive = sequence(rain, 26)
    settings = PackSettings(length=8, stride=1, moving=5, split=(0.6, 0.4, 0.0))
    with PackWriter(path, [archive], settings) as writer:
        for run, split in assigned(candidates(archive, settings), settings, archive.step):
            for cut in cut_out(archive, run, settings):
                writer.add(run, split, cut)
    return path


def test_from_a_pack_to_weights_that_forecasts_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pack = moving_pack(tmp_path / "pack.h5")
    assert Pack(pack).moving == 5
    recipe = tmp_path / "tiny.toml"
    recipe.write_text('''[model]
name = "lagrangian-unet"
leads = 3
options = {widths = [8, 8, 8]}
[data]
leads = 3
preparation = "moving-frame"
preparation_options = {leads_at_once = 2}
[loss]
terms = [{name = "exceedance", thresholds = [0.2, 0.5, 1, 2, 5, 10, 20, 30], weights = [1, 1, 1, 1, 1, 1, 1, 8]}]
over = "forecast"
[run]
steps = 3
batch = 2
''')
    run = tmp_path / "run"
    assert command(["train", str(recipe), "--pack", str(pack), "-o", str(run), "--json"]) == 0
    capsys.readouterr()
    target = tmp_path / "weights" / "lagrangian-unet.safetensors"
    assert command(["promote", str(run), "--checkpoint", "last", "-o", str(target), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["step"] == 3
    network, header = load(target)
    assert isinstance(network, LagrangianUNet)
    assert header.card.steps == 3
    assert ((network.decision >= 0.04 - 1e-6) & (network.decision <= 0.6 + 1e-6)).all()


def test_what_is_no_run_cannot_be_promoted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["promote", str(tmp_path)]) == 3
    assert "no training run" in capsys.readouterr().err
