"""How far and in which direction one place lies from another."""

from __future__ import annotations

import math

import numpy as np

from engine.radar.grid import Grid


def distance_and_bearing(grid: Grid, start: tuple[float, float], end: tuple[float, float]) -> tuple[float, float]:
    """Kilometres along the geodesic (WGS 84) and the bearing at the start in degrees clockwise from north, 0 to 360.

    start, end: grid coordinates. A grid without a projection is taken as a plane with north up.
    """
    if grid.projection is None:
        high, wide = grid.pixel_km
        east, north = (end[0] - start[0]) * wide / grid.dx, (end[1] - start[1]) * high / grid.dy
        return math.hypot(east, north), math.degrees(math.atan2(east, north)) % 360
    from pyproj import Geod

    lon, lat = grid.lonlat(np.array([start[0], end[0]]), np.array([start[1], end[1]]))
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        return math.nan, math.nan
    forward, _, metres = Geod(ellps="WGS84").inv(lon[0], lat[0], lon[1], lat[1])
    return metres / 1000, forward % 360
