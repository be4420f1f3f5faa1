"""PrecipLSTM (Ma et al. 2022): local attention, and spatial and temporal meteorological memories."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.networks.cell import Flow, Place, SumConv, gated, zeros

WINDOW = 30
_BLOCK = 32
"""Columns attended to at once; bounds the memory of the attention."""


class State(NamedTuple):
    hidden: Tensor
    cell: Tensor
    spatial: Tensor
    temporal: Tensor
    before: Tensor
    """This layer's own input at the previous step, skips included."""


class PrecipLSTM(nn.Module):
    """window: side of the square that the local attention looks at (30 in the paper)."""

    uses_memory = True

    def __init__(self, inputs: int, hidden: int, place: Place, kernel: int = 3, window: int = WINDOW) -> None:
        super().__init__()
        self.hidden = hidden
        self.seen = seen = inputs or hidden
        self.attention = LocalAttention(seen, window)
        self.attended = nn.Conv2d(seen, seen, kernel, padding=kernel // 2)
        self.gates = SumConv((seen, hidden), 4 * hidden, kernel)
        self.zigzag = SumConv((seen, hidden), 3 * hidden, kernel)
        self.in_space = SumConv((seen, hidden), 3 * hidden, kernel)
        self.in_time = SumConv((seen, hidden), 3 * hidden, kernel)
        self.output = SumConv((hidden,) * 4, hidden, kernel)
        self.join = nn.Conv2d(4 * hidden, hidden, 1)

    def start(self, like: Tensor) -> State:
        empty = zeros(like, self.hidden)
        return State(empty, empty, empty, empty, zeros(like, self.seen))

    def adopt(self, state: State) -> State:
        return state._replace(before=zeros(state.hidden, self.seen))

    def forward(self, flow: Flow, state: State) -> tuple[Flow, State, None]:
        seen = state.hidden if flow.hidden is None else flow.hidden
        memory = zeros(state.hidden, self.hidden) if flow.memory is None else flow.memory
        attended = seen + self.attended(self.attention(seen))
        gates = self.gates(attended, state.hidden)
        cell = gated(gates[:, : 3 * self.hidden], state.cell)
        memory = gated(self.zigzag(attended, memory), memory)
        spatial = gated(self.in_space(attended, state.spatial), state.spatial)
        temporal = gated(self.in_time(seen - state.before, state.temporal), state.temporal)
        out = torch.sigmoid(gates[:, 3 * self.hidden:] + self.output(cell, spatial, temporal, memory))
        hidden = out * torch.tanh(self.join(torch.cat((cell, spatial, temporal, memory), dim=1)))
        return Flow(hidden, memory), State(hidden, cell, spatial, temporal, seen), None


class LocalAttention(nn.Module):
    """Unscaled one-head attention over a square window; places outside the image count with logit 0, value 0."""

    def __init__(self, channels: int, window: int = WINDOW) -> None:
        super().__init__()
        self.window = window
        self.queries = nn.Conv2d(channels, channels, 1, bias=False)
        self.keys = nn.Conv2d(channels, channels, 1, bias=False)
        self.values = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same. Offsets run from -window/2 to window/2 - 1 along both axes."""
        before = self.window // 2
        after = self.window - 1 - before
        queries = self.queries(x).permute(0, 2, 3, 1)
        keys, values = (F.pad(part, (before, after, before, after)).permute(0, 2, 3, 1)
                        for part in (self.keys(x), self.values(x)))
        width = x.shape[-1]
        blocks = [self._block(queries[:, :, left:left + _BLOCK], keys[:, :, left:left + _BLOCK + self.window - 1],
                              values[:, :, left:left + _BLOCK + self.window - 1]) for left in range(0, width, _BLOCK)]
        return torch.cat(blocks, dim=2).permute(0, 3, 1, 2).contiguous()

    def _block(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """queries: (B, H, w, C). keys, values: (B, H + window - 1, w + window - 1, C). Returns (B, H, w, C)."""
        batch, height, wide, channels = queries.shape
        reach = keys.shape[2]
        stacked_keys, stacked_values = (
            part.unfold(1, self.window, 1).permute(0, 1, 4, 2, 3).reshape(batch, height, -1, channels)
            for part in (keys, values))
        places = torch.arange(reach, device=queries.device)
        offsets = places[None, :] - places[:wide, None]
        near = ((offsets >= 0) & (offsets < self.window)).repeat(1, self.window)
        return F.scaled_dot_product_attention(queries, stacked_keys, stacked_values, attn_mask=near, scale=1.0)
