"""Where the cells of a field lie: cell centres along both axes and the projection they are in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pyproj import CRS


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular grid, row 0 in the north.

    x: cell centres, (nx,) float64, rising, metres (degrees east where the CRS is geographic).
    y: cell centres, (ny,) float64, falling, metres (degrees north where the CRS is geographic).
    crs: anything PROJ understands (PROJ string, WKT, "EPSG:..."), or None where the archive says nothing.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    crs: str | None = None

    def __post_init__(self) -> None:
        for name, axis, sign in (("x", self.x, 1.0), ("y", self.y, -1.0)):
            if axis.ndim != 1 or axis.size < 2:
                raise ValueError(f"{name} must hold at least two cell centres, not shape {axis.shape}")
            steps = np.diff(axis) * sign
            if not (np.isfinite(axis).all() and (steps > 0).all()):
                raise ValueError(f"{name} must be finite and {'rising' if sign > 0 else 'falling'}")

    @classmethod
    def regular(cls, *, left: float, top: float, dx: float, dy: float, nx: int, ny: int,
                crs: str | None = None) -> Grid:
        """From the outer corner (left, top) and the cell sizes (all positive)."""
        x = left + dx * (np.arange(nx, dtype=np.float64) + 0.5)
        y = top - dy * (np.arange(ny, dtype=np.float64) + 0.5)
        return cls(x, y, crs)

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx)"""
        return self.y.size, self.x.size

    @property
    def dx(self) -> float:
        return float(self.x[-1] - self.x[0]) / (self.x.size - 1)

    @property
    def dy(self) -> float:
        """Cell height, positive."""
        return float(self.y[0] - self.y[-1]) / (self.y.size - 1)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Outer edges (left, right, bottom, top) in the units of the axes."""
        return (float(self.x[0]) - self.dx / 2, float(self.x[-1]) + self.dx / 2,
                float(self.y[-1]) - self.dy / 2, float(self.y[0]) + self.dy / 2)

    @cached_property
    def projection(self) -> CRS | None:
        from pyproj import CRS

        return None if self.crs is None else CRS.from_user_input(self.crs)

    @property
    def is_geographic(self) -> bool:
        return self.projection is not None and self.projection.is_geographic

    @cached_property
    def pixel_km(self) -> tuple[float, float]:
        """(dy, dx) in km; for a geographic grid the lengths at its centre."""
        if not self.is_geographic:
            return self.dy / 1000.0, self.dx / 1000.0
        from pyproj import Geod

        geod = Geod(ellps="WGS84")
        lon, lat = float(self.x[self.x.size // 2]), float(self.y[self.y.size // 2])
        _, _, wide = geod.inv(lon, lat, lon + self.dx, lat)
        _, _, high = geod.inv(lon, lat - self.dy / 2, lon, lat + self.dy / 2)
        return high / 1000.0, wide / 1000.0

    def lonlat(self, x: NDArray[np.float64], y: NDArray[np.float64]
               ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Longitudes and latitudes (WGS84 degrees) of points in grid coordinates; needs a CRS."""
        if self.projection is None:
            raise ValueError("this grid has no projection")
        lon, lat = self._to_lonlat.transform(x, y)
        return np.asarray(lon), np.asarray(lat)

    def from_lonlat(self, lon: NDArray[np.float64], lat: NDArray[np.float64]
                    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The way back: grid coordinates of longitudes and latitudes; inf where PROJ has none."""
        if self.projection is None:
            raise ValueError("this grid has no projection")
        x, y = self._to_lonlat.transform(lon, lat, direction="INVERSE")
        return np.asarray(x), np.asarray(y)

    @cached_property
    def _to_lonlat(self):  # type: ignore[no-untyped-def]
        from pyproj import Transformer

        return Transformer.from_crs(self.projection, "EPSG:4326", always_xy=True)

    def index(self, x: float, y: float) -> tuple[int, int] | None:
        """(row, column) of the cell that holds a point, None outside."""
        column = int(np.floor((x - self.extent[0]) / self.dx))
        row = int(np.floor((self.extent[3] - y) / self.dy))
        inside = 0 <= row < self.shape[0] and 0 <= column < self.shape[1]
        return (row, column) if inside else None

    def same_as(self, other: Grid) -> bool:
        """Equal cell centres to a thousandth of a cell; the CRS texts must agree in meaning."""
        if self.shape != other.shape:
            return False
        close = (np.allclose(self.x, other.x, rtol=0, atol=self.dx * 1e-3)
                 and np.allclose(self.y, other.y, rtol=0, atol=self.dy * 1e-3))
        return close and (self.crs == other.crs or self.projection == other.projection)

    def __getstate__(self) -> dict[str, object]:
        return {"x": self.x, "y": self.y, "crs": self.crs}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
