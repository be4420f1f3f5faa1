"""The parts of training by themselves: order, sampling, augmentation, optimisers, preparation, digits."""

from __future__ import annotations

import gzip
import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from engine.errors import NotEnoughInput, UnreadableInput, WrongUsage
from engine.networks.configuration import Configuration, build
from engine.networks.encoder_forecaster import EncoderForecaster
from engine.radar.scaling import code_of_dbz, unit_pixel
from engine.radar.units import ZR
from engine.training import moving_mnist
from engine.training.augment import augmented, brighter, turned
from engine.training.moving_mnist import Motion, MovingMNIST, digits_for, drawn_digits, read_idx, rendered, to_and_fro
from engine.training.optimisers import AdamHD, Average, clipped, learning_rate, optimiser
from engine.training.packs import Pack
from engine.training.preparation import PREPARATIONS, Example, Sample, Teaching, UnitPixels, preparation, resized
from engine.training.recipe import AugmentPart, DataPart, ModelPart, OptimiserPart, Recipe, RunPart
from engine.training.sampling import Order, rain_chances, report, sample_draw
from engine.training.source import PackSource, code_of_rain, open_packs, piece
from engine.training.start import data, fresh_network
from engine.training.validation import Scores
from tests.engine.training.packed import rain, recipe, write_pack


def test_an_epoch_shows_every_sequence_once() -> None:
    order = Order(count=12, batch=4, seed=3)
    for epoch in (0, 1):
        shown = np.concatenate([order.of_step(3 * epoch + step) for step in range(3)])
        assert sorted(shown) == list(range(12))
    assert order.epoch(6) == 2.0
    assert not np.array_equal(order.of_step(0), order.of_step(3))
    assert np.array_equal(Order(12, 4, 3).of_step(100), order.of_step(100))


def test_few_sequences_fill_a_batch_and_an_endless_source_repeats_none() -> None:
    assert Counter(Order(3, 8, 0).of_step(0)).most_common()[0][1] == 3
    endless = Order(10, 5, 0, endless=True)
    shown = np.concatenate([endless.of_step(step) for step in range(6)])
    assert sorted(shown) == list(range(30))


def test_rain_biased_sampling_is_as_told() -> None:
    shares = np.array([0.0, 0.1, 0.3, 0.0])
    chances = rain_chances(shares, 0.5)
    assert chances == pytest.approx([0.125, 0.25, 0.5, 0.125])
    assert rain_chances(shares, 0.0) is None
    assert rain_chances(np.zeros(4), 0.5) is None
    told = report(chances, 4)
    assert (told["least"], told["most"]) == pytest.approx((0.5, 2.0))
    assert told["effective_sequences"] == pytest.approx(1 / (2 * 0.125**2 + 0.25**2 + 0.5**2))
    order = Order(4, 4, 0, chances)
    drawn = Counter(int(i) for step in range(2000) for i in order.of_step(step))
    assert [drawn[i] / 8000 for i in range(4)] == pytest.approx(chances, abs=0.02)


def test_draws_follow_from_seed_step_and_position() -> None:
    assert sample_draw(1, 2, 3).random() == sample_draw(1, 2, 3).random()
    assert len({sample_draw(*place).random() for place in ((1, 2, 3), (1, 3, 2), (2, 1, 3), (1, 2, 4))}) == 4


def codes(bits: int = 8) -> np.ndarray:
    rates = np.stack([rain(index) for index in range(4)])
    return code_of_dbz(ZR().dbz(rates), bits)


def test_augmentation_turns_and_mirrors_whole_sequences() -> None:
    stored = codes()
    seen = set()
    for seed in range(60):
        changed = augmented(stored, AugmentPart(flips=True, turns=True), np.random.default_rng(seed))
        assert sorted(changed.flatten()) == sorted(stored.flatten())
        seen.add(changed.tobytes())
    assert len(seen) == 8
    assert np.array_equal(augmented(stored, AugmentPart(), np.random.default_rng(0)), stored)
    assert turned(stored[:, :10], 1).shape == stored[:, :10].shape
    assert np.array_equal(turned(stored, 1)[0], np.rot90(stored[0]))


@pytest.mark.parametrize("bits", [8, 16])
def test_intensity_raises_echo_and_nothing_else(bits: int) -> None:
    stored = codes(bits)
    top = 254 if bits == 8 else 65534
    louder = brighter(stored, 3.0)
    assert ((louder == 0) == (stored == 0)).all()
    assert ((louder == top + 1) == (stored == top + 1)).all()
    inside = (stored > 0) & (stored < top * 0.9)
    steps = louder[inside].astype(int) - stored[inside]
    assert steps / top * 70 == pytest.approx(3.0, abs=70 / top)
    assert brighter(stored, -200.0)[stored > 0].min() == 1


def test_adamhd_by_hand() -> None:
    """Baydin et al. 2017, algorithm 5, two parameters and three steps written out in plain numbers."""
    start, rate, hyper = [1.0, -2.0], 0.1, 0.01
    parameter = nn.Parameter(torch.tensor(start, dtype=torch.float64))
    chosen = AdamHD([parameter], lr=rate, hypergradient=hyper)
    x, first, second, last = list(start), [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]
    for step in (1, 2, 3):
        chosen.zero_grad()
        (parameter**2).sum().backward()
        chosen.step()
        gradient = [2 * v for v in x]
        rate += hyper * sum(g * u for g, u in zip(gradient, last, strict=True))
        first = [0.9 * m + 0.1 * g for m, g in zip(first, gradient, strict=True)]
        second = [0.999 * v + 0.001 * g * g for v, g in zip(second, gradient, strict=True)]
        last = [(m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)) ** 0.5 + 1e-8)
                for m, v in zip(first, second, strict=True)]
        x = [v - rate * u for v, u in zip(x, last, strict=True)]
    assert parameter.tolist() == pytest.approx(x, rel=1e-12)
    assert chosen.param_groups[0]["lr"] == pytest.approx(rate, rel=1e-12)


def test_adamhd_with_a_fixed_rate_is_adam() -> None:
    ours, theirs = (nn.Parameter(torch.tensor([1.0, -2.0, 0.5])) for _ in range(2))
    first, second = AdamHD([ours], 0.05, hypergradient=0.0), torch.optim.Adam([theirs], 0.05)
    for _ in range(5):
        for parameter, chosen in ((ours, first), (theirs, second)):
            chosen.zero_grad()
            (parameter**4).sum().backward()
            chosen.step()
    torch.testing.assert_close(ours, theirs)


def test_the_course_of_the_learning_rate() -> None:
    warm = OptimiserPart(lr=1.0, warm_up=4, shape="cosine", floor=0.1)
    assert [learning_rate(warm, step, 104) for step in (0, 1, 3)] == [0.25, 0.5, 1.0]
    assert learning_rate(warm, 4, 104) == pytest.approx(1.0)
    assert learning_rate(warm, 54, 104) == pytest.approx(0.55)
    assert learning_rate(warm, 104, 104) == pytest.approx(0.1)
    released = OptimiserPart(lr=1e-4, shape="steps", decay=0.7, decay_every=20_000, floor=1e-6)
    assert learning_rate(released, 19_999, 1) == 1e-4
    assert learning_rate(released, 45_000, 1) == pytest.approx(0.49e-4)
    assert learning_rate(released, 10**6, 1) == 1e-6
    assert learning_rate(OptimiserPart(lr=0.2), 99, 100) == 0.2


@pytest.mark.parametrize(("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW),
                                            ("adagrad", torch.optim.Adagrad), ("adamhd", AdamHD)])
def test_optimisers_by_name(name: str, kind: type) -> None:
    assert type(optimiser(OptimiserPart(name=name), [nn.Parameter(torch.zeros(2))])) is kind


def test_clipping_and_averaging_by_hand() -> None:
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.tensor([3.0, 4.0])
    assert clipped([parameter], 0.0) == 5.0
    assert parameter.grad.tolist() == [3.0, 4.0]
    assert clipped([parameter], 1.0) == 5.0
    assert parameter.grad.tolist() == pytest.approx([0.6, 0.8])
    network = nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(1.0)
    average = Average(network, 0.9)
    for value in (2.0, 3.0):
        network.weight.data.fill_(value)
        average.update()
    wanted = 0.9 * (0.9 * 1 + 0.1 * 2) + 0.1 * 3
    with average.in_place():
        assert float(network.weight.detach()) == pytest.approx(wanted)
    assert float(network.weight.detach()) == 3.0


@pytest.mark.parametrize("name", list(PREPARATIONS))
def test_every_preparation_can_be_loaded(name: str) -> None:
    wishes: dict[str, DataPart] = {
        "downscaling": DataPart(preparation=name, inputs=2, leads=1),
        "sharpening": DataPart(preparation=name, preparation_options={"forecaster": "persistence"})}
    made = preparation(wishes.get(name, DataPart(preparation=name)))
    assert callable(getattr(made, "prepare", None))


def sample(archive: ZR | None = None, bits: int = 8) -> Sample:
    pair = archive or ZR()
    rates = np.stack([rain(index) for index in range(5)])
    return Sample(code_of_dbz(pair.dbz(rates), bits), pair, 5.0, 1.0)


def test_unit_pixels_are_those_of_the_networks_pair() -> None:
    """The archive's pair gives the rain rate, the recipe's the pixel: a rain rate is one pixel whatever the archive."""
    wish = DataPart(inputs=3, leads=2, zr=(58.53, 1.56))
    prepared = UnitPixels(wish)
    wanted = unit_pixel(np.stack([rain(index) for index in range(5)]), ZR(58.53, 1.56))
    for pair in (ZR(), ZR(316, 1.5), ZR(58.53, 1.56)):
        example = prepared.prepare(sample(pair, bits=16), np.random.default_rng(0))
        assert [tuple(part.shape) for part in (*example.inputs, example.targets, example.valid)] == [
            (3, 1, 24, 24), (4, 1, 24, 24), (4, 1, 24, 24)]
        missing = np.isnan(wanted[1:])
        assert np.array_equal(~example.valid[:, 0].numpy(), missing)
        assert example.targets[:, 0].numpy()[~missing] == pytest.approx(wanted[1:][~missing], abs=2e-4)
        assert np.array_equal(example.inputs[0][1:], example.targets[:2])
    assert prepared.unit(10.0) == pytest.approx(157.64 / 255, abs=1e-4)


def test_other_sizes_by_area_without_what_is_missing() -> None:
    frames = torch.arange(16.0).view(1, 1, 4, 4)
    valid = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    valid[..., 0, 0] = False
    valid[..., 2:, :2] = False
    small, known = resized(frames.masked_fill(~valid, 0.0), valid, (2, 2))
    assert small[0, 0, 0].tolist() == pytest.approx([(1 + 4 + 5) / 3, (2 + 3 + 6 + 7) / 4])
    assert known[0, 0].tolist() == [[True, True], [False, True]]


def batch(inputs: int = 3, leads: int = 2) -> Example:
    example = UnitPixels(DataPart(inputs=inputs, leads=leads)).prepare(sample(), np.random.default_rng(0))
    return Example((example.inputs[0][None],), example.targets[None], example.valid[None])


def test_all_outputs_or_forecast_frames_only() -> None:
    network = build(Configuration("recurrent", "convlstm", "deblurring", 2))
    prepared, given = UnitPixels(DataPart(inputs=3, leads=2)), batch()
    every, only = (prepared.taught(network, given, Teaching(over)) for over in ("all", "forecast"))
    assert [len(taught.readouts) for taught in (every, only)] == [2, 2]
    assert every.readouts[0].shape == every.truth.shape == every.valid.shape == (1, 4, 1, 24, 24)
    assert torch.equal(every.readouts[1][:, -2:], only.readouts[1])
    assert torch.equal(only.truth, given.targets[:, -2:])
    whole = network(given.inputs[0], 2)
    assert torch.equal(every.readouts[0], whole[:, 0])
    assert torch.equal(every.readouts[1], whole[:, 1])
    assert torch.equal(prepared.persistence(given), given.inputs[0][:, -1:])


def test_scheduled_sampling_shows_true_frames() -> None:
    """With a share of 1 the network sees what it sees when all frames but the last are given."""
    network = build(Configuration("recurrent", "convlstm", "multi-scale", 2))
    prepared, given = UnitPixels(DataPart(inputs=2, leads=3)), batch(2, 3)
    shown = prepared.taught(network, given, Teaching(share_true=1.0, draw=torch.Generator().manual_seed(1)))
    frames = torch.cat((given.inputs[0], given.targets[:, 1:-1]), dim=1)
    assert torch.allclose(shown.readouts[0], network(frames, 1)[:, 0], atol=1e-6)
    own = prepared.taught(network, given, Teaching(share_true=0.0))
    assert not torch.allclose(shown.readouts[0], own.readouts[0])


def test_networks_of_other_kinds_are_taught_their_forecast() -> None:
    network = build(Configuration("simvp", inputs=3, leads=2,
                                  options={"translator": "gsta", "spatial": 4, "temporal": 8, "depth": 2}))
    taught = UnitPixels(DataPart(inputs=3, leads=2)).taught(network, batch(), Teaching("forecast"))
    assert taught.readouts[0].shape == taught.truth.shape == (1, 2, 1, 24, 24)


def test_pieces_of_sequences() -> None:
    stored = np.arange(10 * 20 * 30).reshape(10, 20, 30).astype(np.uint16)
    whole = Sample(stored, ZR(), 5.0, 1.0)
    fixed = piece(whole, 3, 2, 8, None)
    assert np.array_equal(fixed.codes, stored[0:5:2, 6:14, 11:19])
    seen = {tuple(piece(whole, 3, 2, 8, np.random.default_rng(seed)).codes[:, 0, 0]) for seed in range(50)}
    assert len(seen) > 20
    with pytest.raises(NotEnoughInput, match="does not fit"):
        piece(whole, 3, 1, 24, None)


def test_a_pack_as_a_source(tmp_path: Path) -> None:
    path = write_pack(tmp_path / "rain.h5")
    pack = Pack(path)
    source = PackSource((pack, pack), "train")
    assert len(source) == 2 * len(pack.split("train"))
    shown = source.sequence(3)
    rates = pack.rain_rate(source.places[3][1])
    reached = (shown.codes >= code_of_rain(5.0, shown)) & (shown.codes < 255)
    assert np.array_equal(reached, np.nan_to_num(rates) >= 5.0)
    thinned = rates[::2, ::2, ::2]
    share = source.rain_share(3, 5.0)
    assert share == pytest.approx(float((np.nan_to_num(thinned) >= 5.0).mean()))
    about = PackSource((pack,), "train").about()
    assert "test archive" in about.words
    assert 0 < about.hours < 80 * 5 / 60
    assert np.array_equal(pickle.loads(pickle.dumps(source)).sequence(3).codes, shown.codes)
    with pytest.raises(NotEnoughInput, match="9"):
        open_packs((str(path),), 9)
    with pytest.raises(WrongUsage, match="no pack"):
        open_packs((), 5)


def test_networks_start_from_the_seed_alone() -> None:
    first, same, other = (fresh_network(recipe(run={"seed": seed})) for seed in (1, 1, 2))
    pairs = list(zip(first.state_dict().values(), same.state_dict().values(), other.state_dict().values(),
                     strict=True))
    assert all(torch.equal(a, b) for a, b, _ in pairs)
    assert not all(torch.equal(a, c) for a, _, c in pairs)


def test_a_recipe_narrows_an_encoder_forecaster() -> None:
    wish = ModelPart("convgru", topology="brief", hidden=16, levels=({"kernel": 3}, {"kernel": 3}, {"kernel": 3}))
    network = fresh_network(Recipe(wish, run=RunPart(steps=1)))
    assert isinstance(network, EncoderForecaster)
    assert network.ladder.hidden == (16, 32, 32)
    assert network.grid_multiple == 8
    assert network(torch.rand(1, 2, 1, 16, 24), 3).shape == (1, 3, 1, 16, 24)


def test_scores_by_hand() -> None:
    """One frame of three valid pixels and one that is not: a hit, a miss, a false alarm at 2 mm/h."""
    prepared = UnitPixels(DataPart())
    values = {rate: prepared.unit(rate) for rate in (0.0, 3.0, 20.0)}
    truth = torch.tensor([values[3.0], values[20.0], values[0.0], values[20.0]]).view(1, 1, 1, 2, 2)
    forecast = torch.tensor([values[3.0], values[0.0], values[3.0], values[0.0]]).view(1, 1, 1, 2, 2)
    valid = torch.tensor([True, True, True, False]).view(1, 1, 1, 2, 2)
    scores = Scores(prepared, leads=1)
    scores.add("network", forecast, truth, valid)
    found = scores.document()["network"]
    assert found["csi_mean"] == [pytest.approx(1 / 3), pytest.approx(1 / 3), 0.0, 0.0, None]
    error = values[20.0] - values[0.0], values[3.0] - values[0.0]
    assert found["b_mae"] == pytest.approx(10 * error[0] + error[1], rel=1e-5)
    assert found["b_mse"] == pytest.approx(10 * error[0] ** 2 + error[1] ** 2, rel=1e-5)


def test_digits_move_as_table_6_says() -> None:
    draws = [Motion.drawn(np.random.default_rng(seed)) for seed in range(300)]
    speeds = np.concatenate([np.hypot(*motion.velocity.T) for motion in draws])
    assert speeds.max() < 3.6
    assert speeds.max() > 3.5
    assert np.abs([motion.turning for motion in draws]).max() <= np.pi / 12
    scalings = np.concatenate([motion.scaling for motion in draws])
    assert (scalings >= 1 / 1.1).all()
    assert (scalings < 1.1).all()
    assert 0.6 <= min(motion.illumination for motion in draws) < 0.61
    places = draws[0].places(200)
    assert places.min() >= moving_mnist.BORDER
    assert places.max() <= moving_mnist.SIDE - moving_mnist.BORDER
    steps = np.hypot(*np.moveaxis(np.diff(places, axis=0), -1, 0))
    assert (steps <= np.hypot(*draws[0].velocity.T) + 1e-9).all()
    assert to_and_fro(12).tolist() == [0, 1, 2, 3, 4, 5, 4, 3, 2, 1, 0, 1]


def test_a_digit_is_drawn_where_and_as_large_as_it_is() -> None:
    """A square of 10 pixels that neither turns nor grows: its centre and its sum."""
    square = np.zeros((3, 28, 28), np.uint8)
    square[0, 9:19, 9:19] = 255
    motion = Motion(np.array([[30.0, 20.0]] * 3), np.array([[0.0, 2.0]] * 3), np.zeros(3), np.zeros(3), np.ones(3), 0.8)
    frames = rendered(square, motion, 7)
    grid = np.mgrid[:64, :64]
    for step, frame in enumerate(frames):
        assert frame.sum() == pytest.approx(100 * 0.8 ** to_and_fro(7)[step], rel=0.02)
        centre = (grid * frame).sum(axis=(1, 2)) / frame.sum()
        assert centre == pytest.approx([30.0, 20.0 + 2 * step], abs=0.02)
    larger = rendered(square, Motion(motion.start, motion.velocity * 0, motion.angle, motion.turning,
                                     np.full(3, 1.1), 1.0), 6)
    assert larger[5].sum() == pytest.approx(100 * 1.1**10, rel=0.05)


def test_moving_digits_are_a_source_without_an_end(tmp_path: Path) -> None:
    digits, origin = digits_for("", "train", 0)
    assert "not MNIST" in origin
    source = MovingMNIST(digits, origin, 100, 20, ZR(), 0)
    assert source.sequence(5000).codes.shape == (20, 64, 64)
    assert np.array_equal(source.sequence(7).codes, source.sequence(7).codes)
    assert not np.array_equal(source.sequence(7).codes, source.sequence(8).codes)
    wish = recipe(data={"source": "moving-mnist", "crop": 0, "epoch": 40})
    found = data(wish)
    assert (len(found.learn), len(found.check)) == (40, 4)
    assert found.order.endless
    assert not np.array_equal(found.learn.sequence(0).codes, found.check.sequence(0).codes)


@pytest.mark.parametrize("packed", [False, True])
def test_the_users_mnist_files_are_taken(tmp_path: Path, packed: bool) -> None:
    pictures = drawn_digits(5, np.random.default_rng(0))
    body = np.array([2051, 5, 28, 28], ">i4").tobytes() + pictures.tobytes()
    name = "train-images-idx3-ubyte" + (".gz" if packed else "")
    (tmp_path / name).write_bytes(gzip.compress(body) if packed else body)
    digits, origin = digits_for(str(tmp_path), "train", 0)
    assert origin == "MNIST digits"
    assert np.array_equal(digits, pictures)
    with pytest.raises(UnreadableInput, match="t10k"):
        digits_for(str(tmp_path), "validation", 0)
    (tmp_path / "wrong").write_bytes(body[:300])
    with pytest.raises(UnreadableInput):
        read_idx(tmp_path / "wrong")
