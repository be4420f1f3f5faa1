"""Following a folder whose frames come one by one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from engine import commands
from engine.archives.forecast_file import read_forecast
from engine.errors import Cancelled, UnreadableInput, WrongUsage
from engine.jobs import rolling, watch
from engine.jobs.events import Event, Finished, Told, Warned
from engine.jobs.scope import Scope
from engine.jobs.watch import WatchRequest
from engine.radar.units import MARSHALL_PALMER
from engine.verification.counts import tally_pair
from tests.engine.live_archive import START, STEP, LiveArchive, rain
from tests.source_tree import ROOT


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LiveArchive:
    monkeypatch.setenv(rolling.DATA_VARIABLE, str(tmp_path / "data"))
    return LiveArchive(tmp_path / "archive")


@pytest.fixture
def feed(live: LiveArchive, monkeypatch: pytest.MonkeyPatch):
    """Between two looks so many frames come, instead of time passing."""
    def feed(*counts: int) -> None:
        waiting = list(counts)

        def sleep(seconds: float, token: object) -> None:
            assert waiting, "it should have stopped"
            live.add(waiting.pop(0))

        monkeypatch.setattr(watch, "_sleep", sleep)

    return feed


def followed(live: LiveArchive, **wish: object) -> list[Event]:
    wish = {"output": live.folder.parent / "out", "forecasters": ("persistence",), "inputs": 2, "lead_times": 3} | wish
    return list(watch.run(WatchRequest((live.folder,), **wish), Scope()))  # type: ignore[arg-type]


def names(live: LiveArchive) -> list[str]:
    return sorted(path.name for path in (live.folder.parent / "out").iterdir())


def test_each_frame_brings_forecasts_and_scores_the_earlier_ones(live: LiveArchive, feed) -> None:
    live.add(3)
    feed(0, 1, 1, 0, 1)
    events = followed(live, frames=4)
    done = events[-1]
    assert isinstance(done, Finished)
    stems = [f"{START + k * STEP:%Y%m%dT%H%M%SZ}" for k in (2, 3, 4, 5)]
    assert names(live) == [f"{stem}-persistence.nc" for stem in stems]
    assert done.result["scored"] == 1 + 2 + 3  # leads of the forecasts from frames 2, 3 and 4
    counts = np.zeros(3, int)
    for frame in (3, 4, 5):
        for reference in range(2, frame):
            table = tally_pair(rain(frame), rain(reference), zr=MARSHALL_PALMER).contingency((0.5,))
            counts += [int(table.tp[0]), int(table.fn[0]), int(table.fp[0])]
    scores = {score["forecaster"]: score for score in done.result["scores"]}
    assert scores["persistence"]["n"] == 6
    assert scores["persistence"]["csi"] == pytest.approx(counts[0] / counts.sum())
    forecast = read_forecast(live.folder.parent / "out" / f"{stems[-1]}-persistence.nc")
    np.testing.assert_array_equal(forecast.frame(2), rain(5))
    told = [event.text for event in events if isinstance(event, Told)]
    assert any("2 lead times scored; CSI 0.5 mm/h, last 3 h: persistence" in text for text in told)


def test_a_second_watch_goes_on_where_the_first_one_stopped(live: LiveArchive, feed) -> None:
    live.add(3)
    feed(1)
    followed(live, frames=2)
    live.add(1)
    feed()
    done = followed(live, frames=1)[-1]
    assert isinstance(done, Finished)
    assert done.result["scored"] == 2, "what the first one had scored is not scored again"
    assert done.result["scores"][0]["n"] == 3


def test_late_and_missing_frames_stop_nothing(live: LiveArchive, feed) -> None:
    feed(0, 1, 1, 2)
    events = followed(live, inputs=3, frames=4)
    warned = [event.text for event in events if isinstance(event, Warned)]
    assert len([text for text in warned if "Waiting for frames" in text]) == 1, "an empty folder is told once"
    assert any("persistence:" in text for text in warned), "two frames are too few for three inputs"
    assert names(live) == [f"{START + 3 * STEP:%Y%m%dT%H%M%SZ}-persistence.nc"], "of frames that come together the last"


def test_a_file_that_is_half_there_is_read_when_it_is_whole(live: LiveArchive, feed, monkeypatch) -> None:
    live.add(3)
    whole: list[bytes] = []

    def sleep(seconds: float, token: object) -> None:
        newest = sorted(live.folder.iterdir())[-1]
        if not whole:
            live.add(1)
            newest = sorted(live.folder.iterdir())[-1]
            whole.append(newest.read_bytes())
            newest.write_bytes(whole[0][:1500])
        else:
            newest.write_bytes(whole[0])

    monkeypatch.setattr(watch, "_sleep", sleep)
    followed(live, frames=2)
    assert len(names(live)) == 2
    assert names(live)[1].startswith(f"{START + 3 * STEP:%Y%m%dT%H%M%SZ}")


def test_cancelled_in_its_sleep_and_in_its_forecast(live: LiveArchive) -> None:
    live.add(3)
    scope = Scope()
    events = watch.run(WatchRequest((live.folder,), ("persistence",), live.folder.parent / "out", inputs=2, every_s=60),
                       scope)
    next(events)
    scope.token.cancel()
    with pytest.raises(Cancelled):
        list(events)
    assert len(names(live)) == 1
    live.add(1)
    scope = Scope()
    scope.token.cancel()
    with pytest.raises(Cancelled):
        list(watch.run(WatchRequest((live.folder,), ("persistence",), live.folder.parent / "out"), scope))
    assert len(names(live)) == 1


@pytest.mark.parametrize(("wish", "error"), [
    ({"forecasters": ()}, WrongUsage), ({"forecasters": ("rower",)}, WrongUsage),
])
def test_wishes_that_make_no_sense_are_refused_before_anything_is_written(live: LiveArchive, wish, error) -> None:
    with pytest.raises(error):
        followed(live, **wish)
    assert not (live.folder.parent / "out").exists()


def test_forecasts_do_not_go_into_the_folder_that_is_followed(live: LiveArchive) -> None:
    with pytest.raises(WrongUsage, match="followed"):
        followed(live, output=live.folder / "forecasts")
    with pytest.raises(UnreadableInput, match="no such"):
        list(watch.run(WatchRequest((live.folder / "gone",), ("persistence",)), Scope()))


def test_the_command_answers_in_json(live: LiveArchive, feed, capsys: pytest.CaptureFixture[str]) -> None:
    live.add(3)
    feed(1)
    code = commands.run(["watch", str(live.folder), "--forecaster", "persistence", "--inputs", "2", "--lead-times", "2",
                         "-o", str(live.folder.parent / "out"), "--frames", "2", "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert code == 0
    assert answer["scored"] == 1
    assert [Path(path).name for path in answer["forecasts"]] == names(live)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of this kind are not sent on Windows")
def test_control_c_ends_it_with_6_and_leaves_whole_files(live: LiveArchive) -> None:
    live.add(3)
    out = live.folder.parent / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", "engine", "watch", str(live.folder), "--forecaster", "persistence", "--inputs", "2",
         "-o", str(out), "--every", "0.2"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ.copy())
    try:
        wait_for(lambda: len(rolling.forecast_files(out)) == 1, process)
        live.add(1)
        wait_for(lambda: len(rolling.forecast_files(out)) == 2, process)
        process.send_signal(signal.SIGINT)
        printed, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 6, said
    assert printed == ""
    assert "Cancelled" in said
    assert len(names(live)) == 2, "no part of a file is left"
    assert all(read_forecast(path).lead_minutes for path in out.iterdir())


def wait_for(true, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 90
    while not true():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.slow
def test_several_forecasters_are_scored_side_by_side(live: LiveArchive, feed) -> None:
    live.add(3)
    feed(1, 1)
    done = followed(live, forecasters=("persistence", "rover-linear"), frames=3)[-1]
    assert isinstance(done, Finished)
    scores = {score["forecaster"]: score for score in done.result["scores"]}
    assert set(scores) == {"persistence", "rover-linear"}
    assert scores["rover-linear"]["csi"] > scores["persistence"]["csi"], "the cell moves"
