"""The game of a network against a discriminator (DB-RNN paper, equations 7, fourth line, and 8)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F


def adversarial_loss(discriminator: nn.Module, forecast: Tensor, valid: Tensor, logits: bool = False) -> Tensor:
    """How far the discriminator is from taking the forecast for real, the mean over all frames; 0 when it does.

    discriminator: (N, 1, H, W) -> (N, 1) probability that a frame is real, or its logit. forecast, valid:
    (B, T, 1, H, W). The discriminator's weights get no gradient.
    """
    frozen = {name: value.detach() for name, value in discriminator.state_dict(keep_vars=True).items()}
    told = functional_call(discriminator, frozen, (_frames(forecast, valid),))
    return _cross_entropy(told, real=True, logits=logits)


def discriminator_loss(discriminator: nn.Module, forecast: Tensor, truth: Tensor, valid: Tensor,
                       logits: bool = False) -> Tensor:
    """Equation 8: cross-entropy of the truth as real and of the forecast as fake. No gradient reaches the network
    that made the forecast. Both go through the discriminator in one call."""
    real, fake = _frames(truth, valid), _frames(forecast.detach(), valid)
    told_real, told_fake = discriminator(torch.cat((real, fake))).chunk(2)
    return _cross_entropy(told_real, real=True, logits=logits) + _cross_entropy(told_fake, real=False, logits=logits)


def _frames(frames: Tensor, valid: Tensor) -> Tensor:
    """(B, T, 1, H, W) to (B * T, 1, H, W), 0 where nothing was measured, so that it gives nobody away."""
    return frames.masked_fill(~valid, 0.0).flatten(0, 1)


def _cross_entropy(told: Tensor, *, real: bool, logits: bool) -> Tensor:
    told = told.float()
    wanted = torch.full_like(told, float(real))
    with torch.autocast(told.device.type, enabled=False):  # the entropy of probabilities needs full precision
        return (F.binary_cross_entropy_with_logits(told, wanted) if logits
                else F.binary_cross_entropy(told, wanted))
