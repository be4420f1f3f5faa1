"""Causal LSTM with gradient highway of PredRNN++ (Wang et al. 2018)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from engine.networks.cell import Flow, Place, SumConv, gated, zeros

HIGHWAY_PLACE = 1
"""The highway works on the input of the second layer, and only there does it have weights."""


class State(NamedTuple):
    hidden: Tensor
    cell: Tensor
    highway: Tensor


class CausalLSTM(nn.Module):
    """(i, f, g) = W_1 [X, H, C];  C' = f C + i g;  (i', f', g') = W_2 [X, C', M];  M' = f' tanh(W_3 M) + i' g'
    O = tanh(W_4 [X, C', M']);  H' = O tanh(W_5 [C', M'])."""

    uses_memory = True

    def __init__(self, inputs: int, hidden: int, place: Place, kernel: int = 3) -> None:
        super().__init__()
        self.hidden = hidden
        seen = inputs or hidden
        pad = kernel // 2
        self.highway = GradientHighway(seen, kernel) if place.index == HIGHWAY_PLACE else None
        self.temporal = nn.Conv2d(seen + 2 * hidden, 3 * hidden, kernel, padding=pad)
        self.spatial = nn.Conv2d(seen + 2 * hidden, 3 * hidden, kernel, padding=pad)
        self.old_memory = nn.Conv2d(hidden, hidden, 1)
        self.output = nn.Conv2d(seen + 2 * hidden, hidden, kernel, padding=pad)
        self.join = nn.Conv2d(2 * hidden, hidden, 1)

    def start(self, like: Tensor) -> State:
        empty = zeros(like, self.hidden)
        return State(empty, empty, zeros(like, self.highway.channels) if self.highway else empty)

    def adopt(self, state: State) -> State:
        if self.highway is None or self.highway.channels == state.highway.shape[1]:
            return state
        return state._replace(highway=zeros(state.hidden, self.highway.channels))

    def forward(self, flow: Flow, state: State) -> tuple[Flow, State, None]:
        hidden, cell, highway = state
        seen = hidden if flow.hidden is None else flow.hidden
        if self.highway is not None:
            seen = highway = self.highway(seen, highway)
        memory = zeros(hidden, self.hidden) if flow.memory is None else flow.memory
        cell = gated(self.temporal(torch.cat((seen, hidden, cell), dim=1)), cell)
        memory = gated(self.spatial(torch.cat((seen, cell, memory), dim=1)), torch.tanh(self.old_memory(memory)))
        gate = torch.tanh(self.output(torch.cat((seen, cell, memory), dim=1)))
        hidden = gate * torch.tanh(self.join(torch.cat((cell, memory), dim=1)))
        return Flow(hidden, memory), State(hidden, cell, highway), None


class GradientHighway(nn.Module):
    """(p, s) = W_x X + W_z Z;  Z' = s(s) tanh(p) + (1 - s(s)) Z; Z' replaces the layer's input."""

    def __init__(self, channels: int, kernel: int = 3) -> None:
        super().__init__()
        self.channels = channels
        self.gates = SumConv((channels, channels), 2 * channels, kernel)

    def forward(self, seen: Tensor, highway: Tensor) -> Tensor:
        new, switch = self.gates(seen, highway).chunk(2, dim=1)
        switch = torch.sigmoid(switch)
        return switch * torch.tanh(new) + (1 - switch) * highway
