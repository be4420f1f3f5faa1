"""Networks as downscalers: weights from a file, tiles, no data, bounds, what they refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine import catalogue
from engine.downscalers import neural
from engine.downscalers.fields import block_means, local_most, repeated
from engine.downscalers.neural import MOST, NeuralDownscaler, Scale
from engine.downscalers.protocol import Factors, Frame, Options, downscale
from engine.errors import NotEnoughInput, NoWeights, WrongUsage
from engine.forecasters.protocol import Context
from engine.jobs import weights as weights_job
from engine.jobs.forecast import ForecastRequest, run
from engine.jobs.scope import Scope
from engine.networks.configuration import Configuration, Option, build
from engine.networks.trilinear import trilinear
from engine.networks.weights import Header, save
from engine.radar.sequence import Field
from tests.engine.downscalers.cells import inputs
from tests.engine.sequences import moving_square, sequence


def weight_file(folder: Path, **options: Option) -> Path:
    torch.manual_seed(1)
    small = {"front": 1, "back": 1, "channels": 8, "groups": 2} | options
    wish = Configuration("zsm", inputs=2, leads=3, options=small)
    path = folder / "zsm.safetensors"
    save(path, build(wish), Header("zsm", wish, step_minutes=10, pixel_km=2))
    return path


def rain(ny: int = 24, nx: int = 28) -> list[Field]:
    generator = np.random.default_rng(4)
    return [(generator.gamma(0.5, 8.0, (ny, nx))).astype(np.float32) for _ in range(3)]


def made(path: Path, frames: list[Field], **wish: bool) -> list[Frame]:
    refined = downscale(inputs(frames), NeuralDownscaler(path), Options(**wish), Context())  # type: ignore[arg-type]
    found = list(refined.frames)
    assert tuple(frame.time for frame in found) == refined.times
    return found


def test_frames_times_bounds_and_no_data(tmp_path: Path) -> None:
    frames = rain()
    for frame in frames:
        frame[:5, :6] = np.nan
    found = made(weight_file(tmp_path), frames)
    assert len(found) == 5
    for index, frame in enumerate(frames):
        fine = found[2 * index].rain_rate
        np.testing.assert_array_equal(np.isnan(fine), repeated(np.isnan(frame), Factors()))
        ceiling = repeated(local_most(frame), Factors()) * np.float32(MOST * 1.0001)
        assert (np.nan_to_num(fine) <= ceiling).all()
        assert (np.nan_to_num(fine) >= 0).all()


def test_block_means_are_kept_when_asked_for(tmp_path: Path) -> None:
    frames = rain()
    found = made(weight_file(tmp_path), frames, conserve=True)
    for index, frame in enumerate(frames):
        np.testing.assert_allclose(block_means(found[2 * index].rain_rate, Factors()), frame, rtol=1e-5)


class Trilinear(nn.Module):
    """Instead of a network: what tiles make of it is known."""

    def forward(self, frames: Tensor) -> Tensor:
        return trilinear(frames[:, :, 0])[:, :, None]


def test_tiles_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles of a local network put together are the whole: the border of a tile is its neighbour's matter."""
    units = np.random.default_rng(0).random((2, 70, 90)).astype(np.float32)
    whole = neural.PairByPair(Trilinear(), Scale(inputs(rain()).zr), Options(), Context())._run(units)
    monkeypatch.setattr(neural, "SIDE", 40)
    tiled = neural.PairByPair(Trilinear(), Scale(inputs(rain()).zr), Options(), Context())._run(units)
    np.testing.assert_allclose(tiled, whole, atol=1e-6)


def test_what_it_refuses(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="refines by 2 x 2 in space, 2 in time"):
        downscale(inputs(rain()), NeuralDownscaler(weight_file(tmp_path)), Options(Factors(3, 3, 2)), Context())
    with pytest.raises(NotEnoughInput, match="reads elevation and land_sea_mask"):
        downscale(inputs(rain()), NeuralDownscaler(weight_file(tmp_path, static=2)), Options(), Context())
    with pytest.raises(NotEnoughInput, match="precipitation rate"):
        downscale(inputs(rain()), NeuralDownscaler(weight_file(tmp_path, dynamic=3)), Options(), Context())


@pytest.fixture
def weights_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(weights_job, "folders", lambda: iter([tmp_path]))
    return tmp_path


@pytest.mark.parametrize("name", [row.name for row in catalogue.rows("downscaler") if row.parameters])
def test_without_weights_it_says_so(name: str, weights_in: Path) -> None:
    with pytest.raises(NoWeights, match=r"no .*\.safetensors"):
        list(run(ForecastRequest(sequence(moving_square, 8), downscaler=name), Scope()))


def test_with_weights_it_is_chained(weights_in: Path) -> None:
    weight_file(weights_in)
    request = ForecastRequest(sequence(moving_square, 8, step_minutes=10), downscaler="zsm", lead_times=2)
    result = list(run(request, Scope()))[-1].result  # type: ignore[attr-defined]
    assert result["lead_times_min"] == [5, 10, 15, 20]
