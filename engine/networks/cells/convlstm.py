"""ConvLSTM without peepholes (Shi et al. 2015; DB-RNN and FFL papers)."""

from __future__ import annotations

from torch import Tensor, nn

from engine.networks.cell import Flow, Place, SumConv, emitted, gated, sigmoid, zeros

State = tuple[Tensor, Tensor]


class ConvLSTM(nn.Module):
    """(i, f, g, o) = W_x * X + W_h * H;  C' = f C + i g;  H' = o tanh C'."""

    uses_memory = False
    takes_embedded = True

    def __init__(self, inputs: int, hidden: int, place: Place, kernel: int = 3) -> None:
        super().__init__()
        self.hidden = hidden
        self.gates = SumConv((inputs, hidden), 4 * hidden, kernel)

    def start(self, like: Tensor) -> State:
        return zeros(like, self.hidden), zeros(like, self.hidden)

    def forward(self, flow: Flow, state: State) -> tuple[Flow, State, None]:
        hidden, cell = state
        gates = self.gates(flow.seen, hidden)
        cell = gated(gates[:, : 3 * self.hidden], cell)
        hidden = emitted(sigmoid(gates[:, 3 * self.hidden:]), cell)
        return Flow(hidden, flow.memory), (hidden, cell), None
