"""The 2-D and 3-D convolutional networks of the benchmark paper (Tables 7, 8, 13, 14): chains of data.

``decoder="table"`` takes the decoder's channels as the tables print them; ``"reduced"`` those that give the
parameter counts of Table 1 (29.07 M and 32.52 M), which is what was trained.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

LEAK = 0.2
Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Link:
    """One layer of a chain; kernel, stride and padding as (depth, height, width); up: transposed."""

    outputs: int
    kernel: Triple
    stride: Triple
    padding: Triple
    up: bool = False
    norm: bool = False


class Chain(nn.Module):
    """Layers one after the other; leaky ReLU 0.2 after all but the last, batch normalisation where named.

    flat: 2-D layers over frames as channels, otherwise 3-D layers over time.
    """

    def __init__(self, links: tuple[Link, ...], inputs: int, flat: bool, multiple: int) -> None:
        super().__init__()
        self.flat, self.grid_multiple = flat, multiple
        layers: list[nn.Module] = []
        for position, link in enumerate(links):
            layers.append(_layer(link, inputs, flat))
            if link.norm:
                layers.append(nn.BatchNorm2d(link.outputs) if flat else nn.BatchNorm3d(link.outputs))
            if position < len(links) - 1:
                layers.append(nn.LeakyReLU(LEAK))
            inputs = link.outputs
        self.layers = nn.Sequential(*layers)

    def forward(self, frames: Tensor, leads: int) -> Tensor:
        """frames: (B, T, 1, H, W) scaled, T as built. Returns (B, leads, 1, H, W), at most as many as built."""
        if self.flat:
            return torch.as_tensor(self.layers(frames[:, :, 0]))[:, :leads, None]
        return torch.as_tensor(self.layers(frames.transpose(1, 2))).transpose(1, 2)[:, :leads]


def _layer(link: Link, inputs: int, flat: bool) -> nn.Module:
    if flat:
        kind = nn.ConvTranspose2d if link.up else nn.Conv2d
        return kind(inputs, link.outputs, link.kernel[1:], link.stride[1:], link.padding[1:])
    kind3 = nn.ConvTranspose3d if link.up else nn.Conv3d
    return kind3(inputs, link.outputs, link.kernel, link.stride, link.padding)


_K4, _S2, _P1 = (4, 4, 4), (2, 2, 2), (1, 1, 1)


def cnn2d_mnist(base: int = 70, decoder: str = "reduced") -> Chain:
    """Table 7: 10 frames of 64 x 64 in, 10 out."""
    wide = {"table": (16, 16, 8, 4), "reduced": (8, 4, 2, 1)}[decoder]
    links = (*(Link(m * base, _K4, _S2, _P1, norm=m > 4) for m in (4, 8, 12, 16)),
             Link(wide[0] * base, (1, 1, 1), (1, 1, 1), (0, 0, 0), up=True),
             *(Link(m * base, _K4, _S2, _P1, up=True, norm=True) for m in wide[1:]),
             Link(10, _K4, _S2, _P1, up=True))
    return Chain(links, 10, flat=True, multiple=16)


def cnn3d_mnist(base: int = 128, decoder: str = "reduced") -> Chain:
    """Table 8: 10 frames of 64 x 64 in, 10 out."""
    wide = tuple(m * base // 2 for m in {"table": (16, 8, 4, 2), "reduced": (8, 4, 2, 1)}[decoder])
    links = (Link(base, _K4, _S2, _P1), Link(2 * base, _K4, _S2, _P1, norm=True),
             Link(3 * base, _K4, _S2, _P1, norm=True), Link(4 * base, _K4, _S2, (2, 1, 1), norm=True),
             Link(wide[0], (2, 1, 1), (1, 1, 1), (0, 0, 0), up=True),
             Link(wide[1], _K4, _S2, _P1, up=True, norm=True),
             Link(wide[2], _K4, _S2, (2, 1, 1), up=True, norm=True),
             Link(wide[3], _K4, _S2, (2, 1, 1), up=True, norm=True),
             Link(1, (3, 4, 4), (1, 2, 2), _P1, up=True))
    return Chain(links, 1, flat=False, multiple=16)


def cnn2d_hko7(base: int = 70) -> Chain:
    """Table 13: 5 frames of 480 x 480 in, 20 out."""
    links = (Link(base, (1, 7, 7), (1, 5, 5), (0, 1, 1)), Link(base, (1, 4, 4), (1, 3, 3), (0, 1, 1)),
             *(Link(m * base, _K4, _S2, _P1, norm=True) for m in (8, 12, 16)),
             Link(16 * base, (1, 1, 1), (1, 1, 1), (0, 0, 0), up=True),
             *(Link(m * base, _K4, _S2, _P1, up=True, norm=True) for m in (16, 8, 4)),
             Link(24, (1, 5, 5), (1, 3, 3), (0, 1, 1), up=True), Link(24, (1, 7, 7), (1, 5, 5), (0, 1, 1), up=True),
             Link(20, (1, 3, 3), (1, 1, 1), (0, 1, 1), up=True))
    return Chain(links, 5, flat=True, multiple=120)


def cnn3d_hko7(base: int = 128) -> Chain:
    """Table 14: 5 frames of 480 x 480 in, 20 out."""
    links = (Link(base, (1, 7, 7), (1, 5, 5), (0, 1, 1)), Link(base, (1, 4, 4), (1, 3, 3), (0, 1, 1)),
             Link(2 * base, _K4, _S2, _P1, norm=True), Link(3 * base, _K4, _S2, _P1, norm=True),
             Link(4 * base, _K4, _S2, (2, 1, 1), norm=True),
             Link(8 * base, (2, 1, 1), (1, 1, 1), (0, 0, 0), up=True),
             Link(4 * base, _K4, _S2, _P1, up=True, norm=True),
             Link(2 * base, _K4, _S2, (0, 1, 1), up=True, norm=True),
             Link(base, _K4, _S2, _P1, up=True, norm=True),
             Link(8, (3, 5, 5), (1, 3, 3), _P1, up=True), Link(8, (3, 7, 7), (1, 5, 5), _P1, up=True),
             Link(1, (3, 3, 3), (1, 1, 1), _P1, up=True))
    return Chain(links, 1, flat=False, multiple=120)
