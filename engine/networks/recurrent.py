"""Walks a topology with any cell: the stacked networks, MS-RNN and DB-RNN are this one module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.networks.cell import Embedded, Flow, Place, laid_out
from engine.networks.topologies import Layer

MakeCell = Callable[[int, int, Place], nn.Module]


class Recurrent(nn.Module):
    """layers: the topology. make_cell: (inputs, hidden, place) -> cell. hidden: channels of every layer.

    Each read-out has an embedding (1x1, 1 -> hidden) before its layers and a head (1x1, hidden -> 1) after them.
    """

    def __init__(self, layers: tuple[Layer, ...], make_cell: MakeCell, hidden: int) -> None:
        super().__init__()
        self.layers, self.hidden = layers, hidden
        self.cells = nn.ModuleList(make_cell(hidden, hidden, place) for place in places(layers))
        readouts = sum(layer.reads for layer in layers)
        self.embeddings = nn.ModuleList(nn.Conv2d(1, hidden, 1) for _ in range(readouts))
        self.heads = nn.ModuleList(nn.Conv2d(hidden, 1, 1) for _ in range(readouts))

    @property
    def grid_multiple(self) -> int:
        """Rows and columns of the input must be multiples of this."""
        coarsest: int = 2 ** max(layer.scale for layer in self.layers)
        return coarsest * max(int(getattr(cell, "grid_multiple", 1)) for cell in self.cells)

    def forward(self, frames: Tensor, leads: int) -> Tensor:
        """Every output of the observed and the forecast steps.

        frames: (B, T, 1, H, W) scaled inputs. Returns (B, R, T + leads - 1, 1, H, W): R read-outs per step (one
        for stacked and multi-scale, forecast then deblurred for deblurring). Output k is the frame after step k.
        """
        steps = list(self.steps(frames, leads))
        return torch.stack([torch.stack(step, dim=1) for step in steps], dim=2)

    def steps(self, frames: Tensor, leads: int, teacher: Tensor | None = None) -> Iterator[list[Tensor]]:
        """Read-outs (B, 1, H, W) step by step. After the inputs the last read-out is fed back, unless
        ``teacher`` (B, leads - 1, 1, H, W) gives frames to see instead (NaN where it gives none)."""
        state = self.start(frames[:, 0])
        memory: Tensor | None = None
        count = frames.shape[1]
        seen = frames[:, 0]
        for step in range(count + leads - 1):
            if step < count:
                seen = frames[:, step]
            readouts, state, memory = self.step(seen, state, memory)
            yield readouts
            seen = readouts[-1]
            if teacher is not None and step >= count - 1 and step - count + 1 < teacher.shape[1]:
                given = teacher[:, step - count + 1]
                seen = torch.where(torch.isnan(given), seen, given)

    def start(self, like: Tensor) -> list[Any]:
        """Every layer's state before the first step. like: (B, 1, H, W)."""
        coarse = [like[..., :: 2**layer.scale, :: 2**layer.scale] for layer in self.layers]
        return [cell.start(grid) for cell, grid in zip(self.cells, coarse, strict=True)]  # type: ignore[operator]

    def _entering(self, frame: Tensor, memory: Tensor | None) -> Flow:
        """What the first layer sees."""
        embedding: nn.Conv2d = self.embeddings[0]  # type: ignore[assignment]
        if torch.is_inference_mode_enabled() and getattr(self.cells[0], "takes_embedded", False):
            return Flow(None, memory, embedded=Embedded(frame, embedding))
        return Flow(laid_out(embedding(frame)), memory)

    def step(self, frame: Tensor, state: list[Any], memory: Tensor | None
             ) -> tuple[list[Tensor], list[Any], Tensor | None]:
        """One time step. frame: (B, 1, H, W). Returns the read-outs, the new states, the zigzag memory.

        ``state`` is used up: each layer's old state is let go of as soon as there is the new one.
        """
        outputs: list[Tensor] = []
        readouts: list[Tensor] = []
        flow, scale = self._entering(frame, memory), 0
        for number, (layer, cell) in enumerate(zip(self.layers, self.cells, strict=True)):
            if flow.embedded is None:
                flow = onwards(flow, scale, layer, outputs)
            flow, state[number], _ = cell(flow, state[number])
            scale = layer.scale
            outputs.append(flow.hidden)
            if layer.reads:
                readouts.append(self.heads[len(readouts)](flow.hidden))
                if len(readouts) < len(self.heads):
                    flow = flow._replace(hidden=self.embeddings[len(readouts)](readouts[-1]))
        return readouts, state, flow.memory


def onwards(flow: Flow, scale: int, layer: Layer, outputs: list[Tensor]) -> Flow:
    """What a layer sees of what the one before it, on ``scale``, let go on, and of the outputs that skip to it."""
    assert flow.hidden is not None
    plain = hidden = resample(flow.hidden, scale, layer.scale)
    for skip in layer.skips:
        hidden = hidden + outputs[skip]
    return Flow(hidden, None if flow.memory is None else resample(flow.memory, scale, layer.scale), plain)


def places(layers: tuple[Layer, ...]) -> list[Place]:
    """Each layer's place, counted anew after each read-out."""
    result, index = [], 0
    for layer in layers:
        result.append(Place(index, layer.reads))
        index = 0 if layer.reads else index + 1
    return result


def resample(field: Tensor, scale: int, wanted: int) -> Tensor:
    """Between neighbouring scales: 2 x 2 maximum downwards, bilinear (half-pixel centres) upwards."""
    if wanted == scale:
        return field
    if wanted == scale + 1:
        return F.max_pool2d(field, 2)
    if wanted == scale - 1:
        return F.interpolate(field, scale_factor=2, mode="bilinear", align_corners=False)
    raise ValueError(f"layers next to each other may differ by one scale, not from {scale} to {wanted}")
