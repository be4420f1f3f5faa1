"""What holds for every deblurrer, whatever it does itself."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from engine.cancel import CancelToken
from engine.deblurrers.chain import Ledger, ruled, sharpened
from engine.deblurrers.protocol import Blurry, Context, Observation, Options, Sharpened
from engine.errors import Cancelled
from engine.forecasters.protocol import LeadFrame
from engine.radar.units import ZR
from tests.engine.sequences import START, grid, moving_square


class Wild:
    """Adds noise, and a factor; takes ``count`` frames at once."""

    draws = True

    def __init__(self, count: int = 1, factor: float = 1.0) -> None:
        self.count, self.factor = count, factor
        self.seen: list[int] = []

    def at_once(self, device: str) -> int:
        return self.count

    def sharpen(self, blurry: Blurry, options: Options, context: Context) -> Iterator[Sharpened]:
        self.seen.append(len(blurry.frames))
        assert np.isfinite(blurry.frames).all()
        draw = np.random.default_rng(options.seed)
        for frame in blurry.frames:
            context.token.check()
            yield Sharpened((self.factor * frame + draw.normal(0, 0.1, frame.shape)).astype(np.float32))


def observation() -> Observation:
    return Observation(moving_square(0), START, 5.0, grid(), ZR())


def leads(fields: list[np.ndarray]) -> Iterator[LeadFrame]:
    return (LeadFrame(5.0 * k, field) for k, field in enumerate(fields, start=1))


def run(fields: list[np.ndarray], deblurrer: Wild, options: Options | None = None,
        ledger: Ledger | None = None) -> list[LeadFrame]:
    return list(sharpened(leads(fields), deblurrer, observation(), options or Options(), Context(), ledger))


@pytest.mark.parametrize("plain", [np.zeros((24, 32), np.float32), np.full((24, 32), np.nan, np.float32),
                                   np.full((24, 32), 3.5, np.float32)])
def test_what_is_no_rain_at_all_comes_back_unchanged(plain: np.ndarray) -> None:
    deblurrer = Wild(0)
    found = run([plain, moving_square(1), plain], deblurrer)
    assert deblurrer.seen == [1]
    np.testing.assert_array_equal(found[0].rain_rate, plain)
    np.testing.assert_array_equal(found[2].rain_rate, plain)
    assert not np.array_equal(found[1].rain_rate, moving_square(1))
    assert [frame.lead_minutes for frame in found] == [5.0, 10.0, 15.0]


def test_constant_but_for_no_data_comes_back_unchanged() -> None:
    field = np.full((24, 32), 2.0, np.float32)
    field[:, :5] = np.nan
    np.testing.assert_array_equal(run([field], Wild())[0].rain_rate, field)


@pytest.mark.parametrize("factor", [0.2, 1.0, 7.0])
def test_no_data_stays_rain_is_positive_and_its_total_is_kept(factor: float) -> None:
    field = moving_square(3).copy()
    field[:, :4] = np.nan
    ledger = Ledger([])
    found = run([field], Wild(factor=factor), ledger=ledger)[0].rain_rate
    assert found.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(found), np.isnan(field))
    assert np.nanmin(found) >= 0
    assert abs(np.nansum(found) / np.nansum(field) - 1) < 0.1
    assert bool(ledger.rescaled) == (factor != 1.0)
    assert bool(ledger.words("wild")) == (factor != 1.0)


def test_totals_by_hand() -> None:
    before = np.array([[1.0, 3.0], [np.nan, 0.0]], np.float32)
    kept, change = ruled(before, np.array([[0.0, 4.2], [9.0, -1.0]], np.float32))
    np.testing.assert_array_equal(kept, np.array([[0.0, 4.2], [np.nan, 0.0]], np.float32))
    assert change == 0.0
    scaled, change = ruled(before, np.array([[2.0, 6.0], [9.0, 0.0]], np.float32))
    np.testing.assert_allclose(scaled, before)
    assert change == pytest.approx(1.0)
    dry, change = ruled(before, np.full((2, 2), -1.0, np.float32))
    np.testing.assert_array_equal(dry, before)
    assert change == -1.0
    holed, _ = ruled(before, np.array([[np.nan, 3.0], [0.0, 0.0]], np.float32))
    np.testing.assert_array_equal(holed, before)


@pytest.mark.parametrize(("count", "seen"), [(1, [1] * 5), (2, [2, 2, 1]), (0, [5])])
def test_frames_come_in_the_groups_that_are_needed(count: int, seen: list[int]) -> None:
    deblurrer = Wild(count)
    assert len(run([moving_square(k) for k in range(5)], deblurrer)) == 5
    assert deblurrer.seen == seen


def test_one_that_needs_single_frames_holds_nothing_back() -> None:
    """The first lead time is out before the second is asked for."""
    asked: list[int] = []

    def slow() -> Iterator[LeadFrame]:
        for k in range(1, 4):
            asked.append(k)
            yield LeadFrame(5.0 * k, moving_square(k))

    run = sharpened(slow(), Wild(), observation(), Options(), Context())
    next(run)
    assert asked == [1]


def test_the_same_seed_gives_the_same_forecast_another_one_another() -> None:
    fields = [moving_square(k) for k in range(3)]
    first, again, other = (run(fields, Wild(), Options(seed)) for seed in (4, 4, 5))
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a.rain_rate, b.rain_rate)
        assert not np.array_equal(a.rain_rate, c.rain_rate)
    assert not np.array_equal(first[0].rain_rate - fields[0], first[1].rain_rate - fields[1])


def test_one_that_draws_makes_an_ensemble_and_members_are_sharpened_one_by_one() -> None:
    drawn = run([moving_square(1)], Wild(), Options(members=3))[0].rain_rate
    assert drawn.shape == (3, 24, 32)
    assert not np.array_equal(drawn[0], drawn[1])
    still = Wild()
    still.draws = False
    assert run([moving_square(1)], still, Options(members=3))[0].rain_rate.shape == (24, 32)
    ensemble = np.stack([moving_square(1), np.zeros((24, 32), np.float32)])
    found = run([ensemble], Wild(), Options(members=2))[0].rain_rate
    assert found.shape == (2, 24, 32)
    assert not found[1].any()


def test_cancelled_between_frames() -> None:
    token = CancelToken()
    run = sharpened(leads([moving_square(k) for k in range(4)]), Wild(), observation(), Options(), Context(token))
    next(run)
    token.cancel()
    with pytest.raises(Cancelled):
        next(run)
