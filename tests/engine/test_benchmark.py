"""The benchmark job: the same answers as forecasting and verifying by hand, resumable, one order of adding."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import catalogue
from engine.errors import Cancelled, NotEnoughInput, WrongUsage
from engine.export.tables import as_csv, as_latex, as_markdown
from engine.forecasters.protocol import Context, Inputs, LeadFrame, Options
from engine.jobs import benchmark
from engine.jobs.benchmark import BenchmarkRequest, run
from engine.jobs.events import Finished
from engine.jobs.scope import Scope
from engine.radar.scaling import rain_bins
from engine.radar.sequence import RadarSequence
from engine.verification.counts import tally_pair
from engine.verification.table import ScoreTable
from tests.engine.sequences import moving_square, sequence

PATHS = ((Path("east"),),)


class East:
    """Moves the last frame one column to the east per step; what comes in has no value."""

    min_inputs = 1

    def run(self, inputs: Inputs, options: Options, context: Context) -> Iterator[LeadFrame]:
        for lead in range(1, options.lead_times + 1):
            moved = np.full_like(inputs.frames[-1], np.nan)
            moved[:, lead:] = inputs.frames[-1][:, :-lead]
            yield LeadFrame(lead * inputs.step_minutes, moved)


class Listener(East):
    """An online learner that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, bool]] = []
        SEEN.append(self)

    def store(self, frames: np.ndarray, new_episode: bool) -> None:
        self.told.append(("store", len(frames), new_episode))

    def update(self) -> None:
        self.told.append(("update", 0, False))

    def predict(self) -> Iterator[np.ndarray]:
        raise NotImplementedError

    def run(self, inputs: Inputs, options: Options, context: Context) -> Iterator[LeadFrame]:
        self.told.append(("predict", len(inputs.frames), False))
        yield from super().run(inputs, options, context)


SEEN: list[Listener] = []


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> RadarSequence:
    found = sequence(lambda i: moving_square(i, (24, 48)), 22, missing=(12,))
    known = {"persistence": catalogue.load("forecaster", "persistence"), "east": East, "listener": Listener}
    monkeypatch.setattr(benchmark, "open_archive", lambda paths, token: found)
    monkeypatch.setattr(catalogue, "row", lambda kind, name: name)
    monkeypatch.setattr(benchmark.weights, "forecaster", lambda name: known[name]())
    return found


class Killed(Scope):
    """Stops the job at the second sequence."""

    def progress(self, fraction: float | None, text: str = "") -> None:
        if "sequence 2" in text:
            self.token.cancel()
        self.token.check()


def result(**wishes: Any) -> dict[str, Any]:
    defaults: dict[str, Any] = {"forecasters": ("persistence", "east"), "lead_times": 4, "every": 3, "device": "cpu"}
    *_, last = run(BenchmarkRequest(PATHS, **{**defaults, **wishes}), Scope())
    assert isinstance(last, Finished)
    json.dumps(last.result, allow_nan=False)
    return last.result


def test_the_right_motion_is_perfect_and_persistence_is_counted(archive: RadarSequence) -> None:
    found = result()
    # episodes of 12 and 9 frames: sequences of 9 start at 0, 3 and at 13
    assert found["forecasters"]["east"]["sequences"] == 3
    assert found["forecasters"]["east"]["lead_steps"] == [1, 2, 3, 4]
    assert found["forecasters"]["east"]["csi"][0] == [1.0] * 4
    assert found["forecasters"]["persistence"]["csi"][0] == pytest.approx([(6 - k) / (6 + k) for k in range(1, 5)])
    assert found["forecasters"]["persistence"]["coverage"] == 1.0
    # k of 48 columns have no value of their own at lead k; they are scored as no rain
    assert found["forecasters"]["east"]["coverage"] == pytest.approx(1 - 2.5 / 48)
    assert {sum(found["forecasters"][n]["pixels"]) for n in ("east", "persistence")} == {3 * 4 * 24 * 48}


def test_scores_are_those_of_pooled_tallies(archive: RadarSequence) -> None:
    table = ScoreTable()
    for start in (0, 3, 12):
        for lead in range(1, 5):
            last, truth = archive.rain_rate(start + 4), archive.rain_rate(start + 4 + lead)
            table.add(lead, tally_pair(truth, last, zr=archive.zr, bins=rain_bins()))
    ours, expected = result()["forecasters"]["persistence"], table.to_json()
    for name in ("csi", "hss", "b_mse", "mae", "counts", "mean"):
        assert ours[name] == expected[name]


def test_a_killed_run_goes_on_with_the_same_numbers(archive: RadarSequence, tmp_path: Path) -> None:
    whole = result(work=tmp_path / "one.sqlite")
    scope = Killed()
    request = BenchmarkRequest(PATHS, ("persistence", "east"), lead_times=4, every=3, device="cpu",
                               work=tmp_path / "two.sqlite")
    with pytest.raises(Cancelled):
        for _ in run(request, scope):
            pass
    assert result(work=tmp_path / "two.sqlite") == whole
    # more forecasters may join; another setting may not
    assert result(work=tmp_path / "two.sqlite", forecasters=("east",))["forecasters"]["east"] == \
        whole["forecasters"]["east"]
    with pytest.raises(WrongUsage, match="another benchmark"):
        result(work=tmp_path / "two.sqlite", lead_times=3)


def test_online_learners_are_told_in_the_papers_order(archive: RadarSequence) -> None:
    SEEN.clear()
    result(forecasters=("listener",), protocol="online")
    assert [what for what, _, _ in SEEN[0].told] == ["store", "update", "predict"] * 3
    assert [(count, new) for what, count, new in SEEN[0].told if what == "store"] == [(5, True), (3, False), (5, True)]
    SEEN.clear()
    result(forecasters=("listener",), protocol="offline")
    assert {what for what, _, _ in SEEN[0].told} == {"predict"}


def test_offline_and_online_test_the_same_sequences(archive: RadarSequence) -> None:
    assert result(protocol="online")["forecasters"] == result(protocol="offline")["forecasters"]


def test_the_papers_switch_adds_the_inputs_predictions_and_says_so(archive: RadarSequence) -> None:
    found = result(paper_outputs=True)
    assert "paper" in found["outputs"]
    scores = found["forecasters"]["persistence"]
    assert scores["lead_steps"] == [-3, -2, -1, 0, 1, 2, 3, 4]
    assert scores["csi"][0][:5] == pytest.approx([5 / 7] * 5)  # one step ahead each


def test_small_values_are_left_out_when_asked(archive: RadarSequence) -> None:
    assert result(small_values=True)["masks"] == "truth and small values"


def test_what_makes_no_sense_is_refused(archive: RadarSequence) -> None:
    for wrong in ({"protocol": "sideways"}, {"forecasters": ()}, {"forecasters": ("east", "east")},
                  {"tables": (Path("x.doc"),)}, {"protocol": "online", "every": 6}):
        with pytest.raises(WrongUsage):
            result(**wrong)
    with pytest.raises(NotEnoughInput):
        result(lead_times=20)


def test_tables_mark_best_and_second(archive: RadarSequence, tmp_path: Path) -> None:
    tables = tuple(tmp_path / f"t{suffix}" for suffix in (".csv", ".md", ".tex"))
    found = result(tables=tables)
    assert [t.read_text() for t in tables] == [as_csv(found), as_markdown(found), as_latex(found)]
    markdown = as_markdown(found).splitlines()
    assert markdown[3].startswith("| east | **1.0000** |")
    assert markdown[2].startswith("| persistence | <u>")
    assert r"\textbf{1.0000}" in as_latex(found)
    assert as_csv(found).splitlines()[0].startswith("forecaster,CSI r>=0.5")
