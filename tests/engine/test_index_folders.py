"""Old folders of an archive, which are packed in the index and trusted for a day."""

from __future__ import annotations

import os
import pickle
import sqlite3
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from engine.archives import folders, listing, open_archive
from engine.radar.sequence import LazyFrames, RadarSequence
from tests import builders
from tests.engine.test_index import START, archive, cache, looked, same

__all__ = ["cache", "looked"]
DAYS_AGO = time.time() - 5 * 86_400


def aged(folder: Path, when: float = DAYS_AGO) -> Path:
    """All that is in a folder and below, and the folder itself, as if nothing had happened since."""
    for inside, _, names in os.walk(folder, topdown=False):
        for name in names:
            os.utime(Path(inside, name), (when, when))
        os.utime(inside, (when, when))
    return folder


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the folders whose files were asked one by one."""
    names: list[str] = []
    really = listing._list

    def noted(seen: folders.Seen) -> None:
        names.append(seen.root)
        really(seen)

    monkeypatch.setattr(listing, "_list", noted)
    return names


def two_days(folder: Path) -> Path:
    folder.mkdir()
    archive(folder / "day1", 4)
    archive(folder / "day2", 4, first=4)
    return aged(folder)


def rows(cache: Path) -> tuple[int, int]:
    """(files, folders) with a row of their own in the index."""
    with sqlite3.connect(next(cache.rglob("*.sqlite"))) as stored:
        count = tuple(stored.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("files", "folders"))
    stored.close()
    return count


def test_an_old_archive_is_packed_and_not_listed_again(tmp_path: Path, cache: Path, looked: list[str],
                                                       listed: list[str]) -> None:
    first = open_archive(two_days(tmp_path / "a"))
    assert (len(looked), rows(cache)) == (8, (0, 3))
    looked.clear()
    listed.clear()
    second = open_archive(tmp_path / "a")
    assert (looked, listed) == ([], [])
    assert same(first, second)
    assert second.times == tuple(START + timedelta(minutes=5 * k) for k in range(8))
    assert second.native(5).max() == pytest.approx(5 * 0.5)


def add(day: Path) -> None:
    archive(day, 1, first=8)


def remove(day: Path) -> None:
    (day / "radar_0005.h5").unlink()


def replace(day: Path) -> None:
    archive(day.parent / "new", 1, first=9)
    (day.parent / "new" / "radar_0009.h5").rename(day / "radar_0006.h5")
    (day.parent / "new").rmdir()


@pytest.mark.parametrize(("change", "scanned", "frames"), [(add, ["radar_0008.h5"], 9), (remove, [], 7),
                                                           (replace, ["radar_0006.h5"], 8)])
def test_what_is_done_in_a_trusted_folder_is_noticed(tmp_path: Path, looked: list[str], listed: list[str], frames: int,
                                                     change: Callable[[Path], None], scanned: list[str]) -> None:
    open_archive(two_days(tmp_path / "a"))
    open_archive(tmp_path / "a")
    looked.clear()
    listed.clear()
    change(tmp_path / "a" / "day2")
    changed = open_archive(tmp_path / "a")
    assert "day1/" not in listed
    assert (looked, len(changed)) == (scanned, frames)
    looked.clear()
    assert same(changed, open_archive(tmp_path / "a"))
    assert looked == []


def rewritten(folder: Path) -> None:
    """In place, so that the folder's own time stays as it was."""
    file = folder / "radar_0002.h5"
    before = os.stat(folder)
    builders.odim(folder.parent / "other.h5", [np.zeros((4, 5), np.uint8)], [START + timedelta(days=2)])
    with file.open("r+b") as stream:
        stream.write((folder.parent / "other.h5").read_bytes())
        stream.truncate()
    (folder.parent / "other.h5").unlink()
    assert os.stat(folder).st_mtime_ns == before.st_mtime_ns


def test_a_file_rewritten_in_place_is_noticed_by_a_fresh_look(tmp_path: Path) -> None:
    folder = aged(archive(tmp_path / "a"))
    first = open_archive(folder)
    rewritten(folder)
    assert same(first, open_archive(folder))
    fresh = open_archive(folder, fresh=True)
    assert fresh.times[-1] == START + timedelta(days=2)
    assert same(fresh, open_archive(folder))


def test_trust_lasts_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: list[str]) -> None:
    folder = aged(archive(tmp_path / "a"))
    open_archive(folder)
    rewritten(folder)
    now = time.time_ns()
    monkeypatch.setattr(folders.time, "time_ns", lambda: now + folders.TRUSTED_NS + 10**9)
    assert open_archive(folder).times[-1] == START + timedelta(days=2)
    monkeypatch.setattr(folders.time, "time_ns", lambda: now + 4 * folders.TRUSTED_NS)
    open_archive(folder)
    listed.clear()
    open_archive(folder)
    assert listed == []


@pytest.mark.parametrize("hours", [0, 1, 23])
def test_a_young_folder_is_not_trusted(tmp_path: Path, hours: float) -> None:
    folder = aged(archive(tmp_path / "a"), time.time() - 3600 * hours)
    open_archive(folder)
    rewritten(folder)
    assert open_archive(folder).times[-1] == START + timedelta(days=2)


@pytest.mark.parametrize("change", ["numbers = x'00'", "numbers = zeroblob(32 * 6)", "names = 'radar_0001.h5'",
                                    "kinds = '[]'", "kinds = 'x'", "kinds = '[[1,2,3,4]]'", "trust = '[]'",
                                    "trust = 'x'", "names = NULL", "kinds = '[[\"odim-hdf5\",\"x\",\"y\",null]]'"])
def test_damaged_folders_are_scanned_again(tmp_path: Path, cache: Path, change: str) -> None:
    folder = aged(archive(tmp_path / "a"))
    first = open_archive(folder)
    stored = sqlite3.connect(next(cache.rglob("*.sqlite")))
    stored.execute(f"UPDATE folders SET {change}")
    stored.commit()
    stored.close()
    assert same(first, open_archive(folder))
    assert same(first, open_archive(folder))


def test_files_left_out_are_the_same_after_opening_again(tmp_path: Path) -> None:
    folder = two_days(tmp_path / "a")
    for k in (1, 2):
        builders.odim(folder / "day1" / f"zoom_{k}.h5", [np.zeros((6, 7), np.uint8)], [START + timedelta(hours=k)])
    builders.odim(folder / "day1a.h5", [np.zeros((4, 5), np.uint8)], [START])
    builders.odim(folder / "day0.h5", [np.zeros((4, 5), np.uint8)], [START + timedelta(minutes=35)])
    aged(folder)
    first, second = open_archive(folder), open_archive(folder)
    assert [Path(file.path).name for file in first.skipped] == ["zoom_1.h5", "zoom_2.h5", "day1a.h5", "radar_0007.h5"]
    assert first.skipped == second.skipped
    assert first.frames[7].path.name == "day0.h5"
    assert same(first, second)


def test_progress_rises_while_the_index_is_built(tmp_path: Path) -> None:
    told: list[float] = []
    open_archive(aged(archive(tmp_path / "a", 20)), report=lambda fraction, text: told.append(fraction))
    assert told == pytest.approx([k / 20 for k in range(1, 21)])


def test_lazy_frames_are_like_a_tuple(tmp_path: Path) -> None:
    folder = aged(archive(tmp_path / "a"))
    open_archive(folder)
    sequence: RadarSequence = open_archive(folder)
    frames = sequence.frames
    assert isinstance(frames, LazyFrames)
    whole = tuple(frames)
    assert frames == whole
    assert whole == frames
    assert frames[1:3] == whole[1:3]
    assert frames[-1] == whole[-1]
    assert frames != whole[:-1]
    assert pickle.loads(pickle.dumps(sequence)).frames == whole
    with pytest.raises(IndexError):
        frames[len(whole)]
