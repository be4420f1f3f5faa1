"""A squall line: a bowed convective edge with a trailing stratiform region, carried and turned by the flow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.synthetic.domain import Domain

Field64 = NDArray[np.float64]


@dataclass(frozen=True)
class SquallLine:
    """x, y: km in the domain, where its middle is at ``middle_min``. heading: radians, the way it faces
    (0 east, positive south). velocity: km/min east and south. turning: radians per minute."""

    x: float
    y: float
    heading: float
    velocity: tuple[float, float]
    turning: float
    length_km: float
    bow_km: float
    middle_min: float
    lifetime_min: float

    def strength(self, minutes: float) -> float:
        """Builds up and weakens around ``middle_min``."""
        age = abs(minutes - self.middle_min) / (self.lifetime_min / 2)
        return float(np.cos(np.pi / 2 * min(age, 1.0)) ** 0.8)

    def draw(self, domain: Domain, minutes: float, warp: tuple[Field64, Field64] | None = None,
             coarse: int = 1) -> tuple[Field64, Field64]:
        """(convective, stratiform) rain in relative units at every ``coarse``-th node of the domain.

        warp: km (east, south) by which the outlines are bent, at the same nodes."""
        ahead, along = self._coordinates(domain.x[None, ::coarse], domain.y[::coarse, None], minutes)
        if warp is not None:
            ahead, along = ahead + warp[0], along + warp[1]
        ends = 1.0 / (1.0 + np.exp((np.abs(along) - self.length_km / 2) / 9.0))
        front = np.where(ahead > 0, np.exp(-(ahead / 3.0) ** 2), np.exp(-np.abs(ahead / 7.5) ** 1.5))
        behind = -ahead
        # a weaker transition zone lies between the edge and the stratiform rain (Houze et al. 1989)
        shield = _step(behind, 14.0, 5.0) * (1 - _step(behind, 70.0, 16.0)) + 0.25 * _step(behind, 3.0, 2.0) * (
            1 - _step(behind, 16.0, 5.0))
        strength = self.strength(minutes)
        wide = 1.0 / (1.0 + np.exp((np.abs(along + 12.0) - 0.42 * self.length_km) / 14.0))
        return strength * ends * front, strength * wide * shield

    def _coordinates(self, east: Field64, south: Field64, minutes: float) -> tuple[Field64, Field64]:
        later = minutes - self.middle_min
        heading = self.heading + self.turning * later
        x = east - (self.x + later * self.velocity[0])
        y = south - (self.y + later * self.velocity[1])
        ahead = x * np.cos(heading) + y * np.sin(heading)
        along = y * np.cos(heading) - x * np.sin(heading)
        return ahead + self.bow_km * (2 * along / self.length_km) ** 2, along


def _step(value: Field64, at: float, width: float) -> Field64:
    return np.asarray(0.5 * (1.0 + np.tanh((value - at) / width)))
