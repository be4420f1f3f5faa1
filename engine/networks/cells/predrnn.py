"""Spatiotemporal LSTM of PredRNN (Wang et al. 2017), as the FFL and DB-RNN papers use it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.networks.cell import Flow, Place, Seen, SumConv, emitted, gated, sigmoid, zeros

State = tuple[Tensor, Tensor]


class STLSTM(nn.Module):
    """Temporal memory C stays in the layer; spatial memory M comes from the layer below and goes on upwards.

    (i, f, g, o) = W_x X + W_h H;  C' = f C + i g;  (i', f', g') = W'_x X + W_m M;  M' = f' M + i' g'
    O = s(o + W_co C' + W_mo M');  H' = O tanh(W_1x1 [C', M'])
    """

    uses_memory = True
    takes_embedded = True

    def __init__(self, inputs: int, hidden: int, place: Place, kernel: int = 3) -> None:
        super().__init__()
        self.hidden = hidden
        seen = inputs or hidden  # without an input the layer looks at its own last output
        self.temporal = SumConv((seen, hidden), 4 * hidden, kernel)
        self.spatial = SumConv((seen, hidden), 3 * hidden, kernel)
        self.output = SumConv((hidden, hidden), hidden, kernel)
        self.join = nn.Conv2d(2 * hidden, hidden, 1)

    def start(self, like: Tensor) -> State:
        return zeros(like, self.hidden), zeros(like, self.hidden)

    def forward(self, flow: Flow, state: State) -> tuple[Flow, State, None]:
        hidden, cell = state
        seen = hidden if flow.seen is None else flow.seen
        memory = zeros(hidden, self.hidden) if flow.memory is None else flow.memory
        memory = gated(self.spatial(seen, memory), memory)
        cell, out = self.remember(seen, hidden, cell)
        hidden = self.emit(out, cell, memory)[0]
        return Flow(hidden, memory), (hidden, cell), None

    def remember(self, seen: Seen, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """C' and the output gate's own part, of which the other gates' memory is let go."""
        gates = self.temporal(seen, hidden)
        cell = gated(gates[:, : 3 * self.hidden], cell)
        return cell, gates[:, 3 * self.hidden:].clone()

    def emit(self, out: Tensor, cell: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """(H', O) from the output gate's own part, C' and M'."""
        gate = sigmoid(out + self.output(cell, memory))
        return emitted(gate, self.join(torch.cat((cell, memory), dim=1))), gate
