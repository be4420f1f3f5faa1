"""The optimisers that the papers use, the course of the learning rate, and the running average of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from engine.errors import WrongUsage
from engine.training.recipe import OptimiserPart


class AdamHD(Optimizer):
    """Adam whose learning rate follows its own gradient (Baydin et al. 2017, algorithm 5).

    lr: to begin with. hypergradient: the step of the learning rate; the rate is one for all parameters. The gradient
    of the loss by the rate is minus the product of the gradient with the last step's direction.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, hypergradient: float = 1e-8) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "eps": eps, "hypergradient": hypergradient,
                                      "count": 0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            moved = [p for p in group["params"] if p.grad is not None]
            agreement = sum(float((p.grad * self.state[p]["direction"]).sum())
                            for p in moved if "direction" in self.state[p])
            group["lr"] = max(0.0, group["lr"] + group["hypergradient"] * agreement)
            group["count"] += 1
            for parameter in moved:
                direction = self._direction(parameter, group)
                parameter.add_(direction, alpha=-group["lr"])

    def _direction(self, parameter: Tensor, group: dict[str, Any]) -> Tensor:
        state, gradient = self.state[parameter], parameter.grad
        assert gradient is not None
        if not state:
            state.update({name: torch.zeros_like(parameter) for name in ("mean", "square", "direction")})
        first, second = group["betas"]
        state["mean"].mul_(first).add_(gradient, alpha=1 - first)
        state["square"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        root = (state["square"] / (1 - second ** group["count"])).sqrt_().add_(group["eps"])
        direction: Tensor = state["direction"]
        return direction.copy_(state["mean"] / (1 - first ** group["count"]) / root)


def optimiser(wish: OptimiserPart, parameters: list[nn.Parameter]) -> Optimizer:
    """Raises WrongUsage for wishes that contradict each other."""
    if wish.name == "adamhd":
        if wish.warm_up or wish.shape != "constant":
            raise WrongUsage("AdamHD finds its own learning rate; warm_up and shape do not go with it.")
        return AdamHD(parameters, wish.lr, wish.betas, wish.eps, wish.hypergradient)
    if wish.name == "adagrad":
        return torch.optim.Adagrad(parameters, wish.lr, weight_decay=wish.weight_decay, eps=wish.eps)
    kind = torch.optim.AdamW if wish.name == "adamw" else torch.optim.Adam
    return kind(parameters, wish.lr, wish.betas, wish.eps, weight_decay=wish.weight_decay)


def learning_rate(wish: OptimiserPart, step: int, steps: int) -> float:
    """Of a step, from 0, of so many."""
    if step < wish.warm_up:
        return wish.lr * (step + 1) / wish.warm_up
    if wish.shape == "cosine":
        part = (step - wish.warm_up) / max(1, steps - wish.warm_up)
        return wish.floor + (wish.lr - wish.floor) * (1 + math.cos(math.pi * min(part, 1.0))) / 2
    if wish.shape == "steps":
        return max(wish.floor, wish.lr * wish.decay ** (step // wish.decay_every))
    return wish.lr


def set_learning_rate(chosen: Optimizer, wish: OptimiserPart, step: int, steps: int) -> None:
    if wish.name != "adamhd":
        for group in chosen.param_groups:
            group["lr"] = learning_rate(wish, step, steps)


def rate_of(chosen: Optimizer) -> float:
    return float(chosen.param_groups[0]["lr"])


def clipped(parameters: list[nn.Parameter], most: float) -> float:
    """The norm of the gradient before it was clipped to ``most`` (0: left as it is)."""
    there = [p for p in parameters if p.grad is not None]
    return float(torch.nn.utils.clip_grad_norm_(there, most if most > 0 else math.inf))


class Average:
    """An exponential moving average of a network's weights; buffers are taken as they are."""

    def __init__(self, network: nn.Module, share: float) -> None:
        self.network, self.share = network, share
        self.kept = {name: value.detach().clone() for name, value in network.state_dict().items()}
        self._learned = {name for name, _ in network.named_parameters()}

    @torch.no_grad()
    def update(self) -> None:
        for name, value in self.network.state_dict().items():
            if name in self._learned:
                self.kept[name].lerp_(value, 1 - self.share)
            else:
                self.kept[name].copy_(value)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within the block the network has the averaged weights."""
        own = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        self.network.load_state_dict(self.kept)
        try:
            yield
        finally:
            self.network.load_state_dict(own)
