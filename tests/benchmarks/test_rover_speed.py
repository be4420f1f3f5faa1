"""Cost of ``rover-nonlinear`` on a national composite: 20 lead times on 760 x 1226.

Run with ``--slow``; the numbers are for reading. Only processor time is compared, against a generous ratio to a
plain piece of work in the same run, since wall-clock time depends on what else the machine does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy import ndimage

from engine.forecasters.protocol import Context, Inputs, Options
from engine.forecasters.rover import RoverNonlinear
from engine.radar.grid import Grid
from engine.radar.units import MARSHALL_PALMER


def _composite(ny: int, nx: int) -> Inputs:
    rng = np.random.default_rng(0)
    rain = np.exp(ndimage.gaussian_filter(rng.standard_normal((ny, nx)), 8) * 40).astype(np.float32)
    rain[rain < 1.0] = 0.0
    frames = np.stack([np.roll(rain, 3 * k, axis=1) for k in range(5)])
    start = datetime(2020, 1, 1, tzinfo=UTC)
    times = tuple(start + timedelta(minutes=5 * k) for k in range(5))
    grid = Grid.regular(left=0, top=0, dx=1000, dy=1000, nx=nx, ny=ny)
    return Inputs(frames, times, 5.0, grid, MARSHALL_PALMER)


@pytest.mark.slow
def test_twenty_lead_times_on_a_national_composite(record_property: Callable[[str, object], None]) -> None:
    import torch

    given, threads = _composite(760, 1226), torch.get_num_threads()
    torch.set_num_threads(1)  # a second thread's waiting would count as work
    next(RoverNonlinear().run(given, Options(lead_times=1), Context()))  # imports and first use
    begin = time.process_time()
    leads = sum(1 for _ in RoverNonlinear().run(given, Options(lead_times=20), Context()))
    spent = time.process_time() - begin
    torch.set_num_threads(threads)
    begin = time.process_time()
    for _ in range(20):
        ndimage.map_coordinates(given.frames[-1], np.mgrid[0:760, 0:1226] + 0.4, order=1)
    plain = time.process_time() - begin
    record_property("cpu_seconds", spent)
    record_property("ratio_to_scipy_interpolation", spent / plain)
    assert leads == 20
    assert spent < 4.0 * plain, f"{spent:.2f} s of processor time, scipy's plain interpolation {plain:.2f} s"
