"""Large domains for networks that give several lead times at once: each block of lead times is put together from its
tiles before the network sees it again.

Where layers of the network take means over the domain (:mod:`engine.networks.whole_domain`) the tiles are run in rounds
until all of these are known. Networks that draw are given random numbers that lie over the domain; their means are
those of a tile, as every one of their many steps has its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.forecasters.protocol import Context
from engine.forecasters.tiles import Tile

if TYPE_CHECKING:
    from torch import Tensor, nn

    from engine.networks.whole_domain import Pool

Frame = NDArray[np.float32]


@dataclass(frozen=True)
class Domain:
    """tiles: that cover it. half: bfloat16 on CUDA. most_bytes: what a block may take in single precision; a larger one
    is kept in half of it. seed: for networks that draw, None for the others."""

    network: nn.Module
    tiles: list[Tile]
    device: str
    half: bool
    most_bytes: int
    seed: int | None = None

    def frames(self, frames: Frame, leads: int, context: Context) -> Iterator[Frame]:
        """Yields ``leads`` frames (ny, nx) in the network's unit, those of a block after each other. frames:
        (T, ny, nx), as many as the network takes. Raises Cancelled."""
        from engine.networks.whole_domain import pooled

        with pooled(self.network) if self.seed is None else nullcontext() as pool:
            done = 0
            while done < leads:
                seed = None if self.seed is None else self.seed + done
                block = replace(self, seed=seed)._block(frames, done, leads, context, pool)
                for frame in block:
                    yield frame.astype(np.float32)
                done += len(block)
                frames = np.concatenate((frames, block))[-len(frames):].astype(np.float32)

    def _block(self, frames: Frame, done: int, leads: int, context: Context, pool: Pool | None
               ) -> NDArray[np.floating]:
        """(n, ny, nx), n as the network gives at once and those at most that are not ``done`` of ``leads``."""
        from engine.networks.whole_domain import EnoughSeen

        whole: NDArray[np.floating] = np.zeros((0, *frames.shape[1:]), np.float32)
        if pool is not None:
            pool.forget()
        rounds, again = 0, True
        while again:
            rounds += 1
            for count, tile in enumerate(self.tiles):
                context.token.check()
                if len(self.tiles) > 1:
                    words = f"tile {count + 1} of {len(self.tiles)}"
                    context.progress(done / leads, words + (f", round {rounds}" if rounds > 1 else ""))
                try:
                    part = self._run(frames, tile, leads - done, pool)
                except EnoughSeen:
                    continue
                if not len(whole):
                    small = 4 * part.shape[0] * frames[0].size <= self.most_bytes
                    whole = np.zeros((part.shape[0], *frames.shape[1:]), np.float32 if small else np.float16)
                place = whole[(slice(None), *tile.place)]
                np.add(place, part * tile.weights, out=place, casting="same_kind")
            again = pool is not None and pool.put_together()
        return whole

    def _run(self, frames: Frame, tile: Tile, leads: int, pool: Pool | None) -> Frame:
        """A block of one tile, (n, rows, columns)."""
        import torch

        from engine.networks.rollout import padded

        piece = torch.from_numpy(np.ascontiguousarray(frames[None, :, None, *tile.place])).to(self.device)
        high, wide = piece.shape[-2:]
        piece = padded(piece, self.network)
        half = self.half and self.device == "cuda"
        with torch.inference_mode(), torch.autocast(self.device, torch.bfloat16, enabled=half):
            found = self._found(piece, tile, frames.shape[1:], leads, pool)
        block: Frame = found[0, :, 0, :high, :wide].float().cpu().numpy()
        return block

    def _found(self, piece: Tensor, tile: Tile, domain: tuple[int, ...], leads: int, pool: Pool | None) -> Tensor:
        """The network on a piece (1, T, 1, h, w), padded."""
        import torch

        from engine.networks.noise import Noise

        if self.seed is not None:
            corner = (tile.rows.start, tile.columns.start)
            return torch.as_tensor(self.network(piece, leads, Noise(self.seed, (domain[0], domain[1]), corner)))
        if pool is None:
            return torch.as_tensor(self.network(piece, leads))
        shares = torch.zeros(piece.shape[-2:], device=self.device)
        rows, columns = tile.weights.shape
        shares[:rows, :columns] = torch.from_numpy(tile.weights).to(self.device) / (domain[0] * domain[1])
        with pool.tile(shares):
            return torch.as_tensor(self.network(piece, leads))
