"""Forecasters that draw: members, seeds, tiles; what training teaches them; DGP as a deblurrer; the hinge game."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine import catalogue
from engine.cancel import CancelToken
from engine.commands import run as command
from engine.deblurrers.dgp import DGP, Settings, blurred, invert
from engine.deblurrers.protocol import Blurry, Observation
from engine.deblurrers.protocol import Options as SharpenOptions
from engine.errors import Cancelled
from engine.forecasters.generative import GenerativeForecaster
from engine.forecasters.neural import Tiling
from engine.forecasters.protocol import Context, Options
from engine.jobs import weights as weights_job
from engine.jobs.train import shipped
from engine.losses.adversarial import adversarial_loss, discriminator_loss, feature_loss
from engine.losses.registry import Wish, frame_loss
from engine.networks.configuration import Configuration, build
from engine.networks.frame_gan import FrameGAN
from engine.networks.noise import Noise
from engine.networks.weights import load
from engine.networks.zoo import ZOO
from engine.training.data import Share
from engine.training.preparation import Example, Teaching, preparation
from engine.training.recipe import recipe_of
from engine.training.rival import Rival
from engine.training.start import fresh_discriminator
from engine.training.teacher import Teacher, total_loss
from tests.engine.networks.test_learning import moving_blob
from tests.engine.sequences import START, grid
from tests.engine.test_neural import inputs_of, weight_file

SMALL = {
    "dgmr": Configuration("dgmr", inputs=3, leads=3, options={"latent": 64, "context": 24, "depth": 2}),
    "diffcast": Configuration("diffcast", inputs=3, leads=3, options={
        "width": 8, "multipliers": (1, 2), "spatial": 8, "temporal": 16, "depth": 2, "steps": 100, "sampling": 4}),
    "cascast": Configuration("cascast", inputs=3, leads=3, options={
        "mean": "simvp", "coder": (8, 16, 2), "widths": (8, 16), "blocks": 1, "groups": 4, "single": (16, 2, 1),
        "joint": (32, 2, 1), "steps": 100, "sampling": 4}),
    "strpm": Configuration("strpm", inputs=3, leads=3, options={
        "hidden": 8, "layers": 2, "halvings": 1, "tau": 2, "kernel": 3}),
}
DRAW = ("dgmr", "diffcast", "cascast")
RIVAL_NAMES = [name for name in ZOO if ZOO[name].configuration.architecture in (*SMALL, "frame-gan")]


@pytest.mark.parametrize("name", DRAW)
def test_members_follow_from_the_seed(tmp_path: Path, name: str) -> None:
    forecaster = GenerativeForecaster(weight_file(tmp_path, SMALL[name], name))
    inputs = inputs_of(3, 64, 40)
    said: list[float] = []
    context = Context(progress=lambda fraction, text: said.append(fraction))
    both = list(forecaster.run(inputs, Options(4, 2, 7), context))
    again = list(forecaster.run(inputs, Options(4, 2, 7), Context()))
    first = list(forecaster.run(inputs, Options(4, 1, 7), Context()))
    other = list(forecaster.run(inputs, Options(4, 1, 8), Context()))
    assert [frame.lead_minutes for frame in both] == [5.0, 10.0, 15.0, 20.0]
    for two, same, one, seed in zip(both, again, first, other, strict=True):
        assert two.rain_rate.shape == (2, 64, 40)
        np.testing.assert_array_equal(two.rain_rate, same.rain_rate)
        np.testing.assert_array_equal(two.rain_rate[0], one.rain_rate)
        assert not np.array_equal(two.rain_rate[0], two.rain_rate[1])
        assert not np.array_equal(one.rain_rate, seed.rain_rate)
        assert np.isfinite(two.rain_rate).all()
    assert said == sorted(said)


def test_tiles_of_a_member_go_together(tmp_path: Path) -> None:
    """DGMR has no means over the domain but its attention, whose gain starts at 0: whole and tiled are the same."""
    inputs = inputs_of(3, 256, 160)
    file = weight_file(tmp_path, SMALL["dgmr"], "dgmr")
    network = load(file)[0]

    def made(side: int, noise: bool = True) -> np.ndarray:
        forecaster = GenerativeForecaster(file, Tiling(side, 128), network=network)
        return np.stack([frame.rain_rate for frame in forecaster.run(inputs, Options(3), Context())])

    whole, tiled = made(256), made(192)
    inside = (slice(None), slice(16, -16), slice(16, -16))
    assert np.abs(whole - tiled)[inside].max() < 0.5 / 70 * np.ptp(whole)


def test_without_data_there_is_none(tmp_path: Path) -> None:
    inputs = inputs_of(3, 32, 32)
    inputs.frames[-1, :4] = np.nan
    found = next(iter(GenerativeForecaster(weight_file(tmp_path, SMALL["dgmr"], "dgmr")).run(
        inputs, Options(1, 2), Context())))
    assert np.isnan(found.rain_rate[:, :4]).all()
    assert np.isfinite(found.rain_rate[:, 4:]).all()


@pytest.mark.parametrize("name", RIVAL_NAMES)
def test_each_stands_in_the_list_with_its_recipe(name: str) -> None:
    kind = "deblurrer" if name == "dgp" else "forecaster"
    assert catalogue.row(kind, name).parameters == ZOO[name].parameters
    assert name in shipped()


def test_what_has_no_weights_needs_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import resources

    monkeypatch.setattr(weights_job, "folders", lambda: iter([tmp_path]))
    archive = str(resources.sample_archive())
    for choice in (["--forecaster", "diffcast-small"], ["--forecaster", "persistence", "--deblurrer", "dgp"]):
        assert command(["forecast", archive, *choice, "-o", str(tmp_path / "out.nc")]) == 5


# -- training

def lesson_of(name: str, table: dict[str, Any], steps: int, rate: float = 3e-3, side: int = 32,
              configuration: Configuration | None = None) -> tuple[list[float], nn.Module]:
    """Losses of so many steps on one sequence, by a recipe's own way."""
    wish = configuration or SMALL[name]
    recipe = recipe_of({"model": {"name": "ms-convlstm"}, "run": {"steps": 1}, **table})
    prepared = preparation(recipe.data)
    torch.manual_seed(5)
    network = build(wish).train()
    critic = fresh_discriminator(recipe, network)
    rival = None if critic is None else Rival(critic, recipe, Share())
    teacher = Teacher(network, prepared, total_loss(recipe.loss, prepared))
    optimiser = torch.optim.Adam(network.parameters(), rate)
    frames = moving_blob(wish.inputs + wish.leads, side)
    batch = Example((frames[:, :wish.inputs].repeat(2, 1, 1, 1, 1),), frames[:, 1:].repeat(2, 1, 1, 1, 1),
                    torch.ones(2, wish.inputs + wish.leads - 1, 1, side, side, dtype=torch.bool))
    losses = []
    for _ in range(steps):
        optimiser.zero_grad()
        lesson = teacher(batch, Teaching("forecast"), 0.0, None, critic)
        lesson.loss.backward()
        optimiser.step()
        if rival is not None:
            rival.learn(lesson.taught, recipe.loss, parts=1, first=True, last=True)
            rival.optimiser.step()
        losses.append(float(lesson.loss.detach()))
    return losses, network.eval()


def part(preparation_name: str, **options: Any) -> dict[str, Any]:
    return {"data": {"inputs": 3, "leads": 3, "preparation": preparation_name, "preparation_options": options}}


def loss(*terms: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"loss": {"terms": list(terms), "over": "forecast", **more}}


MSE_MEAN = {"name": "mse", "pixels": "mean"}


def test_the_generator_of_dgmr_learns_a_sequence_by_heart() -> None:
    losses, _ = lesson_of("dgmr", {**part("drawn-clips", samples=1), **loss(
        {"name": "mse", "pixels": "mean", "readout": 0})}, 120)
    assert min(losses[-10:]) < losses[0] / 10
    assert np.isfinite(losses).all()


@pytest.mark.slow
def test_dgmr_and_its_discriminators_play() -> None:
    table = {**part("drawn-clips", samples=2), **loss(
        {"name": "grid-cell", "readout": 0, "weight": 24.4}, {"name": "adversarial"},
        discriminator={"name": "dgmr", "game": "hinge", "steps": 2, "lr": 1e-3,
                       "options": {"inputs": 3, "width": 4, "blocks": 2, "frames": 2}})}
    losses, _ = lesson_of("dgmr", table, 30)
    assert np.isfinite(losses).all()


@pytest.mark.slow
def test_diffcast_learns_mean_and_residual() -> None:
    losses, network = lesson_of("diffcast", {**part("residual-diffusion"), **loss(MSE_MEAN)}, 400, side=16)
    assert np.mean(losses[-40:]) < np.mean(losses[:5]) / 3
    frames = moving_blob(6, 16)
    with torch.inference_mode():
        drawn = network(frames[:, :3], 3, Noise(0))
    error, persistence = ((frame - frames[:, 3:]).square().mean() for frame in (drawn, frames[:, 2:3]))
    assert float(error) < 0.3 * float(persistence)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["autoencoder", "mean", "diffusion"])
def test_each_stage_of_the_cascade_learns(stage: str) -> None:
    losses, _ = lesson_of("cascast", {**part("cascade", stage=stage), **loss(MSE_MEAN)}, 400, side=16)
    assert np.mean(losses[-40:]) < np.mean(losses[:5]) / (2 if stage == "diffusion" else 10)


@pytest.mark.slow
def test_strpm_learns_a_sequence_by_heart_with_its_three_terms() -> None:
    table = {**part("unit-pixels"), **loss(
        MSE_MEAN, {"name": "features", "weight": 0.01}, {"name": "adversarial", "weight": 0.001},
        discriminator={"name": "strpm", "lr": 5e-5, "options": {"hidden": 8, "halvings": 2}})}
    _, network = lesson_of("strpm", table, 500, side=24)
    frames = moving_blob(6, 24)
    with torch.inference_mode():
        error = float((network(frames[:, :3], 3) - frames[:, 3:]).square().mean())
    assert error < float(frames[:, 3:].square().mean()) / 10


@pytest.mark.slow
def test_dgp_s_prior_and_its_critic_play() -> None:
    table = {**part("drawn-frames"), **loss({"name": "adversarial"}, discriminator={
        "name": "own", "game": "hinge", "steps": 2})}
    small = Configuration("frame-gan", inputs=3, leads=3, options={
        "depth": 4, "widths": (16, 8, 8), "width": 4, "critic_blocks": 2})
    losses, network = lesson_of("dgp", table, 20, configuration=small)
    assert np.isfinite(losses).all()
    assert isinstance(network, FrameGAN)


# -- losses

class Sums(nn.Module):
    """Scores: the mean of a clip, and ten times that. The features: the frames themselves, halved."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.features = nn.AvgPool2d(2)

    def forward(self, clips: Tensor) -> Tensor:
        mean = self.weight * clips.flatten(1).mean(dim=1)
        return torch.stack((mean, 10 * mean), dim=1)


def test_the_hinge_game_by_hand() -> None:
    judge = Sums()
    truth, forecast = torch.full((2, 3, 1, 4, 4), 0.3), torch.full((2, 3, 1, 4, 4), 0.05).requires_grad_()
    valid = torch.ones_like(truth, dtype=torch.bool)
    fooled = adversarial_loss(judge, forecast, valid, game="hinge")
    assert float(fooled.detach()) == pytest.approx(-(0.05 + 0.5))
    fooled.backward()
    assert judge.weight.grad is None
    assert forecast.grad is not None
    caught = discriminator_loss(judge, forecast, truth, valid, game="hinge")
    assert float(caught.detach()) == pytest.approx((1 - 0.3) + 0 + (1 + 0.05) + (1 + 0.5))
    caught.backward()
    assert judge.weight.grad is not None


def test_features_and_grid_cells_by_hand() -> None:
    truth, forecast = torch.zeros(1, 1, 1, 2, 2), torch.tensor([1.0, 0.0, 0.0, 1.0]).view(1, 1, 1, 2, 2)
    valid = torch.ones_like(truth, dtype=torch.bool)
    assert float(feature_loss(Sums(), forecast, truth, valid)) == pytest.approx(0.25)
    found = frame_loss("grid-cell", Wish(lambda rate: rate))
    truth = torch.tensor([0.0, 2.5, 40.0, 1.0]).view(1, 1, 1, 2, 2)
    assert float(found(truth + 1, truth, valid)) == pytest.approx((1 + 3 + 24 + 2) / 4)


# -- DGP

TINY_GAN = Configuration("frame-gan", inputs=1, leads=1, options={
    "depth": 4, "widths": (16, 12, 8), "width": 4, "critic_blocks": 2})
QUICK = Settings(candidates=4, rounds=(40, 40, 40), looks=0.0, fit_rate=3e-3)


def test_a_gaussian_blur_literally() -> None:
    field = torch.zeros(1, 1, 15, 15)
    field[0, 0, 7, 7] = 1.0
    found = blurred(field, (1.0, 2.0))[0, 0]
    assert float(found.sum()) == pytest.approx(1.0, abs=1e-5)
    assert float(found[8, 7] / found[7, 7]) == pytest.approx(np.exp(-0.5), rel=1e-4)
    assert float(found[7, 8] / found[7, 7]) == pytest.approx(np.exp(-0.125), rel=1e-4)
    torch.testing.assert_close(blurred(torch.ones(1, 1, 6, 6), (3.0, 3.0)), torch.ones(1, 1, 6, 6))
    assert torch.equal(blurred(field, (0.0, 0.0)), field)


def test_what_is_found_looks_like_the_forecast_when_blurred() -> None:
    torch.manual_seed(0)
    network = build(TINY_GAN).eval()
    assert isinstance(network, FrameGAN)
    sharp = network(torch.randn(1, 4, 8, 8)).detach()
    wanted = blurred(sharp, (1.5, 1.5))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    torch.manual_seed(1)
    found = invert(network, wanted, (1.5, 1.5), QUICK, Context())
    error = (blurred(found, (1.5, 1.5)) - wanted).square().mean()
    assert float(error) < 0.1 * float(wanted.var())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_dgp_follows_from_the_seed_and_can_be_cancelled(tmp_path: Path) -> None:
    file = weight_file(tmp_path, TINY_GAN, "dgp")
    deblurrer = DGP(file, Settings(candidates=2, rounds=(3, 3)))
    field = inputs_of(1, 30, 26).frames
    seen = Observation(field[0], START, 5.0, grid(30, 26), inputs_of(1, 30, 26).zr)
    blurry = Blurry(field, np.ones(field.shape, bool), (5.0,), seen)
    one, two, three = (next(iter(deblurrer.sharpen(blurry, SharpenOptions(seed), Context()))).rain_rate
                       for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, three)
    assert one.shape == (30, 26)
    assert np.isfinite(one).all()
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        next(iter(deblurrer.sharpen(blurry, SharpenOptions(), Context(token))))
