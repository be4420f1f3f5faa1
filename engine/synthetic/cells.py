"""Convective cells: born in families, carried by the flow, growing and dying within 45 to 120 minutes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.synthetic.domain import Domain

Field64 = NDArray[np.float64]

REACH = 6.0
"""Cells are drawn out to this many radii."""


@dataclass(eq=False)
class Cell:
    """x, y: km in the domain. radius: km along the short axis. stretch: long axis over short one."""

    x: float
    y: float
    born_min: float
    lifetime_min: float
    peak: float
    radius: float
    stretch: float
    angle: float

    def strength(self, minutes: float) -> float:
        """Grows faster than it decays; 0 before birth and after death."""
        age = (minutes - self.born_min) / self.lifetime_min
        return float(np.sin(np.pi * age**0.75) ** 2) if 0 < age < 1 else 0.0


@dataclass(eq=False)
class Population:
    """All living cells. ``rate`` is the number of families founded per hour and 10 000 km^2."""

    domain: Domain
    rng: np.random.Generator
    rate: float = 0.9
    cells: list[Cell] = field(default_factory=list)

    def advance(self, minutes: float, step: float, wind: tuple[Field64, Field64], favour: Field64) -> None:
        """Carries the cells, buries the dead, lets new ones be born until ``minutes + step``.

        wind: (east, south) km/min on the domain. favour: 0 and more at the nodes
        of a coarser grid over the same domain, where families are likely to be founded."""
        for cell in self.cells:
            row, column = self._node(cell.x, cell.y)
            cell.x += float(wind[0][row, column]) * step
            cell.y += float(wind[1][row, column]) * step
            cell.angle -= 0.5 * self._spin(wind, row, column) * step
        self.cells = [cell for cell in self.cells if minutes < cell.born_min + cell.lifetime_min]
        self._daughters(minutes, step, wind)
        high, wide = self.domain.size_km
        founded = self.rng.poisson(self.rate * high * wide / 1e4 * step / 60.0)
        chance = np.cumsum(favour.ravel())
        for place in np.searchsorted(chance, self.rng.random(founded) * chance[-1]):
            row, column = divmod(int(place), favour.shape[1])
            self._birth((column + self.rng.uniform(-0.5, 0.5)) * wide / favour.shape[1],
                        (row + self.rng.uniform(-0.5, 0.5)) * high / favour.shape[0], minutes, step)

    def _daughters(self, minutes: float, step: float, wind: tuple[Field64, Field64]) -> None:
        for parent in list(self.cells):
            if parent.strength(minutes) < 0.5 or self.rng.random() > step / 45.0:
                continue
            row, column = self._node(parent.x, parent.y)
            ahead = np.arctan2(wind[1][row, column], wind[0][row, column])
            side = ahead + self.rng.normal(np.pi / 2, 0.8)
            far = parent.radius * self.rng.uniform(1.2, 3.0)
            self._birth(parent.x + far * float(np.cos(side)), parent.y + far * float(np.sin(side)), minutes, step)

    def _birth(self, x: float, y: float, minutes: float, step: float) -> None:
        draw = self.rng
        self.cells.append(Cell(
            x, y, minutes + float(draw.uniform(0.0, step)), float(draw.uniform(45.0, 120.0)),
            float(draw.lognormal(0.0, 0.75)), float(np.clip(draw.lognormal(1.25, 0.4), 1.3, 7.0)),
            float(draw.uniform(1.0, 2.3)), float(draw.uniform(0.0, np.pi))))

    def _node(self, x: float, y: float) -> tuple[int, int]:
        step = self.domain.pixel_km
        return round(y / step) % self.domain.shape[0], round(x / step) % self.domain.shape[1]

    def _spin(self, wind: tuple[Field64, Field64], row: int, column: int) -> float:
        """Vorticity (1/min) on a map whose second axis points south; positive turns anticlockwise."""
        rows, columns = self.domain.shape
        far = max(1, round(8.0 / self.domain.pixel_km))
        across = 2 * far * self.domain.pixel_km
        north = wind[0][(row - far) % rows, column] - wind[0][(row + far) % rows, column]
        east = wind[1][row, (column + far) % columns] - wind[1][row, (column - far) % columns]
        return float(-east - north) / across

    def draw(self, minutes: float, warp: tuple[Field64, Field64]) -> Field64:
        """The cells' rain in relative units. warp: km (east, south) by which their outlines are bent."""
        field_ = np.zeros(self.domain.shape)
        for cell in self.cells:
            strength = cell.strength(minutes)
            if strength > 0.02:
                self._draw_one(field_, cell, strength, warp)
        return field_

    def _draw_one(self, field_: Field64, cell: Cell, strength: float, warp: tuple[Field64, Field64]) -> None:
        radius = cell.radius * (0.55 + 0.45 * strength)
        step = self.domain.pixel_km
        half = int(np.ceil(REACH * radius * cell.stretch / step)) + 3
        row, column = round(cell.y / step), round(cell.x / step)
        top, left = max(row - half, 0), max(column - half, 0)
        part = (slice(top, max(row + half + 1, top)), slice(left, max(column + half + 1, left)))
        bent_x, bent_y = warp[0][part], warp[1][part]
        if bent_x.size == 0:
            return
        x = (left + np.arange(bent_x.shape[1])) * step - cell.x + bent_x
        y = (top + np.arange(bent_x.shape[0]))[:, None] * step - cell.y + bent_y
        along = (x * np.cos(cell.angle) + y * np.sin(cell.angle)) / (radius * cell.stretch)
        across = (y * np.cos(cell.angle) - x * np.sin(cell.angle)) / radius
        far = np.sqrt(along**2 + across**2)
        # rain cells fall off exponentially from their cores (Capsoni et al. 1987), smoothly to nothing here
        core, skirt = np.exp(-1.35 * far**1.3), 0.05 * np.exp(-(far / 3.0) ** 2)
        profile = (core + skirt) * np.clip((REACH - far) / (0.5 * REACH), 0.0, 1.0)
        field_[part] += cell.peak * strength * profile
