"""The corners of a region as a line of numbers, so that a polygon can be given without a mouse."""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QLineEdit

from engine.radar.grid import Grid
from engine.radar.region import OUTLINE, Region

FEWEST = 3


class Corners(QLineEdit):
    """``52.10 4.90; 52.30 5.10; 52.00 5.30``: latitude and longitude of each corner, or y and x where nobody knows
    where the map lies. edited: another polygon was given. wrong: a sentence about what is not understood."""

    edited = Signal(object)
    wrong = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._grid: Grid | None = None
        self._located = False
        self.setAccessibleName("Region: corners")
        self.setToolTip("Latitude and longitude of each corner, corners apart by semicolons; Enter takes them as a "
                        "polygon")
        self.editingFinished.connect(self._take)

    def show_region(self, region: Region, grid: Grid, located: bool) -> None:
        """What is being typed is left alone."""
        self._grid, self._located = grid, located
        if region.kind == OUTLINE or (self.hasFocus() and self.isModified()):
            return
        corners = np.concatenate(list(region.rings))
        if located:
            lon, lat = grid.lonlat(corners[:, 0], corners[:, 1])
            words = [f"{y:.4f} {x:.4f}" for x, y in zip(lon, lat, strict=True)]
        else:
            words = [f"{y:.6g} {x:.6g}" for x, y in corners]
        self.setText("; ".join(words))
        self.setCursorPosition(0)

    def _take(self) -> None:
        if not self.isModified() or self._grid is None:
            return
        try:
            corners = self._in_grid(parsed(self.text()), self._grid)
        except ValueError as problem:
            self.wrong.emit(str(problem))
            return
        self.setModified(False)
        self.edited.emit(Region.polygon(corners))

    def _in_grid(self, corners: list[tuple[float, float]], grid: Grid) -> list[tuple[float, float]]:
        """(x, y) of corners (y, x) as they are written."""
        if not self._located:
            return [(x, y) for y, x in corners]
        lat, lon = np.array(corners).T
        xs, ys = grid.from_lonlat(lon, lat)
        if not (np.isfinite(xs).all() and np.isfinite(ys).all()):
            raise ValueError("The map's projection does not reach all of these corners.")
        return [(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]


def parsed(text: str) -> list[tuple[float, float]]:
    """Pairs as they are written, latitude first. Raises ValueError with a sentence."""
    corners = []
    for part in filter(str.strip, text.split(";")):
        try:
            first, second = map(float, part.replace(",", " ").split())
        except ValueError:
            raise ValueError(f"'{part.strip()}' is no corner such as 52.10 4.90.") from None
        if not (math.isfinite(first) and math.isfinite(second)):
            raise ValueError(f"'{part.strip()}' is no corner such as 52.10 4.90.")
        corners.append((first, second))
    if len(corners) < FEWEST:
        raise ValueError("A polygon has at least three corners, apart by semicolons.")
    return corners
