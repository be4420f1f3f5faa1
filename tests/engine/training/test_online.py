"""Learning while frames come in: one step a segment, set back where it harms, the weight file untouched."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.cancel import CancelToken
from engine.errors import Cancelled
from engine.forecasters.neural import NeuralForecaster
from engine.forecasters.protocol import Context
from engine.jobs.benchmark import BenchmarkRequest
from engine.jobs.benchmark import run as benchmark
from engine.jobs.events import Finished
from engine.jobs.online import OnlineForecaster
from engine.jobs.scope import Scope
from engine.networks import weights
from engine.networks.configuration import Configuration, build
from engine.radar.scaling import unit_pixel
from engine.radar.sequence import stack_rain_rate
from engine.radar.units import ZR
from engine.training.online import OnlineLearner, OnlineWish, fullest
from engine.verification.protocol import OnlineModel, Setting, trials
from tests import builders
from tests.engine.sequences import START, sequence
from tests.engine.training.packed import rain

WORDS = Configuration("recurrent", "convlstm", "multi-scale", 2, inputs=5, leads=5)
EDGES = tuple(float(edge) for edge in unit_pixel(np.array([2.0, 5.0, 10.0, 30.0]), ZR()))


def network() -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return build(WORDS)


def unit(first: int, count: int = 5) -> np.ndarray:
    return unit_pixel(np.stack([rain(index) for index in range(first, first + count)]), ZR())


def shown(learner: OnlineLearner, segments: int) -> OnlineLearner:
    for number in range(segments):
        learner.store(unit(5 * number), new_episode=number == 0)
    return learner


def state(learner: OnlineLearner) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in learner.network.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_it_learns_once_25_frames_are_there() -> None:
    given = network()
    before = {name: value.clone() for name, value in given.state_dict().items()}
    learner = shown(OnlineLearner(given, EDGES), 4)
    assert learner.update() is None
    learner.store(unit(20), new_episode=False)
    outcome = learner.update()
    assert outcome is not None
    assert outcome.kept
    assert outcome.after <= outcome.before
    assert not same(before, state(learner))
    assert same(before, dict(given.state_dict()))


def test_the_step_is_adagrads_first_step() -> None:
    """AdaGrad's first step is the rate times the sign of the gradient, whatever the loss is scaled by."""
    learner = shown(OnlineLearner(network(), EDGES), 5)
    before = state(learner)
    assert learner.update() is not None
    moved = torch.cat([(value - before[name]).abs().flatten() for name, value in state(learner).items()])
    assert float(moved.max()) == pytest.approx(1e-4, rel=1e-2)
    assert float(moved.median()) == pytest.approx(1e-4, rel=5e-2)


def test_a_step_that_harms_the_newest_forecast_is_set_back() -> None:
    learner = shown(OnlineLearner(network(), EDGES, OnlineWish(lr=10.0)), 5)
    before, steps = state(learner), len(learner.optimiser.state)
    outcome = learner.update()
    assert outcome is not None
    assert not outcome.kept
    assert outcome.after > outcome.before
    assert same(before, state(learner))
    assert all(float(kept["step"]) == 0 for kept in learner.optimiser.state.values())
    assert len(learner.optimiser.state) == steps


def test_a_new_episode_forgets_frames_but_not_what_was_learnt() -> None:
    learner = shown(OnlineLearner(network(), EDGES), 5)
    learner.update()
    learnt = state(learner)
    learner.store(unit(0), new_episode=True)
    assert learner.update() is None
    assert same(learnt, state(learner))


def test_learning_over_a_whole_event_helps() -> None:
    """An untrained network's newest forecasts get better from segment to segment."""
    learner = OnlineLearner(network(), EDGES, OnlineWish(lr=0.02))
    outcomes = []
    for number in range(24):
        learner.store(unit(5 * number), new_episode=number == 0)
        if (outcome := learner.update()) is not None:
            outcomes.append(outcome.before)
    assert np.mean(outcomes[-5:]) < 0.9 * np.mean(outcomes[:5])


def test_stopping_leaves_the_weights_as_they_were() -> None:
    token = CancelToken()
    learner = shown(OnlineLearner(network(), EDGES, token=token), 5)
    before = state(learner)
    token.cancel()
    with pytest.raises(Cancelled):
        learner.update()
    assert same(before, state(learner))


def test_frames_smaller_than_the_network_takes_are_left_alone() -> None:
    learner = OnlineLearner(network(), EDGES)
    learner.store(np.zeros((25, 3, 3), np.float32), new_episode=True)
    assert learner.update() is None


def test_the_fullest_window() -> None:
    field = np.zeros((100, 80))
    field[60:70, 50:60] = 1
    row, column = fullest(field, 32, 32)
    assert field[row:row + 32, column:column + 32].sum() == 100


@pytest.fixture
def weight_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    weights.save(folder / "ms-convlstm.safetensors", network(), weights.Header("ms-convlstm", WORDS, 5.0, 1.0))
    monkeypatch.setenv("STORMDECK_WEIGHTS", str(folder))
    return folder / "ms-convlstm.safetensors"


def test_a_forecaster_that_learns_by_the_protocol(weight_file: Path) -> None:
    archive = sequence(rain, 60)
    assert archive.step_minutes is not None
    plain = NeuralForecaster(weight_file)
    online = OnlineForecaster(plain, archive.grid, archive.step_minutes, archive.zr, Context(), leads=20)
    assert isinstance(online, OnlineModel)
    before = hashlib.sha256(weight_file.read_bytes()).hexdigest()
    forecasts = []
    for trial in trials(archive, Setting()):
        online.store(stack_rain_rate(archive, trial.fresh), trial.new_episode)
        online.update()
        forecasts.append(list(online.predict()))
    assert len(online.outcomes) == len(forecasts) - 4
    assert {len(forecast) for forecast in forecasts} == {20}
    assert hashlib.sha256(weight_file.read_bytes()).hexdigest() == before


@pytest.mark.slow
def test_the_benchmark_lets_networks_learn_online(weight_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    for k in range(50):
        stored = np.nan_to_num(rain(k)).round().astype(np.uint8)
        builders.odim(folder / f"{k:03}.h5", [stored], [START + timedelta(minutes=5 * k)])
    scores = {}
    for protocol in ("offline", "online"):
        request = BenchmarkRequest(archives=((folder,),), forecasters=("ms-convlstm", "persistence"),
                                   protocol=protocol, device="cpu")
        last = list(benchmark(request, Scope()))[-1]
        assert isinstance(last, Finished)
        scores[protocol] = last.result["forecasters"]
    assert scores["offline"]["persistence"] == scores["online"]["persistence"]
    assert scores["offline"]["ms-convlstm"] != scores["online"]["ms-convlstm"]
