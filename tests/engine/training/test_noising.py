"""What a diffusion model is shown and asked for; a few steps of its training go down."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine.commands import run as command
from engine.errors import WrongUsage
from engine.jobs import weights
from engine.jobs.events import FrameReady
from engine.jobs.forecast import ForecastRequest
from engine.jobs.forecast import run as forecast
from engine.jobs.scope import Scope
from engine.networks.configuration import Configuration, build
from engine.radar.scaling import code_of_dbz
from engine.radar.units import ZR
from engine.training.noising import Noising
from engine.training.preparation import Example, Sample, Teaching, preparation
from engine.training.recipe import DataPart
from tests.engine.sequences import sequence
from tests.engine.training.packed import rain, write_pack

DATA = DataPart(inputs=1, leads=1, preparation="noising")


def sample() -> Sample:
    dbz = np.full((2, 16, 16), -32.0, np.float32)
    dbz[:, 4:8, 4:8] = 25.0  # half of the pixel law's range
    dbz[:, :2] = np.nan
    return Sample(code_of_dbz(dbz, 8), ZR(), 5.0, 1.0)


def batched(examples: list[Example]) -> Example:
    inputs = tuple(torch.stack(given) for given in zip(*(e.inputs for e in examples), strict=True))
    return Example(inputs, torch.stack([e.targets for e in examples]), torch.stack([e.valid for e in examples]))


def test_the_noisy_field_is_the_frame_and_the_noise_that_is_asked_for() -> None:
    made = preparation(DATA)
    assert isinstance(made, Noising)
    example = made.prepare(sample(), np.random.default_rng(3))
    noisy, step = example.inputs
    assert (noisy.shape, example.targets.shape, example.valid.shape) == ((1, 16, 16), (1, 1, 16, 16), (1, 1, 16, 16))
    clean = made.schedule.clean(noisy, int(step), example.targets[:, 0])
    assert abs(float(clean[0, 5, 5]) - 0.0) < 0.02  # 25 dBZ is pixel 0.5
    assert abs(float(clean[0, 12, 12]) + 1.0) < 0.02
    assert abs(float(clean[0, 0, 0]) + 1.0) < 0.02  # no data goes in as no rain, and does not count
    assert not example.valid[:, :, :2].any()
    assert example.valid[:, :, 2:].all()


def test_counted_by_the_velocity_an_error_of_the_clean_field_weighs_alike_at_all_steps() -> None:
    """Where the clean field is known up to d, the noise is wrong by sqrt(signal / (1 - signal)) d, the velocity by
    d / sqrt(1 - signal)."""
    made = Noising(DATA, weighting="velocity")
    share = torch.from_numpy(made.schedule.signal)
    steps = torch.tensor([10, 500, 990])
    clean, noise = torch.zeros(3, 1, 4, 4, dtype=torch.float64), torch.ones(3, 1, 4, 4, dtype=torch.float64)
    at = share[steps][:, None, None, None]
    noisy = at.sqrt() * clean + (1 - at).sqrt() * noise

    class Off(nn.Module):
        def forward(self, noisy: Tensor, step: Tensor) -> Tensor:
            return (noisy - at.sqrt() * 0.1) / (1 - at).sqrt()

    example = Example((noisy, steps), noise[:, :, None], torch.ones(3, 1, 1, 4, 4, dtype=torch.bool))
    taught = made.taught(Off(), example, Teaching())
    error = (taught.readouts[0] - taught.truth).flatten(1)
    torch.testing.assert_close(error, (-0.1 / (1 - share[steps]).sqrt())[:, None].expand_as(error))
    with pytest.raises(WrongUsage, match="weighted by"):
        Noising(DATA, weighting="none")


def test_samples_are_repeatable_and_steps_differ() -> None:
    made = Noising(DATA)
    first, again = (made.prepare(sample(), np.random.default_rng(1)) for _ in range(2))
    torch.testing.assert_close(first.inputs[0], again.inputs[0])
    steps = {int(made.prepare(sample(), np.random.default_rng(k)).inputs[1]) for k in range(50)}
    assert len(steps) > 40
    assert min(steps) < 100
    assert max(steps) > 900


def test_three_channels_share_the_frame_and_not_the_noise() -> None:
    made = Noising(DATA, channels=3)
    example = made.prepare(sample(), np.random.default_rng(0))
    assert (example.inputs[0].shape, example.targets.shape) == ((3, 16, 16), (3, 1, 16, 16))
    assert not torch.equal(example.targets[0], example.targets[1])

    class Telling(nn.Module):
        def forward(self, noisy: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
            return 2 * noisy

    batch = batched([example, example])
    taught = made.taught(Telling(), batch, Teaching())
    assert taught.readouts[0].shape == taught.truth.shape == (2, 3, 1, 16, 16)
    torch.testing.assert_close(taught.readouts[0][:, :, 0], 2 * batch.inputs[0])
    assert made.forecast(taught) is None


def test_a_tiny_network_learns_to_see_noise() -> None:
    torch.manual_seed(0)
    made, draw = Noising(DATA), np.random.default_rng(0)
    network = build(Configuration("diffusion-unet", options={
        "base": 8, "multipliers": (1, 2), "blocks": 1, "attention": (), "groups": 4}))
    optimiser = torch.optim.AdamW(network.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        taught = made.taught(network, batched([made.prepare(sample(), draw) for _ in range(8)]), Teaching())
        loss = (taught.readouts[0] - taught.truth)[taught.valid].square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[0] > 0.9  # nothing is told at first, and noise has variance 1
    assert np.mean(losses[-10:]) < 0.5


def test_from_a_pack_to_a_deblurrer_that_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    pack, recipe, folder = write_pack(tmp_path / "pack.h5"), tmp_path / "tiny.toml", tmp_path / "run"
    recipe.write_text('''[model]
name = "postcast"
options = {base = 8, multipliers = [1, 2], groups = 4}
[data]
inputs = 1
leads = 1
crop = 16
preparation = "noising"
[loss]
terms = [{name = "mse", pixels = "mean"}]
over = "forecast"
[optimiser]
ema = 0.9
[run]
steps = 4
batch = 2
validate_every = 2
''')
    assert command(["train", str(recipe), "--pack", str(pack), "-o", str(folder), "--json"]) == 0
    capsys.readouterr()
    target = tmp_path / "weights" / "postcast.safetensors"
    assert command(["promote", str(folder), "-o", str(target), "--json"]) == 0
    assert "step" in json.loads(capsys.readouterr().out)
    monkeypatch.setattr(weights, "folders", lambda: iter([target.parent]))
    wish = ForecastRequest(sequence(rain, 10), lead_times=1, members=2, deblurrer="postcast", device="cpu")
    frame = next(event for event in forecast(wish, Scope()) if isinstance(event, FrameReady))
    assert frame.rain_rate.shape == (2, 24, 24)
    assert np.isnan(frame.rain_rate[:, 0, 0]).all()
    assert not np.array_equal(frame.rain_rate[0], frame.rain_rate[1], equal_nan=True)
