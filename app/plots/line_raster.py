"""Contour lines into pixels, all of a frame at once: a tenth of a painter's work, and it can be kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.plots.map_view import Placement
from app.plots.styles import LineStyle
from engine.display.contours import Contour

CASING = np.uint32(0xC0000000)
OPAQUE = 0xFF000000
MARGIN = 2
LINE_WIDE = ((0, 0), (0, 1), (1, 0))
CASING_THIN = ((-1, 0), (1, 0), (0, -1), (0, 1))
CASING_WIDE = ((-1, 0), (0, -1), (-1, 1), (1, -1), (0, 2), (1, 1), (2, 0))
FAR = 1e6
"""Pixels from the pane's corner beyond which a point is as good as outside; keeps sums of lengths small."""


def line_pixels(contour: Contour, place: Placement, shape: tuple[int, int], dash: tuple[float, ...] = ()
                ) -> NDArray[np.intp]:
    """Flat indices into an image of ``shape`` (rows, columns) of the cells that the lines cross, one pixel wide.

    dash: strokes and spaces in pixels in turn, counted from each line's start; empty for a solid line.
    """
    if len(contour.xy) < 2:
        return np.empty(0, np.intp)
    height, width = shape
    x = np.clip(contour.xy[:, 0] * (place.ax * place.ratio) + place.bx * place.ratio, -FAR, FAR)
    y = np.clip(place.by * place.ratio - contour.xy[:, 1] * (place.ay * place.ratio), -FAR, FAR)
    dx, dy = np.diff(x), np.diff(y)
    steps = np.ceil(np.maximum(np.maximum(np.abs(dx), np.abs(dy)), 1e-3)).astype(np.intp)
    steps[contour.starts[1:-1] - 1] = 0  # no stroke from one line's end to the next one's start
    seen = ((np.maximum(x[:-1], x[1:]) >= 0) & (np.minimum(x[:-1], x[1:]) < width)
            & (np.maximum(y[:-1], y[1:]) >= 0) & (np.minimum(y[:-1], y[1:]) < height))
    steps[~seen] = 0
    before = np.cumsum(steps) - steps
    along = np.arange(int(steps.sum())) - np.repeat(before, steps)
    share = np.maximum(steps, 1)
    columns = np.floor(np.repeat(x[:-1], steps) + along * np.repeat(dx / share, steps)).astype(np.intp)
    rows = np.floor(np.repeat(y[:-1], steps) + along * np.repeat(dy / share, steps)).astype(np.intp)
    keep = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    if dash:
        keep &= _strokes(contour, steps, before, dash)
    return np.asarray((rows * width + columns)[keep], np.intp)


def _strokes(contour: Contour, steps: NDArray[np.intp], before: NDArray[np.intp], dash: tuple[float, ...]
             ) -> NDArray[np.bool_]:
    """Which of the pixels of a dashed line are drawn."""
    lengths = [max(1, round(length)) for length in dash]
    pattern = np.concatenate([np.full(length, place % 2 == 0) for place, length in enumerate(lengths)])
    line_starts = np.append(before, before[-1] + steps[-1])[np.minimum(contour.starts[:-1], len(steps))]
    lines = np.diff(np.append(line_starts, int(steps.sum())))
    return np.asarray(pattern[(np.arange(int(steps.sum())) - np.repeat(line_starts, lines)) % len(pattern)], np.bool_)


def rasterised(contours: tuple[Contour, ...], styles: tuple[LineStyle, ...], place: Placement, *, wide: bool
               ) -> NDArray[np.uint32]:
    """Premultiplied ARGB with a dark casing of one pixel round every line, and MARGIN pixels of waste on all sides of
    the pane: (h + 2 MARGIN, w + 2 MARGIN). wide: two pixels instead of one; later contours lie over earlier ones."""
    height, width = round(place.height * place.ratio), round(place.width * place.ratio)
    pixels = np.zeros((height + 2 * MARGIN, width + 2 * MARGIN), np.uint32)
    flat, line = pixels.reshape(-1), width + 2 * MARGIN
    strokes = [_moved(line_pixels(contour, place, (height, width), style.dash), width)
               for contour, style in zip(contours, styles, strict=False)]
    everything = np.concatenate(strokes) if strokes else np.empty(0, np.intp)
    for row, column in CASING_WIDE if wide else CASING_THIN:
        flat[everything + (row * line + column)] = CASING
    for stroke, style in zip(strokes, styles, strict=False):
        colour = OPAQUE | int(style.colour.lstrip("#"), 16)
        for row, column in LINE_WIDE if wide else ((0, 0),):
            flat[stroke + (row * line + column)] = colour
    return pixels


def _moved(flat: NDArray[np.intp], width: int) -> NDArray[np.intp]:
    """The same pixels in an image with a margin all round."""
    rows = flat // width
    return flat + rows * (2 * MARGIN) + (MARGIN * (width + 2 * MARGIN) + MARGIN)
