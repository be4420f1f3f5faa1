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


class Embedded(NamedTuple):
    """A frame and the 1 x 1 convolution (1 -> C) that it is seen through, not carried out.

    Two convolutions after each other are one: a 3 x 3 convolution of C embedded channels is a 3 x 3 convolution of
    two planes, the frame and ones (the embedding's bias, which ends where the grid ends).
    """

    frame: Tensor
    """(B, 1, H, W)."""
    embedding: nn.Conv2d

    def planes(self) -> Tensor:
        """(B, 2, H, W): the frame and ones."""
        both = torch.empty_like(self.frame.expand(-1, 2, -1, -1), memory_format=torch.channels_last)
        both[:, :1] = self.frame
        both[:, 1:] = 1.0
        return both

    def through(self, weight: Tensor) -> Tensor:
        """weight: (out, C + more, k, k) of a convolution that sees the C channels first. The same for the planes,
        (out, 2 + more, k, k)."""
        channels, bias = self.embedding.out_channels, self.embedding.bias
        assert bias is not None
        both = torch.stack((self.embedding.weight[:, 0, 0, 0], bias), dim=1)
        return torch.cat((torch.einsum("ocij,cp->opij", weight[:, :channels], both), weight[:, channels:]), dim=1)


Seen = Tensor | Embedded | None


class Flow(NamedTuple):
    """What passes from one layer to the next, all on one grid.

    hidden: (B, inputs, H, W), skips included; None where the layer has no input.
    memory: (B, hidden, H, W), the zigzag memory of the PredRNN family; None for cells without one.
    plain: ``hidden`` without the skips, which MIM compares between steps; None stands for ``hidden``.
    embedded: in place of ``hidden``, at inference and for cells that ask for it with ``takes_embedded = True``.
    """

    hidden: Tensor | None
    memory: Tensor | None = None
    plain: Tensor | None = None
    embedded: Embedded | None = None

    @property
    def seen(self) -> Seen:
        """What a cell that only convolves its input sees."""
        return self.hidden if self.embedded is None else self.embedded


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
    kind = torch.channels_last if torch.is_inference_mode_enabled() else torch.contiguous_format
    return torch.zeros_like(like[:, :1].expand(-1, channels, -1, -1), memory_format=kind)


def laid_out(field: Tensor) -> Tensor:
    """The same (B, C, H, W) with the channels of a pixel next to each other at inference, as convolutions like it."""
    return field.contiguous(memory_format=torch.channels_last) if torch.is_inference_mode_enabled() else field


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

    def forward(self, first: Seen, *others: Tensor | None) -> Tensor:
        """first, others: (B, c_i, H, W) each, None where the channel count was 0. Returns (B, outputs, H, W)."""
        weight: Tensor = self.weight
        if isinstance(first, Embedded):
            weight, first = first.through(weight), first.planes()
        there = [x for x in (first, *others) if x is not None]
        stacked = there[0] if len(there) == 1 else torch.cat(there, dim=1)
        bias = None if self.bias is None else self.bias.sum(dim=0)
        return F.conv2d(stacked, weight, bias, padding=self.padding)


def convolved(conv: nn.Conv2d, seen: Tensor | Embedded) -> Tensor:
    """conv of what a cell sees, (B, outputs, H, W)."""
    if isinstance(seen, Embedded):
        return F.conv2d(seen.planes(), seen.through(conv.weight), conv.bias, padding=conv.padding)
    return torch.as_tensor(conv(seen))


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
    if not _thrifty(gates):
        return torch.addcmul(sigmoid(forget) * old, sigmoid(enter), tanh(new))
    new.mul_(2.0)
    gates.sigmoid_()
    return (forget * old).sub_(enter).addcmul_(enter, new, value=2.0)


def sigmoid(fresh: Tensor) -> Tensor:
    """The logistic function of something that nobody else needs, in its own place where no gradient is wanted."""
    return torch.sigmoid(fresh) if torch.is_grad_enabled() else fresh.sigmoid_()


def tanh(fresh: Tensor) -> Tensor:
    """The hyperbolic tangent, likewise."""
    if _thrifty(fresh):
        return fresh.mul_(2.0).sigmoid_().mul_(2.0).sub_(1.0)
    return torch.tanh(fresh) if torch.is_grad_enabled() else fresh.tanh_()


def emitted(gate: Tensor, inner: Tensor) -> Tensor:
    """gate * tanh inner, none of them used up. Both (B, C, H, W)."""
    if _thrifty(inner):
        return torch.mul(inner, 2.0).sigmoid_().mul_(2.0).sub_(1.0).mul_(gate)
    return gate * torch.tanh(inner)


def _thrifty(fresh: Tensor) -> bool:
    """Where tanh x is computed as 2 s(2x) - 1: the CPU takes a third of the time for it, and in single precision
    the difference is that of rounding."""
    return torch.is_inference_mode_enabled() and fresh.device.type == "cpu" and fresh.dtype == torch.float32
