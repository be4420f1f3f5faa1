"""What every downscaler that needs no weights keeps: grid, times, no data, no rain below nought, bounds, cancel."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from engine import catalogue
from engine.cancel import CancelToken
from engine.downscalers.fields import block_means, local_most, repeated
from engine.downscalers.protocol import Factors, Frame, Options, downscale
from engine.errors import Cancelled, NotEnoughInput, WrongUsage
from engine.forecasters.protocol import Context
from engine.radar.sequence import Field
from tests.engine.downscalers.cells import START, cell, inputs

NAMES = [row.name for row in catalogue.rows("downscaler") if row.parameters == 0]


def made(name: str, frames: list[Field], factors: Factors, **wish: Any) -> list[Frame]:
    refined = downscale(inputs(frames), catalogue.load("downscaler", name)(), Options(factors, **wish), Context())
    return list(refined.frames)


def rough(ny: int = 40, nx: int = 48, seed: int = 1) -> list[Field]:
    generator = np.random.default_rng(seed)
    first = np.exp(generator.normal(size=(ny, nx))).astype(np.float32) * (generator.random((ny, nx)) > 0.5)
    return [first, np.roll(first, 2, axis=1), np.roll(first, 4, axis=1)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("factors", [Factors(), Factors(1, 1, 2), Factors(3, 2, 1), Factors(2, 2, 4)], ids=str)
def test_grid_and_times(name: str, factors: Factors) -> None:
    given = inputs([cell(0), cell(1), cell(2)])
    refined = downscale(given, catalogue.load("downscaler", name)(), Options(factors), Context())
    frames = list(refined.frames)
    assert tuple(frame.time for frame in frames) == refined.times
    assert len(frames) == 2 * factors.t + 1
    assert refined.times[1] - refined.times[0] == timedelta(minutes=10) / factors.t
    assert refined.grid.shape == (96 * factors.y, 96 * factors.x)
    np.testing.assert_allclose(refined.grid.extent, given.grid.extent)
    for frame in frames:
        assert frame.rain_rate.shape == refined.grid.shape
        assert frame.rain_rate.dtype == np.float32
        assert np.isfinite(frame.rain_rate).all()
        assert (frame.rain_rate >= 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_no_data_stays_where_it_is(name: str) -> None:
    """No data neither spreads nor shrinks in the given frames, and rain beside it is not thinned out by it."""
    hole = np.zeros((40, 48), bool)
    hole[:, :7], hole[20:25, 30:33] = True, True
    frames = [np.where(hole, np.nan, np.float32(5.0)) for _ in range(2)]
    for frame in made(name, frames, Factors(2, 2, 2)):
        np.testing.assert_array_equal(np.isnan(frame.rain_rate), repeated(hole, Factors()))
        if name != "rainfarm":
            np.testing.assert_allclose(frame.rain_rate[~repeated(hole, Factors())], 5.0, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_but_no_data(name: str) -> None:
    for frame in made(name, [np.full((16, 16), np.nan, np.float32)] * 2, Factors()):
        assert np.isnan(frame.rain_rate).all()


@pytest.mark.parametrize("name", NAMES)
def test_dry_stays_dry(name: str) -> None:
    for frame in made(name, [np.zeros((16, 16), np.float32)] * 2, Factors()):
        assert (frame.rain_rate == 0).all()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "rainfarm"])
def test_no_new_maxima(name: str) -> None:
    """Interpolation never goes beyond the cells around it; between frames never beyond the two frames."""
    frames = rough()
    found = made(name, frames, Factors())
    for index, frame in enumerate(frames):
        ceiling = repeated(local_most(frame), Factors())
        assert (found[2 * index].rain_rate <= ceiling * np.float32(1 + 1e-6)).all()
    for index in (0, 1):
        assert found[2 * index + 1].rain_rate.max() <= max(frames[index].max(), frames[index + 1].max()) * (1 + 1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("factors", [Factors(2, 2, 2), Factors(4, 3, 1)], ids=str)
def test_block_means_are_the_cells(name: str, factors: Factors) -> None:
    """Conservation, its bound of k_y k_x times the cell itself, and no rain in cells that had none."""
    frames = rough()
    frames[0][5:9, 5:9] = np.nan
    found = made(name, frames, factors, conserve=True)
    for index, frame in enumerate(frames):
        fine = found[factors.t * index].rain_rate
        np.testing.assert_allclose(block_means(fine, factors), frame, rtol=2e-6, atol=1e-7)
        valid = ~np.isnan(fine)
        assert (fine[valid] <= factors.y * factors.x * repeated(frame, factors)[valid] * (1 + 1e-5)).all()


@pytest.mark.parametrize("name", NAMES)
def test_factors_of_one_change_nothing(name: str) -> None:
    frames = rough()
    for frame, found in zip(frames, made(name, frames, Factors(1, 1, 1)), strict=True):
        np.testing.assert_allclose(found.rain_rate, frame, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_repeatable_and_inputs_untouched(name: str) -> None:
    frames = rough()
    before = [frame.copy() for frame in frames]
    first, second = made(name, frames, Factors(), seed=3), made(name, frames, Factors(), seed=3)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.rain_rate, other.rain_rate)
    for frame, kept in zip(frames, before, strict=True):
        np.testing.assert_array_equal(frame, kept)


@pytest.mark.parametrize("name", NAMES)
def test_cancel_after_one_frame(name: str) -> None:
    token = CancelToken()
    refined = downscale(inputs(rough()), catalogue.load("downscaler", name)(), Options(), Context(token))
    next(refined.frames)
    token.cancel()
    with pytest.raises(Cancelled):
        next(refined.frames)


def test_cancel_inside_a_frame() -> None:
    """Large fields are worked on in strips; between them the token is asked."""
    from engine.downscalers.fields import bilinear

    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        bilinear(np.zeros((900, 900), np.float32), Factors(), check)


def test_strips_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.downscalers import fields

    frame = rough()[0]
    frame[10:12, 4:9] = np.nan
    whole = fields.bilinear(frame, Factors(), lambda: None)
    monkeypatch.setattr(fields, "STRIP_CELLS", 4 * 48 * 3)
    np.testing.assert_array_equal(fields.bilinear(frame, Factors(), lambda: None), whole)


def test_what_makes_no_sense_is_refused() -> None:
    for bad in ((0, 1, 1), (2, 9, 1), (2, 2, 5)):
        with pytest.raises(WrongUsage, match="between 1 and 4"):
            Factors(*bad)
    with pytest.raises(NotEnoughInput):
        downscale(inputs([cell(0)]), catalogue.load("downscaler", "trilinear")(), Options(), Context())
    assert START.tzinfo is not None
