"""What every recurrent cell is, and the few pieces that several cells share.

A cell is built with ``(inputs, hidden, place)`` and makes only the weights that its place uses. It owns its
state, opaque to the wiring. ``inputs`` is 0 where nothing comes from below (the top layer of a forecaster).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Flow(NamedTuple):
    """What passes from one layer to the next, all on one grid.

    hidden: (B, inputs, H, W), skips included; None where the layer has no input.
    memory: (B, hidden, H, W), the zigzag memory of the PredRNN family; None for cells without one.
    plain: ``hidden`` without the skips, which MIM compares between steps; None stands for ``hidden``.
    """

    hidden: Tensor | None
    memory: Tensor | None = None
    plain: Tensor | None = None


@dataclass(frozen=True)
class Place:
    """Where in its stack a cell sits. index: from 0, counted anew after each read-out; last: it is read out."""

    index: int = 0
    last: bool = False


class Cell(Protocol):
    """One step of one layer."""

    uses_memory: bool

    def start(self, like: Tensor) -> Any:
        """The state before the first step. like: (B, any, H, W), gives batch, grid, device and dtype."""

    def __call__(self, flow: Flow, state: Any) -> tuple[Flow, Any, Tensor | None]:
        """One step: what goes on to the next layer, the new state, and a penalty to add to the loss or None."""

    # A cell that keeps something of its input in its state also has ``adopt(state) -> state``: what it takes over
    # from a cell of the same hidden channels whose input was another one (a forecaster from its encoder).


def zeros(like: Tensor, channels: int) -> Tensor:
    """(B, channels, H, W) of zeros on like's grid, device and dtype."""
    return like.new_zeros(like.shape[0], channels, *like.shape[-2:])


class SumConv(nn.Module):
    """The sum of one 'same' convolution per input, each with its own weights and bias, done as one convolution.

    Written out it is W_1 * x_1 + b_1 + W_2 * x_2 + b_2 + ...; the weights lie side by side in one tensor so that
    each step costs a single call. channels: of each input, zero-channel inputs are left out.
    """

    def __init__(self, channels: tuple[int, ...], outputs: int, kernel: int = 3, bias: bool = True) -> None:
        super().__init__()
        self.channels = tuple(c for c in channels if c > 0)
        self.padding = kernel // 2
        parts = [nn.Conv2d(c, outputs, kernel, bias=bias) for c in self.channels]
        self.weight = nn.Parameter(torch.cat([p.weight.detach() for p in parts], dim=1))
        biases = [p.bias.detach() for p in parts if p.bias is not None]
        self.bias = nn.Parameter(torch.stack(biases)) if biases else None

    def forward(self, *inputs: Tensor | None) -> Tensor:
        """inputs: (B, c_i, H, W) each, None where the channel count was 0. Returns (B, outputs, H, W)."""
        there = [x for x in inputs if x is not None]
        stacked = there[0] if len(there) == 1 else torch.cat(there, dim=1)
        bias = None if self.bias is None else self.bias.sum(dim=0)
        return F.conv2d(stacked, self.weight, bias, padding=self.padding)


def warp(field: Tensor, shift: Tensor) -> Tensor:
    """Bilinear samples of ``field`` at each pixel's own place plus ``shift``; zero outside.

    field: (B, C, H, W). shift: (B, 2, H, W) in pixels, x to the right first, then y downwards. A zero shift
    returns the field (benchmark paper, equation 5, pixel-centre coordinates).
    """
    kind = torch.promote_types(field.dtype, torch.float32)  # half precision cannot count beyond 256 pixels
    height, width = field.shape[-2:]
    rows = torch.arange(height, device=field.device, dtype=kind)[:, None]
    columns = torch.arange(width, device=field.device, dtype=kind)[None, :]
    x = (2.0 * (columns + shift[:, 0].to(kind)) + 1.0) / width - 1.0
    y = (2.0 * (rows + shift[:, 1].to(kind)) + 1.0) / height - 1.0
    sampled = F.grid_sample(field.to(kind), torch.stack((x, y), dim=-1), mode="bilinear", padding_mode="zeros",
                            align_corners=False)
    return sampled.to(field.dtype)


def gated(gates: Tensor, old: Tensor) -> Tensor:
    """The LSTM's memory update. gates: (B, 3C, H, W) in the order input, forget, new, which are used up;
    old: (B, C, H, W)."""
    enter, forget, new = gates.chunk(3, dim=1)
    return torch.addcmul(sigmoid(forget) * old, sigmoid(enter), tanh(new))


def sigmoid(fresh: Tensor) -> Tensor:
    """The logistic function of something that nobody else needs, in its own place where no gradient is wanted."""
    return torch.sigmoid(fresh) if torch.is_grad_enabled() else fresh.sigmoid_()


def tanh(fresh: Tensor) -> Tensor:
    """The hyperbolic tangent, likewise."""
    return torch.tanh(fresh) if torch.is_grad_enabled() else fresh.tanh_()
