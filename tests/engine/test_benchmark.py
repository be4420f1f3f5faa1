"""The benchmark job: the same answers as forecasting and verifying by hand, resumable, one order of adding."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import catalogue
from engine.cancel import CancelToken
from engine.errors import Cancelled, NotEnoughInput, NoWeights, WrongUsage
from engine.export.tables import as_csv, as_latex, as_markdown
from engine.forecasters.protocol import Context, Inputs, LeadFrame, Options
from engine.jobs import benchmark_units, cluster, convert
from engine.jobs.benchmark import BenchmarkRequest, run
from engine.jobs.benchmark_units import Unit, entrants, work_off
from engine.jobs.convert import Changes
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


class Dice(East):
    """Rain where the dice fall."""

    draws = True

    def run(self, inputs: Inputs, options: Options, context: Context) -> Iterator[LeadFrame]:
        rng = np.random.default_rng(options.seed)
        for lead in range(1, options.lead_times + 1):
            wet = rng.random(inputs.frames.shape[1:]) < 0.1 + 0.05 * options.seed
            yield LeadFrame(lead * inputs.step_minutes, np.where(wet, 8.0, 0.0).astype(np.float32))


HERE = "tests.engine.test_benchmark"
ROWS = (catalogue.Row("forecaster", "east", "East", f"{HERE}:East"),
        catalogue.Row("forecaster", "listener", "Listener", f"{HERE}:Listener"),
        catalogue.Row("forecaster", "dice", "Dice", f"{HERE}:Dice"))


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> RadarSequence:
    found = sequence(lambda i: moving_square(i, (24, 48)), 22, missing=(12,))
    monkeypatch.setattr(convert, "open_archive", lambda paths, **how: found)
    monkeypatch.setattr(catalogue, "_plugins", lambda: ROWS)
    return found


class Killed(Scope):
    """Stops the job after the second sequence."""

    def progress(self, fraction: float | None, text: str = "") -> None:
        if ", 2 of" in text:
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
    # fewer sequences than are kept: only those count
    assert result(work=tmp_path / "two.sqlite", limit=1) == result(limit=1) != whole


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
                  {"seeds": ()}, {"seeds": (1, 1)}, {"forecasters": ("eest",)},
                  {"workers": 2, "scheduler": "tcp://localhost:8786"},
                  {"tables": (Path("x.doc"),)}, {"protocol": "online", "every": 6}):
        with pytest.raises(WrongUsage):
            result(**wrong)
    with pytest.raises(NotEnoughInput):
        result(lead_times=20)


def test_tables_mark_best_and_second(archive: RadarSequence, tmp_path: Path) -> None:
    tables = tuple(tmp_path / f"t{suffix}" for suffix in (".csv", ".md", ".tex", ".json"))
    found = result(tables=tables)
    assert [t.read_text(encoding="utf-8") for t in tables[:3]] == [as_csv(found), as_markdown(found), as_latex(found)]
    assert json.loads(tables[3].read_text(encoding="utf-8")) == json.loads(json.dumps(found))
    markdown = as_markdown(found).splitlines()
    assert markdown[3].startswith("| east | **1.0000** |")
    assert markdown[2].startswith("| persistence | <u>")
    assert r"\textbf{1.0000}" in as_latex(found)
    assert r"\multicolumn{5}{c}{CSI $\uparrow$}" in as_latex(found)
    assert as_csv(found).splitlines()[0].startswith("forecaster,CSI r>=0.5")
    assert "Standard deviation" not in as_markdown(found)


def test_seeds_are_averaged_and_their_spread_is_told(archive: RadarSequence, tmp_path: Path) -> None:
    found = result(forecasters=("dice", "persistence"), seeds=(0, 1, 4), work=tmp_path / "w.sqlite")
    dice, persistence = found["forecasters"]["dice"], found["forecasters"]["persistence"]
    # one seed is enough where seeds make no difference
    assert (dice["seeds"], persistence["seeds"]) == ([0, 1, 4], [0])
    assert "std" not in persistence
    alone = [result(forecasters=("dice",), seeds=(seed,))["forecasters"]["dice"] for seed in (0, 1, 4)]
    assert len({one["mean"]["b_mse"] for one in alone}) == 3
    for score in ("csi", "hss"):
        assert dice["mean"][score][3:] == dice["std"][score][3:] == [None, None]  # 10 and 30 mm/h are never reached
        singles = np.array([one["mean"][score][:3] for one in alone])
        assert dice["mean"][score][:3] == pytest.approx(singles.mean(axis=0))
        assert dice["std"][score][:3] == pytest.approx(singles.std(axis=0, ddof=1))
        assert dice[score][0] == pytest.approx(np.mean([one[score][0] for one in alone], axis=0))
    assert dice["std"]["b_mae"] == pytest.approx(np.std([one["mean"]["b_mae"] for one in alone], ddof=1))
    assert dice["by_seed"]["4"]["counts"] == alone[2]["counts"]
    for text in (as_markdown(found), as_latex(found)):
        mean, spread = text.split("Standard deviation over seeds")
        assert f"{dice['mean']['csi'][0]:.4f}" in mean
        assert f"{dice['std']['csi'][0]:.4f}" in spread
        assert "persistence" in mean
        assert "persistence" not in spread
    header, first, second = as_csv(found).splitlines()
    assert header.count("std CSI") == 5
    assert first.split(",")[header.split(",").index("seeds")] == "0 1 4"
    assert second.endswith("," * 12)
    # more seeds may join later, and cost only themselves
    assert result(forecasters=("dice",), seeds=(0, 1), work=tmp_path / "w.sqlite")["forecasters"]["dice"]["mean"] == \
        result(forecasters=("dice",), seeds=(0, 1))["forecasters"]["dice"]["mean"]


def test_equal_figures_share_their_mark() -> None:
    def scores(csi: float | None) -> dict[str, Any]:
        return {"mean": {"csi": [csi], "hss": [0.5], "b_mse": 1.2, "b_mae": 3.0}, "coverage": 1.0, "seeds": [0],
                "sequences": 2}

    table = {"thresholds_mm_h": [0.5], "forecasters": {"a": scores(0.61), "b": scores(0.6), "c": scores(0.61),
                                                       "d": scores(None)}}
    lines = as_markdown(table).splitlines()[2:]
    assert [line.split(" | ")[2] for line in lines] == ["0.5000"] * 4, "nobody is better"
    cells = [line.split(" | ")[1] for line in lines]
    assert cells == ["**0.6100**", "<u>0.6000</u>", "**0.6100**", "-"]


def test_a_weight_file_of_its_own_makes_a_seed_another_entrant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(benchmark_units.weights, "folders", lambda: iter([tmp_path]))
    with pytest.raises(NoWeights):
        entrants("trajgru", (0, 1))
    for name, content in (("trajgru", b"one"), ("trajgru-seed2", b"two")):
        (tmp_path / f"{name}.safetensors").write_bytes(content)
    assert [e.seed for e in entrants("trajgru", (0, 1, 2))] == [0, 2]
    before = entrants("trajgru", (0,))[0].key
    (tmp_path / "trajgru.safetensors").write_bytes(b"trained longer")
    assert entrants("trajgru", (0,))[0].key != before
    assert [e.seed for e in entrants("persistence", (5, 6))] == [5]


def test_a_learner_is_one_piece_and_others_one_piece_a_sequence(archive: RadarSequence, tmp_path: Path) -> None:
    seen: list[Unit] = []

    def shared(units: list[Unit], crew: cluster.Crew, token: CancelToken) -> Iterator[tuple[Unit, list[Any]]]:
        seen.extend(units)
        for unit in reversed(units):
            yield unit, work_off(unit)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster, "share_out", shared)
        found = result(forecasters=("listener", "persistence"), protocol="online", workers=2)
    assert [unit.trials for unit in seen] == [(0, 1, 2), (0,), (1,), (2,)]
    assert found["forecasters"] == result(forecasters=("listener", "persistence"), protocol="online")["forecasters"]


def test_crops_and_pixel_sizes_belong_to_the_plan(archive: RadarSequence, tmp_path: Path) -> None:
    coarse = result(changes=Changes(pixel_km=2.0), work=tmp_path / "w.sqlite")
    assert coarse["changes"] == {"pixel_km": "2.0"}
    assert coarse["forecasters"]["persistence"]["pixels"][0] == 3 * 12 * 24
    with pytest.raises(WrongUsage, match="another benchmark"):
        result(work=tmp_path / "w.sqlite")
