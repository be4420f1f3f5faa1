"""The downscaler in the forecast job: grid and times of events and file, scores against block means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import commands
from engine.archives import open_archive
from engine.downscalers.fields import block_means
from engine.downscalers.protocol import Factors
from engine.errors import Cancelled, WrongUsage
from engine.export.forecast_file import ForecastHeader, ForecastWriter
from engine.jobs import verify
from engine.jobs.events import Event, Finished, FrameReady, ScoreReady
from engine.jobs.forecast import ForecastRequest, run
from engine.jobs.scope import Scope
from engine.radar.sequence import RadarSequence
from tests.engine.sequences import START, moving_square, sequence


def archive() -> RadarSequence:
    return sequence(moving_square, 12, step_minutes=10)


def events(**wish: object) -> list[Event]:
    request = ForecastRequest(archive(), index=5, lead_times=3, downscaler="trilinear", **wish)  # type: ignore[arg-type]
    return list(run(request, Scope()))


def frames(given: list[Event]) -> list[FrameReady]:
    return [event for event in given if isinstance(event, FrameReady)]


def test_ten_minutes_become_five_and_cells_half_as_wide() -> None:
    found = frames(events())
    assert [frame.lead_minutes for frame in found] == [5, 10, 15, 20, 25, 30]
    assert [frame.lead_index for frame in found] == list(range(6))
    assert found[0].valid_time.minute == 55
    for frame in found:
        assert frame.rain_rate.shape == (48, 64)
        assert frame.grid is not None
        assert frame.grid.extent == pytest.approx(archive().grid.extent)
        assert frame.grid.dx == pytest.approx(500)
        assert isinstance(frame.rain_rate, np.ndarray)
        np.testing.assert_array_equal(frame.as_measured, block_means(frame.rain_rate, Factors()))
    assert START.hour == 12


def test_scores_are_those_of_the_forecast_where_block_means_are_kept() -> None:
    """Conserving persistence: at the given lead times the same counts as without a downscaler, none in between."""
    plain = list(run(ForecastRequest(archive(), index=5, lead_times=3, score=True), Scope()))
    fine = events(score=True, conserve=True)
    before, after = ([event for event in given if isinstance(event, ScoreReady)] for given in (plain, fine))
    assert [score.lead_minutes for score in after] == [10, 20, 30]
    for one, other in zip(before, after, strict=True):
        first, second = one.tally.contingency((0.5,)), other.tally.contingency((0.5,))
        assert (int(first.tp[0]), int(first.fn[0])) == (int(second.tp[0]), int(second.fn[0]))


def test_the_file_has_the_new_grid_and_times(tmp_path: Path) -> None:
    output = tmp_path / "fine.nc"
    result = events(output=output)[-1]
    assert isinstance(result, Finished)
    assert result.result["downscaler"] == "trilinear"
    assert result.result["lead_times_min"] == [5, 10, 15, 20, 25, 30]
    stored = open_archive((output,))
    assert stored.grid.shape == (48, 64)
    assert stored.step_minutes == 5
    np.testing.assert_allclose(stored.rain_rate(1), frames(events())[1].rain_rate)


def test_only_in_time_or_only_in_space() -> None:
    assert [(f.lead_minutes, f.rain_rate.shape) for f in frames(events(refine=(1, 1, 2)))][:2] \
        == [(5, (24, 32)), (10, (24, 32))]
    assert [(f.lead_minutes, f.rain_rate.shape) for f in frames(events(refine=(2, 4, 1)))] \
        == [(10, (48, 128)), (20, (48, 128)), (30, (48, 128))]


def test_members_are_drawn_from_one_forecast(tmp_path: Path) -> None:
    request = ForecastRequest(archive(), index=5, lead_times=2, downscaler="rainfarm", members=3,
                              output=tmp_path / "drawn.nc")
    found = frames(list(run(request, Scope())))
    assert all(frame.rain_rate.shape == (3, 48, 64) for frame in found)
    assert isinstance(found[1].rain_rate, np.ndarray)
    assert np.abs(found[1].rain_rate[0] - found[1].rain_rate[1]).max() > 0
    for member in found[1].rain_rate:
        np.testing.assert_allclose(block_means(member, Factors()), moving_square(5), rtol=1e-5)


def test_what_does_not_exist_is_refused() -> None:
    with pytest.raises(WrongUsage, match="trilinear"):
        list(run(ForecastRequest(archive(), downscaler="trilinaer"), Scope()))
    with pytest.raises(WrongUsage, match="between 1 and 8"):
        events(refine=(9, 1, 1))


def test_a_cancelled_one_leaves_no_file(tmp_path: Path) -> None:
    scope, output = Scope(), tmp_path / "fine.nc"
    going = run(ForecastRequest(archive(), index=5, downscaler="trilinear", output=output), scope)
    next(event for event in going if isinstance(event, FrameReady))
    scope.token.cancel()
    with pytest.raises(Cancelled):
        list(going)
    assert not list(tmp_path.iterdir())


def test_a_fine_forecast_file_is_verified_by_block_means(tmp_path: Path) -> None:
    """What conserves scores as the forecast itself; at times in between nothing was observed, which is told."""
    truth = ForecastHeader(grid=archive().grid, zr=archive().zr, reference_time=START, step_minutes=10, forecaster="t")
    with ForecastWriter(tmp_path / "truth.nc", truth) as writer:
        for step in range(1, 12):
            writer.write(10.0 * step, moving_square(step))
    plain = _verified(tmp_path)
    fine = _verified(tmp_path, downscaler="trilinear", conserve=True)
    assert plain["missing_leads_min"] == []
    assert fine["missing_leads_min"] == [5, 15, 25]
    for row, finer in zip(plain["csi"], fine["csi"], strict=True):
        assert [finer[1], finer[3], finer[5]] == [value if value is None else pytest.approx(value) for value in row]


def _verified(folder: Path, **wish: object) -> dict[str, Any]:
    output = folder / "forecast.nc"
    request = ForecastRequest(archive(), index=5, lead_times=3, output=output, **wish)  # type: ignore[arg-type]
    list(run(request, Scope()))
    done = list(verify.run(verify.VerifyRequest((output,), (folder / "truth.nc",)), Scope()))[-1]
    assert isinstance(done, Finished)
    return done.result


def test_factors_on_the_command_line_are_whole_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["forecast", str(tmp_path), "--forecaster", "persistence", "--downscaler", "trilinear",
                 "--refine", "1.5,2,2", "-o", str(tmp_path / "fine.nc")]
    assert commands.run(arguments) == 2
    assert "whole numbers" in capsys.readouterr().err
