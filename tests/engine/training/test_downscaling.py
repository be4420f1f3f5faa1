"""What a downscaling network is shown and asked for, on what ground, and that a few steps of its training go down."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.commands import run as command
from engine.downscalers.neural import NeuralDownscaler, Scale, fixed_names
from engine.downscalers.protocol import Options, downscale
from engine.errors import NotEnoughInput, WrongUsage
from engine.forecasters.protocol import Context
from engine.networks.weights import read_header
from engine.radar.scaling import code_of_dbz, rain_rate_of_unit_dbz, unit_dbz
from engine.radar.units import MARSHALL_PALMER, ZR
from engine.training.augment import augmented, augmented_with
from engine.training.downscaling import Downscaling
from engine.training.preparation import Sample, preparation
from engine.training.recipe import AugmentPart, DataPart, recipe_of
from engine.training.source import PackSource, open_packs, piece
from engine.training.start import sources
from tests.engine.downscalers.cells import inputs
from tests.engine.training.packed import rain, write_pack

DATA = DataPart(inputs=2, leads=1, preparation="downscaling")
PAPER = DataPart(inputs=2, leads=1, preparation="downscaling", preparation_options={"least": 15.0, "most": 70.0})


def sample(dbz: np.ndarray, zr: ZR = MARSHALL_PALMER) -> Sample:
    return Sample(code_of_dbz(dbz, 16), zr, 5.0, 1.0)


def drawn() -> np.random.Generator:
    return np.random.default_rng(0)


def test_coarse_frames_are_means_of_rain_rate_of_every_second_frame() -> None:
    """A block of 10, 10, 20 and 40 dBZ by hand: Z = 200 R^1.6, the mean of R, back to dBZ, onto -10 to 60."""
    dbz = np.full((3, 4, 4), -32.0)
    dbz[0, :2, :2] = [[10, 10], [20, 40]]
    dbz[1] = 33.0
    example = preparation(DATA).prepare(sample(dbz), drawn())
    (shown,) = example.inputs
    assert (shown.shape, example.targets.shape, example.valid.shape) == ((2, 1, 2, 2), (3, 1, 4, 4), (3, 1, 4, 4))
    rates = [(10 ** (value / 10) / 200) ** (1 / 1.6) for value in (10, 10, 20, 40)]
    mean = 10 * np.log10(200 * (sum(rates) / 4) ** 1.6)
    assert float(shown[0, 0, 0, 0]) == pytest.approx((mean + 10) / 70, abs=2e-5)
    assert not shown[1].any()  # the frame in between is not shown
    assert float(example.targets[1, 0, 0, 0]) == pytest.approx(43 / 70, abs=2e-5)
    assert float(example.targets[0, 0, 1, 1]) == pytest.approx(50 / 70, abs=2e-5)


def test_the_papers_scale_filters_what_is_weak() -> None:
    """15 dBZ is 0 and 70 dBZ is 1; 14 dBZ is no echo."""
    dbz = np.full((3, 2, 2), 14.0)
    dbz[1] = 42.5
    example = preparation(PAPER).prepare(sample(dbz), drawn())
    assert not example.inputs[0].any()
    assert not example.targets[0].any()
    np.testing.assert_allclose(example.targets[1], 0.5, atol=2e-5)
    made = preparation(PAPER)
    assert made.unit(float(MARSHALL_PALMER.rain_rate(np.array([42.5]))[0])) == pytest.approx(0.5, abs=1e-5)
    assert made.dbz == (15.0, 70.0)


def test_the_scale_and_its_way_back() -> None:
    rate = np.array([0.0, 0.1, 1.0, 30.0, np.nan], np.float32)
    unit = unit_dbz(rate, MARSHALL_PALMER, 15.0, 70.0)
    back = rain_rate_of_unit_dbz(unit, MARSHALL_PALMER, 15.0, 70.0)
    np.testing.assert_allclose(back, [0, 0, 1, 30, np.nan], rtol=1e-4)
    assert Scale(MARSHALL_PALMER, 15.0, 70.0).begins == pytest.approx((10**1.5 / 200) ** (1 / 1.6), rel=1e-5)


def test_no_data_counts_for_nothing() -> None:
    """Half of a block without data: the mean is of the other half; more: the coarse cell is shown as no rain."""
    dbz = np.full((3, 2, 4), 30.0)
    dbz[:, 0, :2], dbz[:, :, 2:] = np.nan, np.nan
    example = preparation(DATA).prepare(sample(dbz), drawn())
    np.testing.assert_allclose(example.inputs[0][0, 0], [[40 / 70, 0]], atol=2e-5)
    np.testing.assert_array_equal(example.valid[0, 0], [[False] * 4, [True, True, False, False]])


def test_through_the_archives_z_r_pair() -> None:
    """30 dBZ of an archive with another pair is another reflectivity for the network."""
    zr = ZR(223.0, 1.53)
    example = preparation(DATA).prepare(sample(np.full((3, 2, 2), 30.0), zr), drawn())
    expected = 10 * np.log10(200 * ((10**3 / 223) ** (1 / 1.53)) ** 1.6)
    np.testing.assert_allclose(example.targets, (expected + 10) / 70, atol=3e-5)


def test_guided_frames_in_between_are_carried_along_the_motion() -> None:
    """A shower that goes 8 fine cells east in two steps: the coarse frame in between has it half-way, where linear
    mixing has two of half the strength. The margin is cut off all that is shown and asked for."""
    x, y = np.arange(96)[None, :], np.arange(96)[:, None]
    dbz = np.stack([45 * np.exp(-((x - 40 - 4 * step) ** 2 + (y - 48) ** 2) / 100) for step in range(3)])
    dbz[dbz < 5] = -32
    made = Downscaling(DATA, guided=True, margin=16)
    example = made.prepare(sample(dbz), drawn())
    (shown,) = example.inputs
    assert (shown.shape, example.targets.shape) == ((3, 1, 32, 32), (3, 1, 64, 64))
    truth = example.targets[1, 0].unflatten(0, (32, 2)).unflatten(2, (32, 2)).mean((1, 3))
    mixed = (shown[0, 0] + shown[2, 0]) / 2
    assert float((shown[1, 0] - truth).square().mean()) < 0.3 * float((mixed - truth).square().mean())
    without = Downscaling(DATA).prepare(sample(dbz), drawn())
    torch.testing.assert_close(shown[::2], without.inputs[0][:, :, 8:-8, 8:-8])
    for margin in (3, 48):
        with pytest.raises(WrongUsage, match="margin"):
            Downscaling(DataPart(inputs=2, leads=1, crop=96), margin=margin)


@pytest.mark.parametrize("data", [
    DataPart(inputs=2, leads=2), DataPart(inputs=1, leads=1), DataPart(inputs=2, leads=1, resize=(8, 8))])
def test_what_it_does_not_take(data: DataPart) -> None:
    with pytest.raises(WrongUsage):
        Downscaling(data)
    with pytest.raises(WrongUsage, match="ends above"):
        Downscaling(DATA, least=20.0, most=10.0)
    with pytest.raises(WrongUsage, match="even crop"):
        Downscaling(DATA).prepare(sample(np.zeros((3, 5, 4))), drawn())


def test_the_ground_is_cut_and_turned_with_the_rain() -> None:
    """Fields that say which cell is which: after a cut, a mirror image and turns they still say it."""
    codes = np.arange(3 * 12 * 12, dtype=np.uint16).reshape(3, 12, 12) + 1
    given = Sample(codes, MARSHALL_PALMER, 5.0, 1.0, codes[:2].astype(np.float32))
    for seed in range(8):
        draw = np.random.default_rng(seed)
        cut = piece(given, 3, 1, 8, draw)
        changed, below = augmented_with(cut.codes, cut.fixed, AugmentPart(flips=True, turns=True), draw)
        assert below is not None
        np.testing.assert_array_equal(changed[:2], below)
    alone = augmented(codes, AugmentPart(True, True, 2.0), np.random.default_rng(3))
    beside, _ = augmented_with(codes, None, AugmentPart(True, True, 2.0), np.random.default_rng(3))
    np.testing.assert_array_equal(alone, beside)


def test_the_ground_beneath_a_pack(tmp_path: Path) -> None:
    wish = recipe(write_pack(tmp_path / "pack.h5", length=3), fixed=["land_sea_mask", "land_around"])
    learn, _ = sources(wish)
    given = learn.sequence(0)
    assert given.fixed is not None
    assert given.fixed.shape == (2, 24, 24)
    assert set(np.unique(given.fixed[0])) <= {0.0, 1.0}
    example = preparation(wish.data).prepare(given, drawn())
    assert [part.shape for part in example.inputs] == [(2, 1, 12, 12), (2, 12, 12)]
    np.testing.assert_allclose(example.inputs[1][1, 0, 0], given.fixed[1, :2, :2].mean(), atol=1e-6)


def test_elevation_has_to_be_given(tmp_path: Path) -> None:
    learn, _ = sources(recipe(write_pack(tmp_path / "pack.h5", length=3), fixed=["elevation", "land_sea_mask"]))
    with pytest.raises(NotEnoughInput, match="elevation is not there"):
        learn.sequence(0)


def test_what_no_pack_holds_is_told() -> None:
    with pytest.raises(NotEnoughInput, match="height of measurement"):
        Downscaling(DATA, changing=("rain_rate", "measurement_height")).prepare(sample(np.zeros((3, 4, 4))), drawn())


def test_packs_of_any_speed_go_together(tmp_path: Path) -> None:
    paths = (str(write_pack(tmp_path / "pack.h5", length=3)),)
    assert len(PackSource(open_packs(paths, 3, motion=False), "train")) > 0


def recipe(pack: Path, **data: object):  # type: ignore[no-untyped-def]
    return recipe_of(table(pack, **data))


def table(pack: Path, guided: bool = False, **data: object) -> dict[str, object]:
    fields = "+".join(data.get("fixed", ()))  # type: ignore[arg-type]
    options = {"front": 1, "back": 1, "channels": 8, "groups": 2, "residual": True, "guided": guided}
    beside = {"static": fields.count("+") + 1, "fields": fields} if fields else {}
    return {
        "model": {"name": "zsm", "options": {**options, **beside}}, "name": "zsm",
        "data": {"inputs": 2, "leads": 1, "crop": 16, "packs": [str(pack)], "preparation": "downscaling",
                 "preparation_options": {"least": 0.0, "most": 60.0, "guided": guided}, **data},
        "loss": {"terms": [{"name": "mse", "pixels": "mean"}], "over": "forecast"},
        "optimiser": {"name": "adamw", "lr": 3e-3},
        "run": {"steps": 12, "batch": 2, "validate_every": 6, "save_every": 6},
    }


@pytest.mark.parametrize(("fixed", "guided"), [((), False), (("land_sea_mask", "land_around"), True)],
                         ids=["zsm", "fc-zsm, guided"])
def test_training_goes_down_and_its_weights_downscale(tmp_path: Path, fixed: tuple[str, ...], guided: bool) -> None:
    pack = write_pack(tmp_path / "pack.h5", length=3)
    words = table(pack, guided, **({"fixed": list(fixed)} if fixed else {}))
    (tmp_path / "recipe.toml").write_text(_toml(words), encoding="utf-8")
    assert command(["train", str(tmp_path / "recipe.toml"), "-o", str(tmp_path / "run"), "--device", "cpu"]) == 0
    curves = [json.loads(line) for line in (tmp_path / "run" / "curves.jsonl").read_text().splitlines()]
    checked = [line["validation"]["loss"] for line in curves if "validation" in line]
    assert checked[-1] < checked[0]
    file = tmp_path / "run" / "zsm.safetensors"
    header = read_header(file)
    assert (header.dbz_least, header.dbz_most) == (0.0, 60.0)
    assert fixed_names(header) == fixed
    given = inputs([rain(0), rain(1)])
    asked: list[tuple[str, ...]] = []

    def ground(names: tuple[str, ...]) -> np.ndarray:
        asked.append(names)
        return np.ones((len(names), 24, 24), np.float32)

    found = list(downscale(given, NeuralDownscaler(file), Options(), Context(), ground).frames)
    assert [frame.rain_rate.shape for frame in found] == [(48, 48)] * 3
    assert asked == ([fixed] if fixed else [])
    assert torch.is_grad_enabled()


def _toml(words: dict[str, object]) -> str:
    def value(given: object) -> str:
        if isinstance(given, dict):
            return "{" + ", ".join(f"{key} = {value(inner)}" for key, inner in given.items()) + "}"
        return "[" + ", ".join(map(value, given)) + "]" if isinstance(given, list) else json.dumps(given)

    tops = [f"{key} = {value(given)}" for key, given in words.items() if not isinstance(given, dict)]
    parts = [f"[{key}]\n" + "\n".join(f"{name} = {value(inner)}" for name, inner in given.items())
             for key, given in words.items() if isinstance(given, dict)]
    return "\n".join((*tops, *parts)) + "\n"
