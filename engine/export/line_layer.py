"""Lines over a pane, antialiased by drawing at twice the size: contours in their styles, coasts and borders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from engine.export.layout import View
from engine.export.look import Look, SheetTheme

SUPERSAMPLING = 2
SPECK_PX = 3.0
"""Closed contours smaller than this are specks that only hide the rain."""
COAST_OPACITY = 0.8
CASING = 1.1
"""Dark margin of contours, both sides together, in pixels of a 720-line sheet."""


class ContourLike(Protocol):
    """See :class:`engine.display.contours.Contour`."""

    @property
    def threshold(self) -> float: ...
    @property
    def xy(self) -> NDArray[np.float32]: ...
    @property
    def starts(self) -> NDArray[np.int64]: ...


class MapLine(Protocol):
    """See ``engine.display.basemap.BasemapLine``: kind ("coast", "border", ...) and xy (N, 2) in grid coordinates."""

    @property
    def kind(self) -> str: ...
    @property
    def xy(self) -> NDArray[np.floating]: ...


@dataclass(frozen=True)
class Overlay:
    """Pixels that lines cover. places: flat indices into the pane. ink: (n, 3), already multiplied by its
    opacity. rest: (n, 1), what is left of the ground, 0 to 255."""

    places: NDArray[np.intp]
    ink: NDArray[np.uint16]
    rest: NDArray[np.uint16]

    def lay_on(self, pane: NDArray[np.uint8]) -> None:
        """pane: (height, width, 3), changed in place."""
        flat = pane.reshape(-1, 3)
        ground = flat[self.places].astype(np.uint16)
        flat[self.places] = (self.ink + (ground * self.rest + 127) // 255).astype(np.uint8)


class LineCanvas:
    """A pane in pixels of double size, onto which lines in grid coordinates are drawn."""

    def __init__(self, view: View, width: int, height: int, unit: float) -> None:
        self.size, self._view = (width, height), view
        self._scale = SUPERSAMPLING * unit
        self._to_px = (np.array([width / (view[1] - view[0]), height / (view[2] - view[3])]) * SUPERSAMPLING)

    def pixels(self, xy: NDArray[np.floating]) -> NDArray[np.float64]:
        """(N, 2) grid coordinates to pixels of the double-sized pane."""
        corner = np.array([self._view[0], self._view[3]])
        return np.asarray((np.asarray(xy, np.float64) - corner) * self._to_px - 0.5, np.float64)

    def blank(self) -> Image.Image:
        return Image.new("RGBA", (self.size[0] * SUPERSAMPLING, self.size[1] * SUPERSAMPLING), (0, 0, 0, 0))

    def width(self, units: float) -> int:
        return max(1, round(units * self._scale))

    def contours(self, contours: Iterable[ContourLike], look: Look) -> Overlay:
        """Lower thresholds first, so that the heavier rain lies on top."""
        image = self.blank()
        draw = ImageDraw.Draw(image)
        for contour in contours:
            style = look.style(contour.threshold)
            pattern = tuple(length * self._scale for length in style.dash)
            strokes = [stroke.ravel().tolist() for line in self._lines(contour) for stroke in dashes(line, pattern)]
            for extra, colour in ((CASING, look.theme.casing), (0.0, style.colour)):
                for stroke in strokes:
                    draw.line(stroke, fill=(*colour, 255), width=self.width(style.width + extra))
        return overlay(image)

    def _lines(self, contour: ContourLike) -> Iterator[NDArray[np.float64]]:
        if len(contour.xy) == 0:
            return
        points, starts = self.pixels(contour.xy), np.asarray(contour.starts)
        low = np.minimum.reduceat(points, starts[:-1], axis=0)
        high = np.maximum.reduceat(points, starts[:-1], axis=0)
        seen = ((high >= 0) & (low <= np.array(self.size) * SUPERSAMPLING)).all(axis=1)
        large = (high - low).max(axis=1) >= SPECK_PX * SUPERSAMPLING
        for number in np.flatnonzero(seen & large):
            yield points[starts[number]: starts[number + 1]]

    def basemap(self, lines: Sequence[MapLine], theme: SheetTheme) -> Overlay:
        """Coasts a little stronger than borders and everything else."""
        image = self.blank()
        draw = ImageDraw.Draw(image)
        drawn = [(self._basemap_width(line.kind), pieces) for line in lines for pieces in self._finite(line.xy)]
        for extra, colour in ((1.0, theme.coast_casing), (0.0, theme.coast)):
            for width, piece in drawn:
                draw.line(piece, fill=(*colour, 255), width=self.width(width + extra))
        return overlay(image, COAST_OPACITY)

    def _basemap_width(self, kind: str) -> float:
        return 1.1 if "coast" in kind else 0.7

    def _finite(self, xy: NDArray[np.floating]) -> Iterator[list[float]]:
        """Runs of points that the projection knows, as flat lists; runs out of sight are left out."""
        points = self.pixels(xy)
        good = np.isfinite(points).all(axis=1)
        for piece in np.split(points, np.flatnonzero(~good)):
            run = piece[np.isfinite(piece).all(axis=1)]
            if len(run) < 2:
                continue
            limit = np.array(self.size) * SUPERSAMPLING
            if (run.max(axis=0) >= 0).all() and (run.min(axis=0) <= limit).all():
                yield run.clip(-20_000, 20_000).ravel().tolist()


def dashes(points: NDArray[np.float64], pattern: tuple[float, ...]) -> Iterator[NDArray[np.float64]]:
    """Cuts a line (N, 2) into strokes. pattern: stroke, space, stroke, ... in pixels; () keeps it whole."""
    if not pattern:
        yield points
        return
    along = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))))
    cycles = int(along[-1] // sum(pattern)) + 1
    edges = np.concatenate(([0.0], np.cumsum(np.tile(pattern, cycles))))
    begins, ends = edges[0:-1:2], np.minimum(edges[1::2], along[-1])
    cuts = np.stack([np.interp(np.concatenate((begins, ends)), along, points[:, axis]) for axis in (0, 1)], axis=1)
    first, last = np.searchsorted(along, begins, "right"), np.searchsorted(along, ends, "left")
    count = len(begins)
    for place in range(int(np.searchsorted(begins, along[-1]))):
        yield np.concatenate((cuts[place: place + 1], points[first[place]: last[place]],
                              cuts[count + place: count + place + 1]))


def overlay(image: Image.Image, opacity: float = 1.0, shrink: int = SUPERSAMPLING) -> Overlay:
    """image: RGBA at ``shrink`` times the pane's size."""
    inked = image.convert("RGBa")
    small = np.asarray(inked.reduce(shrink) if shrink > 1 else inked)
    flat = small.reshape(-1, 4)
    places = np.flatnonzero(flat[:, 3])
    chosen = flat[places].astype(np.float32) * np.float32(opacity)
    ink = np.rint(chosen).astype(np.uint16)
    return Overlay(places, ink[:, :3], (255 - ink[:, 3:]).astype(np.uint16))
