"""S-PROG and ANVIL through pysteps: rain that moves arrives, no data stays, and where pysteps is missing it is told."""

from __future__ import annotations

import sys
from datetime import timedelta

import numpy as np
import pytest
from scipy import ndimage

from engine import catalogue
from engine.errors import WrongUsage
from engine.forecasters.protocol import Context, Inputs, Options
from tests.engine.sequences import START, sequence

SIDE, SPEED, LEADS = 128, 3, 4


def rain(step: int) -> np.ndarray:
    """Smooth showers that move three cells a step to the east, around the edges."""
    noise = np.random.default_rng(7).normal(size=(SIDE, SIDE))
    smooth = ndimage.gaussian_filter(noise, 5, mode="wrap")
    shower = np.clip(smooth / smooth.std() * 4.0, 0.0, None).astype(np.float32)
    return np.roll(shower, SPEED * step, axis=1)


def moving_rain() -> Inputs:
    """Five frames of it, with a column without data."""
    frames = np.stack([rain(step) for step in range(5)])
    frames[:, :, 0] = np.nan
    archive = sequence(list(frames))
    times = tuple(START + timedelta(minutes=5 * step) for step in range(5))
    return Inputs(frames, times, 5.0, archive.grid, archive.zr)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pysteps-sprog", "pysteps-anvil"])
def test_rain_arrives_where_it_moves(name: str) -> None:
    pytest.importorskip("pysteps")
    pytest.importorskip("cv2")
    frames = list(catalogue.load("forecaster", name)().run(moving_rain(), Options(lead_times=LEADS), Context()))
    assert [frame.lead_minutes for frame in frames] == [5.0, 10.0, 15.0, 20.0]
    inner = (slice(16, -16), slice(32, -16))
    for lead, frame in enumerate(frames, start=1):
        assert np.isnan(frame.rain_rate[:, 0]).all()
        there = rain(4 + lead)[inner].ravel()
        now = np.corrcoef(rain(4)[inner].ravel(), there)[0, 1]
        assert np.corrcoef(np.nan_to_num(frame.rain_rate)[inner].ravel(), there)[0, 1] > max(0.75, now + 0.05)


@pytest.mark.parametrize("name", ["pysteps-sprog", "pysteps-anvil"])
def test_without_pysteps_the_way_there_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pysteps", None)
    with pytest.raises(WrongUsage, match="not installed") as told:
        list(catalogue.load("forecaster", name)().run(moving_rain(), Options(lead_times=1), Context()))
    assert "stormdeck[compare]" in str(told.value.advice)
