"""MS-RNN-S (DB-RNN paper, Figure 3 a, section V-G): a forecasting network, and after it a deblurring network that is
trained on its output once it has been trained itself.

The paper gives no more than that. Inferred: both are the same MS-RNN; the deblurring one takes a frame at each step
and gives the same frame sharper; it sees every output of the first network, those of the observed steps included, so
that its states are warm when the forecast begins; the forecasting network sees its own forecast, never the sharper one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from engine.networks.recurrent import Recurrent


class SequenceDeblurrer(nn.Module):
    """A recurrent network that sharpens a sequence frame by frame, whoever made the sequence.

    network: any recurrent wiring with one read-out or more; the last one is the sharpened frame.
    """

    def __init__(self, network: Recurrent) -> None:
        super().__init__()
        self.network = network
        self.grid_multiple = network.grid_multiple

    def forward(self, frames: Tensor) -> Tensor:
        """frames: (B, T, 1, H, W) scaled. Returns as many, sharpened; frame k depends on frames 0 to k."""
        return torch.stack(list(self.sharpened(frames.unbind(dim=1))), dim=1)

    def sharpened(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yields each frame (B, 1, H, W) sharpened, as soon as it comes."""
        state: list[Any] | None = None
        memory: Tensor | None = None
        for frame in frames:
            state = self.network.start(frame) if state is None else state
            readouts, state, memory = self.network.step(frame, state, memory)
            yield readouts[-1]


class Staged(nn.Module):
    """forecasting: trained first. deblurring: trained on what that one puts out, while that one stays as it is."""

    def __init__(self, forecasting: Recurrent, deblurring: SequenceDeblurrer) -> None:
        super().__init__()
        self.forecasting, self.deblurring = forecasting, deblurring
        self.grid_multiple = max(forecasting.grid_multiple, deblurring.grid_multiple)

    def forward(self, frames: Tensor, leads: int) -> Tensor:
        """frames: (B, T, 1, H, W) scaled. Returns (B, 2, T + leads - 1, 1, H, W): forecast, then deblurred, as a
        deblurring network (DB-RNN) does."""
        return torch.stack([torch.stack(step, dim=1) for step in self.steps(frames, leads)], dim=2)

    def steps(self, frames: Tensor, leads: int) -> Iterator[list[Tensor]]:
        """The forecast and the deblurred frame, (B, 1, H, W) each, step by step."""
        blurred: list[Tensor] = []

        def forecast() -> Iterator[Tensor]:
            for readouts in self.forecasting.steps(frames, leads):
                blurred.append(readouts[-1])
                yield readouts[-1]

        for sharp in self.deblurring.sharpened(forecast()):
            yield [blurred.pop(), sharp]

    def start(self, like: Tensor) -> list[Any]:
        """What both keep between two steps. like: (B, 1, H, W)."""
        return [self.forecasting.start(like), self.deblurring.network.start(like)]
