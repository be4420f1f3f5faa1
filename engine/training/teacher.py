"""One batch through the network and the loss; what the gradient is taken of. A module, so that several processes can
share it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from engine.losses.registry import ADVERSARIAL, FEATURES, Wish, frame_loss
from engine.losses.total import Ramp, Term, Total
from engine.networks.recurrent import Recurrent
from engine.training.preparation import Example, Preparation, Taught, Teaching
from engine.training.recipe import LossPart


class Lesson(NamedTuple):
    """loss: to go backwards from. parts: each term by itself, not weighted, detached. taught: detached read-outs
    beside the truth, for the discriminator."""

    loss: Tensor
    parts: dict[str, Tensor]
    taught: Taught


class Teacher(nn.Module):
    """network: the one that learns; nothing else here has weights."""

    def __init__(self, network: nn.Module, preparation: Preparation, total: Total, recompute: bool = False) -> None:
        super().__init__()
        self.network, self.preparation, self.total, self.recompute = network, preparation, total, recompute

    def forward(self, batch: Example, teaching: Teaching, epoch: float, precision: torch.dtype | None,
                discriminator: nn.Module | None = None) -> Lesson:
        """precision: of the network's arithmetic where it is not single; losses are always single."""
        device = batch.targets.device.type
        with torch.autocast(device, precision, enabled=precision is not None), \
                recomputing(self.network, self.recompute):
            taught = self.preparation.taught(self.network, batch, teaching)
        parts = self.total.parts(taught.readouts, taught.truth, taught.valid, epoch, discriminator)
        detached = Taught([readout.detach() for readout in taught.readouts], taught.truth, taught.valid)
        return Lesson(self.total.weighed(parts, epoch), {name: p.detach() for name, p in parts.items()}, detached)


def total_loss(wish: LossPart, preparation: Preparation) -> Total:
    """Raises WrongUsage for losses that do not exist."""
    focal = None if wish.focal_k is None else (wish.focal_k, wish.focal_epsilon)
    terms: list[Term] = []
    names: set[str] = set()
    for part in wish.terms:
        made = None if part.name in (ADVERSARIAL, FEATURES) else frame_loss(
            part.name, Wish(preparation.unit, part.pixels or None, part.thresholds, part.weights, focal))
        name = part.name if part.name not in names else f"{part.name}-{len(names)}"
        names.add(name)
        terms.append(Term(name, Ramp(part.weight, part.to, part.epochs), made, part.readout,
                          part.name == FEATURES))
    rival = wish.discriminator
    if rival is None:
        return Total(tuple(terms), wish.scale)
    return Total(tuple(terms), wish.scale, rival.logits, rival.game)


@contextmanager
def recomputing(network: nn.Module, wished: bool) -> Iterator[None]:
    """Within the block a pass forward keeps only what goes in and out of each time step (recurrent networks) or
    block, and is done again on the way back. Blocks with batch normalisation are left as they are: going through
    them twice would count their statistics twice."""
    blocks = _blocks(network) if wished and torch.is_grad_enabled() else []
    for module, name in blocks:
        module.__dict__[name] = partial(_again, getattr(module, name))
    try:
        yield
    finally:
        for module, name in blocks:
            del module.__dict__[name]


def _blocks(network: nn.Module) -> list[tuple[nn.Module, str]]:
    steps: list[tuple[nn.Module, str]] = [
        (module, "step") for module in network.modules() if isinstance(module, Recurrent)]
    if steps:
        return steps
    parts: list[nn.Module] = []
    for child in network.children():
        parts += list(child) if isinstance(child, nn.ModuleList | nn.Sequential) else [child]
    return [(part, "forward") for part in parts
            if not any(isinstance(inner, nn.modules.batchnorm._BatchNorm) for inner in part.modules())]


def _again(run: Any, *given: Any) -> Any:
    return checkpoint(_on_copies, run, *given, use_reentrant=False)


def _on_copies(run: Any, *given: Any) -> Any:
    """A step uses up the list of states that it is given; the second time it needs the list again."""
    return run(*(list(one) if isinstance(one, list) else one for one in given))
