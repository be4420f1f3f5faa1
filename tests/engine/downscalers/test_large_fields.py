"""Twice as many cells along both axes and twice as many frames of a large domain, within bounds of memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

MOST_MB = 2000

CODE = """
import resource, sys
import numpy as np
from engine import catalogue
from engine.downscalers.protocol import Factors, Options, downscale
from engine.forecasters.protocol import Context
from tests.engine.downscalers.cells import inputs

generator = np.random.default_rng(0)
first = np.kron(generator.gamma(0.3, 5.0, (90, 90)), np.ones((10, 10))).astype(np.float32)
frames = [np.roll(first, 4 * index, axis=1) for index in range(3)]
downscaler = catalogue.load("downscaler", sys.argv[1])()
for frame in downscale(inputs(frames), downscaler, Options(Factors(2, 2, 2), conserve=True), Context()).frames:
    assert frame.rain_rate.shape == (1800, 1800)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 * 1024 if sys.platform == "darwin" else 1024))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the system does not tell the peak")
@pytest.mark.parametrize("name", ["trilinear", "flow-interpolation", "rainfarm"])
def test_memory_on_a_large_domain(name: str) -> None:
    done = subprocess.run([sys.executable, "-c", CODE, name], capture_output=True, text=True, check=True, timeout=110)
    assert int(done.stdout) < MOST_MB
