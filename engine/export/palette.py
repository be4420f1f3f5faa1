"""The one palette of an animation: the radar colours themselves, then what words and lines need."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.export.look import Colour, Look, mixed, unpacked
from engine.radar.scaling import NO_DATA, rain_bins

PALETTE_SIZE = 255
"""One of the 256 places is kept for "as in the frame before"."""
_STEPS = 32


class FixedPalette:
    """colours: (n, 3) uint8, n <= 255. ``look`` is the given one with at most as many radar colours as fit: where
    there are more, the most alike neighbours of one class share a colour. Sheets must be drawn with this look."""

    def __init__(self, look: Look) -> None:
        fixed = _page_colours(look)
        self.look = replace(look, colours=merged(look.colours, look.thresholds, PALETTE_SIZE - len(fixed)))
        radar = [unpacked(int(value)) for value in self.look.colours]
        self.colours = np.array(list(dict.fromkeys([*radar, *fixed])), np.uint8)
        self._table = _table(self.colours)

    def __call__(self, image: Image.Image) -> NDArray[np.uint8]:
        """Palette indices (h, w) of an RGB image: exact for palette colours, else the nearest, without dither."""
        channels = np.asarray(image)
        place = channels[..., 0].astype(np.uint32) << 16
        place |= channels[..., 1].astype(np.uint32) << 8
        place |= channels[..., 2]
        return self._table.take(place)


def merged(colours: NDArray[np.uint32], thresholds: tuple[float, ...], most: int) -> NDArray[np.uint32]:
    """The table with at most ``most`` different colours; bins on both sides of a threshold never merge by this."""
    table = colours.copy()
    bins = rain_bins(thresholds)
    limits = {place for place in map(bins.position, thresholds) if place is not None}
    while len(np.unique(table)) > most:
        pairs = [(low, low + 1) for low in range(NO_DATA - 1) if table[low] != table[low + 1]
                 and low + 1 not in limits]
        if not pairs:
            break
        low, high = min(pairs, key=lambda pair: _distance(table[pair[0]], table[pair[1]]))
        table[table == table[high]] = table[low]
    return table


def _distance(first: np.uint32, second: np.uint32) -> int:
    return sum((a - b) ** 2 for a, b in zip(unpacked(int(first)), unpacked(int(second)), strict=True))


def _page_colours(look: Look) -> list[Colour]:
    """Paper, words and lines with the shades that antialiasing makes of them."""
    theme = look.theme
    hatch = mixed(unpacked(int(look.colours[NO_DATA])), theme.muted, 0.28)
    colours: list[Colour] = [theme.paper, theme.outside, theme.line, hatch]
    for ink, ground, steps in ((theme.text, theme.paper, 9), (theme.muted, theme.paper, 6),
                               (theme.accent, theme.paper, 6), (theme.badge_text, theme.badge, 4),
                               (theme.coast, theme.no_rain, 5), (theme.muted, theme.outside, 4)):
        colours += [mixed(ground, ink, step / steps) for step in range(1, steps + 1)]
    colours.append(theme.badge)
    for style in look.styles[: len(look.thresholds)]:
        colours += [mixed(theme.casing, style.colour, share) for share in (0.35, 0.7, 1.0)]
    colours.append(theme.casing)
    return list(dict.fromkeys(colours))


def _table(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(2**24,) palette index of every 24-bit colour: nearest by cells of 8 x 8 x 8, palette colours exact."""
    middle = (np.arange(_STEPS) * 8 + 4).astype(np.int32)
    nearest = np.zeros((_STEPS, _STEPS, _STEPS), np.uint8)
    wanted = colours.astype(np.int32)
    green, blue = np.meshgrid(middle, middle, indexing="ij")
    for place, red in enumerate(middle):
        away = ((wanted[:, 0] - red) ** 2)[:, None, None] * 2
        away = away + ((wanted[:, 1, None, None] - green) ** 2) * 4 + ((wanted[:, 2, None, None] - blue) ** 2) * 3
        nearest[place] = away.argmin(axis=0)
    full = nearest.repeat(8, axis=0).repeat(8, axis=1).repeat(8, axis=2).reshape(-1)
    keys = (wanted[:, 0] << 16) | (wanted[:, 1] << 8) | wanted[:, 2]
    full[keys] = np.arange(len(colours), dtype=np.uint8)
    return full
