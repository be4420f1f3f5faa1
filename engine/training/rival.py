"""The discriminator's side of adversarial training: its own optimiser, one step for each step of the network."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from engine.losses.adversarial import discriminator_loss
from engine.training.data import Share
from engine.training.preparation import Taught
from engine.training.recipe import DiscriminatorPart, LossPart, Recipe
from engine.training.share import shared


class Rival:
    """network: frames (N, 1, H, W) -> (N, 1). The network that forecasts is judged by it as it was before the step."""

    def __init__(self, network: nn.Module, recipe: Recipe, share: Share) -> None:
        wish = recipe.loss.discriminator
        assert wish is not None
        self.network, self.share = network, share
        self.optimiser = torch.optim.Adam(network.parameters(), wish.lr, wish.betas)
        self._shared = shared(network, share)
        self._loss: Tensor | float = 0.0

    def learn(self, taught: Taught, wish: LossPart, *, parts: int, first: bool, last: bool) -> None:
        """Adds the gradient of one part of a batch (DB-RNN paper, equation 8); the last read-out is the fake. Where
        more than one step is wished all but the last are taken here, the later ones on the last part of the batch."""
        assert wish.discriminator is not None
        if first:
            self.optimiser.zero_grad()
            self._loss = 0.0
        with nullcontext() if last or self.share.world == 1 else self._shared.no_sync():
            loss = self._gradient(taught, wish.discriminator, parts)
        for _ in range(wish.discriminator.steps - 1 if last else 0):
            self.optimiser.step()
            self.optimiser.zero_grad()
            self._gradient(taught, wish.discriminator, 1)
        self._loss = self._loss + loss

    def _gradient(self, taught: Taught, wish: DiscriminatorPart, parts: int) -> Tensor:
        loss = discriminator_loss(self._shared, taught.readouts[-1].float(), taught.truth, taught.valid,
                                  wish.logits, wish.game) / parts
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    @property
    def loss(self) -> float:
        """Over the whole batch."""
        return float(self._loss)

    def content(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict()}

    def restore(self, content: dict[str, Any]) -> None:
        self.network.load_state_dict(content["network"])
        self.optimiser.load_state_dict(content["optimiser"])
