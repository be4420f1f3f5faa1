"""Networks as forecasters: units, resampling, tiles, no data, weights that are missing or do not fit, cancel."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import resources
from engine import catalogue
from engine.cancel import CancelToken
from engine.commands import cli
from engine.commands import run as command
from engine.errors import Cancelled, NotEnoughInput, NoWeights, UnreadableInput, WrongUsage
from engine.forecasters.neural import NeuralForecaster, Tiling
from engine.forecasters.protocol import Context, Inputs, LeadFrame, Options
from engine.forecasters.tiles import cut
from engine.jobs import weights as weights_job
from engine.jobs.events import Finished, FrameReady, Warned
from engine.jobs.forecast import ForecastRequest, run
from engine.jobs.scope import Scope
from engine.networks.configuration import Configuration, build
from engine.networks.weights import Card, Header, load, save
from engine.networks.zoo import ZOO
from engine.radar.scaling import rain_rate_of_pixel, unit_pixel
from engine.radar.units import HKO7, ZR
from tests.engine.sequences import START, grid, moving_square, sequence

TINY = Configuration("recurrent", "convlstm", "multi-scale", 4, inputs=3, leads=3)


def weight_file(folder: Path, configuration: Configuration = TINY, name: str = "ms-convlstm", seed: int = 0,
                **more: Any) -> Path:
    torch.manual_seed(seed)
    header = Header(name, configuration, **{"step_minutes": 5.0, "pixel_km": 1.0, "card": Card("made up"), **more})
    file = folder / f"{name}.safetensors"
    save(file, build(configuration), header)
    return file


def inputs_of(count: int = 3, ny: int = 32, nx: int = 40, step: float = 5.0, cell: float = 1000.0) -> Inputs:
    rng = np.random.default_rng(0)
    coarse = rng.gamma(0.6, 4.0, (count, ny // 8 + 1, nx // 8 + 1))
    frames = np.kron(coarse, np.ones((8, 8)))[:, :ny, :nx].astype(np.float32)
    times = tuple(START + timedelta(minutes=step * k) for k in range(count))
    return Inputs(frames, times, step, grid(ny, nx, cell), ZR())


def forecast(file: Path, inputs: Inputs, leads: int = 2, **more: Any) -> list[LeadFrame]:
    return list(NeuralForecaster(file, **more).run(inputs, Options(leads), Context()))


def test_it_is_the_network_between_two_pixel_laws(tmp_path: Path) -> None:
    file = weight_file(tmp_path, zr_a=HKO7.a, zr_b=HKO7.b)
    inputs = inputs_of(5)
    network, _ = load(file)
    with torch.inference_mode():
        frames = torch.from_numpy(unit_pixel(inputs.frames[-3:], HKO7))[None, :, None]
        wanted = network(frames, 2)[0, 0, 2:, 0].clamp(0, 1).numpy()
    found = forecast(file, inputs)
    assert [frame.lead_minutes for frame in found] == [5.0, 10.0]
    for frame, unit in zip(found, wanted, strict=True):
        np.testing.assert_allclose(frame.rain_rate, rain_rate_of_pixel(unit, HKO7), rtol=1e-4, atol=1e-5)


def test_no_data_goes_in_as_no_rain_and_stays_no_data(tmp_path: Path) -> None:
    file, inputs = weight_file(tmp_path), inputs_of()
    holes, dry = inputs.frames.copy(), inputs.frames.copy()
    holes[0, :4], holes[2, 5:9, 10:20] = np.nan, np.nan
    dry[0, :4], dry[2, 5:9, 10:20] = 0.0, 0.0
    for frame, other in zip(forecast(file, replace(inputs, frames=holes)), forecast(file, replace(inputs, frames=dry)),
                            strict=True):
        assert np.isnan(frame.rain_rate).sum() == 40
        assert np.isnan(frame.rain_rate[5:9, 10:20]).all()
        known = ~np.isnan(frame.rain_rate)
        np.testing.assert_array_equal(frame.rain_rate[known], other.rain_rate[known])


@pytest.mark.parametrize(("ny", "nx"), [(33, 41), (30, 50), (4, 5)])
def test_any_size_is_padded_to_what_the_network_takes(tmp_path: Path, ny: int, nx: int) -> None:
    found = forecast(weight_file(tmp_path), inputs_of(3, ny, nx))
    assert all(frame.rain_rate.shape == (ny, nx) and np.isfinite(frame.rain_rate).all() for frame in found)


@pytest.mark.parametrize(("step", "cell", "pixel"), [
    (5, 1000, None), (6, 1200, None), (5, 1040, None), (10, 1000, 2.0), (5, 2000, 1.0), (5, 500, 1.0), (6, 1000, 1.2)])
def test_a_storm_moves_as_many_pixels_as_in_training(tmp_path: Path, step: float, cell: float,
                                                     pixel: float | None) -> None:
    model, inputs = NeuralForecaster(weight_file(tmp_path)), inputs_of(step=step, cell=cell)
    working = model.working_grid(inputs)
    if pixel is None:
        assert working is inputs.grid
        assert not model.notes(inputs)
    else:
        assert working.pixel_km == pytest.approx((pixel, pixel))
        assert "1 km" in model.notes(inputs)[0]
        assert f"{pixel:g} km" in model.notes(inputs)[0]
    found = forecast(model.weights, inputs)
    assert found[0].lead_minutes == step
    assert all(frame.rain_rate.shape == inputs.grid.shape and np.isfinite(frame.rain_rate).all() for frame in found)


def test_an_archive_without_a_projection_is_used_as_it_is(tmp_path: Path) -> None:
    inputs = inputs_of(cell=1.0)
    model = NeuralForecaster(weight_file(tmp_path))
    assert model.notes(replace(inputs, grid=replace(inputs.grid, crs=None)))


def test_too_few_frames(tmp_path: Path) -> None:
    with pytest.raises(NotEnoughInput):
        forecast(weight_file(tmp_path), inputs_of(2))


@pytest.mark.parametrize("configuration", [
    TINY, Configuration("recurrent", "predrnn", "deblurring", 4, inputs=3),
    Configuration("recurrent", "motionrnn", "stacked", 8, inputs=3),
    Configuration("simvp", inputs=3, options={"translator": "tau", "spatial": 8, "temporal": 16, "depth": 2}),
    Configuration("simvp", inputs=3, options={"translator": "incepu", "spatial": 8, "temporal": 16, "depth": 2}),
], ids=["ms", "db", "stacked", "tau", "incepu"])
def test_a_forecast_repeats_to_the_bit_and_goes_on_beyond_the_trained_length(tmp_path: Path,
                                                                             configuration: Configuration) -> None:
    file, inputs = weight_file(tmp_path, configuration), inputs_of()
    first, second = forecast(file, inputs, 2), forecast(file, inputs, 9)
    assert len(second) == 9
    for one, other in zip(first, second, strict=False):
        np.testing.assert_array_equal(one.rain_rate, other.rain_rate)


def test_cancel_ends_it_inside_a_step(tmp_path: Path) -> None:
    token = CancelToken()

    def progress(fraction: float, text: str) -> None:
        if fraction > 0:
            token.cancel()

    frames = NeuralForecaster(weight_file(tmp_path)).run(inputs_of(), Options(5), Context(token, progress))
    next(frames)
    with pytest.raises(Cancelled):
        next(frames)


def test_torch_is_left_as_it_was(tmp_path: Path) -> None:
    frames = NeuralForecaster(weight_file(tmp_path)).run(inputs_of(), Options(2), Context())
    for _ in frames:
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()


# -- tiles

@pytest.mark.parametrize(("shape", "side", "overlap", "multiple"), [
    ((480, 480), 256, 96, 4), ((3500, 700), 512, 96, 4), ((100, 901), 128, 64, 30), ((50, 60), 64, 8, 4)])
def test_the_weights_of_the_tiles_add_to_one(shape: tuple[int, int], side: int, overlap: int, multiple: int) -> None:
    total = np.zeros(shape)
    tiles = cut(shape, (side, side), overlap, multiple)
    for tile in tiles:
        total[tile.place] += tile.weights
        assert tile.weights.shape <= (side + multiple, side + multiple)
        assert tile.rows.start % multiple == tile.columns.start % multiple == 0
    np.testing.assert_allclose(total, 1.0, atol=1e-5)


def test_a_tile_counts_nothing_at_its_inner_borders() -> None:
    for tile in cut((480, 480), (256, 256), 96, 4):
        if tile.rows.start > 0:
            assert not tile.rows.weights[:20].any()
        if tile.rows.stop < 480:
            assert not tile.rows.weights[-20:].any()


MARGIN = 16
"""Cells along the border of the domain where whole and tiled may differ more; nowhere else."""


@pytest.mark.parametrize("kept_bytes", [2 << 30, 0], ids=["together", "one-by-one"])
def test_tiles_cannot_be_seen(tmp_path: Path, kept_bytes: int) -> None:
    file, inputs = weight_file(tmp_path), inputs_of(3, 480, 480)
    whole = forecast(file, inputs, 3)
    tiled = forecast(file, inputs, 3, tiling=Tiling(256, 96, kept_bytes))
    inside = slice(MARGIN, -MARGIN)
    for one, other in zip(whole, tiled, strict=True):
        a, b = (np.maximum(ZR().dbz(frame.rain_rate), -10.0)[inside, inside] for frame in (one, other))
        assert np.abs(a - b).max() < 0.5


def test_memory_that_does_not_suffice_means_smaller_tiles_then_the_cpu(tmp_path: Path,
                                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    def fails_on_the_device(self: Any, network: Any, frames: Any, leads: int, context: Context, device: str,
                            side: int) -> Any:
        asked.append((device, side))
        for lead in range(leads):
            if device != "cpu" and lead == len(asked):
                raise torch.OutOfMemoryError("no memory")
            yield np.full(frames.shape[1:], lead / 10, np.float32)

    monkeypatch.setattr(NeuralForecaster, "_forecast", fails_on_the_device)
    told: list[str] = []
    context = Context(progress=lambda fraction, text: told.append(text), device="cuda")
    found = list(NeuralForecaster(weight_file(tmp_path)).run(inputs_of(), Options(6), context))
    assert asked == [("cuda", 1024), ("cuda", 512), ("cuda", 256), ("cuda", 128), ("cpu", 512)]
    assert len({float(frame.rain_rate[0, 0]) for frame in found}) == len(found) == 6
    assert any("CPU" in text for text in told)


# -- catalogue, jobs, commands

def test_the_catalogue_counts_as_the_zoo_does() -> None:
    rows = {row.name: row for kind in ("forecaster", "deblurrer") for row in catalogue.rows(kind)}
    for name, entry in ZOO.items():
        assert (rows[name].parameters, rows[name].title, rows[name].family) == (
            entry.parameters, entry.title, entry.family)
    assert {row.name for row in rows.values() if row.parameters} == set(ZOO)


@pytest.fixture
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setattr(weights_job, "folders", lambda: iter([folder]))
    return folder


def test_a_model_without_weights_says_so(no_weights: Path) -> None:
    with pytest.raises(NoWeights) as caught:
        list(run(ForecastRequest(sequence(moving_square, 8), forecaster="ms-convlstm"), Scope()))
    assert caught.value.exit_code == 5
    assert str(weights_job.user_folder()) in caught.value.advice


def test_the_command_answers_with_5(no_weights: Path, tmp_path: Path) -> None:
    archive = str(resources.sample_archive())
    assert command(["forecast", archive, "--forecaster", "tau", "-o", str(tmp_path / "out.nc")]) == 5
    assert not (tmp_path / "out.nc").exists()


def test_models_tell_of_their_weights(no_weights: Path) -> None:
    file = weight_file(no_weights)
    answer = CliRunner().invoke(cli, ["models", "--json"])
    found = {model["name"]: model for model in json.loads(answer.stdout)}
    told = found["ms-convlstm"]["weights"]
    assert told == {"file": str(file), "sha256": NeuralForecaster(file).weights_sha256, "trained_on": "made up",
                    "step_minutes": 5.0, "pixel_km": 1.0,
                    "numbers": sum(tensor.numel() for tensor in load(file)[0].state_dict().values())}
    assert found["ms-predrnn"]["weights"] is None
    assert found["persistence"]["weights"] is None
    assert found["ms-mim"]["parameters"] == 986_233


def test_damaged_weights_are_no_weights_in_the_list_and_an_error_in_a_run(no_weights: Path) -> None:
    file = weight_file(no_weights)
    file.write_bytes(file.read_bytes()[:300])
    assert weights_job.describe("ms-convlstm") is None
    with pytest.raises(UnreadableInput):
        list(run(ForecastRequest(sequence(moving_square, 8), forecaster="ms-convlstm"), Scope()))


def test_the_environment_names_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(weights_job.VARIABLE, str(tmp_path))
    file = weight_file(tmp_path)
    assert weights_job.find("ms-convlstm") == file
    with pytest.raises(WrongUsage):
        weights_job.forecaster("ms-convlstn")


def test_the_job_runs_a_network_and_passes_its_notes_on(no_weights: Path) -> None:
    weight_file(no_weights, step_minutes=10.0)
    archive = sequence(moving_square, 8)
    events = list(run(ForecastRequest(archive, forecaster="ms-convlstm", lead_times=4), Scope()))
    frames = [event for event in events if isinstance(event, FrameReady)]
    assert len(frames) == 4
    assert any(isinstance(event, Warned) and "10 min" in event.text for event in events)
    assert isinstance(events[-1], Finished)
