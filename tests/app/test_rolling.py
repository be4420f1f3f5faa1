"""Frames that come while an archive is open: they join it, forecasts are scored, names carry the last hours' scores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from app.panels.recent_scores import LINE, SCORE
from app.settings import Settings
from engine.archives import open_archive
from engine.jobs.rolling import DATA_VARIABLE
from engine.radar.units import MARSHALL_PALMER
from engine.verification.counts import tally_pair
from tests.app.driver import Driver, opened_window
from tests.engine.live_archive import START, STEP, LiveArchive, rain

Key = Qt.Key


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LiveArchive:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "data"))
    monkeypatch.setattr("app.following.SETTLE_MS", 50)
    live = LiveArchive(tmp_path / "archive")
    live.add(4)
    return live


@pytest.fixture
def driver(qtbot: QtBot, tmp_path: Path, live: LiveArchive) -> Iterator[Driver]:
    settings = Settings(tmp_path / "settings")
    settings.values.forecaster, settings.values.lead_times, settings.values.inputs = "persistence", 4, 2
    with opened_window(qtbot, settings) as driver:
        driver.session.open([live.folder])
        driver.until(lambda: driver.session.sequence is not None and driver.session.located)
        driver.quiet()
        yield driver


def frames(driver: Driver) -> int:
    return len(driver.session.sequence or ())


def forecast_from_the_newest(driver: Driver) -> None:
    driver.session.set_reference(frames(driver) - 1)
    driver.run()


def line(driver: Driver) -> str:
    return driver.run_panel.recent.text()


def expected(pairs: list[tuple[int, int]]) -> float:
    counts = np.zeros(3, int)
    for observed, predicted in pairs:
        table = tally_pair(rain(observed), rain(predicted), zr=MARSHALL_PALMER).contingency((0.5,))
        counts += [int(table.tp[0]), int(table.fn[0]), int(table.fp[0])]
    return float(counts[0] / counts.sum())


def test_new_files_join_the_archive_by_themselves(driver: Driver, live: LiveArchive) -> None:
    driver.until(lambda: bool(driver.window.following._watcher.directories()))
    driver.quiet()
    reference, position = driver.session.reference, driver.session.position
    time = driver.session.places[position].time
    live.add(2)
    driver.until(lambda: frames(driver) == 6)
    driver.quiet()
    assert driver.session.reference == reference
    assert driver.session.places[driver.session.position].time == time
    assert driver.run_panel.reference.count() == 5
    assert "6, every 5 min" in driver.archive.info.text()
    assert "6 frames" in driver.window.chip.text()


def test_an_earlier_forecast_is_scored_and_its_name_says_so(driver: Driver, live: LiveArchive) -> None:
    assert line(driver) == ""
    assert not driver.run_panel.recent.isVisible(), "nothing is known, nothing is shown"
    forecast_from_the_newest(driver)
    run = driver.session.shown_run
    assert run is not None
    assert not run.tallies
    for count in (1, 2):
        live.add(1)
        driver.press(Key.Key_F5)
        driver.until(lambda count=count: f"(n={count})" in line(driver))
    driver.quiet()
    csi = expected([(4, 3), (5, 3)])
    assert line(driver) == f"CSI 0.5 mm/h, last 3 h: {csi:.2f} (n=2)"
    assert len(run.tallies) == 2, "the curves grew too"
    assert run.scores is not None
    assert run.scores["lead_times_min"] == [5.0, 10.0]
    names = driver.run_panel.forecaster
    row = names.findData("persistence")
    assert names.itemData(row, SCORE) == f"{csi:.2f}  (n=2)"
    assert "up to 60 min" in names.itemData(row, LINE)
    assert not names.itemData(names.findData("rover-linear"), SCORE)
    index = names.model().index(row, 0)
    assert names.view().minimumWidth() >= names.view().sizeHintForIndex(index).width(), "the list makes room for it"


def test_a_window_opened_later_knows_what_was_forecast_before(driver: Driver, live: LiveArchive, qtbot: QtBot,
                                                               tmp_path: Path) -> None:
    forecast_from_the_newest(driver)
    driver.until(lambda: len(list((tmp_path / "data").rglob("*Z-persistence.nc"))) == 1)
    driver.quiet()
    driver.window.close()
    live.add(3)
    with opened_window(qtbot, Settings(tmp_path / "settings")) as later:
        later.session.open([live.folder])
        later.until(lambda: "(n=3)" in line(later))
        later.quiet()
        assert line(later) == f"CSI 0.5 mm/h, last 3 h: {expected([(4, 3), (5, 3), (6, 3)]):.2f} (n=3)"


def test_following_is_switched_off(driver: Driver, live: LiveArchive) -> None:
    follow = driver.window.actions_by_key["follow"]
    assert follow.isChecked()
    follow.trigger()
    assert not driver.window.following._watcher.directories()
    assert not driver.window.following._look.isActive()
    live.add(1)
    driver.press(Key.Key_F5)
    driver.qtbot.wait(200)
    assert frames(driver) == 4
    follow.trigger()
    driver.until(lambda: bool(driver.window.following._watcher.directories()))
    live.add(1)
    driver.until(lambda: frames(driver) == 6)
    driver.quiet()


def test_frames_that_go_take_their_forecasts_along(driver: Driver, live: LiveArchive) -> None:
    driver.until(lambda: bool(driver.window.following._watcher.directories()))
    forecast_from_the_newest(driver)
    (live.folder / f"{START:%Y%m%d%H%M}.nc").unlink()
    live.add(1)
    driver.until(lambda: driver.session.sequence is not None and driver.session.sequence.times[0] == START + STEP
                 and driver.session.sequence.times[-1] == START + 4 * STEP)
    driver.quiet()
    run, session = driver.session.shown_run, driver.session
    assert run is not None
    assert session.sequence is not None
    assert session.sequence.times[run.reference] == START + 3 * STEP, "it still starts where it did"
    assert session.reference == run.reference == 2
    picture = driver.window.maps._drawn[0]
    assert picture is not None
    place = session.place
    assert place is not None
    assert place.frame is not None
    np.testing.assert_array_equal(np.asarray(picture.rain_rate), session.sequence.rain_rate(place.frame))


def test_a_region_and_a_chosen_zr_stay(driver: Driver, live: LiveArchive) -> None:
    from engine.radar.region import Region

    driver.until(lambda: bool(driver.window.following._watcher.directories()))
    region = Region.rectangle(5_000, 5_000, 30_000, 30_000)
    driver.session.set_region(region)
    live.add(1)
    driver.until(lambda: frames(driver) == 5)
    driver.quiet()
    assert driver.session.region is region


def test_observations_that_come_while_a_forecast_runs_are_scored_at_its_end(driver: Driver, live: LiveArchive) -> None:
    driver.session.set_reference(3)
    driver.session.run_forecast()
    live.add(2)
    driver.session.extend(open_archive(live.folder))
    driver.quiet()
    run = driver.session.shown_run
    assert run is not None
    assert sorted(run.tallies) == [5.0, 10.0]
