"""The game of a network against a discriminator: by cross-entropy on single frames (DB-RNN paper, equations 7, fourth
line, and 8), or by hinge losses on clips (DGMR: Ravuri et al. 2021, supplement A.1)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

Game = Literal["entropy", "hinge"]
"""entropy: the discriminator gives a probability for each frame. hinge: it gives scores without bound for each clip."""


def adversarial_loss(discriminator: nn.Module, forecast: Tensor, valid: Tensor, logits: bool = False,
                     game: Game = "entropy") -> Tensor:
    """How far the discriminator is from taking the forecast for real, the mean over all frames; 0 when it does.

    discriminator: (N, 1, H, W) -> (N, 1) probability that a frame is real, or its logit; (B, T, 1, H, W) -> (B, n)
    scores for hinge, where the loss is minus their sum, mean over the clips. forecast, valid: (B, T, 1, H, W). The
    discriminator's weights get no gradient, and what it keeps of its batches stays as it is.
    """
    frozen = {name: value.detach() for name, value in discriminator.named_parameters()}
    frozen.update({name: value.clone() for name, value in discriminator.named_buffers()})
    if game == "hinge":
        scores: Tensor = functional_call(discriminator, frozen, (forecast.masked_fill(~valid, 0.0),))
        return -scores.float().sum(dim=1).mean()
    told = functional_call(discriminator, frozen, (_frames(forecast, valid),))
    return _cross_entropy(told, real=True, logits=logits)


def discriminator_loss(discriminator: nn.Module, forecast: Tensor, truth: Tensor, valid: Tensor,
                       logits: bool = False, game: Game = "entropy") -> Tensor:
    """Equation 8: cross-entropy of the truth as real and of the forecast as fake; hinge: how far scores of the truth
    are below 1 and those of the forecast above -1. No gradient reaches the network that made the forecast. Both go
    through the discriminator in one call."""
    if game == "hinge":
        both = torch.cat((truth.masked_fill(~valid, 0.0), forecast.detach().masked_fill(~valid, 0.0)))
        real_scores, fake_scores = discriminator(both).float().chunk(2)
        return F.relu(1 - real_scores).sum(dim=1).mean() + F.relu(1 + fake_scores).sum(dim=1).mean()
    real, fake = _frames(truth, valid), _frames(forecast.detach(), valid)
    told_real, told_fake = discriminator(torch.cat((real, fake))).chunk(2)
    return _cross_entropy(told_real, real=True, logits=logits) + _cross_entropy(told_fake, real=False, logits=logits)


def feature_loss(discriminator: nn.Module, forecast: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """Mean squared difference between what the discriminator's ``features`` sees in forecast and truth (STRPM: Chang et
    al. 2022, the learned perceptual loss). Its weights get no gradient."""
    seen = discriminator.features
    assert isinstance(seen, nn.Module)
    frozen = {name: value.detach() for name, value in seen.state_dict(keep_vars=True).items()}
    made, real = (functional_call(seen, frozen, (_frames(frames, valid),)) for frames in (forecast, truth))
    return F.mse_loss(made.float(), real.float())


def _frames(frames: Tensor, valid: Tensor) -> Tensor:
    """(B, T, 1, H, W) to (B * T, 1, H, W), 0 where nothing was measured, so that it gives nobody away."""
    return frames.masked_fill(~valid, 0.0).flatten(0, 1)


def _cross_entropy(told: Tensor, *, real: bool, logits: bool) -> Tensor:
    told = told.float()
    wanted = torch.full_like(told, float(real))
    with torch.autocast(told.device.type, enabled=False):  # the entropy of probabilities needs full precision
        return (F.binary_cross_entropy_with_logits(told, wanted) if logits
                else F.binary_cross_entropy(told, wanted))
