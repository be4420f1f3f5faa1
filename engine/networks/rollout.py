"""Forecast frames out of any network of the zoo, one after the other, for as many lead times as are wished.

Networks that were built for a fixed number of frames see their own forecast again and again; recurrent ones just go
on (DB-RNN paper, section V-I).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from engine.networks.encoder_forecaster import EncoderForecaster
from engine.networks.recurrent import Recurrent
from engine.networks.staged import Staged


def goes_on(network: nn.Module) -> bool:
    """Whether it keeps a state from lead time to lead time; others give some lead times at once."""
    return isinstance(network, Recurrent | Staged | EncoderForecaster)


def lead_frames(network: nn.Module, frames: Tensor, leads: int, places: Tensor | None = None) -> Iterator[Tensor]:
    """Yields ``leads`` frames (B, 1, H, W), each as soon as it exists. frames: (B, T, 1, H, W) scaled.

    Of networks with a deblurring module these are the deblurred frames. places: (2, H, W), where the frames lie in
    a larger domain, for networks that look at it (:func:`engine.networks.encoder_forecaster.coordinates`).
    """
    if isinstance(network, Recurrent | Staged):
        for step, readouts in enumerate(network.steps(frames, leads)):
            if step >= frames.shape[1] - 1:
                yield readouts[-1]
    elif isinstance(network, EncoderForecaster):
        yield from network.steps(frames, leads, places)
    else:
        yield from _in_blocks(network, frames, leads)


def _in_blocks(network: nn.Module, frames: Tensor, leads: int) -> Iterator[Tensor]:
    count = frames.shape[1]
    while leads > 0:
        block = network(frames, leads)
        yield from block.unbind(dim=1)
        leads -= block.shape[1]
        frames = torch.cat((frames, block), dim=1)[:, -count:]


def padded(piece: Tensor, network: Any) -> Tensor:
    """Rows and columns of no rain below and to the right, up to a size that the network takes."""
    high, wide = piece.shape[-2:]
    fixed = getattr(network, "fixed_grid", None)
    multiple = int(getattr(network, "grid_multiple", 1))
    rows, columns = fixed or (-(-high // multiple) * multiple, -(-wide // multiple) * multiple)
    return nn.functional.pad(piece, (0, columns - wide, 0, rows - high))


def state_bytes(network: nn.Module) -> float:
    """What a forecast keeps between two lead times, in bytes for each pixel of the grid (single precision)."""
    side = int(getattr(network, "grid_multiple", 1)) * 2
    frame = torch.zeros(1, 1, side, side)
    with torch.inference_mode():
        if isinstance(network, Recurrent | Staged):
            kept: Any = network.start(frame)
        elif isinstance(network, EncoderForecaster):
            kept = network.encode(frame[None])
        else:
            return 4.0 * 64
    return 4.0 * sum(tensor.numel() for tensor in _tensors(kept)) / side**2


def _tensors(kept: Any) -> Iterator[Tensor]:
    if isinstance(kept, Tensor):
        yield kept
    elif isinstance(kept, list | tuple):
        for part in kept:
            yield from _tensors(part)


@contextmanager
def asking(network: nn.Module, ask: Callable[[], None], whole: Collection[nn.Module] = ()) -> Iterator[None]:
    """Calls ``ask`` before every layer of the network; what it raises ends the run in the middle of a step.

    whole: parts that run in one go (compiled): before them it is called, between their layers it is not.
    """
    inside = {part for group in whole for part in group.modules()}.difference(whole)
    def before(module: nn.Module, given: Any) -> None:
        ask()

    hooks = [module.register_forward_pre_hook(before) for module in network.modules()
             if module not in inside]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
