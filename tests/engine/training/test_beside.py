"""Fields beside the rain in packs, and a network that is taught with them."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from engine.commands import run as command
from engine.downscalers.neural import NeuralDownscaler, changing_names
from engine.downscalers.protocol import Options, downscale
from engine.errors import NotEnoughInput, WrongUsage
from engine.forecasters.protocol import Context
from engine.networks.weights import read_header
from engine.radar.changing_fields import MEASUREMENT_HEIGHT, RAIN_PROBABILITY, RAIN_RATE
from engine.radar.units import MARSHALL_PALMER
from engine.training.augment import augmented_with
from engine.training.beside import field_of, numbers_of
from engine.training.downscaling import Downscaling
from engine.training.packs import Pack, PackSettings
from engine.training.preparation import Sample
from engine.training.recipe import AugmentPart, DataPart
from engine.training.source import piece
from tests.engine.downscalers.cells import inputs
from tests.engine.meteonet_archive import archive, heights_file
from tests.engine.training.packed import rain

NAN = float("nan")


def drawn() -> np.random.Generator:
    return np.random.default_rng(0)


def pack_of(folder: Path, *names: str, frames: int = 30) -> Path:
    archive(folder / "archive", frames=frames)
    path = folder / "pack.h5"
    words = [word for name in names for word in ("--beside", name)]
    assert command(["pack", str(folder / "archive"), "-o", str(path), "--length", "3", "--tile", "16", "--stride", "2",
                    "--split", "0.6,0.4,0", *words]) == 0
    return path


def test_whole_numbers_and_back() -> None:
    field = np.array([NAN, -3, 0, 1234.4, 99999], np.float32)
    np.testing.assert_array_equal(field_of(numbers_of(field)), [NAN, 0, 0, 1234, 65534])


def test_packs_hold_what_lies_beside(tmp_path: Path) -> None:
    """The height of each frame is a thousand times its number; a probability that is not asked for is not there."""
    pack = Pack(pack_of(tmp_path, MEASUREMENT_HEIGHT, frames=9))
    assert pack.held == (MEASUREMENT_HEIGHT,)
    for index in range(len(pack)):
        height = pack.beside(index)[MEASUREMENT_HEIGHT]
        numbers = [time.minute // 5 + 1 for time in pack.times(index)]
        assert height.shape == (3, 16, 16)
        np.testing.assert_array_equal(height[:, -1, -1], [1000 * number for number in numbers])
    pack.close()
    assert Pack(pack_of(tmp_path / "plain")).beside(0) == {}


def test_what_packs_do_not_hold() -> None:
    with pytest.raises(WrongUsage, match="on the map"):
        PackSettings(moving=3, beside=(MEASUREMENT_HEIGHT,))
    with pytest.raises(WrongUsage, match="beside the rain"):
        PackSettings(beside=(RAIN_RATE,))
    with pytest.raises(WrongUsage, match="Beside the reflectivity"):
        Downscaling(DataPart(inputs=2, leads=1), changing=("wind",))


def test_an_archive_without_heights(tmp_path: Path) -> None:
    assert command(["sample", "-o", str(tmp_path / "storm"), "--frames", "6", "--size", "32x32"]) == 0
    assert command(["pack", str(tmp_path / "storm"), "-o", str(tmp_path / "pack.h5"), "--length", "3",
                    "--beside", MEASUREMENT_HEIGHT]) == NotEnoughInput.exit_code
    assert not (tmp_path / "pack.h5").exists()


def test_they_are_cut_and_turned_with_the_rain() -> None:
    """Fields that say which cell is which, beside fixed ones and alone."""
    codes = np.arange(5 * 12 * 12, dtype=np.uint16).reshape(5, 12, 12) + 1
    for fixed in (None, codes[:2].astype(np.float32)):
        own = codes.astype(np.float32)
        given = Sample(codes, MARSHALL_PALMER, 5.0, 1.0, fixed, {"a": own, "b": -own})
        for seed in range(6):
            draw = np.random.default_rng(seed)
            cut = piece(given, 3, 1, 8, draw)
            changed, planes = augmented_with(cut.codes, cut.planes(), AugmentPart(flips=True, turns=True), draw)
            found = cut.placed(changed, planes)
            np.testing.assert_array_equal(found.beside["a"], changed)
            np.testing.assert_array_equal(found.beside["b"], -changed.astype(np.float32))
            assert (found.fixed is None) == (fixed is None)
            if found.fixed is not None:
                np.testing.assert_array_equal(found.fixed % 144, changed[:2] % 144)


def sample(**beside: np.ndarray) -> Sample:
    """No echo but 200 codes up in one block of the first frame."""
    codes = np.zeros((3, 4, 4), np.uint8)
    codes[0, :2, :2] = 200
    return Sample(codes, MARSHALL_PALMER, 5.0, 1.0, None, beside)


@pytest.mark.parametrize("guided", [False, True])
def test_channels_by_hand(guided: bool) -> None:
    """dBZ, then mm/h of a hundred, then metres of ten thousand, of every second frame; in between what held before."""
    heights = np.stack([np.full((4, 4), 1000.0 * number, np.float32) for number in (1, 2, 3)])
    heights[0, 2:, 2:] = NAN
    made = Downscaling(DataPart(inputs=2, leads=1), guided=guided, changing=(RAIN_RATE, MEASUREMENT_HEIGHT))
    shown = made.prepare(sample(measurement_height=heights), drawn()).inputs[0].numpy()
    assert shown.shape == (3 if guided else 2, 3, 2, 2)
    dbz = 200 / 254 * 70 - 10
    assert shown[0, 0, 0, 0] == pytest.approx((dbz + 10) / 70, abs=1e-4)
    assert shown[0, 1, 0, 0] == pytest.approx((10 ** (dbz / 10) / 200) ** (1 / 1.6) / 100, rel=1e-3)
    np.testing.assert_allclose(shown[0, 2], [[0.1, 0.1], [0.1, 0.0]], atol=1e-6)
    np.testing.assert_allclose(shown[-1, 2], 0.3, atol=1e-6)
    if guided:
        np.testing.assert_array_equal(shown[1, 2], shown[0, 2])


def test_heights_of_a_file_are_shown_beside_not_below(tmp_path: Path) -> None:
    data = DataPart(inputs=2, leads=1, fixed=("elevation", MEASUREMENT_HEIGHT))
    fixed = np.stack([np.full((4, 4), value, np.float32) for value in (0.5, 2500.0)])
    given = Sample(sample().codes, MARSHALL_PALMER, 5.0, 1.0, fixed)
    shown, below = Downscaling(data, changing=(MEASUREMENT_HEIGHT,)).prepare(given, drawn()).inputs
    np.testing.assert_allclose(shown[:, 1], 0.25)
    assert below.shape == (1, 2, 2)
    np.testing.assert_allclose(below, 0.5)


RECIPE = """
[model]
name = "fc-zsm-d"
options = {front = 1, back = 1, channels = 8, groups = 2, changing = "CHANGING"}
[data]
inputs = 2
leads = 1
packs = ["PACK"]
preparation = "downscaling"
preparation_options = {least = 0.0, most = 60.0, changing = LIST}
[augment]
flips = true
turns = true
[loss]
terms = [{name = "mse", pixels = "mean"}]
over = "forecast"
[optimiser]
name = "adam"
lr = 1e-2
[run]
steps = 6
batch = 2
validate_every = 3
"""


@pytest.mark.parametrize("names", [(RAIN_RATE, MEASUREMENT_HEIGHT), (RAIN_PROBABILITY, MEASUREMENT_HEIGHT)])
def test_a_network_is_taught_with_them_and_reads_them(tmp_path: Path, names: tuple[str, ...]) -> None:
    pack = pack_of(tmp_path, *(name for name in names if name != RAIN_RATE))
    recipe = RECIPE.replace("CHANGING", "+".join(names)).replace("LIST", json.dumps(list(names)))
    (tmp_path / "recipe.toml").write_text(recipe.replace("PACK", pack.as_posix()), encoding="utf-8")
    assert command(["train", str(tmp_path / "recipe.toml"), "-o", str(tmp_path / "run"), "--device", "cpu"]) == 0
    file = tmp_path / "run" / "fc-zsm-d.safetensors"
    assert changing_names(read_header(file)) == names
    asked: list[tuple[str, ...]] = []

    def changing(wanted: tuple[str, ...], time: datetime) -> np.ndarray:
        asked.append(wanted)
        return np.full((len(wanted), 24, 24), 1000.0, np.float32)

    found = downscale(inputs([rain(0), rain(1)]), NeuralDownscaler(file), Options(), Context(), changing=changing)
    assert [frame.rain_rate.shape for frame in found.frames] == [(48, 48)] * 3
    assert set(asked) == {tuple(name for name in names if name != RAIN_RATE)}


def test_heights_from_a_file_stand_in_for_those_of_a_pack(tmp_path: Path) -> None:
    pack, heights = pack_of(tmp_path), heights_file(tmp_path / "own.nc")
    recipe = RECIPE.replace("CHANGING", "measurement_height+rain_rate")
    recipe = recipe.replace("LIST", json.dumps([MEASUREMENT_HEIGHT, RAIN_RATE])).replace("PACK", pack.as_posix())
    more = f'fixed = ["{MEASUREMENT_HEIGHT}"]\nfixed_files = ["{heights.as_posix()}"]\n'
    (tmp_path / "recipe.toml").write_text(recipe.replace("packs =", f"{more}packs ="), encoding="utf-8")
    run = ["train", str(tmp_path / "recipe.toml"), "-o", str(tmp_path / "run"), "--device", "cpu"]
    assert command([*run, "--steps", "1"]) == 0
    (tmp_path / "recipe.toml").write_text(recipe, encoding="utf-8")
    assert command([*run[:-3], str(tmp_path / "other"), "--device", "cpu"]) == NotEnoughInput.exit_code
