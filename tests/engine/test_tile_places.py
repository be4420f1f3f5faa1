"""Networks that look at where a pixel lies see the place in the whole domain, also in a tile and beside padding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from engine.forecasters.neural import NeuralForecaster, Tiling
from engine.forecasters.protocol import Context
from engine.forecasters.tiles import cut
from engine.networks.cells.convgru import ConvGRU
from engine.networks.configuration import build
from engine.networks.encoder_forecaster import (
    HKO7,
    MOVING_MNIST,
    EncoderForecaster,
    Ladder,
    coordinates,
    with_coordinates,
)
from tests.engine.networks.test_learning import SMALL

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


WITH_GLOBAL_MEANS = ("gsta", "tau", "lpt-qpn")


def tiled_and_whole(name: str) -> None:
    wish = SMALL[name]
    torch.manual_seed(0)
    network, frames = build(wish).eval(), storm(480, wish.inputs)
    side = 384 if name == "incepu" else 256
    whole, tiled = forecast(network, frames, 480), forecast(network, frames, side)
    inside = (slice(None), slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    span = np.ptp(whole[inside], axis=(1, 2))
    assert (np.abs(whole - tiled)[inside].max(axis=(1, 2)) < 0.5 / SPAN_DBZ * span).all()


@pytest.mark.parametrize("name", WITH_GLOBAL_MEANS[:1])
def test_tiles_of_a_network_with_means_over_the_domain_cannot_be_seen(name: str) -> None:
    tiled_and_whole(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, wish in SMALL.items() if name not in WITH_GLOBAL_MEANS[:1]
                                  and wish.architecture not in ("earthformer", "encoder-forecaster")])
def test_tiles_of_no_network_can_be_seen(name: str) -> None:
    """Earthformer has no forecast of a whole domain to compare with: its tables belong to one size of grid."""
    tiled_and_whole(name)


def test_blocks_of_lead_times_are_put_together_before_they_are_seen_again() -> None:
    """A forecast beyond the trained length starts from the domain's frames, not from each tile's own."""
    network = build(SMALL["gsta"]).eval()
    frames = storm(160, 3)
    first = forecast(network, frames, 128)
    again = forecast(network, first[:3], 128)
    np.testing.assert_array_equal(first[3], again[0])


def test_a_block_that_is_too_large_is_kept_in_half_of_it() -> None:
    torch.manual_seed(0)
    network, frames = build(SMALL["gsta"]).eval(), storm(160, 3)
    plain, small = (np.stack(list(NeuralForecaster(Path("unused"), Tiling(kept_bytes=kept))._forecast(
        network, frames, 2, Context(), "cpu", 128))) for kept in (2 << 30, 0))
    np.testing.assert_allclose(small, plain, atol=2e-3 * np.abs(plain).max())
    assert not np.array_equal(small, plain)


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
