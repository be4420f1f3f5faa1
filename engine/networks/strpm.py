"""STRPM, the spatiotemporal residual predictive model (Chang et al. 2022).

Frames are coded three times, for what moves, what is there and what is put out; the layers keep the memories of the
last few steps beside each other, and what a layer puts out is added to what it was given. Structure and order are
those of the authors' released code, but its layer norms, which belong to one size of grid: here each norm is over all
channels and pixels with one weight for a channel.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

FORGET = 1.0
"""Added to both forget gates."""


def normal(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """A 'same' convolution and the norm over all it gives."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.GroupNorm(1, outputs))


@dataclass
class Seen:
    """What a layer is given: what moves, what is there, what is put out. Each (B, C, H, W)."""

    moving: Tensor
    standing: Tensor
    output: Tensor
    alike: bool = True


class ResidualPredictiveCell(nn.Module):
    """tau: how many steps' memories are joined. One convolution of the input serves all gates of a kind."""

    def __init__(self, hidden: int, kernel: int, tau: int) -> None:
        super().__init__()
        self.moving, self.standing, self.output = (normal(hidden, hidden, kernel) for _ in range(3))
        self.from_hidden, self.from_memory = normal(hidden, hidden, kernel), normal(hidden, hidden, kernel)
        self.from_both = normal(2 * hidden, hidden, kernel)
        self.cells, self.memories = normal(tau * hidden, hidden, kernel), normal(tau * hidden, hidden, kernel)
        self.join = nn.Conv2d(2 * hidden, hidden, 1)
        self.residual = nn.Conv2d(3 * hidden, hidden, 1)

    def forward(self, seen: Seen, hidden: Tensor, cells: list[Tensor], memories: list[Tensor]
                ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """cells, memories: of the last tau steps, oldest first. Returns hidden output, output gate, cell, memory."""
        moving, state = self.moving(seen.moving), self.from_hidden(hidden)
        standing, kept = self.standing(seen.standing), self.from_memory(memories[-1])
        cell = gated(moving + state, self.cells(torch.cat(cells, dim=1)))
        memory = gated(standing + kept, self.memories(torch.cat(memories, dim=1)))
        both = torch.cat((cell, memory), dim=1)
        gate = torch.sigmoid(self.output(seen.output) + state + self.from_both(both))
        hidden = gate * torch.tanh(self.join(both))
        more = seen.moving if seen.alike else self.residual(torch.cat((seen.moving, seen.standing, gate), dim=1))
        return hidden + more, gate, cell, memory


def gated(entering: Tensor, before: Tensor) -> Tensor:
    """i g + f m, where input, forget and new are made of the same field."""
    return torch.sigmoid(entering) * torch.tanh(entering) + torch.sigmoid(entering + FORGET) * before


class STRPM(nn.Module):
    """hidden: channels of all layers. layers: how many. halvings: of the grid before them. tau: steps whose memories
    are joined. kernel: of the layers' convolutions."""

    def __init__(self, hidden: int = 128, layers: int = 16, halvings: int = 3, tau: int = 5, kernel: int = 5) -> None:
        super().__init__()
        self.hidden, self.tau, self.grid_multiple = hidden, tau, 2**halvings
        self.coders = nn.ModuleList(_coder(hidden, halvings) for _ in range(3))
        self.layers = nn.ModuleList(ResidualPredictiveCell(hidden, kernel, tau) for _ in range(layers))
        self.decoders = nn.ModuleList(_decoder(hidden, halvings) for _ in range(3))
        self.join = nn.Conv2d(2, 1, 1)

    def forward(self, frames: Tensor, leads: int) -> Tensor:
        """frames: (B, T, 1, H, W) scaled. Returns (B, leads, 1, H, W)."""
        return torch.stack(list(self.steps(frames, leads))[frames.shape[1] - 1:], dim=1)

    def steps(self, frames: Tensor, leads: int) -> Iterator[Tensor]:
        """Yields the frame after each observed and each forecast step, (B, 1, H, W)."""
        count, frame = frames.shape[1], frames[:, 0]
        coarse = frame[..., :: self.grid_multiple, :: self.grid_multiple]
        empty = torch.zeros_like(coarse).expand(-1, self.hidden, -1, -1)
        hidden = [empty] * len(self.layers)
        cells: list[deque[Tensor]] = [deque([empty] * self.tau, self.tau) for _ in self.layers]
        memories: deque[Tensor] = deque([empty] * self.tau, self.tau)
        for step in range(count + leads - 1):
            frame = frames[:, step] if step < count else frame
            moving, standing, output = (coder(frame) for coder in self.coders)
            seen = Seen(moving, standing, output, alike=False)
            gate = empty
            for level, layer in enumerate(self.layers):
                hidden[level], gate, cell, memory = layer(seen, hidden[level], list(cells[level]), list(memories))
                cells[level].append(cell)
                memories.append(memory)
                seen = Seen(hidden[level], hidden[level], hidden[level])
            standing, moving, output = (decoder(field) for decoder, field in zip(
                self.decoders, (memories[-1], cells[-1][-1], gate), strict=True))
            frame = output * torch.tanh(self.join(torch.cat((moving, standing), dim=1)))
            yield frame


def _coder(hidden: int, halvings: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(1, hidden, 1), nn.ReLU()]
    for _ in range(halvings):
        layers += [nn.Conv2d(hidden, hidden, 3, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(*layers)


def _decoder(hidden: int, halvings: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for level in range(halvings):
        layers += [nn.ConvTranspose2d(hidden, hidden, 3, stride=2, padding=1, output_padding=1)]
        layers += [nn.ReLU()] if level < halvings - 1 else []
    return nn.Sequential(*layers, nn.Conv2d(hidden, 1, 1))
