"""Scores of forecasts whose observation came later: the file they are kept in, and the jobs that fill it."""

from __future__ import annotations

import multiprocessing
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from engine.archives import open_archive
from engine.archives.watching import folders_of, state_of
from engine.errors import UnwritableOutput
from engine.jobs import rolling
from engine.jobs.events import Finished, Warned
from engine.jobs.rolling import KeepRequest, RecentReady, RollingRequest
from engine.jobs.scope import Scope
from engine.radar.scaling import RAIN_CLASSES, rain_bins
from engine.radar.units import MARSHALL_PALMER
from engine.verification.counts import Tally, tally_pair
from engine.verification.rolling import Entry, Key, RollingScores
from tests.engine.live_archive import START, STEP, LiveArchive, rain

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


def tally(seed: int = 0) -> Tally:
    rng = np.random.default_rng(seed)
    observed, predicted = (rng.gamma(0.4, 6.0, (20, 30)).astype(np.float32) for _ in "ab")
    return tally_pair(observed, predicted, zr=MARSHALL_PALMER)


def entry(lead: float = 5.0, *, archive: str = "a", forecaster: str = "persistence", weights: str = "",
          reference: datetime = NOON, seed: int = 0) -> Entry:
    key = Key(archive, forecaster, weights, reference, lead)
    return Entry(key, reference + timedelta(minutes=lead), tally(seed), RAIN_CLASSES)


def rows(path: Path) -> int:
    with sqlite3.connect(path) as base:
        count: int = base.execute("SELECT COUNT(*) FROM score").fetchone()[0]
    base.close()
    return count


@pytest.fixture
def store(tmp_path: Path) -> RollingScores:
    return RollingScores(tmp_path / "new" / "rolling.sqlite")


def test_recent_scores_pool_the_counts_of_the_last_hours(store: RollingScores) -> None:
    entries = [entry(lead, seed=round(lead)) for lead in (5.0, 10.0, 65.0)]
    entries.append(entry(5.0, seed=9, reference=NOON - timedelta(hours=4)))
    store.enter(entries)
    found = store.recent("a", 2.0, NOON + timedelta(hours=2), 3.0)
    tables = [e.tally.contingency((2.0,)) for e in entries[:2]]
    tp, fn, fp = (sum(int(getattr(table, name)[0]) for table in tables) for name in ("tp", "fn", "fp"))
    assert [(s.forecaster, s.count, s.longest) for s in found] == [("persistence", 2, 10.0)]
    assert found[0].csi == pytest.approx(tp / (tp + fn + fp))
    assert store.recent("a", 2.0, NOON - timedelta(hours=10), 3.0) == ()
    assert store.recent("b", 2.0, NOON + timedelta(hours=2), 3.0) == ()
    assert store.recent("a", 2.5, NOON + timedelta(hours=2), 3.0) == (), "a threshold that was not counted"


def test_no_event_has_no_score(store: RollingScores) -> None:
    dry = np.zeros((4, 4), np.float32)
    key = Key("a", "persistence", "", NOON, 5.0)
    store.enter([Entry(key, NOON, tally_pair(dry, dry, zr=MARSHALL_PALMER), RAIN_CLASSES)])
    (found,) = store.recent("a", 0.5, NOON, 3.0)
    assert (found.csi, found.count) == (None, 1)


def test_the_same_observation_twice_counts_once(store: RollingScores) -> None:
    store.enter([entry(), entry(10.0)])
    store.enter([entry(), entry(10.0)])
    assert rows(store.path) == 10
    assert store.known("a") == {entry().key, entry(10.0).key}


def test_the_newest_weights_of_a_forecaster_are_told(store: RollingScores) -> None:
    store.enter([entry(weights="old", seed=1), entry(weights="new", seed=2, reference=NOON + timedelta(minutes=5)),
                 entry(forecaster="rover-linear", seed=3)])
    found = {s.forecaster: s for s in store.recent("a", 0.5, NOON + timedelta(hours=1), 3.0)}
    assert found["persistence"].weights == "new"
    assert set(found) == {"persistence", "rover-linear"}


def test_the_oldest_go_when_there_are_too_many(tmp_path: Path) -> None:
    store = RollingScores(tmp_path / "s.sqlite", most_rows=100)
    for number in range(60):
        store.enter([entry(reference=NOON + timedelta(minutes=5 * number))])
    assert 80 <= rows(store.path) <= 100
    kept = sorted(key.reference for key in store.known("a"))
    assert kept[-1] == NOON + timedelta(minutes=5 * 59)
    assert kept[0] > NOON + timedelta(minutes=5 * 30)


@pytest.mark.parametrize("harm", ["text", "middle", "version"])
def test_a_damaged_file_is_put_aside_and_begun_anew(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "rolling.sqlite"
    RollingScores(path).enter([entry(lead, seed=1) for lead in range(5, 400, 5)])
    if harm == "text":
        path.write_text("this is no database, " * 100)
    elif harm == "middle":
        body = bytearray(path.read_bytes())
        body[1000:-10] = b"\xa5" * (len(body) - 1010)
        path.write_bytes(body)
    else:
        with sqlite3.connect(path) as base:
            base.execute("PRAGMA user_version = 77")
        base.close()
    store = RollingScores(path)
    store.enter([entry()])
    assert store.known("a") == {entry().key}
    assert len(store.messages) == 1
    assert "put aside" in store.messages[0]
    aside = [p for p in tmp_path.iterdir() if "damaged" in p.name]
    assert len(aside) == 1
    assert aside[0].name in store.messages[0]


def test_what_cannot_be_written_says_so_and_reading_goes_on_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    store = RollingScores(tmp_path / "file" / "rolling.sqlite")
    with pytest.raises(UnwritableOutput):
        store.enter([entry()])
    assert store.known("a") == frozenset()
    assert store.recent("a", 0.5, NOON, 3.0) == ()


def _write_many(path: Path, first: int) -> None:
    store = RollingScores(path)
    for number in range(first, first + 25):
        store.enter([entry(reference=NOON + timedelta(minutes=5 * number))])


def test_two_programs_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "rolling.sqlite"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write_many, args=(path, first)) for first in (0, 15)]  # ten in common
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert len(RollingScores(path).known("a")) == 40
    assert rows(path) == 200
    assert [p.name for p in tmp_path.iterdir()] == ["rolling.sqlite"]


# -- the jobs

@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LiveArchive:
    monkeypatch.setenv(rolling.DATA_VARIABLE, str(tmp_path / "data"))
    return LiveArchive(tmp_path / "archive")


def kept(live: LiveArchive, forecaster: str = "persistence", leads: int = 4) -> int:
    """Keeps a forecast from the newest frame, in which nothing moves."""
    sequence = open_archive(live.folder)
    start, newest = sequence.times[-1], sequence.rain_rate(len(sequence) - 1)
    frames = tuple((STEP.seconds / 60 * k, start + k * STEP, newest) for k in range(leads + 1))
    request = KeepRequest((live.folder,), sequence, forecaster, start, 3, frames)
    done = list(rolling.keep(request, Scope()))[-1]
    assert isinstance(done, Finished)
    return int(done.result["kept"])


def rolled(live: LiveArchive) -> tuple[RecentReady, int, list[str]]:
    events = list(rolling.run(RollingRequest((live.folder,), open_archive(live.folder)), Scope()))
    recent = next(event for event in events if isinstance(event, RecentReady))
    warned = [event.text for event in events if isinstance(event, Warned)]
    assert isinstance(events[-1], Finished)
    return recent, int(events[-1].result["scored"]), warned


def test_a_forecast_waits_and_is_scored_frame_by_frame(live: LiveArchive, tmp_path: Path) -> None:
    live.add(3)
    assert kept(live) == 4, "the reference time itself is observed already"
    assert rolled(live)[1] == 0
    expected = np.zeros(3, int)
    for frame in (3, 4):
        live.add(1)
        recent, scored, _ = rolled(live)
        assert scored == 1
        table = tally_pair(rain(frame), rain(2), zr=MARSHALL_PALMER, bins=rain_bins()).contingency((0.5,))
        expected += [int(table.tp[0]), int(table.fn[0]), int(table.fp[0])]
        (score,) = recent.scores
        assert (score.forecaster, score.count) == ("persistence", frame - 2)
        assert score.csi == pytest.approx(expected[0] / expected.sum())
    assert rolled(live)[1] == 0, "nothing is counted twice"
    live.add(2)
    assert rolled(live)[1] == 2
    assert not list((tmp_path / "data" / "waiting").rglob("*.nc")), "what waits for nothing more is gone"


def test_what_was_observed_already_is_no_forecast(live: LiveArchive) -> None:
    live.add(6)
    sequence = open_archive(live.folder)
    frames = tuple((5.0 * k, START + (2 + k) * STEP, rain(2)) for k in (1, 2, 3))
    request = KeepRequest((live.folder,), sequence, "persistence", START + 2 * STEP, 3, frames)
    done = list(rolling.keep(request, Scope()))
    assert isinstance(done[-1], Finished)
    assert done[-1].result == {"kept": 0}
    assert not (rolling.data_folder() / "waiting").exists()


def test_a_waiting_file_that_is_damaged_goes_and_stops_nothing(live: LiveArchive) -> None:
    live.add(3)
    kept(live)
    folder = rolling.waiting_folder((live.folder,))
    (folder / "20200101T000000Z-broken.nc").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(50))
    live.add(1)
    assert rolled(live)[1] == 1
    assert [p.name for p in folder.iterdir()] == ["20200601T121000Z-persistence.nc"]


def test_waiting_files_are_bounded(live: LiveArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rolling, "MOST_FILES", 2)
    live.add(2)
    for _ in range(4):
        live.add(1)
        kept(live)
    names = sorted(p.name for p in rolling.waiting_folder((live.folder,)).iterdir())
    assert names == [f"{START + k * STEP:%Y%m%dT%H%M%SZ}-persistence.nc" for k in (4, 5)]


def test_a_damaged_score_file_is_told(live: LiveArchive) -> None:
    live.add(3)
    kept(live)
    live.add(1)
    rolling.store_path().write_text("no database at all" * 50)
    recent, scored, warned = rolled(live)
    assert scored == 1
    assert len(recent.scores) == 1
    assert "put aside" in warned[0]


def test_the_state_of_a_folder_changes_with_its_files(live: LiveArchive) -> None:
    live.add(2)
    before = state_of((live.folder,))
    assert state_of((live.folder,)) == before
    (live.folder / ".hidden").write_text("x")
    assert state_of((live.folder,)) == before
    live.add(1)
    assert len(state_of((live.folder,)) - before) == 1
    (live.folder / "day" / "hour").mkdir(parents=True)
    assert folders_of((live.folder,)) == (live.folder, live.folder / "day", live.folder / "day" / "hour")
    assert state_of((live.folder / "gone",)) == frozenset()


def test_of_a_large_folder_only_the_names_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.archives.watching.MOST_FILES", 3)
    monkeypatch.setattr("engine.archives.watching.LAST_FILES", 2)
    for number in range(5):
        (tmp_path / f"{number}.h5").write_text("x")
    before = state_of((tmp_path,))
    assert len(before) == 3
    (tmp_path / "4.h5").write_text("longer")
    after = state_of((tmp_path,))
    assert len(after - before) == 1, "the newest file has grown"
    (tmp_path / "5.h5").write_text("x")
    assert state_of((tmp_path,)) != after
