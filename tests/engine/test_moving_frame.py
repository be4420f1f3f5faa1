"""The moving frame against motions known exactly, and the network that works in it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from engine.cancel import CancelToken
from engine.errors import Cancelled
from engine.forecasters.advection import origins
from engine.forecasters.lagrangian import LagrangianForecaster
from engine.forecasters.moving_frame import Motion, back_to_the_map, past
from engine.forecasters.optical_flow import Flow
from engine.forecasters.protocol import Context, Inputs, Options
from engine.forecasters.rover import RoverNonlinear
from engine.jobs.forecast import ForecastRequest, gather, inputs_for
from engine.jobs.scope import Scope
from engine.networks.configuration import Configuration, build
from engine.networks.lagrangian_unet import THRESHOLDS_MM_H, LagrangianUNet, quantile_field
from engine.networks.weights import Header, save
from engine.radar.units import ZR
from engine.training.moving_packs import ABSENT, moved, moving_candidates
from engine.training.packs import PackSettings
from tests.engine.sequences import sequence

SHAPE = (96, 96)
TOKEN = CancelToken()


def steady(east: float, south: float, step: float = 5.0) -> Motion:
    values = torch.tensor([east, south])[:, None, None].expand(2, 24, 24).clone()
    return Motion(Flow(values, 4, SHAPE), None, step)


def storm(shift: float = 0.0) -> NDArray[np.float32]:
    """(96, 96) mm/h, moved east by whole cells."""
    y, x = np.mgrid[:96, :96].astype(np.float32)
    return (30 * np.exp(-((x - 40 - shift) ** 2 + (y - 48) ** 2) / 60)).astype(np.float32)


def test_displacements_grow_with_time_and_are_interpolated_between_steps() -> None:
    motion = steady(2.0, -1.0)
    found = [shift[:, 12, 12].tolist() for shift in motion.walk([2.5, 5.0, 12.0], TOKEN)]
    assert found == [pytest.approx([-1.0, 0.5]), pytest.approx([-2.0, 1.0]), pytest.approx([-4.8, 2.4])]
    assert next(motion.walk([10.0], TOKEN, forward=True))[:, 12, 12].tolist() == pytest.approx([4.0, -2.0])


def test_whole_steps_are_those_of_advection() -> None:
    turning = torch.randn(2, 24, 24, generator=torch.Generator().manual_seed(1))
    flow = Flow(turning, 4, SHAPE)
    walked = list(Motion(flow, None, 5.0).walk([5.0, 10.0, 15.0], TOKEN))
    for mine, theirs in zip(walked, origins(flow, 3), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_a_storm_that_only_moves_stands_still_in_the_moving_frame() -> None:
    frames = np.stack([storm(2.0 * (k - 4)) for k in range(5)])
    ages = [20.0, 15.0, 10.0, 5.0, 0.0]
    for seen in past(frames, ages, ages, steady(2.0, 0.0), TOKEN):
        np.testing.assert_allclose(seen[:, 10:-10], storm()[:, 10:-10], atol=1e-4)


def test_between_two_frames_the_moved_ones_are_mixed() -> None:
    """A storm that moves and grows evenly, seen every 15 minutes, is right in between."""
    grown = [np.float32(scale) * storm(6.0 * (k - 2)) for k, scale in enumerate((1.0, 1.5, 2.0))]
    seen = list(past(np.stack(grown), [30.0, 15.0, 0.0], [20.0, 10.0, 5.0, 0.0], steady(6.0, 0.0, 15.0), TOKEN))
    for field, scale in zip(seen, (4 / 3, 5 / 3, 11 / 6, 2.0), strict=True):
        np.testing.assert_allclose(field[:, 14:-14], scale * storm()[:, 14:-14], rtol=1e-3, atol=1e-3)


def test_no_data_of_one_frame_is_filled_from_the_other_and_of_both_stays() -> None:
    frames = np.stack([storm(), storm()])
    frames[0, :10] = np.nan
    frames[:, -10:] = np.nan
    seen = next(past(frames, [10.0, 0.0], [5.0], steady(0.0, 0.0), TOKEN))
    assert not np.isnan(seen[:-10]).any()
    assert np.isnan(seen[-10:]).all()


def test_back_on_the_map_the_storm_has_moved() -> None:
    fields = list(back_to_the_map(iter([storm(), storm()]), [5.0, 10.0], steady(3.0, 0.0), TOKEN,
                                  device=torch.device("cpu")))
    for field, shift in zip(fields, (3.0, 6.0), strict=True):
        np.testing.assert_allclose(field[:, 8:], storm(shift)[:, 8:], atol=1e-4)
        assert np.isnan(field[:, :int(shift) - 1]).all()


def test_the_field_reaches_exactly_the_thresholds_that_are_decided() -> None:
    draw = torch.Generator().manual_seed(0)
    falling = -torch.nn.functional.softplus(torch.randn(7, 50, 50, generator=draw))
    logits = torch.cat((torch.randn(1, 50, 50, generator=draw) * 3, falling)).cumsum(0)
    decision = torch.linspace(0.45, 0.2, 8)
    rain = quantile_field(logits, decision)
    reached = torch.cumprod((torch.sigmoid(logits) >= decision[:, None, None]).int(), 0).bool()
    for row, threshold in enumerate(THRESHOLDS_MM_H):
        assert torch.equal(rain >= threshold, reached[row])
    assert float(rain.min()) >= 0
    assert float(rain.max()) < 1.5 * THRESHOLDS_MM_H[-1]


def test_probabilities_fall_with_the_threshold_and_a_choice_of_leads_is_the_same_as_all() -> None:
    torch.manual_seed(0)
    network = LagrangianUNet(5, 20).eval()
    frames, pixel = torch.rand(2, 6, 48, 64), torch.tensor([1.0, 2.0])
    with torch.inference_mode():
        whole = network(frames, pixel)
        some = network(frames, pixel, torch.tensor([0, 7, 19]))
    assert whole.shape == (2, 20, 8, 48, 64)
    assert bool((whole[:, :, 1:] <= whole[:, :, :-1]).all())
    torch.testing.assert_close(some, whole[:, [0, 7, 19]], atol=1e-5, rtol=1e-5)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A network whose probability of every threshold is that of its biases, far above the decision up to 2 mm/h."""
    words = Configuration("lagrangian-unet", inputs=5, leads=20)
    network = build(words)
    assert isinstance(network, LagrangianUNet)
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.copy_(torch.tensor([3.0, -9.0, -9.0, -9.0, 9.0, -9.0, -9.0, -9.0]).repeat(20))
    path = tmp_path / "lagrangian-unet.safetensors"
    save(path, network, Header("lagrangian-unet", words, 5.0, 1.0))
    return path


def inputs(frames: NDArray[np.float32], step: float = 5.0) -> Inputs:
    like = sequence(lambda index: frames[index], len(frames))
    times = tuple(like.times[0] + timedelta(minutes=step * k) for k in range(len(frames)))
    return Inputs(frames, times, step, like.grid, ZR(200.0, 1.6))


def test_the_forecast_covers_what_the_optical_flow_covers_and_invents_no_rain(weights: Path) -> None:
    frames = np.stack([storm(2.0 * (k - 4)) for k in range(5)])
    frames[:, :, :8] = np.nan
    given = inputs(frames)
    mine = list(LagrangianForecaster(weights).run(given, Options(3), Context()))
    flow = list(RoverNonlinear().run(given, Options(3), Context()))
    assert [frame.lead_minutes for frame in mine] == [5.0, 10.0, 15.0]
    for one, other in zip(mine, flow, strict=True):
        assert np.array_equal(np.isnan(one.rain_rate), np.isnan(other.rain_rate))
        known = np.isfinite(one.rain_rate)
        area = [int((field[known] >= 2.0).sum()) for field in (one.rain_rate, frames[-1])]
        assert 0.95 <= area[0] / area[1] <= 1.35  # as wide as it was, a little more
    dry = list(LagrangianForecaster(weights).run(inputs(np.zeros_like(frames)), Options(2), Context()))
    assert all((frame.rain_rate == 0).all() for frame in dry)


@pytest.mark.parametrize(("step", "frames"), [(2.0, 11), (5.0, 5), (10.0, 3), (15.0, 3)])
def test_it_asks_for_twenty_minutes_of_frames_and_says_when_steps_differ(weights: Path, step: float,
                                                                        frames: int) -> None:
    forecaster = LagrangianForecaster(weights)
    assert forecaster.wanted_inputs(step) == frames
    given = inputs(np.stack([storm()] * frames), step)
    assert bool(forecaster.notes(given)) == (step != 5.0)
    out = list(forecaster.run(given, Options(2), Context()))
    assert [frame.lead_minutes for frame in out] == [step, 2 * step]


def test_it_can_be_cancelled(weights: Path) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        list(LagrangianForecaster(weights).run(inputs(np.stack([storm()] * 5)), Options(2), Context(token)))


def test_packs_in_the_moving_frame_hold_a_storm_that_stands_still() -> None:
    def noisy(index: int) -> NDArray[np.float32]:
        wide = ndimage.gaussian_filter(np.random.default_rng(2).standard_normal((96, 300)), 5)
        return np.maximum(wide[:, 100 - 2 * index:196 - 2 * index] / wide.std() * 8, 0).astype(np.float32)

    archive = sequence(noisy, 14)
    settings = PackSettings(length=12, stride=1, moving=5)
    runs = moving_candidates(archive, settings)
    assert [run.indices.count(ABSENT) for run in runs] == [0, 0, 0, 1, 2, 3]
    fields = moved(archive, runs[0], settings, TOKEN)
    assert len(fields) == 12
    reference = fields[4]
    assert np.array_equal(reference, archive.rain_rate(4))
    inside = (slice(20, -20), slice(24, -24))
    for field in (fields[0], fields[2], fields[8]):
        assert np.corrcoef(field[inside].ravel(), reference[inside].ravel())[0, 1] > 0.98
    still = np.corrcoef(archive.rain_rate(8)[inside].ravel(), reference[inside].ravel())[0, 1]
    assert still < 0.7
    absent = moved(archive, runs[-1], settings, TOKEN)
    assert np.isnan(absent[-1]).all()
    assert not np.isnan(absent[4]).any()


@pytest.mark.parametrize(("index", "count"), [(None, 11), (6, 5)])
def test_a_forecast_takes_twenty_minutes_of_frames_where_the_archive_has_them(
        weights: Path, monkeypatch: pytest.MonkeyPatch, index: int | None, count: int) -> None:
    monkeypatch.setenv("STORMDECK_WEIGHTS", str(weights.parent))
    archive = sequence(lambda k: storm(), 15, step_minutes=2)
    request = ForecastRequest(sequence=archive, forecaster="lagrangian-unet", lead_times=1, index=index)
    forecaster = LagrangianForecaster(weights)
    needed = inputs_for(forecaster, archive, request)
    assert len(gather(archive, request, needed, Scope()).frames) == count
