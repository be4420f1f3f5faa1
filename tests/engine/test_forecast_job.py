"""The forecast job: inputs are checked, frames and scores come out in order, output is whole or absent."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from engine.errors import Cancelled, NotEnoughInput, WrongUsage
from engine.jobs.events import Finished, FrameReady, ScoreReady
from engine.jobs.forecast import ForecastRequest, reference_index, run
from engine.jobs.scope import Scope
from tests.engine.sequences import START, moving_square, sequence


def test_persistence_repeats_the_reference_frame_and_scores_it() -> None:
    archive = sequence(moving_square, 12)
    events = list(run(ForecastRequest(archive, forecaster="persistence", index=5, lead_times=8, score=True), Scope()))
    frames = [e for e in events if isinstance(e, FrameReady)]
    scores = [e for e in events if isinstance(e, ScoreReady)]
    assert [f.lead_minutes for f in frames] == [5.0 * k for k in range(1, 9)]
    assert [f.valid_time for f in frames] == [START + timedelta(minutes=25 + 5 * k) for k in range(1, 9)]
    for frame in frames:
        np.testing.assert_array_equal(frame.rain_rate, moving_square(5))
    # a 6-wide square displaced by k columns: hits 6(6-k), misses and false alarms 6k each
    for k, score in enumerate(scores, start=1):
        counts = score.tally.contingency((0.5,))
        hits, moved = max(0, 6 * (6 - k)), min(36, 6 * k)
        assert (int(counts.tp[0]), int(counts.fn[0]), int(counts.fp[0])) == (hits, moved, moved)
    assert len(scores) == 6  # frames 6..11 exist; later lead times have no truth
    assert isinstance(events[-1], Finished)
    assert events[-1].result["lead_times_min"] == [5.0 * k for k in range(1, 9)]


def test_frames_cannot_be_written_again() -> None:
    archive = sequence(moving_square, 6)
    frame = next(e for e in run(ForecastRequest(archive, lead_times=1), Scope()) if isinstance(e, FrameReady))
    assert not frame.rain_rate.flags.writeable


def test_a_gap_in_the_inputs_names_the_missing_time() -> None:
    archive = sequence(moving_square, 12, missing=(4,))
    with pytest.raises(NotEnoughInput, match="12:20") as caught:
        list(run(ForecastRequest(archive, index=5, inputs=5), Scope()))
    assert caught.value.exit_code == 4


def test_too_few_frames_before_the_reference_time() -> None:
    with pytest.raises(NotEnoughInput, match="begins at"):
        list(run(ForecastRequest(sequence(moving_square, 12), index=2, inputs=5), Scope()))


def test_one_frame_alone_is_no_archive_to_forecast_from() -> None:
    with pytest.raises(NotEnoughInput):
        list(run(ForecastRequest(sequence(moving_square, 1), inputs=1), Scope()))


def test_reference_times_by_time_and_by_index() -> None:
    archive = sequence(moving_square, 12)
    assert reference_index(archive, START + timedelta(minutes=30), None) == 6
    assert reference_index(archive, None, -1) == 11
    assert reference_index(archive, None, None) == 11
    with pytest.raises(NotEnoughInput, match="archive runs from"):
        reference_index(archive, START + timedelta(minutes=32), None)
    with pytest.raises(NotEnoughInput, match="12 frames"):
        reference_index(archive, None, 12)
    with pytest.raises(WrongUsage):
        reference_index(archive, START, 1)


@pytest.mark.parametrize("wrong", [{"lead_times": 0}, {"lead_times": 9999}, {"inputs": 0}, {"members": 0},
                                   {"forecaster": "rover-nonlinaer"}, {"deblurrer": "nothing"}])
def test_senseless_requests_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(WrongUsage):
        list(run(ForecastRequest(sequence(moving_square, 12), **wrong), Scope()))  # type: ignore[arg-type]


def test_an_unknown_name_is_answered_with_the_nearest_known() -> None:
    with pytest.raises(WrongUsage, match="persistence"):
        list(run(ForecastRequest(sequence(moving_square, 12), forecaster="persistance"), Scope()))


def test_a_cancelled_forecast_leaves_no_file(tmp_path: Path) -> None:
    scope = Scope()
    output = tmp_path / "forecast.nc"
    events = run(ForecastRequest(sequence(moving_square, 12), lead_times=6, output=output), scope)
    while not (isinstance(event := next(events), FrameReady) and event.lead_index == 2):
        pass
    scope.token.cancel()
    with pytest.raises(Cancelled):
        next(events)
    assert list(tmp_path.iterdir()) == []


def test_no_data_stays_no_data_and_is_not_scored() -> None:
    def half(index: int) -> np.ndarray:
        field = moving_square(index).copy()
        field[:, :16] = np.nan
        return field

    events = list(run(ForecastRequest(sequence(half, 12), index=5, lead_times=2, score=True), Scope()))
    frame = next(e for e in events if isinstance(e, FrameReady))
    score = next(e for e in events if isinstance(e, ScoreReady))
    assert np.isnan(frame.rain_rate[:, :16]).all()
    assert score.tally.pixels == 24 * 16
