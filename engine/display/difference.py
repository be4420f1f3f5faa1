"""The difference of a forecast and its observation as a picture, in diverging colours of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.display.picture import Picture, colour, display_block
from engine.radar.grid import Grid
from engine.radar.packed import AnyField, unpacked
from engine.radar.scaling import NO_DATA

LIMITS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
"""Class limits in mm/h on both sides of no difference."""

TOO_LITTLE = (0x2C3E66, 0x33528F, 0x3A6BB5, 0x4A8AD4, 0x6FADE8, 0xA3CDF4, 0xD6EAFC)
TOO_MUCH = (0x5F4326, 0x875A26, 0xB07325, 0xD68F2E, 0xEDB04F, 0xF8CF85, 0xFDEBC4)
"""0xRRGGBB per class, small differences first; blue and orange stay apart under colour blindness. On light ground
the order of the colours is the other way round, so that large differences always stand out."""


def difference_colours(ground: int, no_data: int, dark: bool) -> NDArray[np.uint32]:
    """256 opaque uint32 0xffRRGGBB for :func:`difference_bins`; ground: where both agree."""
    low, high = (TOO_LITTLE, TOO_MUCH) if dark else (TOO_LITTLE[::-1], TOO_MUCH[::-1])
    table = np.full(256, ground, np.uint32)
    classes = [*low[::-1], ground, *high]
    table[: len(classes)] = classes
    table[NO_DATA] = no_data
    return np.asarray(table | np.uint32(0xFF000000), np.uint32)


def difference_bins(difference: NDArray[np.float32]) -> NDArray[np.uint8]:
    """difference: mm/h, predicted minus observed. 0 is far too little, len(LIMITS) agreement, 2 len(LIMITS) far too
    much; a difference equal to a limit belongs to the class beyond it."""
    size = np.digitize(np.abs(difference), LIMITS).astype(np.int16)
    bins = (len(LIMITS) + np.where(difference < 0, -size, size)).astype(np.uint8)
    bins[np.isnan(difference)] = NO_DATA
    return np.asarray(bins, np.uint8)


def difference_picture(predicted: AnyField, observed: AnyField, grid: Grid, colours: NDArray[np.uint32]) -> Picture:
    """predicted, observed: (ny, nx) mm/h, NaN = no data in either is no data. The picture's ``rain_rate`` is the
    difference in mm/h. Large grids show the difference of the largest size in each block."""
    difference = np.asarray(unpacked(predicted) - unpacked(observed), np.float32)
    block = display_block(difference.shape)
    bins = difference_bins(_extreme(difference, block))
    return Picture(bins, colour(bins, colours), (), difference, block, grid)


def _extreme(difference: NDArray[np.float32], block: int) -> NDArray[np.float32]:
    if block == 1:
        return difference
    height, width = (-(-side // block) for side in difference.shape)
    padded = np.full((height * block, width * block), np.nan, np.float32)
    padded[: difference.shape[0], : difference.shape[1]] = difference
    blocks = padded.reshape(height, block, width, block)
    most, least = np.fmax.reduce(blocks, axis=(1, 3)), np.fmin.reduce(blocks, axis=(1, 3))
    return np.asarray(np.where(-least > most, least, most), np.float32)
