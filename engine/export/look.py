"""How a sheet looks: its theme, the lines of its thresholds and the colours of its rain rates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""


@dataclass(frozen=True)
class SheetTheme:
    """Colours of everything that is not rain."""

    name: str
    paper: Colour
    outside: Colour
    text: Colour
    muted: Colour
    line: Colour
    accent: Colour
    casing: Colour
    coast: Colour
    coast_casing: Colour
    badge: Colour
    badge_text: Colour
    no_data: Colour
    no_rain: Colour


DARK = SheetTheme("dark", paper=(14, 18, 23), outside=(9, 12, 15), text=(236, 239, 243), muted=(150, 160, 172),
                  line=(56, 65, 76), accent=(86, 180, 233), casing=(10, 12, 15), coast=(196, 204, 214),
                  coast_casing=(14, 18, 23), badge=(240, 176, 60), badge_text=(28, 20, 4), no_data=(42, 48, 56),
                  no_rain=(22, 28, 35))
LIGHT = SheetTheme("light", paper=(250, 250, 251), outside=(226, 229, 233), text=(22, 26, 31), muted=(92, 101, 112),
                   line=(198, 204, 211), accent=(0, 104, 170), casing=(24, 26, 30), coast=(70, 78, 88),
                   coast_casing=(250, 250, 251), badge=(240, 176, 60), badge_text=(28, 20, 4),
                   no_data=(214, 218, 223), no_rain=(241, 243, 245))


@dataclass(frozen=True)
class LineStyle:
    """The line of one threshold. dash: lengths of strokes and spaces in pixels of a 720-line sheet, () for solid;
    width: in the same pixels."""

    colour: Colour
    dash: tuple[float, ...] = ()
    width: float = 1.6


DEFAULT_STYLES = (
    LineStyle((255, 255, 255), (), 1.4),
    LineStyle((86, 180, 233), (7, 3), 1.6),
    LineStyle((240, 228, 66), (), 1.6),
    LineStyle((230, 120, 190), (9, 3, 2, 3), 1.8),
    LineStyle((255, 138, 60), (3, 2.5), 2.0),
)
"""For five thresholds; the colour-blind safe set of Okabe and Ito (2008), lightened where rain is dark."""


@dataclass(frozen=True)
class Look:
    """theme: see :data:`DARK`. thresholds: mm/h, rising. styles: one per threshold, the last one repeats.
    colours: 256 uint32 0xffRRGGBB for the bins of :func:`engine.radar.scaling.rain_bins` at these thresholds;
    entry 255 is no data."""

    theme: SheetTheme
    thresholds: tuple[float, ...]
    colours: NDArray[np.uint32]
    styles: tuple[LineStyle, ...] = DEFAULT_STYLES

    def style(self, threshold: float) -> LineStyle:
        place = self.thresholds.index(threshold) if threshold in self.thresholds else 0
        return self.styles[min(place, len(self.styles) - 1)]


def theme_named(name: str) -> SheetTheme:
    """Raises KeyError for anything but "dark" and "light"."""
    return {"dark": DARK, "light": LIGHT}[name]


def packed(colour: Colour) -> int:
    """0xffRRGGBB"""
    return 0xFF000000 | colour[0] << 16 | colour[1] << 8 | colour[2]


def unpacked(value: int) -> Colour:
    return (value >> 16) & 0xFF, (value >> 8) & 0xFF, value & 0xFF


def mixed(first: Colour, second: Colour, share: float) -> Colour:
    """``share`` of the second colour in the first."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue
