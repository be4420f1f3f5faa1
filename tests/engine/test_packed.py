"""Packed frames: lossless, exact in single cells, small; and what is drawn and scored from them."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.display.picture import make_picture
from engine.jobs.display import DisplayRequest, PictureReady, Wanted
from engine.jobs.display import run as display
from engine.jobs.events import FrameReady, ScoreReady
from engine.jobs.forecast import ForecastRequest
from engine.jobs.forecast import run as forecast
from engine.jobs.scope import Scope
from engine.radar.grid import Grid
from engine.radar.packed import LARGE_CELLS, PackedField, PackedStack, pack, packed, rows_of, unpacked
from engine.radar.scaling import rain_bins
from engine.radar.sequence import FrameRef, Layout, RadarSequence
from engine.radar.units import MARSHALL_PALMER, Quantity

COLOURS = np.full(256, 0xFF000000, np.uint32)
NOON = datetime(2020, 7, 1, 12, 0, tzinfo=UTC)


def showers(ny: int, nx: int, seed: int = 0, background: float = 0.0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    field = np.full((ny, nx), background, np.float32)
    wet = rng.random((ny, nx)) < 0.1
    field[wet] = rng.gamma(0.5, 4.0, int(wet.sum()))
    field[rng.random((ny, nx)) < 0.2] = np.nan
    return field


@pytest.mark.parametrize("shape", [(1, 1), (5, 8), (40, 9), (3, 17), (2000, 1003)])
@pytest.mark.parametrize("background", [0.0, -32.0])
def test_nothing_is_lost(shape: tuple[int, int], background: float) -> None:
    field = showers(*shape, background=background)
    kept = pack(field, background)
    np.testing.assert_array_equal(kept.unpack(), field)
    part = slice(shape[0] // 3, shape[0] // 2 + 1)
    np.testing.assert_array_equal(kept.unpack(part), field[part])
    rng = np.random.default_rng(1)
    for row, column in zip(rng.integers(shape[0], size=200), rng.integers(shape[1], size=200), strict=True):
        np.testing.assert_array_equal(kept[int(row), int(column)], field[row, column])
    np.testing.assert_array_equal(kept[-1, -1], field[-1, -1])
    with pytest.raises(IndexError):
        kept[shape[0], 0]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(kept)).unpack(), field)


def test_only_large_frames_are_packed() -> None:
    small = showers(10, 10)
    assert packed(small) is small
    assert unpacked(small) is small
    large = showers(LARGE_CELLS // 1000, 1000)
    kept = packed(large)
    assert isinstance(kept, PackedField)
    assert packed(kept) is kept
    assert kept.nbytes < large.nbytes / 4
    assert not unpacked(kept).flags.writeable


def test_a_packed_frame_becomes_an_array_and_another_quantity() -> None:
    field = showers(40, 33, background=-32.0)
    kept = pack(field, -32.0)
    np.testing.assert_array_equal(np.asarray(kept), field)
    with pytest.raises(ValueError, match="copy"):
        np.array(kept, copy=False)
    rain = kept.mapped(MARSHALL_PALMER.rain_rate)
    np.testing.assert_array_equal(rain.unpack(), MARSHALL_PALMER.rain_rate(field))
    assert rain.background == 0.0
    np.testing.assert_array_equal(rows_of(kept, slice(3, 9)), rows_of(field, slice(3, 9)))


def test_large_frames_of_reflectivity_are_drawn_as_their_rain() -> None:
    shape = (LARGE_CELLS // 2100 + 1, 2100)
    field = showers(*shape, background=-32.0)
    grid = Grid.regular(left=0, top=0, dx=1000, dy=1000, nx=shape[1], ny=shape[0])
    layout = Layout("test", "DBZH", Quantity.REFLECTIVITY, "dBZ", grid)
    sequence = RadarSequence(layout, (FrameRef(NOON, Path("a"), 0),), lambda ref, layout: pack(field, -32.0))
    np.testing.assert_array_equal(sequence.native(0), field)
    np.testing.assert_array_equal(unpacked(sequence.packed_rain_rate(0)), sequence.rain_rate(0))
    packed_one = make_picture(sequence.packed_rain_rate(0), grid, COLOURS, (1.0,))
    plain = make_picture(sequence.rain_rate(0), grid, COLOURS, (1.0,))
    np.testing.assert_array_equal(packed_one.bins, plain.bins)
    for one, other in zip(packed_one.contours, plain.contours, strict=True):
        np.testing.assert_allclose(one.xy, other.xy, rtol=1e-5)


def test_a_stack_reads_like_an_array() -> None:
    fields = [showers(6, 7, seed) for seed in range(4)]
    stack, array = PackedStack((pack(fields[0]), *fields[1:])), np.stack(fields)
    assert (len(stack), stack.shape, stack.ndim) == (4, (4, 6, 7), 3)
    np.testing.assert_array_equal(np.asarray(stack), array)
    np.testing.assert_array_equal(stack[-1], array[-1])
    np.testing.assert_array_equal(np.asarray(stack[-3:]), array[-3:])
    np.testing.assert_array_equal(np.asarray(stack[[0, -1]]), array[[0, -1]])
    np.testing.assert_array_equal(np.stack(list(stack)), array)


def archive(count: int = 4, shape: tuple[int, int] = (LARGE_CELLS // 2000, 2000)) -> tuple[RadarSequence, list[int]]:
    """A large archive whose rain moves one column a step, and a list of the frames that were decoded."""
    decoded: list[int] = []
    still = np.repeat(np.repeat(showers(shape[0] // 50, shape[1] // 50 + 1), 50, axis=0), 50, axis=1)[:, :shape[1]]

    def read(ref: FrameRef, layout: Layout) -> NDArray[np.float32]:
        decoded.append(ref.key)
        return np.roll(still, ref.key, axis=1)

    grid = Grid.regular(left=0, top=0, dx=1000, dy=1000, nx=shape[1], ny=shape[0])
    frames = tuple(FrameRef(NOON + timedelta(minutes=5 * k), Path("a"), k) for k in range(count))
    return RadarSequence(Layout("test", "rain", Quantity.RAIN_RATE, "mm/h", grid), frames, read), decoded


def test_frames_of_a_large_archive_are_kept_packed_and_shared_with_pictures() -> None:
    sequence, decoded = archive()
    first = sequence.native(1)
    events = list(display(DisplayRequest((Wanted("a", sequence=sequence, index=1),), COLOURS, (1.0,)), Scope()))
    picture = next(event.picture for event in events if isinstance(event, PictureReady))
    assert decoded == [1]
    assert picture.rain_rate is sequence.packed_rain_rate(1)
    np.testing.assert_array_equal(picture.rain_rate[700, 1234], first[700, 1234])
    sequence._cache.clear()
    np.testing.assert_array_equal(sequence.native(1), first)
    assert decoded == [1]


def test_a_window_shows_every_cell() -> None:
    field = showers(3000, 2100)
    grid = Grid.regular(left=0, top=0, dx=1000, dy=1000, nx=2100, ny=3000)
    whole = make_picture(field, grid, COLOURS, (1.0,))
    assert (whole.block, whole.bins.shape, whole.window) == (2, (1500, 1050), None)
    for kept in (field, pack(field)):
        part = make_picture(kept, grid, COLOURS, (1.0,), window=(slice(100, 160), slice(2000, 2500)))
        alone = rain_bins((1.0,))(np.ascontiguousarray(field[100:160, 2000:]))
        assert (part.block, part.bins.shape) == (1, (60, 100))
        np.testing.assert_array_equal(part.bins, alone)
        assert part.grid is not None
        assert part.grid.extent == (2000e3, 2100e3, -160e3, -100e3)
        np.testing.assert_array_equal(part.rain_rate[5, 6], field[5, 6])
    with pytest.raises(ValueError, match="window"):
        make_picture(field, grid, COLOURS, (1.0,), window=(slice(5, 5), slice(0, 10)))


def test_compact_forecasts_and_their_scores_are_the_same() -> None:
    sequence, _ = archive(6)
    wish = ForecastRequest(sequence=sequence, index=3, forecaster="persistence", lead_times=2, inputs=2, score=True)
    plain, compact = (list(forecast(replace(wish, compact=kind), Scope())) for kind in (False, True))
    for one, other in zip(plain, compact, strict=True):
        if isinstance(one, FrameReady) and isinstance(other, FrameReady):
            assert isinstance(other.rain_rate, PackedField)
            np.testing.assert_array_equal(one.rain_rate, unpacked(other.rain_rate))
        if isinstance(one, ScoreReady) and isinstance(other, ScoreReady):
            np.testing.assert_array_equal(one.tally.joint, other.tally.joint)
            truth, there = sequence.rain_rate(3), sequence.rain_rate(4 + one.lead_index)
            both = np.isfinite(truth) & np.isfinite(there)
            assert (one.tally.frames, one.tally.pixels) == (1, int(both.sum()))
            table = one.tally.contingency((2.0,))
            assert table.tp[0] == int(((truth >= 2) & (there >= 2) & both).sum())
