"""How soon an archive of 100,000 files is open again: against building its index, and against asking each file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.archives import index, open_archive, opening
from engine.archives.reader import Scan
from engine.radar.sequence import FrameRef, Layout
from engine.radar.units import Quantity
from tests.engine.sequences import grid

ROOT = Path(__file__).resolve().parents[2]
COUNT = 100_000
START = datetime(2020, 1, 1, tzinfo=UTC)
LOOK = """
import os, sys
def look(folder):
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_dir():
                look(entry.path)
            else:
                state = entry.stat()
                found.append((entry.name, state.st_size, state.st_mtime_ns))
found = []
look(sys.argv[1])
frames = len(found)
"""
OPEN = """
import sys
from engine.archives import open_archive, opening
opening.stamp_of = lambda described, options: "benchmark"
frames = len(open_archive(sys.argv[1], fresh={fresh}))
"""
TIMED = """
import json, time
wall, cpu = time.perf_counter(), time.process_time()
{program}
print(json.dumps({{"frames": frames, "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}}))
"""


def made(folder: Path, in_days: bool) -> None:
    """Empty files and folders, days old."""
    ago = time.time() - 5 * 86_400
    for k in range(COUNT):
        inside = folder / f"{k // 288:03}" if in_days else folder
        if k == 0 or (in_days and k % 288 == 0):
            inside.mkdir(parents=True)
        path = inside / f"radar_{k:06}.h5"
        path.touch()
        os.utime(path, (ago, ago))
    for inside in (*folder.iterdir(), folder) if in_days else (folder,):
        os.utime(inside, (ago, ago))


def built(folder: Path, monkeypatch: pytest.MonkeyPatch) -> float:
    """CPU seconds to build the index, with a reader that takes no time."""
    layout = Layout("ODIM HDF5", "RATE", Quantity.RAIN_RATE, "mm/h", grid())

    def scan(path: Path, likely: str | None = None, options: object = None) -> tuple[str, Scan]:
        return "odim-hdf5", Scan(layout, (FrameRef(START + timedelta(minutes=5 * int(path.stem[6:])), path, "a"),))

    monkeypatch.setattr(opening, "stamp_of", lambda described, options: "benchmark")
    monkeypatch.setattr(opening, "scan_path", scan)
    monkeypatch.setattr(opening, "_unbundled", lambda path, token: [path])
    began = time.process_time()
    assert len(open_archive(folder)) == COUNT
    return time.process_time() - began


def cold(program: str, folder: Path) -> dict[str, float]:
    """Wall and CPU seconds of the best of two new processes, imports included."""
    runs = [json.loads(subprocess.run([sys.executable, "-c", TIMED.format(program=program), str(folder)], cwd=ROOT,
                                      check=True, capture_output=True, text=True, timeout=110).stdout)
            for _ in range(2)]
    assert all(run["frames"] == COUNT for run in runs)
    return {kind: min(run[kind] for run in runs) for kind in ("wall", "cpu")}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("in_days", [True, False], ids=["day folders", "one folder"])
def test_reopening_takes_no_longer_than_asking_each_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_days: bool,
                                                         record_property: Callable[[str, object], None]) -> None:
    monkeypatch.setenv(index.CACHE_VARIABLE, str(tmp_path / "cache"))
    made(tmp_path / "year", in_days)
    building = built(tmp_path / "year", monkeypatch)
    again, fresh = (cold(OPEN.format(fresh=way), tmp_path / "year") for way in (False, True))
    asking = cold(LOOK, tmp_path / "year")
    record_property("building_cpu_s", building)
    for name, times in (("reopening", again), ("fresh", fresh), ("asking", asking)):
        for kind, seconds in times.items():
            record_property(f"{name}_{kind}_s", seconds)
    assert again["cpu"] < 0.2 * building
    assert again["cpu"] < 2.0 * asking["cpu"]
    assert fresh["cpu"] < 4.0 * asking["cpu"]
