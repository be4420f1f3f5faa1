"""The grids of DWD's RADOLAN composites: polar stereographic, hung from the point 9 E 51 N.

After "RADOLAN/RADVOR-OP Kompositformat" (Deutscher Wetterdienst): true at 60 N, central meridian 10 E; on a sphere of
6370.04 km up to format version 4, on the WGS84 ellipsoid from version 5 on. The reference point lies on a corner of
cells; every grid has its own distance from there to its lower left corner.
"""

from __future__ import annotations

from functools import lru_cache

from engine.archives.projections import project
from engine.radar.grid import Grid

SPHERE = "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=10 +R=6370040 +units=m +no_defs"
ELLIPSOID = "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=10 +ellps=WGS84 +units=m +no_defs"
FIRST_ELLIPSOID_VERSION = 5

_GRIDS = {
    (900, 900): (450, 450, 1.0),
    (1100, 900): (370, 550, 1.0),
    (1200, 1100): (470, 600, 1.0),
    (1500, 1400): (600, 800, 1.0),
    (4800, 4400): (470, 600, 0.25),
    (460, 460): (460, 460, 2.0),
    (230, 230): (460, 460, 4.0),
}
"""(rows, columns): km from the reference point to the western and the southern edge, km of a cell."""


@lru_cache(maxsize=32)
def radolan_grid(shape: tuple[int, int], ellipsoid: bool) -> Grid:
    """Grid of (rows, columns). Raises ValueError for a size that DWD does not use."""
    if shape not in _GRIDS:
        known = ", ".join(f"{rows} x {columns}" for rows, columns in _GRIDS)
        raise ValueError(f"its grid of {shape[0]} x {shape[1]} has no known place (known: {known})")
    west, south, cell = _GRIDS[shape]
    crs = ELLIPSOID if ellipsoid else SPHERE
    x, y = project(crs, 9.0, 51.0)
    return Grid.regular(left=x - west * 1000.0, top=y + (shape[0] * cell - south) * 1000.0, dx=cell * 1000.0,
                        dy=cell * 1000.0, nx=shape[1], ny=shape[0], crs=crs)


def grid_at(shape: tuple[int, int], left: float, bottom: float, cell: float) -> Grid | None:
    """The RADOLAN grid of that size whose lower left corner is there, to 10 m; None if there is none."""
    for ellipsoid in (False, True):
        if shape in _GRIDS:
            grid = radolan_grid(shape, ellipsoid)
            if max(abs(grid.extent[0] - left), abs(grid.extent[2] - bottom), abs(grid.dx - cell)) < 10:
                return grid
    return None
