"""The index of a large archive: what it remembers, what it must not believe, and who else uses it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from engine.archives import index, open_archive, opening
from engine.archives.decoding import Law
from engine.archives.plain_values import as_text, from_text
from engine.archives.reader import Scan
from engine.cancel import CancelToken
from engine.errors import Cancelled, UnreadableInput
from engine.radar.sequence import FrameRef, Layout, RadarSequence
from engine.radar.units import Quantity
from tests import builders
from tests.engine.sequences import grid

START = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(index.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(opening, "SMALL", 3)
    monkeypatch.setattr(opening, "stamp_of", lambda described, options: f"{sorted(described)} {options}")
    return tmp_path / "cache"


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names of the files that were scanned."""
    names: list[str] = []
    look = opening._look

    def noted(file: index.Listed, *rest: object) -> index.Found:
        names.append(file.path.name)
        return look(file, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(opening, "_look", noted)
    return names


def archive(folder: Path, count: int = 6, first: int = 0) -> Path:
    folder.mkdir(exist_ok=True)
    for k in range(first, first + count):
        field = np.full((4, 5), k % 200, np.uint8)
        builders.odim(folder / f"radar_{k:04}.h5", [field], [START + timedelta(minutes=5 * k)])
    return folder


def same(one: RadarSequence, other: RadarSequence) -> bool:
    return (one.frames == other.frames and one.skipped == other.skipped and one.grid.same_as(other.grid)
            and one.layout.agrees_with(other.layout) is None and one.zr == other.zr)


def test_a_second_opening_scans_nothing_and_gives_the_same(tmp_path: Path, looked: list[str]) -> None:
    folder = archive(tmp_path / "a")
    first = open_archive(folder)
    assert len(looked) == 6
    looked.clear()
    second = open_archive(folder)
    assert looked == []
    assert same(first, second)
    assert second.native(3).max() == pytest.approx(3 * 0.5)


def test_new_changed_and_removed_files_are_noticed(tmp_path: Path, looked: list[str]) -> None:
    folder = archive(tmp_path / "a")
    open_archive(folder)
    looked.clear()
    archive(folder, 2, first=6)
    (folder / "radar_0001.h5").unlink()
    builders.odim(folder / "radar_0002.h5", [np.zeros((4, 5), np.uint8)], [START + timedelta(days=2)])
    opened = open_archive(folder)
    assert looked == ["radar_0002.h5", "radar_0006.h5", "radar_0007.h5"]
    assert len(opened) == 7
    assert opened.times[-1] == START + timedelta(days=2)
    database = next((tmp_path / "cache").rglob("*.sqlite"))
    with sqlite3.connect(database) as stored:
        assert stored.execute("SELECT count(*) FROM files").fetchone() == (7,)
    stored.close()


def test_damaged_files_are_remembered_with_their_reason(tmp_path: Path, looked: list[str]) -> None:
    folder = archive(tmp_path / "a")
    (folder / "radar_0003.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"broken" * 30)
    first = open_archive(folder)
    looked.clear()
    second = open_archive(folder)
    assert [Path(file.path).name for file in second.skipped] == ["radar_0003.h5"]
    assert same(first, second)
    assert looked == []


def test_what_was_scanned_before_a_cancel_is_kept(tmp_path: Path, looked: list[str]) -> None:
    folder = archive(tmp_path / "a", 8)
    token = CancelToken()

    def report(fraction: float, text: str) -> None:
        if "0005" in text:
            token.cancel()

    with pytest.raises(Cancelled):
        open_archive(folder, token=token, report=report)
    scanned = len(looked)
    looked.clear()
    assert len(open_archive(folder)) == 8
    assert scanned >= 5
    assert len(looked) <= 3


@pytest.mark.parametrize("damage", ["text", "cut", "rows", "layout"])
def test_a_damaged_index_is_made_anew(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    folder = archive(tmp_path / "a")
    first = open_archive(folder)
    path = next((tmp_path / "cache").rglob("*.sqlite"))
    if damage == "text":
        path.write_bytes(b"no database" * 1000)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    else:
        stored = sqlite3.connect(path)
        change = {"rows": "UPDATE files SET moment = 'x', key = '{\"class\":[\"os\",\"system\"],\"fields\":{}}'",
                  "layout": "UPDATE texts SET body = '{\"class\":[\"engine.errors\",\"WrongUsage\"],\"fields\":{}}'"}
        stored.execute(change[damage])
        stored.commit()
        stored.close()
    assert same(first, open_archive(folder))
    assert same(first, open_archive(folder))


def test_an_index_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    folder = archive(tmp_path / "a")
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert len(open_archive(folder)) == 6


def test_other_readers_or_descriptions_make_it_anew(tmp_path: Path, looked: list[str]) -> None:
    folder = archive(tmp_path / "a")
    open_archive(folder)
    (folder / "about.toml").write_text("[grid]\n")
    looked.clear()
    open_archive(folder)
    assert len(looked) == 6


def test_two_programs_at_once(tmp_path: Path) -> None:
    folder = archive(tmp_path / "a", 40)
    code = ("import sys; from engine.archives import open_archive, opening; opening.SMALL = 3;"
            "print(len(open_archive(sys.argv[1])), len(open_archive(sys.argv[1])))")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    programs = [subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True,
                                 env=environment, cwd=Path(opening.__file__).parents[2]) for _ in range(2)]
    assert [program.communicate(timeout=100)[0].split() for program in programs] == [["40", "40"]] * 2


def test_values_come_back_as_they_were() -> None:
    layout = Layout("a", "b", Quantity.REFLECTIVITY, "dBZ", grid(), source="x")
    key = (None, 1, 2.5, "text", (slice(1, None), b"\x00"), START, Path("a/b"), {"k": [1]}, np.float32(0.5),
           Law(Quantity.RAIN_RATE, missing=(float("inf"),)), np.arange(6, dtype=np.int16).reshape(2, 3))
    back = from_text(as_text(key))
    assert back[:-1] == key[:-1]
    np.testing.assert_array_equal(back[-1], key[-1])
    assert from_text(as_text(layout)).agrees_with(layout) is None


@pytest.mark.parametrize("text", [
    "nonsense", "[1]", "{}", '{"a":1,"b":2}', '{"class":["os","system"],"fields":{}}',
    '{"class":["engine.errors","StormdeckError"],"fields":{}}', '{"enum":["engine.cancel","CancelToken"],"name":"x"}',
    '{"class":["engine.radar.units","ZR"],"fields":{"a":-1,"b":2}}', '{"numbers":["O",[1],"AAAA",false]}',
    '{"class":["engine.radar.units","np"],"fields":{}}', '{"numbers":["<f8",[900000],"AAAA",false]}'])
def test_values_that_are_not_ours_are_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        from_text(text)


def test_only_lasting_failures_are_remembered() -> None:
    gone = UnreadableInput("f", "closed")
    gone.__cause__ = OSError()
    extra = UnreadableInput("f", "no library", advice='pip install "stormdeck[grib]"')
    bad = UnreadableInput("f", "cut short")
    kept = [index._lasting(index.Found((), ((Path("f"), problem),))) for problem in (gone, extra, bad)]
    assert [failure is not None for failure in kept] == [False, False, True]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_year_opens_again_without_a_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "year"
    for day in range(365):
        (folder / f"{day:03}").mkdir(parents=True)
    for k in range(100_000):
        (folder / f"{k // 274:03}" / f"radar_{k:06}.h5").touch()
    layout = Layout("ODIM HDF5", "RATE", Quantity.RAIN_RATE, "mm/h", grid())
    count = [0]

    def scan(path: Path, likely: str | None = None, options: object = None) -> tuple[str, Scan]:
        count[0] += 1
        time = START + timedelta(minutes=5 * int(path.stem[6:]))
        return "odim-hdf5", Scan(layout, (FrameRef(time, path, ("dataset1/data1", Law(Quantity.RAIN_RATE))),))

    monkeypatch.setattr(opening, "scan_path", scan)
    monkeypatch.setattr(opening, "_unbundled", lambda path, token: [path])
    monkeypatch.setattr(opening, "_is_format", lambda path: False)
    first = open_archive(folder)
    second = open_archive(folder)
    assert count == [100_000]
    assert len(second) == 100_000
    assert first.frames == second.frames
