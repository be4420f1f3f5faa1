"""Twice as many cells along both axes and twice as many frames of a large domain, within bounds of memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

MOST_MB = 2000

NETWORK = """
import resource, sys
import numpy as np
import torch
from engine.downscalers.neural import PairByPair, Scale
from engine.downscalers.protocol import Frame, Options
from engine.errors import Cancelled
from engine.forecasters.protocol import Context
from engine.networks.configuration import build
from engine.networks.downscaling_zoo import DOWNSCALING
from tests.engine.downscalers.cells import inputs

torch.set_num_threads(1)
configuration = DOWNSCALING[sys.argv[1]].configuration
guided = bool(configuration.options.get("guided"))
network, tiles = build(configuration).eval(), []
network.register_forward_hook(lambda *given: tiles.append(1))

class Token:
    def check(self):
        if len(tiles) >= int(sys.argv[2]):
            raise Cancelled

generator = np.random.default_rng(0)
first = np.kron(generator.gamma(0.3, 5.0, (90, 90)), np.ones((10, 10))).astype(np.float32)
given = inputs([first, np.roll(first, 4, axis=1)])
refining = PairByPair(network, Scale(given.zr), Options(conserve=True), Context(Token()), guided=guided)
list(refining.push(Frame(given.times[0], first)))
try:
    frames = list(refining.push(Frame(given.times[1], given.frames[1])))
    assert [frame.rain_rate.shape for frame in frames] == [(1800, 1800)] * 3
except Cancelled:
    assert len(tiles) == int(sys.argv[2])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 * 1024 if sys.platform == "darwin" else 1024))
"""

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


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform == "win32", reason="the system does not tell the peak")
@pytest.mark.parametrize(("name", "tiles"), [("unet-small", 1000), ("zsm", 2)])
def test_memory_of_networks(name: str, tiles: int) -> None:
    """The whole domain with a small network; with the paper's the first tiles, as one is like the next."""
    done = subprocess.run([sys.executable, "-c", NETWORK, name, str(tiles)], capture_output=True, text=True, check=True,
                          timeout=880)
    assert int(done.stdout) < MOST_MB
