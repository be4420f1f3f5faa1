"""Large domains for networks that give several lead times at once: each block of lead times is put together from its
tiles before the network sees it again.

Where layers of the network take means over the domain (:mod:`engine.networks.whole_domain`) the tiles are run in rounds
until all of these are known.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.forecasters.protocol import Context
from engine.forecasters.tiles import Tile

if TYPE_CHECKING:
    from torch import nn

    from engine.networks.whole_domain import Pool

Frame = NDArray[np.float32]


def blocks(network: nn.Module, frames: Frame, tiles: list[Tile], leads: int, context: Context, device: str, *,
           half: bool, most_bytes: int) -> Iterator[Frame]:
    """Yields ``leads`` frames (ny, nx) in the network's unit, those of a block after each other.

    frames: (T, ny, nx), as many as the network takes. most_bytes: what a block may take in single precision; a larger
    one is kept in half of it.
    """
    from engine.networks.whole_domain import pooled

    with pooled(network) as pool:
        while leads > 0:
            block = _block(network, frames, tiles, leads, context, device, half, most_bytes, pool)
            for frame in block:
                yield frame.astype(np.float32)
            leads -= len(block)
            frames = np.concatenate((frames, block))[-len(frames):].astype(np.float32)


def _block(network: nn.Module, frames: Frame, tiles: list[Tile], leads: int, context: Context, device: str, half: bool,
           most_bytes: int, pool: Pool | None) -> NDArray[np.floating]:
    """(n, ny, nx), n as the network gives at once and ``leads`` at most."""
    from engine.networks.whole_domain import EnoughSeen

    whole: NDArray[np.floating] = np.zeros((0, *frames.shape[1:]), np.float32)
    if pool is not None:
        pool.forget()
    rounds, again = 0, True
    while again:
        rounds += 1
        for count, tile in enumerate(tiles):
            context.token.check()
            context.progress(0.0, f"tile {count + 1} of {len(tiles)}" + (f", round {rounds}" if rounds > 1 else ""))
            try:
                part = _run(network, frames, tile, leads, device, half, pool)
            except EnoughSeen:
                continue
            if not len(whole):
                small = 4 * part.shape[0] * frames[0].size <= most_bytes
                whole = np.zeros((part.shape[0], *frames.shape[1:]), np.float32 if small else np.float16)
            place = whole[(slice(None), *tile.place)]
            np.add(place, part * tile.weights, out=place, casting="same_kind")
        again = pool is not None and pool.put_together()
    return whole


def _run(network: nn.Module, frames: Frame, tile: Tile, leads: int, device: str, half: bool,
         pool: Pool | None) -> Frame:
    """A block of one tile, (n, rows, columns)."""
    import torch

    from engine.networks.rollout import padded

    piece = torch.from_numpy(np.ascontiguousarray(frames[None, :, None, *tile.place])).to(device)
    high, wide = piece.shape[-2:]
    piece = padded(piece, network)
    with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=half and device == "cuda"):
        if pool is None:
            found = network(piece, leads)
        else:
            shares = torch.zeros(piece.shape[-2:], device=device)
            shares[:high, :wide] = torch.from_numpy(tile.weights).to(device) / frames[0].size
            with pool.tile(shares):
                found = network(piece, leads)
    block: Frame = found[0, :, 0, :high, :wide].float().cpu().numpy()
    return block
