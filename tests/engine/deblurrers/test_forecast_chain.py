"""A deblurrer behind a forecaster in the job and on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from engine import catalogue, commands
from engine.deblurrers.yardsticks import Unsharp
from engine.errors import Cancelled, NoWeights, WrongUsage
from engine.jobs import weights
from engine.jobs.events import FrameReady, ScoreReady, Warned
from engine.jobs.forecast import ForecastRequest, run
from engine.jobs.sample import SampleRequest
from engine.jobs.sample import run as write_sample
from engine.jobs.scope import Scope
from tests.engine.sequences import moving_square, sequence

NAMES = [row.name for row in catalogue.rows("deblurrer") if row.parameters == 0]


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("storm") / "archive"
    for _ in write_sample(SampleRequest(output=folder, frames=10, size=(64, 64), seed=3), Scope()):
        pass
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_every_deblurrer_without_weights_runs_and_is_repeatable(name: str, storm: Path) -> None:
    wish = ForecastRequest(paths=(storm,), forecaster="rover-nonlinear", index=5, lead_times=3, deblurrer=name)
    first, again = ([e for e in run(wish, Scope()) if isinstance(e, FrameReady)] for _ in range(2))
    plain = [e for e in run(ForecastRequest(paths=(storm,), forecaster="rover-nonlinear", index=5, lead_times=3),
                            Scope()) if isinstance(e, FrameReady)]
    assert [f.lead_minutes for f in first] == [f.lead_minutes for f in plain]
    for a, b, c in zip(first, again, plain, strict=True):
        np.testing.assert_array_equal(a.rain_rate, b.rain_rate)
        np.testing.assert_array_equal(np.isnan(a.rain_rate), np.isnan(c.rain_rate))
        assert not np.array_equal(a.rain_rate, c.rain_rate, equal_nan=True)
        assert abs(np.nansum(a.rain_rate) / np.nansum(c.rain_rate) - 1) < 0.1


def test_scores_are_those_of_the_sharpened_forecast() -> None:
    archive = sequence(lambda index: moving_square(index, rate=9.8), 8)
    events = list(run(ForecastRequest(archive, index=5, lead_times=1, score=True, deblurrer="unsharp"), Scope()))
    frame = next(e for e in events if isinstance(e, FrameReady))
    score = next(e for e in events if isinstance(e, ScoreReady))
    assert int(score.tally.contingency((10.0,)).fp[0]) == int((frame.rain_rate >= 10).sum()) > 0


def test_a_total_that_was_scaled_back_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "deblurrer", lambda name: Unsharp(width_km=3, amount=20))
    archive = sequence(moving_square, 8)
    events = list(run(ForecastRequest(archive, index=5, lead_times=2, deblurrer="unsharp"), Scope()))
    told = [e for e in events if isinstance(e, Warned)]
    assert len(told) == 1
    assert "2 fields were scaled back" in told[0].text


def test_one_without_weights_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "rows", lambda kind: (catalogue.Row(kind, "big", "Big", "nowhere:Big", "", 5),)
                        if kind == "deblurrer" else tuple(r for r in catalogue.ROWS if r.kind == kind))
    monkeypatch.setattr(weights, "folders", lambda: iter([tmp_path]))
    with pytest.raises(NoWeights):
        next(run(ForecastRequest(paths=(tmp_path / "absent",), deblurrer="big"), Scope()))
    with pytest.raises(WrongUsage, match="Did you mean 'big'"):
        next(run(ForecastRequest(paths=(tmp_path / "absent",), deblurrer="bigg"), Scope()))


def test_cancelled_it_leaves_no_file(tmp_path: Path) -> None:
    scope, output = Scope(), tmp_path / "forecast.nc"
    events = run(ForecastRequest(sequence(moving_square, 8), lead_times=4, output=output, deblurrer="wiener"), scope)
    while not isinstance(next(events), FrameReady):
        pass
    scope.token.cancel()
    with pytest.raises(Cancelled):
        list(events)
    assert list(tmp_path.iterdir()) == []


def test_the_command_and_its_file_name_the_deblurrer(storm: Path, tmp_path: Path,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "sharp.nc"
    code = commands.run(["forecast", str(storm), "--forecaster", "persistence", "--deblurrer", "unsharp",
                         "--lead-times", "2", "-o", str(output), "--json"])
    assert code == 0
    assert json.loads(capsys.readouterr().out)["deblurrer"] == "unsharp"
    with netCDF4.Dataset(output) as file:
        assert file.deblurrer == "unsharp"
        assert file.forecaster == "persistence"
        assert "sharpened by unsharp" in file.history
