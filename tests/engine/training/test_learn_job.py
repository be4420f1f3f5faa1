"""A network learns from the newest frames of a live archive, segment by segment, and forecasts use it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.cancel import CancelToken
from engine.errors import Cancelled, WrongUsage
from engine.jobs import learn
from engine.jobs.events import FrameReady
from engine.jobs.forecast import ForecastRequest
from engine.jobs.forecast import run as forecast
from engine.jobs.learn import Learned, LearnRequest
from engine.jobs.scope import Scope
from engine.radar.sequence import RadarSequence
from engine.training.online import OnlineLearner
from tests.engine.sequences import sequence
from tests.engine.tiny_weights import tiny_weights
from tests.engine.training.packed import rain


@pytest.fixture
def weight_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return tiny_weights(tmp_path / "weights", monkeypatch)


def frames(count: int) -> RadarSequence:
    return sequence(rain, count)


def learned(count: int, before: Learned | None = None, archive: RadarSequence | None = None,
            scope: Scope | None = None) -> Learned:
    request = LearnRequest(archive or frames(count), "ms-convlstm", before.learner if before else None, "cpu")
    said = next(learn.run(request, scope or Scope()))
    assert isinstance(said, Learned)
    return said


def test_it_learns_after_each_segment_of_new_frames(weight_file: Path) -> None:
    before = hashlib.sha256(weight_file.read_bytes()).hexdigest()
    first = learned(30)
    assert (first.learned, first.waiting, first.network) == (0, learn.SEGMENT, None), "what was there is not new"
    assert learned(33, first).waiting == 2
    second = learned(35, first)
    assert second.learned + second.rolled_back == 1
    assert second.waiting == learn.SEGMENT
    third = learned(42, second)
    assert third.learned + third.rolled_back == 2
    assert hashlib.sha256(weight_file.read_bytes()).hexdigest() == before


def outcomes(monkeypatch: pytest.MonkeyPatch, values: Callable[[], float]) -> None:
    def newest(self: OnlineLearner, piece: torch.Tensor) -> float:
        return values()

    monkeypatch.setattr(OnlineLearner, "_newest", newest)


def test_a_step_that_harms_is_taken_back_and_counted(weight_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = learned(30)
    outcomes(monkeypatch, iter([1.0, 2.0, 2.0, 1.0]).__next__)
    second = learned(35, first)
    assert (second.learned, second.rolled_back, second.network) == (0, 1, None)
    third = learned(40, second)
    assert (third.learned, third.rolled_back) == (1, 1)
    assert third.network is not None


def predicted(network: object) -> np.ndarray:
    request = ForecastRequest(frames(40), forecaster="ms-convlstm", index=20, lead_times=3, device="cpu",
                              network=network)
    return np.stack([event.rain_rate for event in forecast(request, Scope()) if isinstance(event, FrameReady)])


def test_forecasts_use_a_copy_of_what_was_learnt(weight_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.training.online.OnlineWish.lr", 0.1)
    first = learned(30)
    outcomes(monkeypatch, lambda: 1.0)
    second = learned(35, first)
    assert second.network is not None
    plain, adapted = predicted(None), predicted(second.network)
    assert not np.array_equal(plain, adapted, equal_nan=True)
    learned(40, second)
    assert np.array_equal(adapted, predicted(second.network), equal_nan=True), "later learning leaves it alone"
    with pytest.raises(WrongUsage):
        list(forecast(ForecastRequest(frames(40), forecaster="persistence", network=second.network), Scope()))


def test_where_it_cannot_learn_it_says_why(weight_file: Path) -> None:
    with pytest.raises(WrongUsage, match="does not learn"):
        next(learn.run(LearnRequest(frames(30), "persistence"), Scope()))
    with pytest.raises(WrongUsage, match="does not learn"):
        next(learn.run(LearnRequest(frames(30), "lagrangian-unet"), Scope()))
    first = learned(10)
    short = learned(16, first)
    assert short.note
    assert short.learned == 0
    assert learned(26, short).learned + learned(26, short).rolled_back == 1, "once 25 frames are there"


def test_stopping_leaves_the_learner_as_it_was(weight_file: Path) -> None:
    first = learned(30)
    second = learned(35, first)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        learned(40, second, scope=Scope(token))
    third = learned(40, second)
    assert third.learned + third.rolled_back == second.learned + second.rolled_back + 1


def test_of_a_large_domain_only_a_part_is_learnt_from(weight_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learn, "LARGEST", 16)
    second = learned(35, learned(30))
    assert second.learner.part is not None
    assert second.learner.online is not None
    assert second.learner.online.grid.shape == (16, 16)
    assert second.learned + second.rolled_back == 1
