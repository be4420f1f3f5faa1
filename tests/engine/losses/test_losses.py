"""Every loss against values worked out by hand, and the limits that the papers state."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine.errors import WrongUsage
from engine.losses.adversarial import adversarial_loss, discriminator_loss
from engine.losses.balanced import CLASS_EDGES_MM_H, Balanced, balance
from engine.losses.db_rnn import LAMBDA_DEBLURRED, LAMBDA_FORECAST, db_rnn
from engine.losses.differential_divergence import DifferentialDivergence
from engine.losses.exceedance import Exceedance
from engine.losses.focal import Focal, frame_weights
from engine.losses.frames import over_frames
from engine.losses.gdl import GDL
from engine.losses.mae import MAE
from engine.losses.mse import MSE
from engine.losses.registry import LOSSES, Wish, frame_loss
from engine.losses.ssim import SSIM
from engine.losses.total import Ramp, Term, Total
from engine.radar.scaling import unit_pixel
from engine.radar.units import ZR
from engine.verification import images

HKO = ZR(58.53, 1.56)


def frame(*rows: list[float]) -> Tensor:
    """(1, 1, 1, H, W)."""
    return torch.tensor([rows]).view(1, 1, 1, len(rows), len(rows[0]))


def all_valid(like: Tensor) -> Tensor:
    return torch.ones_like(like, dtype=torch.bool)


def unit(rain_rate: float) -> float:
    return float(unit_pixel(np.array([rain_rate]), HKO)[0])


WISH = Wish(unit, thresholds=(0.5, 2.0))
TRUTH = frame([0.0, 1.0], [2.0, 4.0])
FORECAST = frame([0.5, 1.0], [0.0, 5.0])  # errors 0.5, 0, -2, 1


@pytest.mark.parametrize(("loss", "value"), [
    (MSE(), 5.25), (MSE("mean"), 5.25 / 4), (MAE(), 3.5), (MAE("mean"), 3.5 / 4),
    (Balanced((1.0, 2.0, 3.0, 4.0), 2), 0.25 * 1 + 0 * 2 + 4 * 5 + 1 * 30),
    (Balanced((1.0, 2.0, 3.0, 4.0), 1), 0.5 * 1 + 0 * 2 + 2 * 5 + 1 * 30),
])
def test_errors_by_hand(loss: MSE, value: float) -> None:
    assert float(loss(FORECAST, TRUTH, all_valid(TRUTH))) == pytest.approx(value)


def test_pixels_that_are_not_valid_have_weight_zero() -> None:
    valid = torch.tensor([[True, True], [False, True]]).view(TRUTH.shape)
    assert float(MSE()(FORECAST, TRUTH, valid)) == pytest.approx(1.25)
    assert float(MAE("mean")(FORECAST, TRUTH, valid)) == pytest.approx(0.5)
    assert float(Balanced((1.0, 2.0, 3.0, 4.0), 2)(FORECAST, TRUTH, valid)) == pytest.approx(30.25)


def test_balanced_weights_are_those_of_the_benchmark_paper() -> None:
    """Weights by rain rate, as printed; the forecast's rain has no say."""
    rates = [0.0, 1.99, 2.0, 4.9, 5.0, 9.9, 10.0, 29.0, 30.0, 80.0]
    truth = torch.tensor(unit_pixel(np.array(rates), HKO))
    edges = tuple(unit(edge) for edge in CLASS_EDGES_MM_H)
    assert edges == pytest.approx([117.92 / 255, 140.53 / 255, 157.64 / 255, 184.75 / 255], abs=2e-5)
    assert balance(truth, edges).tolist() == [1, 1, 2, 2, 5, 5, 10, 10, 30, 30]


def test_focal_weights_by_hand() -> None:
    weights = frame_weights(torch.tensor([[1.0, 2.0, 5.0]]), k=2.0, epsilon=0.01)
    assert weights[0].tolist() == pytest.approx([0.01**2, (0.25 + 0.01) ** 2, 1.01**2])
    equal = frame_weights(torch.tensor([[3.0, 3.0]]), k=2.0, epsilon=0.01)
    assert equal[0].tolist() == pytest.approx([1.01**2] * 2)


def test_focal_loss_by_hand_and_that_its_weights_are_constants() -> None:
    """Three frames of one pixel with errors 1, 2, 5 (equation 8)."""
    forecast = torch.tensor([1.0, 2.0, 5.0]).view(1, 3, 1, 1, 1).requires_grad_()
    truth = torch.zeros(1, 3, 1, 1, 1)
    loss = over_frames(Focal(MSE())(forecast, truth, all_valid(truth)))
    weights = [0.01**2, 0.26**2, 1.01**2]
    assert float(loss.detach()) == pytest.approx(sum(w * e * e for w, e in zip(weights, (1, 2, 5), strict=True)) / 3)
    loss.backward()
    assert forecast.grad is not None
    assert forecast.grad.flatten().tolist() == pytest.approx(
        [2 * w * e / 3 for w, e in zip(weights, (1, 2, 5), strict=True)])


@pytest.mark.parametrize("name", list(LOSSES))
def test_k_of_zero_gives_the_plain_loss(name: str) -> None:
    forecast, truth, valid = _fields(name)
    plain = frame_loss(name, WISH)(forecast, truth, valid)
    focal = frame_loss(name, Wish(unit, thresholds=(0.5, 2.0), focal=(0.0, 0.01)))(forecast, truth, valid)
    assert torch.equal(plain, focal)


def _fields(name: str) -> tuple[Tensor, Tensor, Tensor]:
    make = torch.Generator().manual_seed(3)
    truth = torch.rand(2, 4, 1, 16, 16, generator=make)
    valid = torch.rand(truth.shape, generator=make) > 0.2
    channels = 2 if name == "exceedance" else 1
    return torch.rand(2, 4, channels, 16, 16, generator=make), truth, valid


@pytest.mark.parametrize("name", list(LOSSES))
def test_every_loss_ignores_what_is_not_valid(name: str) -> None:
    forecast, truth, valid = _fields(name)
    loss = frame_loss(name, WISH)
    first = loss(forecast, truth, valid)
    assert first.shape == (2, 4)
    hidden = (~valid).expand_as(forecast)
    other = torch.where(hidden, forecast + 0.7, forecast)
    assert torch.allclose(loss(other, truth, valid), first, atol=1e-6)


@pytest.mark.parametrize("name", list(LOSSES))
def test_every_loss_of_nothing_is_zero_and_has_a_finite_gradient(name: str) -> None:
    forecast, truth, _ = _fields(name)
    forecast.requires_grad_()
    loss = over_frames(frame_loss(name, WISH)(forecast, truth, torch.zeros_like(truth, dtype=torch.bool)))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert forecast.grad is not None
    assert not forecast.grad.any()


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "exceedance"])
def test_every_loss_is_zero_at_the_truth_and_points_there(name: str) -> None:
    _, truth, valid = _fields(name)
    loss = frame_loss(name, WISH)
    assert float(over_frames(loss(truth, truth, valid))) == pytest.approx(0.0, abs=1e-5)
    forecast = (truth * 0.5).requires_grad_()
    value = over_frames(loss(forecast, truth, valid))
    value.backward()
    assert forecast.grad is not None
    assert forecast.grad.isfinite().all()
    nearer = forecast.detach() - 1e-4 * forecast.grad / forecast.grad.abs().max()
    assert over_frames(loss(nearer, truth, valid)) < value


def test_gdl_by_hand_over_the_pixels_of_the_print() -> None:
    truth = frame([0.0, 1.0, 5.0], [3.0, 3.0, 5.0], [9.0, 9.0, 9.0])
    forecast = frame([0.0, 2.0, 5.0], [1.0, 1.0, 5.0], [9.0, 9.0, 9.0])
    # i, j in {0, 1}: truth down 3 2 / 6 6, across 1 4 / 0 2; forecast down 1 1 / 8 8, across 2 3 / 0 4
    assert float(GDL()(forecast, truth, all_valid(truth))) == pytest.approx((2 + 1 + 2 + 2) + (1 + 1 + 0 + 2))
    assert float(GDL("mean")(forecast, truth, all_valid(truth))) == pytest.approx(11 / 8)
    assert float(GDL()(truth, truth, all_valid(truth))) == 0.0
    valid = all_valid(truth)
    valid[..., 0, 0] = False  # takes the first step down and the first across
    assert float(GDL()(forecast, truth, valid)) == pytest.approx(11 - 2 - 1)


def test_ssim_is_that_of_the_verification() -> None:
    forecast, truth, valid = _fields("ssim")
    truth = truth.masked_fill(~valid, 0.0)
    found = SSIM()(forecast, truth, valid)
    for place in np.ndindex(2, 4):
        wanted = images.ssim(truth[place][0].numpy(), forecast[place][0].numpy(), valid[place][0].numpy())
        assert float(found[place]) == pytest.approx(1 - wanted, abs=1e-5)


@pytest.mark.parametrize("pixels", ["sum", "mean"])
def test_differential_divergence_by_hand(pixels: Any) -> None:
    """Three frames of two by two pixels; in the second one pixel was not measured, so that it counts in no change."""
    truth = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.2, 0.2, 0.5, 0.1], [0.1, 0.4, 0.4, 0.0]]).view(1, 3, 1, 2, 2)
    forecast = torch.tensor([[0.0, 0.3, 0.3, 0.5], [0.3, 0.1, 0.4, 0.2], [0.2, 0.2, 0.5, 0.1]]).view(1, 3, 1, 2, 2)
    valid = torch.ones_like(truth, dtype=torch.bool)
    valid[0, 1, 0, 1, 1] = False
    wanted = [0.0]
    for later in (1, 2):
        parts = []
        for frames in (forecast, truth):
            flat = frames[0, :, 0].flatten(1)
            odds = [math.exp(float(flat[later, k] - flat[later - 1, k]) / 0.1) for k in range(3)]
            parts.append([o / sum(odds) for o in odds])
        divergence = sum(p * math.log(p / q) for p, q in zip(*parts, strict=True))
        wanted.append(divergence / (3 if pixels == "mean" else 1) * 3 / 2)
    found = DifferentialDivergence(pixels=pixels)(forecast, truth, valid)
    assert found[0].tolist() == pytest.approx(wanted, rel=1e-4)
    assert float(over_frames(found)) == pytest.approx(sum(wanted) / 3, rel=1e-4)
    assert not DifferentialDivergence()(forecast[:, :2], truth[:, :2], valid[:, :2]).any()


def test_exceedance_by_hand() -> None:
    truth = frame([0.2, 0.5])
    logits = torch.tensor([[0.0, 2.0], [-1.0, 3.0]]).view(1, 1, 2, 1, 2)  # thresholds 0.3, 0.5: 0 1 and 0 1
    entropies = [math.log(2), math.log1p(math.exp(-2)), math.log1p(math.exp(-1)), math.log1p(math.exp(-3))]
    loss = Exceedance((0.3, 0.5))
    assert float(loss(logits, truth, all_valid(truth))) == pytest.approx(sum(entropies) / 4)
    only = torch.tensor([False, True]).view(truth.shape)
    assert float(loss(logits, truth, only)) == pytest.approx((entropies[1] + entropies[3]) / 2)
    weighted = Exceedance((0.3, 0.5), weights=(1.0, 3.0), events=(1.0, 2.0))
    by_hand = (entropies[0] + entropies[1] + 3 * entropies[2] + 3 * 2 * entropies[3]) / 4
    assert float(weighted(logits, truth, all_valid(truth))) == pytest.approx(by_hand)
    with pytest.raises(ValueError, match="2 logits"):
        Exceedance((0.3,))(logits, truth, all_valid(truth))


class Constant(nn.Module):
    """Thinks every frame real with the same probability."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = nn.Parameter(torch.tensor(probability))

    def forward(self, frames: Tensor) -> Tensor:
        return self.probability + 0 * frames.mean(dim=(1, 2, 3))[:, None]


def test_the_adversarial_game_by_hand() -> None:
    """BCE(p, 1) = -log p, BCE(p, 0) = -log(1 - p), averaged over the frames."""
    forecast, truth, valid = _fields("mse")
    forecast.requires_grad_()
    judge = Constant(0.8)
    fooled = adversarial_loss(judge, forecast, valid)
    assert float(fooled.detach()) == pytest.approx(-math.log(0.8))
    fooled.backward()
    assert judge.probability.grad is None
    assert forecast.grad is not None
    forecast.grad = None
    caught = discriminator_loss(judge, forecast, truth, valid)
    assert float(caught.detach()) == pytest.approx(-math.log(0.8) - math.log(0.2))
    caught.backward()
    assert forecast.grad is None
    assert float(judge.probability.grad) == pytest.approx(-1 / 0.8 + 1 / 0.2, rel=1e-5)


def test_the_adversarial_loss_is_zero_when_the_discriminator_is_fooled() -> None:
    forecast, _, valid = _fields("mse")
    assert float(adversarial_loss(Constant(1.0), forecast, valid).detach()) == 0.0


@pytest.mark.parametrize(("epoch", "forecast", "deblurred"), [
    (0, 1.0, 0.01), (10, 0.505, 0.505), (20, 0.01, 1.0), (50, 0.01, 1.0)])
def test_the_weights_of_db_rnn_over_the_epochs(epoch: int, forecast: float, deblurred: float) -> None:
    assert LAMBDA_FORECAST.at(epoch) == pytest.approx(forecast)
    assert LAMBDA_DEBLURRED.at(epoch) == pytest.approx(deblurred)


@pytest.mark.parametrize("epoch", [0, 10, 20, 50])
def test_the_total_loss_of_db_rnn_by_hand(epoch: int) -> None:
    """Two frames of 2 x 2: equation 7 written out."""
    truth = torch.cat((TRUTH, TRUTH), dim=1)
    blurred, sharp = torch.cat((FORECAST, TRUTH), dim=1), torch.cat((TRUTH, FORECAST), dim=1)
    total = db_rnn()
    parts = total.parts([blurred, sharp], truth, all_valid(truth), epoch, Constant(0.5))
    first, second = LAMBDA_FORECAST.at(epoch), LAMBDA_DEBLURRED.at(epoch)
    gdl = (abs(2 - 0.5) + abs(1 - 0.5)) / 2  # only the pixel in the corner has a step down and one across
    wanted = first * (3.5 + 5.25) / 2 + second * (3.5 + 5.25) / 2 + 0.001 * gdl + math.log(2)
    assert float(total.weighed(parts, epoch).detach()) == pytest.approx(wanted, rel=1e-5)


def test_the_ablations_of_db_rnn_leave_terms_out() -> None:
    assert not db_rnn(adversarial=False).adversarial
    assert {term.name for term in db_rnn(gdl=False).terms} == {term.name for term in db_rnn().terms} - {"gdl"}
    fixed = db_rnn(staged_weights=False)
    assert {term.weight.at(0) for term in fixed.terms[:4]} == {term.weight.at(30) for term in fixed.terms[:4]} == {1.0}


def test_a_total_needs_a_discriminator_only_for_the_adversarial_term() -> None:
    total = Total((Term("mse", Ramp(2.0), MSE()), Term("adversarial", Ramp(0.0), None)), scale=0.1)
    parts = total.parts([FORECAST], TRUTH, all_valid(TRUTH), 0.0)
    assert float(total.weighed(parts, 0.0)) == pytest.approx(0.1 * 2 * 5.25)
    with pytest.raises(ValueError, match="discriminator"):
        db_rnn().parts([FORECAST], TRUTH, all_valid(TRUTH), 0.0)


def test_unknown_losses_are_refused_by_name() -> None:
    with pytest.raises(WrongUsage, match="'mes'"):
        frame_loss("mes", WISH)
    with pytest.raises(WrongUsage, match="thresholds"):
        frame_loss("exceedance", Wish(unit))


def test_wrong_settings_are_refused() -> None:
    for make in (lambda: Focal(MSE(), k=-1), lambda: Balanced((2.0, 1.0), 1, (1, 2, 3)), lambda: SSIM(window=4),
                 lambda: Exceedance((0.1,), weights=(1.0, 2.0))):
        with pytest.raises(ValueError, match=r"not|for"):
            make()
