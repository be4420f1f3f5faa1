"""ROVER: the transforms, whole runs on awkward inputs, and skill above persistence on real storms."""

from __future__ import annotations

import subprocess
import sys
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine import catalogue
from engine.cancel import CancelToken
from engine.errors import Cancelled, NotEnoughInput
from engine.forecasters.advection import Steering
from engine.forecasters.optical_flow import Flow
from engine.forecasters.protocol import Context, Inputs, Options
from engine.forecasters.rover import RoverLinear, RoverSettings, Transform
from engine.radar.grid import Grid
from engine.radar.units import HKO7

NAMES = ("rover-linear", "rover-nonlinear", "rover-linear-eulerian", "rover-nonlinear-eulerian")
DRY, CONSTANT, NOTHING, HUGE, INFINITE = 0.0, 7.0, np.nan, 1e30, np.inf


def inputs(frames: NDArray[np.floating], step: float = 6.0) -> Inputs:
    frames = np.asarray(frames, np.float32)
    start = datetime(2020, 1, 1, tzinfo=UTC)
    times = tuple(start + timedelta(minutes=step * k) for k in range(len(frames)))
    grid = Grid.regular(left=0, top=0, dx=1000, dy=1000, nx=frames.shape[2], ny=frames.shape[1])
    return Inputs(frames, times, step, grid, HKO7)


def forecast(name: str, given: Inputs, leads: int = 3, context: Context | None = None) -> list[NDArray[np.float32]]:
    run = catalogue.load("forecaster", name)().run(given, Options(lead_times=leads), context or Context())
    return [lead.rain_rate for lead in run]


def drifting_cell(count: int = 3, side: int = 128, speed: float = 4.0) -> NDArray[np.float32]:
    row, column = np.mgrid[0:side, 0:side]
    return np.stack([30 * np.exp(-((row - 64) ** 2 + (column - 40 - speed * k) ** 2) / 200.0) for k in range(count)])


def test_linear_grey_is_the_pixel_law() -> None:
    """Pixels of HKO-7's law for the five thresholds (table of the published law, Z = 58.53 R^1.56)."""
    rates = np.array([0.5, 2.0, 5.0, 10.0, 30.0], np.float32)
    grey = Transform.LINEAR.grey(rates, HKO7)
    np.testing.assert_allclose(grey, [83.70, 117.92, 140.53, 157.64, 184.75], atol=0.02)


def test_nonlinear_grey_is_the_arctangent() -> None:
    dbz = np.array([-10.0, 13.0, 33.0, 37.0, 60.0])
    low, high = np.arctan(-43 / 4), np.arctan(27 / 4)
    expected = (np.arctan((dbz - 33) / 4) - low) / (high - low) * 255
    np.testing.assert_allclose(Transform.NONLINEAR.grey(HKO7.rain_rate(dbz), HKO7), expected, atol=0.01)


@pytest.mark.parametrize("transform", list(Transform))
def test_grey_and_back(transform: Transform) -> None:
    rates = np.array([0.0, 0.3, 1.0, 10.0, 100.0, 400.0, np.nan], np.float32)
    np.testing.assert_allclose(transform.rain_rate(transform.grey(rates, HKO7), HKO7), rates, rtol=2e-3)


@pytest.mark.parametrize("name", NAMES)
def test_a_drifting_cell_arrives(name: str) -> None:
    truth = drifting_cell(count=7)
    given = inputs(truth[:3])
    for lead, rate in enumerate(forecast(name, given, 4), start=1):
        assert rate.dtype == np.float32
        centre = np.average(np.arange(128), weights=np.nansum(rate, axis=0))
        expected = np.average(np.arange(128), weights=truth[2 + lead].sum(axis=0))
        assert abs(centre - expected) < 0.5 * lead


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [DRY, CONSTANT, NOTHING, HUGE, INFINITE])
@pytest.mark.parametrize("shape", [(2, 8, 8), (3, 37, 65), (2, 2, 90)])
def test_awkward_fields_stay_where_they_are(name: str, value: float, shape: tuple[int, int, int]) -> None:
    given = inputs(np.full(shape, value))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frames = forecast(name, given)
    assert [frame.shape for frame in frames] == [shape[1:]] * 3
    if not name.endswith("eulerian") and value not in (INFINITE,):
        np.testing.assert_array_equal(frames[-1], given.frames[-1])


@pytest.mark.parametrize("name", NAMES)
def test_runs_are_repeatable_and_progress_rises(name: str) -> None:
    given = inputs(drifting_cell())
    seen: list[float] = []
    first = forecast(name, given, 3, Context(progress=lambda fraction, text: seen.append(fraction)))
    for a, b in zip(first, forecast(name, given), strict=True):
        np.testing.assert_array_equal(a, b)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


@pytest.mark.parametrize("name", NAMES)
def test_cancel_after_one_frame(name: str) -> None:
    token = CancelToken()
    run = catalogue.load("forecaster", name)().run(inputs(drifting_cell()), Options(), Context(token=token))
    next(run)
    token.cancel()
    with pytest.raises(Cancelled):
        next(run)


def test_one_frame_is_not_enough() -> None:
    with pytest.raises(NotEnoughInput, match="2 frames"):
        forecast("rover-linear", inputs(drifting_cell(count=1)))


def test_naming_the_forecaster_loads_no_torch() -> None:
    code = ("import sys; from engine import catalogue; catalogue.load('forecaster', 'rover-nonlinear')();"
            "raise SystemExit('torch' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_data_travels_and_comes_in() -> None:
    frames = drifting_cell(speed=4.0)
    frames[:, :20] = np.nan
    last = forecast("rover-linear", inputs(frames), 2)[-1]
    assert np.isnan(last[:16]).all()
    assert np.isnan(last[64, :4]).all(), "nobody knows what comes in from the west"
    assert np.isfinite(last[40:80, 20:120]).all()


EVENTS = {  # folder: reference indices, lead times
    "knmi/2010-08-26": ((20, 50), 6),
    "mch-aqc/2015-05-15": ((6, 18), 6),
    "mch-aqc/2017-01-31": ((6, 18), 6),
    "opera/2018-08-24": ((8,), 3),
}


@pytest.mark.realdata
@pytest.mark.parametrize("event", EVENTS)
def test_better_than_persistence_on_real_storms(event: str, real_data: Path) -> None:
    """CSI at 0.5 mm/h pooled over reference times, where both have a forecast, from the second lead time on."""
    opening = pytest.importorskip("engine.archives.opening")
    sequence = opening.open_archive([real_data / event])
    references, leads = EVENTS[event]
    both = np.zeros((2, leads, 2), int)
    for at in references:
        frames = np.stack([sequence.rain_rate(k) for k in range(at - 3, at + 1)])
        minutes = sequence.step_minutes
        given = Inputs(frames, sequence.times[at - 3:at + 1], minutes, sequence.grid, sequence.zr)
        for lead, rate in enumerate(forecast("rover-nonlinear", given, leads)):
            truth = sequence.rain_rate(at + lead + 1)
            known = np.isfinite(rate) & np.isfinite(truth) & np.isfinite(frames[-1])
            seen = truth[known] >= 0.5
            for which, field in enumerate((rate, frames[-1])):
                said = field[known] >= 0.5
                both[which, lead] += ((said & seen).sum(), (said | seen).sum())
    csi = both[..., 0] / both[..., 1]
    assert (csi[0, 1:] > csi[1, 1:] + 0.03).all()


def test_steering_takes_over_between_two_lead_times() -> None:
    flow = Flow(torch.zeros(2, 2, 2), 8, (16, 16))
    steering = Steering(flow, begins=9, ends=14)
    assert [steering.share(step) for step in (1, 9, 14, 20)] == [0, 0, 1, 1]
    assert steering.share(10) == pytest.approx(0.2)


def test_rain_that_renews_itself_in_place_stays_there_in_the_long_run() -> None:
    """Cells that ride east through a fixed envelope: an hour later rain is still where the envelope is."""
    rows, columns = np.mgrid[0:128, 0:128]
    envelope = np.exp(-((rows - 64) ** 2 + (columns - 64) ** 2) / (2 * 22.0**2))
    frames = np.stack([20 * envelope * (1 + np.sin((columns - 3 * k) / 3.0)) / 2 for k in range(26)])
    given, truth = inputs(frames[:5]), frames[24] >= 0.5
    riding = RoverLinear(RoverSettings(steering=None)).run(given, Options(lead_times=20), Context())
    steered = RoverLinear().run(given, Options(lead_times=20), Context())
    (*_, without), (*_, with_it) = ([lead.rain_rate >= 0.5 for lead in run] for run in (riding, steered))
    csi = [np.sum(field & truth) / np.sum(field | truth) for field in (without, with_it)]
    assert csi[1] > csi[0] + 0.1


def test_steering_needs_a_window_to_see_it_in() -> None:
    given = inputs(drifting_cell(2))
    assert len(list(RoverLinear().run(given, Options(lead_times=16), Context()))) == 16
