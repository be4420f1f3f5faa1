"""The deblurring network as a stage of its own: trained on somebody's forecasts, then behind somebody's forecast."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.cancel import CancelToken
from engine.commands import run as command
from engine.deblurrers.chain import sharpened
from engine.deblurrers.protocol import Context, Observation, Options
from engine.deblurrers.sequence import SequenceStage
from engine.errors import Cancelled, NoWeights
from engine.forecasters.protocol import LeadFrame
from engine.jobs import weights
from engine.jobs.events import FrameReady
from engine.jobs.forecast import ForecastRequest
from engine.jobs.forecast import run as forecast
from engine.jobs.scope import Scope
from engine.networks.configuration import Configuration, build
from engine.networks.weights import Header, save
from engine.radar.scaling import rain_rate_of_pixel, unit_pixel, unit_pixel_of_code
from engine.radar.units import ZR
from engine.training.preparation import Sample, preparation
from engine.training.recipe import DataPart
from tests.engine.deblurrers.test_yardsticks import storm
from tests.engine.sequences import START, grid, sequence
from tests.engine.training.packed import rain, write_pack

TINY = Configuration("sequence-deblurrer", "convlstm", "multi-scale", 2, inputs=5, leads=20)


@pytest.fixture
def weight_file(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = build(TINY)
    for parameter in network.parameters():  # so that something comes out
        torch.nn.init.uniform_(parameter, 0.0, 0.3)
    save(tmp_path / "stage.safetensors", network, Header("stage", TINY, 5.0, 1.0))
    return tmp_path / "stage.safetensors"


def seen(ny: int, nx: int, cell: float = 1000.0) -> Observation:
    return Observation(storm(5, (ny, nx)), START, 5.0, grid(ny, nx, cell=cell), ZR())


def test_it_is_the_network_after_the_last_observation(weight_file: Path) -> None:
    from engine.networks.weights import load

    fields = [storm(k, (37, 50)) for k in (2, 3)]
    fields[1][:, :7] = np.nan
    frames = [LeadFrame(5.0 * k, field) for k, field in enumerate(fields, start=1)]
    found = list(sharpened(iter(frames), SequenceStage(weight_file), seen(37, 50), Options(members=3), Context()))
    assert all(frame.rain_rate.ndim == 2 for frame in found), "it draws nothing: one result, however many are wished"
    np.testing.assert_array_equal(np.isnan(found[1].rain_rate), np.isnan(fields[1]))
    network = load(weight_file)[0]
    side = network.grid_multiple
    shown = [np.pad(unit_pixel(np.nan_to_num(f), ZR()), [(0, -37 % side), (0, -50 % side)])
             for f in (seen(37, 50).rain_rate, *fields)]
    with torch.no_grad():
        own = network(torch.from_numpy(np.stack(shown))[None, :, None])[0, 1:, 0, :37, :50]
    expected = rain_rate_of_pixel(own[0].clamp(0, 1).numpy(), ZR())
    ratio = found[0].rain_rate[expected > 0.1] / expected[expected > 0.1]
    assert float(ratio.std()) < 1e-4  # up to the factor that keeps the total


def test_it_can_be_stopped(weight_file: Path) -> None:
    token = CancelToken()
    token.cancel()
    frames = iter([LeadFrame(5.0, storm(2, (32, 32)))])
    with pytest.raises(Cancelled):
        list(sharpened(frames, SequenceStage(weight_file), seen(32, 32), Options(), Context(token)))


def test_other_pixels_are_told(weight_file: Path) -> None:
    assert "trained on pixels of 1 km" in SequenceStage(weight_file).notes(seen(8, 8, 2000.0))[0]
    assert SequenceStage(weight_file).notes(seen(8, 8)) == ()


def test_it_is_taught_a_forecast_beside_what_came() -> None:
    codes = np.zeros((5, 16, 16), np.uint8)
    for number in range(5):
        codes[number, 4:8, 4 + number:8 + number] = 150
    codes[4, 0, 0] = 255
    made = preparation(DataPart(inputs=3, leads=2, preparation="sharpening",
                                preparation_options={"forecaster": "persistence"}))
    example = made.prepare(Sample(codes, ZR(), 5.0, 1.0), np.random.default_rng(0))
    unit = np.nan_to_num(unit_pixel_of_code(codes))
    assert example.inputs[0].shape == (3, 1, 16, 16)
    for frame in example.inputs[0]:  # the last observation, and persistence of it
        np.testing.assert_allclose(frame[0].numpy(), unit[2], atol=1e-4)
    np.testing.assert_allclose(example.targets[:, 0].numpy(), unit[3:], atol=1e-6)
    assert not example.valid[1, 0, 0, 0]


def test_a_forecaster_that_needs_weights_names_them() -> None:
    made = preparation(DataPart(inputs=5, leads=2, preparation="sharpening",
                                preparation_options={"forecaster": "ms-convlstm"}))
    with pytest.raises(NoWeights):
        made.prepare(Sample(np.zeros((7, 16, 16), np.uint8), ZR(), 5.0, 1.0), np.random.default_rng(0))


def test_from_a_pack_to_a_stage_behind_a_forecast(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    pack, recipe, folder = write_pack(tmp_path / "pack.h5"), tmp_path / "tiny.toml", tmp_path / "run"
    recipe.write_text('''[model]
name = "ms-convlstm-stage"
hidden = 2
[data]
inputs = 3
leads = 2
crop = 16
preparation = "sharpening"
preparation_options = {forecaster = "rover-nonlinear"}
[loss]
over = "forecast"
[run]
steps = 3
batch = 2
validate_every = 3
''')
    assert command(["train", str(recipe), "--pack", str(pack), "-o", str(folder), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores
    target = tmp_path / "weights" / "ms-convlstm-stage.safetensors"
    assert command(["promote", str(folder), "-o", str(target), "--json"]) == 0
    monkeypatch.setattr(weights, "folders", lambda: iter([target.parent]))
    wish = ForecastRequest(sequence(rain, 10), lead_times=2, deblurrer="ms-convlstm-stage", device="cpu")
    frames = [event for event in forecast(wish, Scope()) if isinstance(event, FrameReady)]
    assert [frame.rain_rate.shape for frame in frames] == [(24, 24), (24, 24)]
    assert np.isnan(frames[0].rain_rate[0, 0])
    assert frames[0].kernel is None
