"""Fields that do not change with time (land and sea, elevation) and how they come onto a radar's grid."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.radar.grid import Grid

ELEVATION = "elevation"
LAND_SEA = "land_sea_mask"
LAND_AROUND = "land_around"
"""Share of land in the square of 50 km around a cell."""


@dataclass(frozen=True, eq=False)
class StaticField:
    """name: :data:`ELEVATION` (m above sea level), :data:`LAND_SEA` (1 land, 0 sea) or another.

    values: (ny, nx) float32 on ``grid``, row 0 in the north, NaN = no data. unit: "m", "1", ...
    """

    name: str
    values: NDArray[np.float32]
    unit: str
    source: str
    grid: Grid

    def __post_init__(self) -> None:
        if self.values.shape != self.grid.shape:
            raise ValueError(f"{self.name}: a field of {self.values.shape} on a grid of {self.grid.shape}")


def regridded(field: StaticField, grid: Grid) -> StaticField:
    """Bilinear between cell centres, for a grid in the same projection (as MeteoNet's 0.025 to 0.01 degrees);
    NaN outside and beside no data. Raises ValueError where the projections differ."""
    if field.grid.crs != grid.crs and field.grid.projection != grid.projection:
        raise ValueError(f"{field.name} is in another projection than the radar")
    rows, down = _places(-field.grid.y, -grid.y)
    columns, right = _places(field.grid.x, grid.x)
    wide = field.values[:, columns] * (1 - right) + field.values[:, columns + 1] * right
    values = wide[rows] * (1 - down[:, None]) + wide[rows + 1] * down[:, None]
    return replace(field, values=values.astype(np.float32), grid=grid)


def _places(known: NDArray[np.float64], wanted: NDArray[np.float64]
            ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """For each wanted place the known one before it and the share of the way to the next; NaN outside."""
    before = np.clip(np.searchsorted(known, wanted, side="right") - 1, 0, known.size - 2)
    share = (wanted - known[before]) / (known[before + 1] - known[before])
    share[(share < -1e-6) | (share > 1 + 1e-6)] = np.nan
    return before, np.clip(share, 0.0, 1.0)
