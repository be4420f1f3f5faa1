"""The session without a window: time axis, reference times, runs, thresholds; settings that heal themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app import wording
from app.bridge import EngineBridge
from app.places import Clock, first_reference
from app.runs import DONE
from app.session import Session
from app.settings import Settings, check_thresholds
from engine.errors import StormdeckError
from tests.app.storms import START, STEP, tiny_sequence


@pytest.fixture
def session(qtbot: QtBot, tmp_path: Path) -> Iterator[Session]:
    settings = Settings(tmp_path)
    settings.values.forecaster = "persistence"
    settings.values.lead_times = 6
    bridge = EngineBridge()
    made = Session(bridge, settings)
    yield made
    assert bridge.close()


def run(session: Session, qtbot: QtBot) -> None:
    session.run_forecast()
    forecasting = session.forecasting
    qtbot.waitUntil(lambda: forecasting.active is None and not forecasting.scoring(), timeout=20_000)


# -- time

def test_places_run_from_history_through_the_reference_to_the_last_lead() -> None:
    places = Clock(tiny_sequence(10)).places(6, 5)
    assert [p.frame for p in places] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, None, None]
    assert [p.lead for p in places] == [None] * 7 + [0, 1, 2, 3, 4]
    assert [p.minutes for p in places] == [5.0 * (i - 6) for i in range(12)]
    assert places[-1].time == START + 11 * STEP


def test_missing_frames_are_places_without_a_frame() -> None:
    clock = Clock(tiny_sequence(10, missing=(3, 4)))
    assert [p.frame for p in clock.places(7, 0)] == [0, 1, 2, None, None, 3, 4, 5, 6, 7]
    assert clock.places(7, 0)[3].time == START + 3 * STEP


def test_possible_references_agree_with_the_engine() -> None:
    for missing in ((), (3,), (3, 4, 9), (1, 2, 3, 5)):
        sequence = tiny_sequence(20, missing)
        for inputs in (1, 2, 5, 8):
            assert Clock(sequence).possible_references(inputs) == sequence.possible_references(inputs)


def test_the_first_reference_leaves_truth_behind_it() -> None:
    assert first_reference(tuple(range(4, 100)), 100, 20) == 50
    assert first_reference(tuple(range(4, 24)), 24, 20) == 4
    assert first_reference((), 3, 20) == 2


def test_moving_the_reference_keeps_the_lead_time_on_show(session: Session) -> None:
    session.set_sequence(tiny_sequence(24))
    session.set_position(session.reference_position + 3)
    session.set_reference(session.reference + 2)
    assert session.place is not None
    assert session.place.minutes == 15.0
    session.step_reference(-1)
    assert session.place.minutes == 15.0
    session.set_position(1)
    time = session.place.time
    session.set_reference(15)
    assert session.place.time == time


def test_a_reference_snaps_to_what_is_possible(session: Session) -> None:
    session.set_sequence(tiny_sequence(24, missing=(6,)))
    session.set_reference_near(0)
    assert session.reference == 4
    session.step_reference(1)
    assert session.reference == 5
    session.step_reference(1)
    assert session.clock is not None
    assert session.clock.times[session.reference] == START + 11 * STEP


# -- runs

def test_a_run_brings_frames_and_scores(session: Session, qtbot: QtBot) -> None:
    session.set_sequence(tiny_sequence(24))
    run(session, qtbot)
    made = session.shown_run
    assert made is not None
    assert made.state == DONE
    assert sorted(made.frames) == list(range(6))
    assert made.scores is not None
    assert made.scores["thresholds_mm_h"] == [0.5, 2, 5, 10, 30]
    assert made.scores["lead_times_min"] == [5, 10, 15, 20, 25, 30]
    # an 8 x 8 cell that moved by two columns on: 48 hits, 16 misses, 16 false alarms
    assert made.scores["csi"][3][0] == pytest.approx(48 / 80)
    assert made.scores["csi"][3][3] == 0.0


def test_scores_follow_a_change_of_thresholds(session: Session, qtbot: QtBot) -> None:
    session.set_sequence(tiny_sequence(24))
    run(session, qtbot)
    with qtbot.waitSignal(session.forecasting.scores_changed, timeout=10_000):
        session.set_thresholds((1.37, 20.0), (20.0,))
    assert session.shown_run is not None
    scores = session.shown_run.scores
    assert scores is not None
    assert scores["thresholds_mm_h"] == [1.37, 20]
    assert scores["csi"][1][0] == pytest.approx(48 / 80)


def test_runs_of_other_reference_times_come_back(session: Session, qtbot: QtBot) -> None:
    session.set_sequence(tiny_sequence(24))
    run(session, qtbot)
    first = session.shown_run
    session.step_reference(1)
    assert session.shown_run is None
    session.step_reference(-1)
    assert session.shown_run is first


def test_a_run_of_the_same_forecaster_replaces_the_one_before(session: Session, qtbot: QtBot) -> None:
    session.set_sequence(tiny_sequence(24))
    run(session, qtbot)
    first = session.shown_run
    run(session, qtbot)
    assert session.shown_run is not first
    assert len(session.forecasting.runs()) == 1


def test_what_cannot_be_forecast_is_said(session: Session) -> None:
    problems: list[StormdeckError] = []
    session.failed.connect(problems.append)
    session.run_forecast()
    session.set_sequence(tiny_sequence(4))
    session.run_forecast()
    session.set_sequence(tiny_sequence(24, missing=(10,)))
    session.set_reference(12)
    session.run_forecast()
    assert [p.exit_code for p in problems] == [1, 4, 4]
    assert "4 input frames" not in str(problems[1])
    assert "12:50" in str(problems[2])


def test_without_truth_there_are_frames_but_no_scores(session: Session, qtbot: QtBot) -> None:
    session.set_sequence(tiny_sequence(24))
    session.set_reference(23)
    run(session, qtbot)
    assert session.shown_run is not None
    assert len(session.shown_run.frames) == 6
    assert session.shown_run.scores is None
    assert session.places[-1].time == START + 29 * timedelta(minutes=5)


def test_an_archive_of_one_frame_can_be_shown(session: Session) -> None:
    session.set_sequence(tiny_sequence(1))
    assert len(session.places) == 1
    assert session.possible_references() == ()


# -- settings

def test_bad_settings_are_dropped_and_good_ones_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stored = {"speed": 900, "theme": "light", "thresholds": [3, "x"], "recent": "no list", "colour": 1, "inputs": True}
    (tmp_path / "settings.json").write_text(json.dumps(stored), "utf-8")
    values = Settings(tmp_path).values
    assert (values.theme, values.speed, values.inputs, values.recent) == ("light", 8, 5, ())
    assert values.thresholds == (0.5, 2.0, 5.0, 10.0, 30.0)
    assert len(caplog.records) == 5


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "null"])
def test_a_broken_file_means_defaults(tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.json").write_text(text, "utf-8")
    assert Settings(tmp_path).values.speed == 8


def test_settings_survive_a_round(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "new")
    settings.values.thresholds = (1.0, 4.0)
    settings.remember("/a")
    settings.remember("/b")
    settings.remember("/a")
    settings.save()
    again = Settings(tmp_path / "new").values
    assert again.thresholds == (1.0, 4.0)
    assert again.recent == ("/a", "/b")


@pytest.mark.parametrize("wrong", [(), (0.01,), (1, 1.001), range(1, 20), ("a",), (float("nan"),)])
def test_thresholds_that_make_no_sense_are_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="hreshold"):
        check_thresholds(wrong)


def test_archives_of_one_name_are_told_apart_by_the_folders_above() -> None:
    paths = [Path(text) for text in ("/data/knmi/2010/radar", "/data/fmi/2010/radar", "/data/fmi/sample.h5")]
    assert wording.told_apart(paths) == ["radar   (knmi/2010)", "radar   (fmi/2010)", "sample.h5   (fmi)"]
    assert wording.told_apart([]) == []
