"""TrajGRU: a ConvGRU whose state is gathered along learned flows (benchmark paper, equations 3 to 5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.networks.cell import Flow, Place, SumConv, convolved, warp, zeros
from engine.networks.cells.convgru import LEAK, gru_update
from engine.networks.gathering import gathered


class TrajGRU(nn.Module):
    """links: number of flow fields. structure: channels and kernel of the network that makes the flows;
    (32, 5) is the benchmark paper's, (None, 3) the one of the MS-RNN family (as many channels as the state).
    """

    uses_memory = False
    takes_embedded = True

    def __init__(self, inputs: int, hidden: int, place: Place, links: int = 10,
                 structure: tuple[int | None, int] = (32, 5)) -> None:
        super().__init__()
        self.hidden, self.links = hidden, links
        channels, kernel = structure[0] or hidden, structure[1]
        self.from_input = nn.Conv2d(inputs, 3 * hidden, 3, padding=1) if inputs else None
        self.features = SumConv((inputs, hidden), channels, kernel)
        self.flows = nn.Conv2d(channels, 2 * links, kernel, padding=kernel // 2)
        self.from_state = nn.Conv2d(links * hidden, 3 * hidden, 1)
        nn.init.zeros_(self.flows.weight)
        nn.init.zeros_(self.flows.bias)  # type: ignore[arg-type]

    def start(self, like: Tensor) -> Tensor:
        return zeros(like, self.hidden)

    def forward(self, flow: Flow, state: Tensor) -> tuple[Flow, Tensor, None]:
        seen = None if self.from_input is None or flow.seen is None else convolved(self.from_input, flow.seen)
        shifts = self.flows(F.leaky_relu(self.features(flow.seen, state), LEAK, inplace=not torch.is_grad_enabled()))
        hidden = gru_update(seen, self._gathered(state, shifts), state)
        return Flow(hidden, flow.memory), hidden, None

    def _gathered(self, state: Tensor, shifts: Tensor) -> Tensor:
        """Sum over links of W_l * warp(H, U_l, V_l): (B, 3C, H, W)."""
        if torch.is_inference_mode_enabled() and state.device.type == "cpu":
            return gathered(state, shifts, self.from_state)
        pairs = shifts.chunk(self.links, dim=1)
        if torch.is_grad_enabled():
            return torch.as_tensor(self.from_state(torch.cat([warp(state, pair) for pair in pairs], dim=1)))
        batch, channels, height, width = state.shape
        warped = state.new_empty(batch, self.links * channels, height, width)  # filled in place: half the memory
        for link, pair in enumerate(pairs):
            warped[:, link * channels:(link + 1) * channels] = warp(state, pair)
        return torch.as_tensor(self.from_state(warped))
