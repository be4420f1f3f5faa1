"""Networks that look at where a pixel lies see the place in the whole domain, also in a tile and beside padding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from engine.forecasters.neural import NeuralForecaster
from engine.forecasters.protocol import Context
from engine.forecasters.tiles import cut
from engine.networks.cells.convgru import ConvGRU
from engine.networks.encoder_forecaster import (
    HKO7,
    MOVING_MNIST,
    EncoderForecaster,
    Ladder,
    coordinates,
    with_coordinates,
)

LADDERS = {"moving-mnist": replace(MOVING_MNIST, hidden=(8, 12, 12), first=4),
           "hko7": replace(HKO7, hidden=(8, 12, 16), first=4)}
MARGIN = 16
SPAN_DBZ = 70.0


def network_of(ladder: Ladder) -> EncoderForecaster:
    torch.manual_seed(0)
    return EncoderForecaster(ladder, lambda level, inputs, hidden, place: ConvGRU(inputs, hidden, place)).eval()


def storm(side: int, count: int = 4) -> np.ndarray:
    """(T, side, side) in the network's unit."""
    noise = np.random.default_rng(0).normal(size=(count, side, side))
    return np.clip(gaussian_filter(noise, (1, 6, 6)) * 8, 0, 1).astype(np.float32)


def forecast(network: torch.nn.Module, frames: np.ndarray, side: int) -> np.ndarray:
    forecaster = NeuralForecaster(Path("unused"))
    return np.stack(list(forecaster._forecast(network, frames, 4, Context(), "cpu", side)))


def test_coordinates_go_from_border_to_border() -> None:
    x, y = coordinates((3, 5))
    assert x[0].tolist() == pytest.approx([-1, -0.5, 0, 0.5, 1])
    assert y[:, 0].tolist() == pytest.approx([-1, 0, 1])
    assert bool((x == x[:1]).all())
    assert bool((y == y[:, :1]).all())
    frame = torch.rand(2, 1, 3, 5)
    planes = with_coordinates(frame, coordinates((3, 5)))
    assert planes.shape == (2, 4, 3, 5)
    assert torch.equal(planes[:, :1], frame)
    assert torch.equal(planes[1, 1], x)
    assert torch.equal(planes[1, 2], y)
    assert bool((planes[:, 3] == 1).all())


def test_tiles_see_their_part_of_the_domains_coordinates() -> None:
    whole = coordinates((100, 130))
    for tile in cut((100, 130), (48, 48), 16, 4):
        shape = (tile.rows.stop - tile.rows.start, tile.columns.stop - tile.columns.start)
        part = coordinates(shape, (tile.rows.start, tile.columns.start), (100, 130))
        torch.testing.assert_close(part, whole[:, tile.place[0], tile.place[1]])
    beyond = coordinates((102, 131), domain=(100, 130))
    torch.testing.assert_close(beyond[:, :100, :130], whole)
    assert float(beyond[1, 101, 0]) > 1.0


@pytest.mark.parametrize(("ladder", "side"), [("hko7", 240), ("moving-mnist", 256)])
def test_tiles_of_an_encoder_forecaster_cannot_be_seen(ladder: str, side: int) -> None:
    """Of 480 x 480, as a share of what the forecast spans: 0.5 dBZ of 70 dBZ."""
    network, frames = network_of(LADDERS[ladder]), storm(480)
    whole, tiled = forecast(network, frames, 480), forecast(network, frames, side)
    inside = (slice(None), slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    span = np.ptp(whole[inside], axis=(1, 2))
    assert (np.abs(whole - tiled)[inside].max(axis=(1, 2)) < 0.5 / SPAN_DBZ * span).all()


def test_with_a_tiles_own_coordinates_they_would_be(monkeypatch: pytest.MonkeyPatch) -> None:
    network, frames = network_of(LADDERS["moving-mnist"]), storm(160)
    whole = forecast(network, frames, 160)

    def of_the_piece(shape: tuple[int, ...], corner: tuple[int, int] = (0, 0), domain: tuple[int, int] | None = None,
                     like: Tensor | None = None) -> Tensor:
        return coordinates(shape, like=like)

    monkeypatch.setattr("engine.networks.encoder_forecaster.coordinates", of_the_piece)
    tiled = forecast(network, frames, 128)
    inside = (slice(None), slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    assert (np.abs(whole - tiled)[inside].max(axis=(1, 2)) > 0.5 / SPAN_DBZ * np.ptp(whole[inside], axis=(1, 2))).any()
