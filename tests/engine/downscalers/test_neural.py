"""Networks as downscalers: weights from a file, tiles, no data, bounds, what they refuse."""

from __future__ import annotations

import time
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine import catalogue
from engine.cancel import CancelToken
from engine.downscalers import neural
from engine.downscalers.fields import block_means, extended, local_most, repeated
from engine.downscalers.neural import MOST, NeuralDownscaler, Scale
from engine.downscalers.protocol import Factors, Frame, Options, downscale
from engine.errors import Cancelled, NotEnoughInput, NoWeights, WrongUsage
from engine.forecasters.protocol import Context
from engine.jobs import weights as weights_job
from engine.jobs.forecast import ForecastRequest, run
from engine.jobs.scope import Scope
from engine.networks.configuration import Configuration, Option, build
from engine.networks.downscaling_zoo import DOWNSCALING
from engine.networks.trilinear import bilinear, trilinear
from engine.networks.weights import Header, save
from engine.radar.sequence import Field
from engine.radar.units import MARSHALL_PALMER
from tests.engine.downscalers.cells import inputs
from tests.engine.sequences import moving_square, sequence

NAN = float("nan")


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
    units = np.random.default_rng(0).random((2, 1, 70, 90)).astype(np.float32)
    whole = neural.PairByPair(Trilinear(), Scale(inputs(rain()).zr), Options(), Context())._run(units)
    monkeypatch.setattr(neural, "SIDE", 40)
    tiled = neural.PairByPair(Trilinear(), Scale(inputs(rain()).zr), Options(), Context())._run(units)
    np.testing.assert_allclose(tiled, whole, atol=1e-6)


def test_extended_by_hand() -> None:
    values = np.array([[4, NAN, NAN, NAN], [8, NAN, NAN, NAN]], np.float32)
    np.testing.assert_array_equal(extended(values, 1), [[4, 6, NAN, NAN], [8, 6, NAN, NAN]])
    np.testing.assert_array_equal(extended(values, 2), [[4, 6, 6, NAN], [8, 6, 6, NAN]])
    np.testing.assert_array_equal(extended(np.full((2, 2), NAN, np.float32), 3), np.full((2, 2), NAN))


class Guided(Trilinear):
    """Instead of a network that is handed the frame in between."""

    def forward(self, frames: Tensor) -> Tensor:
        return bilinear(frames[:, :, 0])[:, :, None]


@pytest.mark.parametrize("guided", [False, True])
def test_the_border_of_the_data_does_not_thin_out_the_rain(guided: bool) -> None:
    """Even rain with a hole and a border: with a network that interpolates it is even up to the last cell."""
    frames = [np.full((24, 28), 5.0, np.float32) for _ in range(2)]
    for frame in frames:
        frame[:, :5], frame[10:14, 15:20] = np.nan, np.nan
    given = inputs(frames)
    network: nn.Module = Guided() if guided else Trilinear()
    for scale in (Scale(given.zr), Scale(given.zr, 15.0, 70.0)):
        refining = neural.PairByPair(network, scale, Options(), Context(), guided=guided)
        assert list(refining.push(Frame(given.times[0], frames[0]))) == []
        found = list(refining.push(Frame(given.times[1], frames[1])))
        assert len(found) == 3
        for frame in found:
            hole = repeated(np.isnan(frames[0]), Factors())
            np.testing.assert_array_equal(np.isnan(frame.rain_rate), hole)
            np.testing.assert_allclose(frame.rain_rate[~hole], 5.0, rtol=1e-4)


def test_weak_rain_is_what_is_trilinear() -> None:
    """A network on the scale from 15 dBZ does not tell weaker rain from none: there stands what is interpolated, up to
    where its scale begins, and no more."""
    begins = float(Scale(MARSHALL_PALMER, 15.0, 70.0).begins)
    frames = [np.full((8, 8), 0.5 * begins, np.float32), np.full((8, 8), 0.5 * begins, np.float32)]
    frames[1][:, :4] = 0.0
    refining = neural.PairByPair(Trilinear(), Scale(MARSHALL_PALMER, 15.0, 70.0), Options(), Context())
    given = inputs(frames)
    list(refining.push(Frame(given.times[0], frames[0])))
    first, _, last = (frame.rain_rate for frame in refining.push(Frame(given.times[1], frames[1])))
    np.testing.assert_allclose(first, 0.5 * begins, rtol=1e-6)
    np.testing.assert_array_equal(last[:, :6], 0.0)
    np.testing.assert_allclose(last[:, 12:], 0.5 * begins, rtol=1e-6)


def test_cancel_inside_a_tile(tmp_path: Path) -> None:
    """The token is asked before every layer; between two questions the paper's network takes less than 0.2 s of
    computing on a small tile."""
    with torch.device("cpu"):
        network = build(DOWNSCALING["zsm"].configuration).eval()
    asked: list[float] = []

    class Asked(CancelToken):
        def check(self) -> None:
            asked.append(time.process_time())
            if len(asked) > 250:
                raise Cancelled

    refining = neural.PairByPair(network, Scale(MARSHALL_PALMER), Options(), Context(Asked()))
    with pytest.raises(Cancelled):
        refining._run(np.random.default_rng(0).random((2, 1, 48, 48), np.float32))
    assert len(asked) == 251
    assert max(np.diff(asked)) < 0.2


def test_what_it_refuses(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="refines by 2 x 2 in space, 2 in time"):
        downscale(inputs(rain()), NeuralDownscaler(weight_file(tmp_path)), Options(Factors(3, 3, 2)), Context())
    with pytest.raises(NotEnoughInput, match="reads elevation and land_sea_mask"):
        downscale(inputs(rain()), NeuralDownscaler(weight_file(tmp_path, static=2)), Options(), Context())
    with pytest.raises(NotEnoughInput, match="reads the height of measurement"):
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


def test_the_job_brings_what_lies_beneath(weights_in: Path, tmp_path: Path) -> None:
    """Land and sea from the coasts that ship; elevation has to be given, and says so."""
    weight_file(weights_in, static=2, fields="land_sea_mask+land_around")
    request = ForecastRequest(sequence(moving_square, 8), downscaler="zsm", lead_times=1)
    assert list(run(request, Scope()))[-1].result["lead_times_min"]  # type: ignore[attr-defined]
    weight_file(weights_in, static=2)
    with pytest.raises(NotEnoughInput, match="elevation is not there"):
        list(run(request, Scope()))
    heights = tmp_path / "heights.nc"
    with netCDF4.Dataset(heights, "w") as file:
        for name, values, unit in (("lat", np.arange(-90, 91), "degrees_north"), ("lon", np.arange(-180, 180),
                                                                                  "degrees_east")):
            file.createDimension(name, len(values))
            file.createVariable(name, "f8", (name,))[:] = values
            file[name].units = unit
        file.createVariable("elevation", "f4", ("lat", "lon"))[:] = 250.0
        file["elevation"].units = "m"
    given = ForecastRequest(sequence(moving_square, 8), downscaler="zsm", lead_times=1, elevation=(heights,))
    assert list(run(given, Scope()))[-1].result["lead_times_min"]  # type: ignore[attr-defined]
