"""What drawing the unchanging part of a sheet once is worth, and that length costs no memory.

Both sides are measured in the same run by CPU time and only their ratio is judged.
"""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.export.look import DARK, Look, packed
from engine.export.sheet import Sheet, SheetFrame, SheetHeader
from engine.jobs.events import Finished
from engine.jobs.export import run
from engine.jobs.export_request import ExportRequest
from engine.jobs.scope import Scope
from engine.radar.grid import Grid
from engine.radar.scaling import RAIN_CLASSES
from engine.radar.sequence import FrameRef, Layout, RadarSequence
from engine.radar.units import Quantity
from tests.benchmarks.measure import best_of

START, STEP = datetime(2020, 1, 1, tzinfo=UTC), timedelta(minutes=5)
GRID = Grid.regular(left=0.0, top=400e3, dx=1e3, dy=1e3, nx=480, ny=400)


@dataclass(frozen=True)
class Line:
    kind: str
    xy: NDArray[np.float64]


def coast() -> list[Line]:
    """As many points as the coasts and borders of a national composite."""
    draw = np.random.default_rng(0)
    return [Line("coast", np.cumsum(draw.normal(0, 1500, (150, 2)), axis=0) + draw.uniform(0, 4e5, 2))
            for _ in range(60)]


def look() -> Look:
    table = (0xFF203040 + np.arange(256) * 0x00800).astype(np.uint32)
    table[0], table[255] = packed(DARK.no_rain), packed(DARK.no_data)
    return Look(DARK, RAIN_CLASSES, table)


def cell(number: int) -> NDArray[np.float32]:
    rows, columns = np.mgrid[:400, :480]
    away = np.hypot(rows - 200, columns - 100 - 4 * number)
    return np.clip(40 * np.exp(-away / 40) - 1, 0, None).astype(np.float32)


def test_what_never_changes_is_drawn_once() -> None:
    lines, style = coast(), look()
    track = tuple((START + n * STEP, 5.0 * n) for n in range(12))
    header = SheetHeader("Benchmark", "rover-nonlinear", START, badges=("SYNTHETIC DATA",), track=track)
    frames = [SheetFrame(time, lead, cell(n), cell(n + 1)) for n, (time, lead) in enumerate(track)]

    def cached() -> list[bytes]:
        sheet = Sheet(GRID, header, style, basemap=lines)
        return [sheet.draw(frame).tobytes() for frame in frames]

    def naive() -> list[bytes]:
        return [Sheet(GRID, header, style, basemap=lines).draw(frame).tobytes() for frame in frames]

    assert cached() == naive()
    best = best_of(7, {"cached": cached, "naive": naive})
    fast, slow = best["cached"], best["naive"]
    print(f"\n{len(frames) / fast:.0f} sheets per CPU second, {len(frames) / slow:.0f} when all is redrawn")  # noqa: T201
    assert slow >= 2.0 * fast


@pytest.mark.parametrize("suffix", ["gif", "mp4"])
def test_a_longer_film_takes_no_more_memory(tmp_path: Path, suffix: str) -> None:
    layout = Layout("test", "rate", Quantity.RAIN_RATE, "mm/h", GRID)

    def peak(count: int) -> int:
        refs = tuple(FrameRef(START + n * STEP, Path("x"), n) for n in range(count))
        sequence = RadarSequence(layout, refs, lambda ref, _: cell(ref.key), cache_bytes=1)
        request = ExportRequest(tmp_path / f"{count}.{suffix}", sequence=sequence, colours=look().colours,
                                size=(480, 320), contours=False)
        tracemalloc.start()
        try:
            *_, last = run(request, Scope())
            assert isinstance(last, Finished)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(3)  # libraries load
    short, long = peak(20), peak(60)
    assert long <= short * 1.1 + 200_000
