"""The weights that ship for downscaling: small, told on a card, selectable, better than interpolation where the truth
is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import resources
from engine.downscalers.neural import NeuralDownscaler
from engine.downscalers.protocol import Factors, Options, downscale
from engine.forecasters.protocol import Context, Inputs
from engine.jobs import weights
from engine.networks.configuration import parameter_count
from engine.networks.downscaling_zoo import DOWNSCALING
from engine.networks.weights import load
from engine.radar.grid import Grid
from engine.radar.ground import fixed_fields
from engine.radar.sequence import Field
from tests.engine.downscalers.cells import cell, inputs

NAMES = [name for name in DOWNSCALING if name.endswith("-small")]
MOST_BYTES = 20 * 10**6


def file_of(name: str) -> Path:
    return resources.path("weights") / f"{name}.safetensors"


@pytest.mark.parametrize("name", NAMES)
def test_what_the_card_tells(name: str) -> None:
    network, header = load(file_of(name))
    assert header.name == name
    assert header.configuration == DOWNSCALING[name].configuration
    assert parameter_count(network) == DOWNSCALING[name].parameters
    assert (header.dbz_least, header.dbz_most) == (15.0, 70.0)
    card = header.card
    assert all(word in card.data for word in ("FMI", "KNMI", "MRMS"))
    assert not any(word in card.data for word in ("MeteoSwiss", "BoM", "OPERA"))
    assert card.steps > 0
    assert card.loss
    assert card.weaknesses
    for scores in card.scores.values():
        assert {"trilinear", "flow-interpolation", name} <= set(scores["MSE in dBZ^2, all frames"])


def test_together_they_are_small() -> None:
    assert sum(file_of(name).stat().st_size for name in NAMES) < MOST_BYTES


@pytest.mark.parametrize("name", NAMES)
def test_the_cell_in_between(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the cells and twice the frames of the turning cell, found where the program looks for weights."""
    monkeypatch.setattr(weights, "folders", lambda: iter([resources.path("weights")]))
    downscaler = weights.downscaler(name)
    assert isinstance(downscaler, NeuralDownscaler)
    given = inputs([cell(1), cell(2)])
    grid = Grid(given.grid.x, given.grid.y + 500_000, "EPSG:28992")
    given = Inputs(given.frames, given.times, given.step_minutes, grid, given.zr)

    def ground(names: tuple[str, ...]) -> Field:
        return fixed_fields(names, given.grid, (), resources.base_map())

    wrong = {}
    for title, one in ((name, downscaler), ("trilinear", weights.downscaler("trilinear"))):
        frames = list(downscale(given, one, Options(Factors()), Context(), ground).frames)
        wrong[title] = float(np.mean((frames[1].rain_rate - cell(1.5, 2)) ** 2))
    assert wrong[name] < 0.8 * wrong["trilinear"]
