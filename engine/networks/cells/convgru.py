"""ConvGRU of the benchmark paper (equation 1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.networks.cell import Flow, Place, convolved, sigmoid, zeros

LEAK = 0.2


def gru_update(from_input: Tensor | None, from_state: Tensor, hidden: Tensor) -> Tensor:
    """H' = (1 - Z) f(x_n + R h_n) + Z H from the two pre-activations (B, 3C, H, W), order reset, update, new.
    They are used up.

    The reset gate multiplies the state's whole contribution, its bias included.
    """
    reset, update, new = from_state.chunk(3, dim=1)
    if from_input is not None and torch.is_inference_mode_enabled():
        both = hidden.shape[1] * 2
        reset, update = from_state[:, :both].add_(from_input[:, :both]).sigmoid_().chunk(2, dim=1)
        return torch.lerp(F.leaky_relu_(from_input[:, both:].addcmul_(reset, new), LEAK), hidden, update)
    if from_input is None:
        candidate = F.leaky_relu(sigmoid(reset) * new, LEAK)
        update = sigmoid(update)
    else:
        reset_x, update_x, new_x = from_input.chunk(3, dim=1)
        candidate = F.leaky_relu(torch.addcmul(new_x, sigmoid(reset_x + reset), new), LEAK)
        update = sigmoid(update_x + update)
    return torch.lerp(candidate, hidden, update)


class ConvGRU(nn.Module):
    """R = s(W_xr X + W_hr H), Z = s(W_xz X + W_hz H), H~ = f(W_xh X + R W_hh H), f leaky ReLU 0.2."""

    uses_memory = False
    takes_embedded = True

    def __init__(self, inputs: int, hidden: int, place: Place, kernel: int = 3, dilation: int = 1) -> None:
        super().__init__()
        self.hidden = hidden
        self.from_input = nn.Conv2d(inputs, 3 * hidden, 3, padding=1) if inputs else None
        self.from_state = nn.Conv2d(hidden, 3 * hidden, kernel, padding=dilation * (kernel - 1) // 2,
                                    dilation=dilation)

    def start(self, like: Tensor) -> Tensor:
        return zeros(like, self.hidden)

    def forward(self, flow: Flow, state: Tensor) -> tuple[Flow, Tensor, None]:
        seen = None if self.from_input is None or flow.seen is None else convolved(self.from_input, flow.seen)
        hidden = gru_update(seen, self.from_state(state), state)
        return Flow(hidden, flow.memory), hidden, None
