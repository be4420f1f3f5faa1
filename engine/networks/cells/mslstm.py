"""The two-kernel LSTM of MS-LSTM (Ma et al. 2022): one cell memory per kernel size."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from engine.networks.cell import Flow, Place, SumConv, gated, zeros

KERNELS = (3, 5)


class State(NamedTuple):
    hidden: Tensor
    fine: Tensor
    wide: Tensor


class MSLSTM(nn.Module):
    """O = s(o_3 + o_5 + W_3 C_3' + W_5 C_5');  H' = O tanh(W_1x1 [C_3', C_5'])."""

    uses_memory = False

    def __init__(self, inputs: int, hidden: int, place: Place) -> None:
        super().__init__()
        self.hidden = hidden
        seen = inputs or hidden
        self.gates = nn.ModuleList(SumConv((seen, hidden), 4 * hidden, k) for k in KERNELS)
        self.outputs = nn.ModuleList(nn.Conv2d(hidden, hidden, k, padding=k // 2) for k in KERNELS)
        self.join = nn.Conv2d(2 * hidden, hidden, 1)

    def start(self, like: Tensor) -> State:
        empty = zeros(like, self.hidden)
        return State(empty, empty, empty)

    def forward(self, flow: Flow, state: State) -> tuple[Flow, State, None]:
        seen = state.hidden if flow.hidden is None else flow.hidden
        cells, out = [], zeros(state.hidden, self.hidden)
        for gates, output, old in zip(self.gates, self.outputs, (state.fine, state.wide), strict=True):
            both = gates(seen, state.hidden)
            cell = gated(both[:, : 3 * self.hidden], old)
            out = out + both[:, 3 * self.hidden:] + output(cell)
            cells.append(cell)
        hidden = torch.sigmoid(out) * torch.tanh(self.join(torch.cat(cells, dim=1)))
        return Flow(hidden, flow.memory), State(hidden, *cells), None
