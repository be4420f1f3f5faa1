"""Memory in Memory (Wang et al. 2019): differences between steps drive the forget path of the cell state."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from engine.networks.cell import Flow, Place, SumConv, gated, zeros
from engine.networks.cells.predrnn import STLSTM


class State(NamedTuple):
    hidden: Tensor
    cell: Tensor
    difference: Tensor
    """N, the memory of the non-stationary module."""
    steady: Tensor
    """S, the memory of the stationary module."""
    before: Tensor
    """The layer below's output at the previous step, without skips."""


class NonStationary(nn.Module):
    """(i, f, g) = W D_x + W N;  N' = f N + i g;  D = s(W D_x + W N') tanh N'."""

    def __init__(self, inputs: int, hidden: int, kernel: int = 3) -> None:
        super().__init__()
        self.gates = SumConv((inputs, hidden), 3 * hidden, kernel)
        self.output = SumConv((inputs, hidden), hidden, kernel)

    def forward(self, change: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        memory = gated(self.gates(change, memory), memory)
        return torch.sigmoid(self.output(change, memory)) * torch.tanh(memory), memory


class Stationary(nn.Module):
    """(i, f, g, o) = W D + W C;  S' = f S + i g;  T = s(o + W S') tanh S'."""

    def __init__(self, hidden: int, kernel: int = 3) -> None:
        super().__init__()
        self.hidden = hidden
        self.gates = SumConv((hidden, hidden), 4 * hidden, kernel)
        self.output = nn.Conv2d(hidden, hidden, kernel, padding=kernel // 2)

    def forward(self, change: Tensor, cell: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        gates = self.gates(change, cell)
        memory = gated(gates[:, : 3 * self.hidden], memory)
        return torch.sigmoid(gates[:, 3 * self.hidden:] + self.output(memory)) * torch.tanh(memory), memory


class MIM(nn.Module):
    """An ST-LSTM whose forget path of C is the stationary module's T, except in layer 0.

    allocation: "lean" makes only what runs; "published" keeps the idle pieces that the published counts include
    (layer 0: both modules; elsewhere nothing more); "reference" is the FFL paper's cell: layer 0 as in
    "published" and an unused forget gate in the others. All three compute the same.
    """

    uses_memory = True

    def __init__(self, inputs: int, hidden: int, place: Place, kernel: int = 3,
                 allocation: str = "lean") -> None:
        super().__init__()
        if allocation not in ("lean", "published", "reference"):
            raise ValueError(f"unknown allocation '{allocation}'")
        self.hidden, self.first = hidden, place.index == 0
        self.seen = seen = inputs or hidden
        self.block = STLSTM(seen, hidden, place, kernel)
        if not self.first:
            self.change = NonStationary(seen, hidden, kernel)
            self.stay = Stationary(hidden, kernel)
            self.block.temporal = SumConv((seen, hidden), 3 * hidden, kernel)  # input, new, output
        idle = []
        if self.first and allocation != "lean":
            idle += [NonStationary(seen, hidden, kernel), Stationary(hidden, kernel)]
        if not self.first and allocation == "reference":
            idle += [SumConv((seen, hidden), hidden, kernel)]
        self.idle = nn.ModuleList(idle)

    def start(self, like: Tensor) -> State:
        empty = zeros(like, self.hidden)
        return State(empty, empty, empty, empty, zeros(like, self.seen))

    def adopt(self, state: State) -> State:
        return state._replace(before=zeros(state.hidden, self.seen))

    def forward(self, flow: Flow, state: State) -> tuple[Flow, State, None]:
        out, new, _ = self.step(flow, state)
        return out, new, None

    def step(self, flow: Flow, state: State) -> tuple[Flow, State, Tensor]:
        """The same, with the output gate, which MotionRNN's highway needs."""
        seen = state.hidden if flow.hidden is None else flow.hidden
        memory = zeros(state.hidden, self.hidden) if flow.memory is None else flow.memory
        if self.first:
            cell, out = self.block.remember(seen, state.hidden, state.cell)
            difference, steady = state.difference, state.steady
        else:
            change, difference = self.change(seen - state.before, state.difference)
            kept, steady = self.stay(change, state.cell, state.steady)
            enter, new, out = self.block.temporal(seen, state.hidden).chunk(3, dim=1)
            cell = kept + torch.sigmoid(enter) * torch.tanh(new)
        memory = gated(self.block.spatial(seen, memory), memory)
        hidden, gate = self.block.emit(out, cell, memory)
        before = state.before if self.first else (seen if flow.plain is None else flow.plain)
        return Flow(hidden, memory), State(hidden, cell, difference, steady, before), gate
