"""Published checkpoints become weight files that forecast, in the size they have; others are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from engine.commands import cli
from engine.commands import run as command
from engine.networks.rollout import lead_frames
from engine.networks.simvp import SimVP
from engine.networks.weights import load
from tests.engine.networks.test_importing import checkpoint, earthformer_names, simvp_names


def arguments(file: Path, model: str, output: Path) -> list[str]:
    return ["import-weights", str(file), "--model", model, "--step-minutes", "5", "--pixel-km", "1", "--trained-on",
            "moving digits", "-o", str(output)]


@pytest.mark.parametrize("translator", ["gsta", "tau", "incepu"])
@pytest.mark.parametrize("frames", [3, 4])
def test_simvp_in_any_size(tmp_path: Path, translator: str, frames: int) -> None:
    file, output = tmp_path / "published.pth", tmp_path / "simvp.safetensors"
    torch.save({"state_dict": checkpoint(simvp_names(translator, frames, 8, 16, 3))}, file)
    result = CliRunner().invoke(cli, [*arguments(file, "simvp", output), "--json"])
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    network, header = load(output)
    assert (told["inputs"], told["leads"], told["parameters"]) == (
        frames, frames, sum(weight.numel() for weight in network.parameters()))
    assert header.configuration.options["translator"] == translator
    assert header.card.data == "moving digits"
    assert "dBZ" in header.card.weaknesses
    assert isinstance(network, SimVP)
    with torch.inference_mode():
        assert len(list(lead_frames(network, torch.rand(1, frames, 1, 16, 16), 5))) == 5


def test_what_does_not_fit_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    file, output = tmp_path / "published.pth", tmp_path / "out.safetensors"
    torch.save(checkpoint(earthformer_names(True, False, 3, 2)), file)
    assert command(arguments(file, "simvp", output)) == 3
    assert command(arguments(file, "earthformer", output)) == 3  # toy sizes
    assert command(arguments(file, "ms-predrnn", output)) == 2
    assert command(arguments(file, "nothing", output)) == 2
    file.write_bytes(b"no checkpoint")
    assert command(arguments(file, "tau", output)) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["published.pth"]
