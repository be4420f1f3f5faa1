"""Several losses as one: weights that change over the epochs, each on the read-out it is meant for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.losses.adversarial import Game, adversarial_loss, feature_loss
from engine.losses.frames import FrameLoss, over_frames


@dataclass(frozen=True)
class Ramp:
    """A weight that goes linearly from ``start`` to ``end`` over the first ``epochs`` and stays there."""

    start: float
    end: float | None = None
    epochs: float = 0.0

    def at(self, epoch: float) -> float:
        """epoch: from 0, parts of an epoch included."""
        if self.end is None:
            return self.start
        if epoch >= self.epochs:
            return self.end
        return self.start + (self.end - self.start) * epoch / self.epochs


@dataclass(frozen=True)
class Term:
    """name: under which it is reported. readout: of the network, from 0 or from the end. loss: None where a
    discriminator is asked: whether it takes the forecast for real, or, with ``features``, how alike forecast and truth
    are to it."""

    name: str
    weight: Ramp
    loss: FrameLoss | None
    readout: int = -1
    features: bool = False


@dataclass(frozen=True)
class Total:
    """The weighted sum of its terms. scale: on all of them. logits: whether the discriminator gives logits.
    game: how it is played against."""

    terms: tuple[Term, ...]
    scale: float = 1.0
    logits: bool = False
    game: Game = "entropy"

    @property
    def adversarial(self) -> bool:
        return any(term.loss is None for term in self.terms)

    def parts(self, readouts: Sequence[Tensor], truth: Tensor, valid: Tensor, epoch: float,
              discriminator: nn.Module | None = None) -> dict[str, Tensor]:
        """Each term's mean over frames and batch, not weighted; terms of weight 0 are left out. readouts: the
        network's, each (B, T, C, H, W)."""
        found: dict[str, Tensor] = {}
        for term in self.terms:
            if term.weight.at(epoch) == 0.0:
                continue
            forecast = readouts[term.readout].to(truth.dtype)
            if term.loss is not None:
                found[term.name] = over_frames(term.loss(forecast, truth, valid))
            elif discriminator is None:
                raise ValueError("an adversarial loss needs a discriminator")
            elif term.features:
                found[term.name] = feature_loss(discriminator, forecast, truth, valid)
            else:
                found[term.name] = adversarial_loss(discriminator, forecast, valid, self.logits, self.game)
        return found

    def weighed(self, parts: dict[str, Tensor], epoch: float) -> Tensor:
        """The one number to minimise."""
        weights = {term.name: term.weight.at(epoch) for term in self.terms}
        return self.scale * torch.stack([value * weights[name] for name, value in parts.items()]).sum()
