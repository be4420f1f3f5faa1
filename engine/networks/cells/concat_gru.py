"""A convolutional GRU whose candidate sees the input beside the reset state, as in DGMR and in DiffCast's context."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

MakeConv = Callable[[int, int], nn.Module]


def plain(inputs: int, outputs: int) -> nn.Module:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class ConcatGRU(nn.Module):
    """R, U = s(W_r [X, H]), s(W_u [X, H]);  C = f(W_c [X, R H]);  H' = U H + (1 - U) C.

    convolution: makes a 3 x 3 one. activation: f.
    """

    def __init__(self, inputs: int, hidden: int, activation: Callable[[Tensor], Tensor] = torch.tanh,
                 convolution: MakeConv = plain) -> None:
        super().__init__()
        self.activation = activation
        self.reset, self.update, self.new = (convolution(inputs + hidden, hidden) for _ in range(3))

    def forward(self, seen: Tensor, hidden: Tensor) -> Tensor:
        """seen: (B, inputs, H, W). hidden: (B, hidden, H, W). Returns the new state."""
        both = torch.cat((seen, hidden), dim=1)
        reset, update = torch.sigmoid(self.reset(both)), torch.sigmoid(self.update(both))
        fresh = self.activation(self.new(torch.cat((seen, reset * hidden), dim=1)))
        return torch.lerp(fresh, hidden, update)
