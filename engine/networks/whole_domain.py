"""Means over a whole domain for networks that see it tile by tile.

Some layers take means over all pixels: group norms, squeezed attention, attention among channels. In a tile these would
be the tile's, and tiles would show. Here all tiles are run in rounds. A round goes as far as the first layer whose mean
over the domain is not known yet, and puts it together from the tiles' sums; the last one goes through. Nothing as
large as the domain is kept, for the price of as many rounds as there are such layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Sums = Callable[[Tensor], Tensor]
"""From the share (H, W) that each pixel of a tile has in the domain to weighted sums over the tile."""


class EnoughSeen(Exception):
    """The tile's part of the mean that is looked for has been taken."""


class Pool:
    """What the tiles of a domain tell each other. Within :meth:`tile` a network runs on one of them, which ends with
    EnoughSeen while means are missing; after all tiles :meth:`put_together` tells whether to run them once more."""

    def __init__(self) -> None:
        self._shares: Tensor | None = None
        self._asked = 0
        self._told: list[Tensor] = []
        self._sums: dict[int, Tensor] = {}
        self._counts: dict[int, Tensor] = {}

    @contextmanager
    def tile(self, shares: Tensor) -> Iterator[None]:
        """shares: (H, W) of the tile as the network sees it, 0 where it is padded; those of all tiles add to 1."""
        self._shares, self._asked = shares, 0
        try:
            yield
        finally:
            self._shares = None

    def over_domain(self, layer: OverDomain, grid: tuple[int, int], sums: Sums) -> Tensor | None:
        """What a layer asks for, once for each tile: the mean over the domain, or None where it is gathered in this
        round. grid: rows and columns that the layer sees of the tile. Raises EnoughSeen."""
        assert self._shares is not None
        place, self._asked = self._asked, self._asked + 1
        if place < len(self._told):
            return self._told[place]
        shares = F.adaptive_avg_pool2d(self._shares[None, None], grid)[0, 0]
        found, count = sums(shares).double(), shares.sum().double()
        self._sums[place] = self._sums[place] + found if place in self._sums else found
        self._counts[place] = self._counts[place] + count if place in self._counts else count
        if layer.ends_round:
            raise EnoughSeen
        return None

    def put_together(self) -> bool:
        """Whether something was gathered that the network has to see; False when the last round went through."""
        again = bool(self._sums)
        self._told += [self._sums[place] / self._counts[place].clamp(min=1e-12) for place in sorted(self._sums)]
        self._sums, self._counts = {}, {}
        return again

    def forget(self) -> None:
        """Before another domain, or other frames of it."""
        self._told = []


def grid_of(field: Tensor) -> tuple[int, int]:
    """Rows and columns."""
    return field.shape[-2], field.shape[-1]


class OverDomain(nn.Module):
    """A layer that takes means over the domain; without a pool, what it sees is all of it. ends_round: False where the
    next layer of this kind does not depend on what this one gives."""

    pool: Pool | None = None
    ends_round = True


class WholeGroupNorm(nn.GroupNorm, OverDomain):
    """Group normalisation whose mean and variance are those of the domain."""

    def forward(self, x: Tensor) -> Tensor:
        told = None if self.pool is None else self.pool.over_domain(self, grid_of(x), lambda w: self._moments(x, w))
        if told is None:
            return super().forward(x)
        mean, square = told.repeat_interleave(self.num_channels // self.num_groups, dim=1).unbind(dim=-1)
        scale = self.weight * (square - mean.square()).clamp(min=0).add(self.eps).rsqrt()
        shift = self.bias - mean * scale
        return torch.addcmul(shift.to(x.dtype)[:, :, None, None], x, scale.to(x.dtype)[:, :, None, None])

    def _moments(self, x: Tensor, shares: Tensor) -> Tensor:
        """(B, groups, 2): of the values and of their squares."""
        x = x.float()
        both = torch.stack(((x * shares).sum(dim=(2, 3)), (x * x * shares).sum(dim=(2, 3))), dim=-1)
        return both.reshape(x.shape[0], self.num_groups, -1, 2).mean(dim=2)


class WholeMean(OverDomain):
    """(B, C, H, W) to (B, C): the mean over the domain."""

    def forward(self, x: Tensor) -> Tensor:
        told = None if self.pool is None else self.pool.over_domain(
            self, grid_of(x), lambda shares: (x.float() * shares).sum(dim=(2, 3)))
        return x.mean(dim=(2, 3)) if told is None else told.to(x.dtype)


class WholeCosines(OverDomain):
    """How alike channels are over the domain. query, key: (B, heads, C, H, W); returns (B, heads, C, C): the cosine of
    the angle between them, all pixels taken as one long vector."""

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        told = None if self.pool is None else self.pool.over_domain(
            self, grid_of(query), lambda shares: self._products(query.float(), key.float(), shares))
        if told is None:
            query, key = query.flatten(3), key.flatten(3)
            return F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).transpose(-2, -1)
        size = query.shape[2]
        products, asked, tells = told[..., :size], told[..., size], told[..., size + 1]
        lengths = (asked[..., :, None] * tells[..., None, :]).sqrt().clamp(min=1e-24)
        return (products / lengths).to(query.dtype)

    def _products(self, query: Tensor, key: Tensor, shares: Tensor) -> Tensor:
        """(B, heads, C, C + 2): query times key, query times itself, key times itself."""
        weighed = (query * shares).flatten(3)
        both = weighed @ key.flatten(3).transpose(-2, -1)
        own = (weighed * query.flatten(3)).sum(dim=-1)
        keys = (key.square() * shares).sum(dim=(3, 4))
        return torch.cat((both, own[..., None], keys[..., None]), dim=-1)


@contextmanager
def pooled(network: nn.Module) -> Iterator[Pool | None]:
    """Within the block the network's layers ask the pool that is handed out; None where there are no such layers."""
    layers = [module for module in network.modules() if isinstance(module, OverDomain)]
    if not layers:
        yield None
        return
    pool = Pool()
    for layer in layers:
        layer.pool = pool
    try:
        yield pool
    finally:
        for layer in layers:
            del layer.pool
