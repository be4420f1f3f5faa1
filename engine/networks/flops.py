"""What a network costs, in the convention by which the DB-RNN paper's Table V can be reproduced.

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
from engine.networks.rollout import lead_frames

PER_ENLARGED_VALUE = 11
_TRANSPOSED = nn.ConvTranspose2d | nn.ConvTranspose3d
_WEIGHTED = nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d | nn.Linear | SumConv


def multiply_accumulates(network: nn.Module, inputs: int, leads: int, shape: tuple[int, int]) -> int:
    """Of one forecast of a sample: ``inputs`` + ``leads`` - 1 steps on a grid of ``shape`` for a recurrent network,
    as many runs as the lead times need for one that was built for a fixed number of frames.

    Works on a network on torch's device "meta" too, and then takes no time.
    """
    parts = [part for part in network.modules() if isinstance(part, Recurrent)]
    frames = torch.zeros(1, 1 if parts else inputs, 1, *shape, device=next(network.parameters()).device)
    if not parts:
        return _weighted(network, frames, leads)
    steps = inputs + leads - 1  # each costs the same
    return steps * _weighted(network, frames, 1) + sum(enlarging(part, steps, shape) for part in parts)


def _weighted(network: nn.Module, frames: Tensor, leads: int) -> int:
    """The weights' share of a forecast."""
    counted: list[int] = []

    def forward(module: Any, given: tuple[Tensor, ...], output: Tensor) -> None:
        counted.append(module.weight[0].numel() * (given[0] if isinstance(module, _TRANSPOSED) else output).numel())

    hooks = [module.register_forward_hook(forward) for module in network.modules() if isinstance(module, _WEIGHTED)]
    try:
        with torch.no_grad():
            for _ in lead_frames(network, frames, leads):
                pass
    finally:
        for hook in hooks:
            hook.remove()
    return sum(counted)


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
