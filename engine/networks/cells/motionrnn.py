"""MotionRNN (Wu et al. 2021) on MIM: a MotionGRU shifts the hidden state, a motion highway carries it on."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from engine.networks.cell import Flow, Place, warp, zeros
from engine.networks.cells import mim

TREND_RATE = 0.5
WINDOW = 3


class State(NamedTuple):
    block: mim.State
    motion: Tensor
    trend: Tensor


class MotionRNN(nn.Module):
    """MIM block, then MotionGRU; in every layer but the last H = X + (1 - O) X_in."""

    uses_memory = True
    grid_multiple = 2

    def __init__(self, inputs: int, hidden: int, place: Place, kernel: int = 3,
                 allocation: str = "reference") -> None:
        super().__init__()
        self.last = place.last
        self.block = mim.MIM(inputs, hidden, place, kernel, allocation)
        self.motion = MotionGRU(hidden)
        fits = inputs in (0, hidden) or place.last
        self.fit = nn.Identity() if fits else nn.Conv2d(inputs, hidden, 1)

    def start(self, like: Tensor) -> State:
        coarse = like[..., ::2, ::2]
        empty = zeros(coarse, 2 * WINDOW**2)
        return State(self.block.start(like), empty, empty)

    def adopt(self, state: State) -> State:
        return state._replace(block=self.block.adopt(state.block))

    def forward(self, flow: Flow, state: State) -> tuple[Flow, State, None]:
        seen = state.block.hidden if flow.hidden is None else flow.hidden
        out, block, gate = self.block.step(flow, state.block)
        if self.last:  # H = H: what the MotionGRU makes here is never used, its weights are idle
            return out, State(block, state.motion, state.trend), None
        moved, motion, trend = self.motion(block.hidden, state.motion, state.trend)
        hidden = moved + (1 - gate) * self.fit(seen)
        return out._replace(hidden=hidden), State(block._replace(hidden=hidden), motion, trend), None


class MotionGRU(nn.Module):
    """Learns for each place of a grid of half the size k x k offsets: a transient part F' and a slow trend D."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        inner, flow = hidden // 4, 2 * WINDOW**2
        self.encode = nn.Conv2d(hidden, inner, 2, stride=2)
        self.update = nn.Conv2d(inner + flow, flow, 1)
        self.reset = nn.Conv2d(inner + flow, flow, 1)
        self.new = nn.Conv2d(inner + flow, flow, 1)
        self.mask = nn.Conv2d(inner, WINDOW**2, 1)
        self.merge = nn.Conv2d(WINDOW**2 * inner, inner, 1)
        self.decode = nn.ConvTranspose2d(inner, hidden, 4, stride=2, padding=1)
        self.gate = nn.Conv2d(2 * hidden, hidden, 1)

    def forward(self, hidden: Tensor, motion: Tensor, trend: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(X, F+, D+) from H (B, h, H, W) and the last F, D (B, 18, H/2, W/2); H and W even."""
        coarse = self.encode(hidden)
        seen = torch.cat((coarse, motion), dim=1)
        update, reset = torch.sigmoid(self.update(seen)), torch.sigmoid(self.reset(seen))
        new = torch.tanh(self.new(torch.cat((coarse, reset * motion), dim=1)))
        transient = update * new + (1 - update) * motion
        trend = trend + TREND_RATE * (motion - trend)
        motion = transient + trend
        decoded = self.decode(self.merge(self._gathered(coarse, motion)))
        gate = torch.sigmoid(self.gate(torch.cat((decoded, hidden), dim=1)))
        return gate * hidden + (1 - gate) * decoded, motion, trend

    def _gathered(self, coarse: Tensor, motion: Tensor) -> Tensor:
        """concat_i m_i * warp(E, F_i): (B, 9q, H/2, W/2)."""
        batch, channels, height, width = coarse.shape
        count = WINDOW**2
        repeated = coarse.unsqueeze(1).expand(-1, count, -1, -1, -1).reshape(-1, channels, height, width)
        warped = warp(repeated, motion.reshape(batch * count, 2, height, width))
        mask = torch.sigmoid(self.mask(coarse)).reshape(batch * count, 1, height, width)
        return (mask * warped).reshape(batch, count * channels, height, width)


