"""What was learnt online becomes a weight file that says so; nothing that was there before is written."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import resources
from engine.errors import WrongUsage
from engine.jobs import keep_learnt
from engine.jobs.events import Finished
from engine.jobs.keep_learnt import KeepLearntRequest
from engine.jobs.learn import Learned, Learner
from engine.jobs.scope import Scope
from engine.networks import weights
from engine.training.online import OnlineLearner
from tests.engine.sequences import START
from tests.engine.tiny_weights import tiny_weights
from tests.engine.training.test_learn_job import learned


@pytest.fixture
def weight_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return tiny_weights(tmp_path / "weights", monkeypatch)


def step_that_is_kept(monkeypatch: pytest.MonkeyPatch) -> Learned:
    values = iter([2.0, 1.0])
    monkeypatch.setattr(OnlineLearner, "_newest", lambda self, piece: next(values))
    return learned(35, learned(30))


def wish(said: Learned, output: Path) -> KeepLearntRequest:
    return KeepLearntRequest(said.learner, said.network, said.learned, said.rolled_back, "a storm", START, output)


def kept(request: KeepLearntRequest) -> Path:
    *_, end = keep_learnt.run(request, Scope())
    assert isinstance(end, Finished)
    return Path(end.result["weights"])


def test_the_file_holds_what_was_learnt_and_says_so(weight_file: Path, tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    before = hashlib.sha256(weight_file.read_bytes()).hexdigest()
    said = step_that_is_kept(monkeypatch)
    file = kept(wish(said, tmp_path / "new" / "mine"))
    assert file == tmp_path / "new" / "mine.safetensors"
    network, header = weights.load(file)
    for name, value in said.network.state_dict().items():
        assert torch.equal(network.state_dict()[name], value.cpu()), name
    old = weights.read_header(weight_file)
    assert (header.name, header.configuration, header.card.scores) == (old.name, old.configuration, {})
    assert header.card.steps == old.card.steps + 1
    assert "online on a storm" in header.card.data
    assert "one step kept, 0 taken back" in header.card.note
    assert "Not scored since" in header.card.note
    assert hashlib.sha256(weight_file.read_bytes()).hexdigest() == before


def test_weights_that_were_there_are_never_written(weight_file: Path, tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    said = step_that_is_kept(monkeypatch)
    before = weight_file.read_bytes()
    shipped = resources.path("weights")
    for output in (weight_file, weight_file.with_suffix(""), shipped / "mine.safetensors",
                   shipped / "ms-convlstm.safetensors"):
        listed = sorted(shipped.iterdir())
        with pytest.raises(WrongUsage):
            kept(wish(said, output))
        assert sorted(shipped.iterdir()) == listed
    assert weight_file.read_bytes() == before


def test_where_nothing_was_learnt_there_is_nothing_to_keep(weight_file: Path, tmp_path: Path) -> None:
    said = replace(learned(30), learner=Learner())
    with pytest.raises(WrongUsage, match="Nothing was learnt"):
        kept(wish(said, tmp_path / "mine.safetensors"))
