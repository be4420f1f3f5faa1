"""Random numbers for networks that draw: laid over the whole domain, so that tiles of it see the same ones."""

from __future__ import annotations

import torch
from torch import Tensor


class Noise:
    """seed: None draws from torch's own state, as training does. domain: rows and columns of all of it; corner: (row,
    column) where the piece that a network sees begins. Both in pixels of the finest grid.

    Every piece of a domain that draws in the same order with the same seed sees its part of the same fields.
    """

    def __init__(self, seed: int | None = None, domain: tuple[int, int] | None = None,
                 corner: tuple[int, int] = (0, 0)) -> None:
        self._generator = None if seed is None else torch.Generator().manual_seed(seed)
        self._domain, self._corner = domain, corner

    def normal(self, shape: tuple[int, ...], like: Tensor, scale: int = 1) -> Tensor:
        """Standard normal numbers of ``shape`` (..., h, w) on a grid ``scale`` times as coarse as the finest one."""
        if self._domain is None:
            return torch.randn(shape, generator=self._generator).to(like)
        (first, left), (rows, columns) = (place // scale for place in self._corner), shape[-2:]
        high, wide = (-(-size // scale) for size in self._domain)
        whole = torch.randn(*shape[:-2], max(high, first + rows), max(wide, left + columns), generator=self._generator)
        return whole[..., first : first + rows, left : left + columns].to(like)

    def below(self, count: int, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Whole numbers from 0 to before ``count``, each as likely."""
        return torch.randint(count, shape, generator=self._generator).to(like.device)
