"""What lies beside the rain: MeteoNet's height of measurement and probability of rain, masks, files of one's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.archives import open_archive
from engine.archives.beside import changing_field, ground
from engine.archives.ground_files import read_ground
from engine.commands import run as command
from engine.downscalers.neural import NeuralDownscaler
from engine.downscalers.protocol import Options
from engine.errors import NotEnoughInput
from engine.forecasters.persistence import Persistence
from engine.forecasters.protocol import Context, Inputs
from engine.forecasters.protocol import Options as ForecastOptions
from engine.jobs import weights as weights_job
from engine.jobs.downscale import Refining
from engine.networks.configuration import Configuration, Option, build
from engine.networks.weights import Header, save
from engine.networks.zsm import ZoomingSlowMo
from engine.radar.changing_fields import MEASUREMENT_HEIGHT, RAIN_PROBABILITY, RAIN_RATE, as_shown
from engine.radar.operations import crop
from engine.radar.sequence import Field, RadarSequence
from engine.radar.static_fields import ELEVATION, LAND_SEA
from tests.engine.image_builders import meteonet
from tests.engine.meteonet_archive import FIRST, SHAPE, archive, heights_file


def masks(path: Path) -> None:
    """As MeteoNet's: two messages on a grid of 0.025 degrees; land with 500 m in the west, sea in the east."""
    eccodes = pytest.importorskip("eccodes")
    path.parent.mkdir(exist_ok=True)
    west = np.broadcast_to(np.arange(20) < 8, (14, 20))
    with path.open("wb") as file:
        for parameter, values in ((172, west), (3008, 500 * west)):
            message = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib2")
            for key, value in {"Ni": 20, "Nj": 14, "latitudeOfFirstGridPointInDegrees": 47.025,
                               "longitudeOfFirstGridPointInDegrees": 358.975, "latitudeOfLastGridPointInDegrees": 46.7,
                               "longitudeOfLastGridPointInDegrees": 359.45, "iDirectionIncrementInDegrees": 0.025,
                               "jDirectionIncrementInDegrees": 0.025, "paramId": parameter}.items():
                eccodes.codes_set(message, key, value)
            eccodes.codes_set_values(message, values.astype(float).ravel())
            eccodes.codes_write(message, file)
            eccodes.codes_release(message)


def moment(minutes: int) -> datetime:
    return (FIRST + timedelta(minutes=minutes)).replace(tzinfo=UTC)


def test_height_and_probability_of_meteonet(tmp_path: Path) -> None:
    """Of the newest frame that is not later; neither no echo nor a missing value is a height."""
    sequence = archive(tmp_path)
    assert sequence.gives == (MEASUREMENT_HEIGHT, RAIN_PROBABILITY)
    assert ground(sequence) == ()
    for minutes, frame in ((0, 1), (7, 2), (10, 3), (60, 3)):
        height = changing_field(sequence, MEASUREMENT_HEIGHT, moment(minutes))
        assert np.isnan(height[0, :2]).all()
        assert (height[1:] == 1000 * frame).all()
        assert (changing_field(sequence, RAIN_PROBABILITY, moment(minutes))[1:] == 10 * frame).all()


def test_a_window_of_the_grid_has_its_own(tmp_path: Path) -> None:
    part = crop(archive(tmp_path), slice(0, 6), slice(1, 9)).with_zr(archive(tmp_path).zr)
    height = changing_field(part, MEASUREMENT_HEIGHT, moment(5))
    assert height.shape == (6, 8)
    assert np.isnan(height[0, 0])
    assert height[1, 1] == 2000


def test_other_files_give_none(tmp_path: Path) -> None:
    rain = np.zeros((2, *SHAPE), np.int16)
    archive(tmp_path)  # for the coordinates
    other = open_archive(meteonet(tmp_path / "rainfall_NW_2018_05.1.npz", rain, [FIRST, FIRST + timedelta(minutes=5)]))
    assert other.gives == ()
    with pytest.raises(NotEnoughInput, match="does not give the height of measurement"):
        changing_field(other, MEASUREMENT_HEIGHT, moment(0))


@pytest.mark.parametrize("place", ["NW_masks.grib", "masks/NW_masks.grib", "../masks/NW_masks.grib"])
def test_masks_beside_are_found(tmp_path: Path, place: str) -> None:
    (tmp_path / "radar").mkdir()
    masks(tmp_path / "radar" / place)
    sequence = archive(tmp_path / "radar")
    assert {ELEVATION, LAND_SEA} <= set(sequence.gives)
    assert {field.name for field in ground(sequence)} == {ELEVATION, LAND_SEA}


def test_shown_as_numbers_from_nought_to_one() -> None:
    values = np.array([np.nan, -5, 0, 50, 250], np.float32)
    np.testing.assert_allclose(as_shown(RAIN_RATE, values), [0, 0, 0, 0.5, 1])
    np.testing.assert_allclose(as_shown(MEASUREMENT_HEIGHT, 40 * values), [0, 0, 0, 0.2, 1])


@pytest.mark.parametrize(("name", "unit", "metres"), [
    ("measurement_height", "m", 1.5), ("height_of_measurement", "km", 1500.0), ("beam_altitude", "m", 1.5)])
def test_heights_of_measurement_from_a_file(tmp_path: Path, name: str, unit: str, metres: float) -> None:
    (field,) = read_ground(heights_file(tmp_path / "own.nc", name, unit, 1.5))
    assert field.name == MEASUREMENT_HEIGHT
    assert (field.values == metres).all()


def weight_file(folder: Path, **options: Option) -> Path:
    """A small FC-ZSM with random weights that makes rain everywhere."""
    torch.manual_seed(1)
    small: dict[str, Option] = {"front": 1, "back": 1, "channels": 8, "groups": 2, "dynamic": 3}
    wish = Configuration("zsm", inputs=2, leads=3, options=small | options)
    path, network = folder / "fc-zsm-d.safetensors", build(wish)
    assert isinstance(network, ZoomingSlowMo)
    assert network.last.bias is not None
    with torch.no_grad():
        network.last.weight.mul_(10.0)
        network.last.bias.fill_(0.5)
    save(path, network, Header("fc-zsm-d", wish, step_minutes=10, pixel_km=1))
    return path


def refined(sequence: RadarSequence, folder: Path, files: tuple[Path, ...] = (), **options: Option) -> list[Field]:
    """What a small FC-ZSM makes of a forecast of one lead time."""
    refining = Refining("fc-zsm-d", NeuralDownscaler(weight_file(folder, **options)), Options(), files, sequence)
    frames = np.stack([sequence.rain_rate(number) for number in (0, 1)])
    inputs = Inputs(frames, sequence.times[:2], 5.0, sequence.grid, sequence.zr)
    leads = Persistence().run(inputs, ForecastOptions(1, 1, 0), Context())
    return [frame.rain_rate for frame in refining.run(leads, inputs, 1, Context())]


def test_a_network_reads_the_height_of_the_archive(tmp_path: Path) -> None:
    """Other heights, another result; the height at the reference time counts, not a later one."""
    low, high = (archive(tmp_path / name, lift=lift) for name, lift in (("low", 0), ("high", 5000)))
    first, second = refined(low, tmp_path), refined(high, tmp_path)
    assert len(first) == 2
    assert first[0].shape == (48, 64)
    assert np.nanmax(np.abs(first[0] - second[0])) > 1e-4
    file = heights_file(tmp_path / "own.nc", height=2000.0)  # as in the frame at the reference time
    same = refined(low, tmp_path, (file,))
    np.testing.assert_allclose(same[0][4:], first[0][4:], atol=1e-4)
    assert refined(low, tmp_path, changing="rain_probability+measurement_height")[0].shape == (48, 64)


def test_all_that_the_paper_reads_lies_beside_meteonet(tmp_path: Path) -> None:
    masks(tmp_path / "masks/NW_masks.grib")
    sequence = archive(tmp_path)
    found = refined(sequence, tmp_path, static=2, fields="elevation+land_sea_mask")
    assert np.isfinite(found[0]).any()


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    archive(tmp_path)  # for the coordinates
    rain = np.zeros((2, *SHAPE), np.int16)
    other = open_archive(meteonet(tmp_path / "rainfall_NW_2018_05.1.npz", rain, [FIRST, FIRST + timedelta(minutes=5)]))
    with pytest.raises(NotEnoughInput, match="height of measurement is not there") as told:
        refined(other, tmp_path)
    assert "measurement_height" in told.value.advice
    assert len(refined(other, tmp_path, (heights_file(tmp_path / "own.nc"),))) == 2


def test_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
                             ) -> None:
    """It runs on MeteoNet as it lies; on an archive without heights it says what is missing, until a file has them."""
    weight_file(tmp_path)
    monkeypatch.setattr(weights_job, "folders", lambda: iter([tmp_path]))
    new = archive(tmp_path / "new").frames[0].path
    archive(tmp_path / "old", name="aside")  # for the coordinates
    rain = np.zeros((2, *SHAPE), np.int16)
    old = meteonet(tmp_path / "old" / "rainfall_NW.npz", rain, [FIRST, FIRST + timedelta(minutes=5)])
    words = ["--forecaster", "persistence", "--downscaler", "fc-zsm-d", "--inputs", "2", "--lead-times", "1",
             "-o", str(tmp_path / "out.nc")]
    assert command(["forecast", str(new), *words]) == 0
    capsys.readouterr()
    (tmp_path / "out.nc").unlink()
    assert command(["forecast", str(old), *words]) == NotEnoughInput.exit_code
    assert "height of measurement is not there" in capsys.readouterr().err
    assert not (tmp_path / "out.nc").exists()
    own = heights_file(tmp_path / "own.nc")
    assert command(["forecast", str(old), *words, "--elevation", str(own)]) == 0
