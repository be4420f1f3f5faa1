"""The encoding-forecasting structure of the benchmark paper (section 3, Tables 9 to 11, 15, 16) with any cell.

The encoder runs up its levels over the observed frames; the forecaster starts from the encoder's states and
runs down again, from the coarsest level, which has no input, to the finest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.networks.cell import Flow, Place, laid_out
from engine.networks.cells.convgru import LEAK

MakeCell = Callable[[int, int, int, Place], nn.Module]
"""(level, inputs, hidden, place) -> cell; a level's kernel, dilation or links are the maker's business."""


@dataclass(frozen=True)
class Window:
    """A convolution's kernel, stride and padding."""

    kernel: int
    stride: int
    padding: int


@dataclass(frozen=True)
class Ladder:
    """How the levels hang together. hidden: channels of the levels, finest first. first, head: channels of the
    first convolution and of the output head. enter: the first convolution. downs: between the levels; ups: their
    transposed ways back, finest first. leave: the transposed convolution of the head."""

    hidden: tuple[int, ...]
    first: int
    enter: Window
    downs: tuple[Window, ...]
    ups: tuple[Window, ...]
    leave: Window

    @property
    def multiple(self) -> int:
        """Rows and columns of the frames must be multiples of this."""
        return self.enter.stride * math.prod(down.stride for down in self.downs)

    def of_width(self, finest: int) -> Ladder:
        """The same ladder with so many channels at its finest level, and the others in proportion."""
        return replace(self, hidden=tuple(width * finest // self.hidden[0] for width in self.hidden))


MOVING_MNIST = Ladder(hidden=(64, 96, 96), first=16, enter=Window(3, 1, 1), downs=(Window(3, 2, 1),) * 2,
                      ups=(Window(4, 2, 1),) * 2, leave=Window(3, 1, 1))
"""Tables 9 and 11, with the channels of the released configuration (the print swaps some)."""

HKO7 = Ladder(hidden=(64, 192, 192), first=8, enter=Window(7, 5, 1), downs=(Window(5, 3, 1), Window(3, 2, 1)),
              ups=(Window(5, 3, 1), Window(4, 2, 1)), leave=Window(7, 5, 1))
"""Tables 15 and 16, likewise."""

BRIEF = Ladder(hidden=(32, 64, 64), first=16, enter=Window(4, 2, 1), downs=(Window(3, 2, 1),) * 2,
               ups=(Window(4, 2, 1),) * 2, leave=Window(4, 2, 1))
"""Our own, for small networks: pixels of 2 km halved once, then levels of 4, 8 and 16 km."""


class EncoderForecaster(nn.Module):
    """ladder: the levels. make_cell: builds a level's cell. local_filter: 0 for frames, or the side of the
    filters that a dynamic filter network predicts instead (DFN: 11)."""

    def __init__(self, ladder: Ladder, make_cell: MakeCell, local_filter: int = 0) -> None:
        super().__init__()
        self.ladder, self.local_filter = ladder, local_filter
        hidden = ladder.hidden
        levels = range(len(hidden))
        below = (ladder.first, *hidden[1:])
        self.enter = _conv(4, ladder.first, ladder.enter)
        self.encoder = nn.ModuleList(make_cell(i, below[i], hidden[i], Place(i, i == levels[-1])) for i in levels)
        self.downs = nn.ModuleList(_conv(hidden[i], hidden[i + 1], w) for i, w in enumerate(ladder.downs))
        above = (*hidden[1:], 0)
        self.forecaster = nn.ModuleList(
            make_cell(i, above[i], hidden[i], Place(levels[-1] - i, i == 0)) for i in levels)
        self.ups = nn.ModuleList(_up(hidden[i + 1], hidden[i + 1], w) for i, w in enumerate(ladder.ups))
        self.fits = nn.ModuleList(_fit(hidden[i + 1], hidden[i], cell) for i, cell in enumerate(self.forecaster[:-1]))
        self.head = _filter_head(ladder, local_filter) if local_filter else _frame_head(ladder)

    @property
    def grid_multiple(self) -> int:
        cells = (*self.encoder, *self.forecaster)
        return self.ladder.multiple * max(int(getattr(cell, "grid_multiple", 1)) for cell in cells)

    def forward(self, frames: Tensor, leads: int) -> Tensor:
        """frames: (B, T, 1, H, W) scaled. Returns (B, leads, 1, H, W)."""
        return torch.stack(list(self.steps(frames, leads)), dim=1)

    def steps(self, frames: Tensor, leads: int, places: Tensor | None = None) -> Iterator[Tensor]:
        """Yields each forecast frame (B, 1, H, W) as soon as it exists. places: as for :meth:`encode`."""
        encoded = self.encode(frames, places)
        states = [adopted(cell, state) for cell, state in zip(self.forecaster, encoded, strict=True)]
        last, memories = frames[:, -1], [None] * len(states)
        for _ in range(leads):
            output, states, memories = self._forecast_step(states, memories)
            last = filtered(last, output, self.local_filter) if self.local_filter else output
            yield last

    def encode(self, frames: Tensor, places: Tensor | None = None) -> list[Any]:
        """The levels' states after all input frames, finest first. places: (2, H, W), where x and y of each pixel
        are between the borders of the whole domain (:func:`coordinates`); None where the frames are all of it."""
        places = coordinates(frames.shape[-2:], like=frames) if places is None else places.to(frames)
        states: list[Any] = [None] * len(self.encoder)
        memories: list[Tensor | None] = [None] * len(self.encoder)
        for step in range(frames.shape[1]):
            x = F.leaky_relu(self.enter(laid_out(with_coordinates(frames[:, step], places))), LEAK)
            memory = memories[0]
            for level, cell in enumerate(self.encoder):
                state = cell.start(x) if states[level] is None else states[level]  # type: ignore[operator]
                flow, states[level], _ = cell(Flow(x, memory), state)
                x, memory, memories[level] = flow.hidden, flow.memory, flow.memory
                if level < len(self.downs):
                    x = F.leaky_relu(self.downs[level](x), LEAK)
                    memory = None if memory is None else self.downs[level](memory)
        return states

    def _forecast_step(self, states: list[Any], memories: list[Any]) -> tuple[Tensor, list[Any], list[Any]]:
        x: Tensor | None = None
        memory = memories[-1]
        states, memories = list(states), list(memories)
        for level in reversed(range(len(self.forecaster))):
            flow, states[level], _ = self.forecaster[level](Flow(x, memory), states[level])
            x, memory, memories[level] = flow.hidden, flow.memory, flow.memory
            if level > 0:
                x = F.leaky_relu(self.ups[level - 1](x), LEAK)
                memory = None if memory is None else self.fits[level - 1](self.ups[level - 1](memory))
        assert x is not None
        return self.head(x), states, memories


def adopted(cell: nn.Module, state: Any) -> Any:
    """An encoder's state as its forecaster takes it over: without what it remembers of the encoder's input."""
    adopt = getattr(cell, "adopt", None)
    return state if adopt is None else adopt(state)


def coordinates(shape: tuple[int, ...], corner: tuple[int, int] = (0, 0), domain: tuple[int, int] | None = None,
                like: Tensor | None = None) -> Tensor:
    """(2, H, W): x and y of a piece of ``shape`` whose first pixel is ``corner`` (row, column) of ``domain``, each
    from -1 at the first pixel of the domain to 1 at its last; beyond the domain they go on. domain: rows and columns;
    None where the piece is all of it. like: gives dtype and device."""
    whole = domain or (shape[0], shape[1])
    y, x = ((torch.arange(shape[axis], dtype=torch.float64) + corner[axis]) * 2 / max(whole[axis] - 1, 1) - 1
            for axis in (0, 1))
    both = torch.stack((x[None, :].expand(shape[0], shape[1]), y[:, None].expand(shape[0], shape[1])))
    return both.float() if like is None else both.to(like)


def with_coordinates(frame: Tensor, places: Tensor) -> Tensor:
    """(B, 1, H, W) to (B, 4, H, W): the frame, x and y of ``places`` (2, H, W), and a plane of ones (model of the
    release; not the mask of outliers)."""
    return torch.cat((frame, places.expand(frame.shape[0], *places.shape), torch.ones_like(frame)), dim=1)


def filtered(frame: Tensor, filters: Tensor, side: int) -> Tensor:
    """Each pixel as a weighted mean of its neighbours (dynamic filter network).

    frame: (B, 1, H, W). filters: (B, side * side, H, W) before the softmax; channel a * side + b weights the
    neighbour at row offset a - side // 2, column offset b - side // 2; zero outside.
    """
    batch, _, height, width = frame.shape
    neighbours = F.unfold(frame, side, padding=side // 2).reshape(batch, side * side, height, width)
    return (neighbours * torch.softmax(filters, dim=1)).sum(dim=1, keepdim=True)


def _conv(inputs: int, outputs: int, window: Window) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, window.kernel, window.stride, window.padding)


def _up(inputs: int, outputs: int, window: Window) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, window.kernel, window.stride, window.padding, bias=False)


def _fit(inputs: int, outputs: int, cell: nn.Module) -> nn.Module:
    """Gives a zigzag memory from above the channels of a level, where there is such a memory."""
    if inputs == outputs or not getattr(cell, "uses_memory", False):
        return nn.Identity()
    return nn.Conv2d(inputs, outputs, 1, bias=False)


def _frame_head(ladder: Ladder) -> nn.Sequential:
    inner = ladder.first
    return nn.Sequential(_up(ladder.hidden[0], inner, ladder.leave), nn.LeakyReLU(LEAK),
                         nn.Conv2d(inner, inner, 3, padding=1), nn.LeakyReLU(LEAK), nn.Conv2d(inner, 1, 1))


def _filter_head(ladder: Ladder, side: int) -> nn.Module:
    return _up(ladder.hidden[0], side * side, ladder.leave)
