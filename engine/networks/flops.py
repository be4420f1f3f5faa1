"""What a recurrent network costs, in the convention by which the DB-RNN paper's Table V can be reproduced.

One multiply-accumulate per weight and output pixel of a convolution; nothing for biases, activations, gates, pooling
and attention products; 11 operations per output value of a bilinear enlargement, of hidden output and zigzag memory
alike, and of MIM's previous input from the second step on.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from engine.networks.cell import SumConv
from engine.networks.recurrent import Recurrent

PER_ENLARGED_VALUE = 11


def multiply_accumulates(network: nn.Module, inputs: int, leads: int, shape: tuple[int, int]) -> int:
    """Of one forecast of a sample: ``inputs`` + ``leads`` - 1 steps on a grid of ``shape`` for a recurrent network.

    Works on a network on torch's device "meta" too, and then takes no time.
    """
    counted: list[int] = []

    def convolution(module: Any, given: tuple[Tensor, ...], output: Tensor) -> None:
        counted.append(module.weight[0].numel() * output.numel())

    def transposed(module: Any, given: tuple[Tensor, ...], output: Tensor) -> None:
        counted.append(module.weight[0].numel() * given[0].numel())

    hooks = [module.register_forward_hook(transposed if isinstance(module, nn.ConvTranspose2d) else convolution)
             for module in network.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | SumConv)]
    device = next(network.parameters()).device
    alike = isinstance(network, Recurrent)  # every step costs the same
    try:
        with torch.no_grad():
            network(torch.zeros(1, 1 if alike else inputs, 1, *shape, device=device), 1 if alike else leads)
    finally:
        for hook in hooks:
            hook.remove()
    if not isinstance(network, Recurrent):
        return sum(counted)
    steps = inputs + leads - 1
    return steps * sum(counted) + enlarging(network, steps, shape)


def enlarging(network: Recurrent, steps: int, shape: tuple[int, int]) -> int:
    """The share of the bilinear enlargements between the layers."""
    total, before = 0, 0
    hidden = network.hidden
    for layer, cell in zip(network.layers, network.cells, strict=True):
        if layer.scale < before:
            values = hidden * (shape[0] >> layer.scale) * (shape[1] >> layer.scale)
            fields = steps * (1 + bool(cell.uses_memory)) + (steps - 1 if hasattr(cell, "change") else 0)
            total += PER_ENLARGED_VALUE * values * fields
        before = layer.scale
    return total
