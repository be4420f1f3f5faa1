"""From polar sweeps to maps: CAPPI, lowest sweep and column maximum on a grid about the radar.

Beams bend as over an Earth of 4/3 its radius (Doviak and Zrnić 1993, Doppler Radar and Weather Observations,
eq. 2.28). The map is azimuthal equidistant about the site, so that a cell's distance and bearing are the great
circle's. A cell takes the nearest gate of the nearest ray; between two beams dBZ is interpolated linearly in height.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.radar.grid import Grid
from engine.radar.sequence import Field

Floats = NDArray[np.float64]

EARTH_RADIUS_M = 6_371_000.0
EFFECTIVE_RADIUS_M = EARTH_RADIUS_M * 4.0 / 3.0
PRODUCTS = ("cappi", "lowest", "max")
DEFAULT_RANGE_KM = 250.0
"""Maps reach no further unless it is asked for: a beam of 0.5 degrees is 6 km high there."""
MAX_SIDE = 2000
"""Cells along a side of a map."""
SAME_ELEVATION = 0.05
"""Sweeps that lie this close (degrees) are one; the one that reaches further is taken."""
_OUTSIDE = -1


@dataclass(frozen=True)
class PolarOptions:
    """How polar data become maps.

    product: ``cappi`` (at ``height_m`` above sea level; where no beam is that low the lowest, where none is that
    high the highest), ``lowest`` (the lowest sweep) or ``max`` (the largest value of the column). height_m: 0 to
    20000. pixel_km: 0.05 to 20. max_range_km: half the width of the map; None takes the range of the lowest sweep,
    250 km at most. Raises ValueError.
    """

    product: str = "cappi"
    height_m: float = 2000.0
    pixel_km: float = 1.0
    max_range_km: float | None = None

    def __post_init__(self) -> None:
        if self.product not in PRODUCTS:
            raise ValueError(f"a product of polar data is one of {', '.join(PRODUCTS)}, not '{self.product}'")
        if not 0 <= self.height_m <= 20_000:
            raise ValueError(f"the height must lie between 0 and 20000 m, not at {self.height_m:g} m")
        if not 0.05 <= self.pixel_km <= 20:
            raise ValueError(f"the pixel size must lie between 0.05 and 20 km, not at {self.pixel_km:g} km")
        if self.max_range_km is not None and not 1 <= self.max_range_km <= 1000:
            raise ValueError(f"the range must lie between 1 and 1000 km, not at {self.max_range_km:g} km")

    def __str__(self) -> str:
        if self.product == "cappi":
            return f"CAPPI {self.height_m / 1000:g} km"
        return "lowest sweep" if self.product == "lowest" else "column maximum"


@dataclass(frozen=True)
class Site:
    """Where the antenna is: degrees (WGS84), metres above sea level."""

    lon: float
    lat: float
    height_m: float = 0.0

    def __post_init__(self) -> None:
        if not (abs(self.lon) <= 360 and abs(self.lat) <= 90 and -500 <= self.height_m <= 9000):
            raise ValueError(f"no radar can stand at {self.lon:g} E {self.lat:g} N, {self.height_m:g} m")


@dataclass(frozen=True, eq=False)
class Sweep:
    """One turn of the antenna.

    elevation: degrees. azimuth: (rays,) degrees clockwise from north, beam centres, in any order.
    first_m, spacing_m: slant range of the first gate's centre, and from gate to gate.
    values: (rays, gates) float32 dBZ; NaN = no data, no echo is a number.
    """

    elevation: float
    azimuth: Floats
    first_m: float
    spacing_m: float
    values: Field

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.azimuth.shape != self.values.shape[:1] or not self.values.size:
            raise ValueError(f"a sweep of {self.values.shape} with {self.azimuth.shape} azimuths")
        if not -10 <= self.elevation <= 91:
            raise ValueError(f"a sweep at {self.elevation:g} degrees")
        if not (0 < self.spacing_m < 1e5 and -1e5 < self.first_m < 1e6 and np.isfinite(self.azimuth).all()):
            raise ValueError("a sweep with absurd gates or azimuths")

    @property
    def reach_m(self) -> float:
        """Ground distance of the last gate's far edge."""
        return reach(self.elevation, self.first_m, self.spacing_m, self.values.shape[1])


def beam_height(slant_m: Floats | float, elevation: float, site_height_m: float = 0.0) -> Floats:
    """Metres above sea level of the beam's axis (Doviak and Zrnić 1993, eq. 2.28b)."""
    r, radius = np.asarray(slant_m, np.float64), EFFECTIVE_RADIUS_M
    rise = 2.0 * r * radius * math.sin(math.radians(elevation))
    return np.asarray(np.sqrt(r * r + radius * radius + rise) - radius + site_height_m)


def ground_distance(slant_m: Floats | float, elevation: float) -> Floats:
    """Metres along the Earth below the beam (Doviak and Zrnić 1993, eq. 2.28c)."""
    r = np.asarray(slant_m, np.float64)
    return np.asarray(EFFECTIVE_RADIUS_M * np.arcsin(
        np.clip(r * math.cos(math.radians(elevation)) / (EFFECTIVE_RADIUS_M + beam_height(r, elevation)), -1, 1)))


def slant_range(ground_m: NDArray[np.floating] | float, elevation: float) -> Floats:
    """The way back, by the law of sines in the triangle of Earth's centre, antenna and gate; inf where the beam
    never gets there."""
    angle = np.asarray(ground_m, np.float64) / EFFECTIVE_RADIUS_M
    tilted = np.cos(math.radians(elevation) + angle)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(tilted > 1e-9, EFFECTIVE_RADIUS_M * np.sin(angle) / tilted, np.inf)


def reach(elevation: float, first_m: float, spacing_m: float, gates: int) -> float:
    """Ground distance (m) of the far edge of the last gate."""
    return float(ground_distance(first_m + (gates - 0.5) * spacing_m, elevation))


def map_grid(site: Site, reach_m: float, options: PolarOptions) -> Grid:
    """The map about a site: an even number of cells a side, the antenna where the four middle ones meet.

    Raises ValueError where it had more than 2000 cells a side.
    """
    half_km = options.max_range_km or min(reach_m / 1000.0, DEFAULT_RANGE_KM)
    half = max(1, math.ceil(half_km / options.pixel_km - 1e-6))
    if 2 * half > MAX_SIDE:
        raise ValueError(f"a map of {2 * half} x {2 * half} cells of {options.pixel_km:g} km is too large; "
                         f"{MAX_SIDE} cells a side are the most")
    cell = options.pixel_km * 1000.0
    crs = f"+proj=aeqd +lat_0={site.lat:.9g} +lon_0={site.lon:.9g} +x_0=0 +y_0=0 +ellps=WGS84 +units=m +no_defs"
    return Grid.regular(left=-half * cell, top=half * cell, dx=cell, dy=cell, nx=2 * half, ny=2 * half, crs=crs)


def grid_volume(sweeps: Sequence[Sweep], grid: Grid, site_height_m: float, options: PolarOptions) -> Field:
    """The product on the grid: (ny, nx) float32 dBZ, row 0 in the north, NaN beyond range and where no data are.

    sweeps: at least one, in any order. Raises ValueError.
    """
    if not sweeps:
        raise ValueError("a volume without sweeps")
    ordered = distinct(sweeps)
    place = _Place(grid.shape[0], grid.dx)
    if options.product == "lowest":
        return _sample(ordered[0], place)
    if options.product == "max":
        out = _sample(ordered[0], place)
        for sweep in ordered[1:]:
            np.fmax(out, _sample(sweep, place), out=out)
        return out
    return _cappi(ordered, place, options.height_m - site_height_m)


def distinct(sweeps: Sequence[Sweep]) -> list[Sweep]:
    """Rising elevations; of those that lie together (split cuts) the one that reaches furthest."""
    out: list[Sweep] = []
    for sweep in sorted(sweeps, key=lambda s: (s.elevation, -s.reach_m)):
        if out and sweep.elevation - out[-1].elevation < SAME_ELEVATION:
            if sweep.reach_m > out[-1].reach_m:
                out[-1] = sweep
        else:
            out.append(sweep)
    return out


# --- look-up tables, kept so that a sequence of volumes is gridded fast ----------------------------------------

@dataclass(frozen=True)
class _Place:
    """A square map about the antenna: cells a side and their size in metres."""

    side: int
    cell_m: float


@dataclass(frozen=True)
class _Beam:
    """A sweep without its values: what tables depend on."""

    elevation: float
    first_m: float
    spacing_m: float
    gates: int


def _beam(sweep: Sweep) -> _Beam:
    return _Beam(sweep.elevation, sweep.first_m, sweep.spacing_m, sweep.values.shape[1])


@lru_cache(maxsize=2)
def _polar(place: _Place) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Distance (m) and bearing (degrees, 0 to 360) of every cell centre from the antenna."""
    axis = (np.arange(place.side) + 0.5 - place.side / 2) * place.cell_m
    x, y = axis[None, :], -axis[:, None]
    bearing = np.degrees(np.arctan2(x, y)) % 360.0
    return np.hypot(x, y).astype(np.float32), bearing.astype(np.float32)


@lru_cache(maxsize=24)
def _gates(beam: _Beam, place: _Place) -> NDArray[np.int32]:
    """The gate above every cell, -1 where the beam does not reach."""
    slant = slant_range(_polar(place)[0], beam.elevation)
    with np.errstate(invalid="ignore"):
        gate = np.floor((slant - beam.first_m) / beam.spacing_m + 0.5)
        inside = (gate >= 0) & (gate < beam.gates)
    return np.where(inside, gate, _OUTSIDE).astype(np.int32)


@lru_cache(maxsize=24)
def _rays(azimuths: bytes, place: _Place) -> NDArray[np.int32]:
    """The ray whose centre is nearest to every cell's bearing, -1 in gaps wider than one and a half rays."""
    azimuth = np.frombuffer(azimuths, np.float64) % 360.0
    order = np.argsort(azimuth, kind="stable")
    rising = azimuth[order]
    ring = np.concatenate([rising[-1:] - 360.0, rising, rising[:1] + 360.0])
    index = np.concatenate([order[-1:], order, order[:1]])
    edges = (ring[:-1] + ring[1:]) / 2
    bearing = _polar(place)[1]
    nearest = np.searchsorted(edges, bearing, side="right")
    width = max(float(np.median(np.diff(rising))) if rising.size > 1 else 1.0, 0.1)
    far = np.abs(ring[nearest] - bearing) > 0.75 * width
    return np.where(far, _OUTSIDE, index[nearest]).astype(np.int32)


@lru_cache(maxsize=2)
def _levels(beams: tuple[_Beam, ...], place: _Place, height_m: float
            ) -> tuple[NDArray[np.int16], NDArray[np.int16], NDArray[np.float32]]:
    """(beam below, beam above, weight of the one above) for a height above the antenna; -1 where there is none."""
    distance = _polar(place)[0]
    below = np.full(distance.shape, _OUTSIDE, np.int16)
    above = np.full(distance.shape, _OUTSIDE, np.int16)
    low = np.zeros(distance.shape, np.float32)
    high = np.zeros(distance.shape, np.float32)
    for number, beam in enumerate(beams):
        height = beam_height(np.minimum(slant_range(distance, beam.elevation), 1e7), beam.elevation)
        reaches = _gates(beam, place) != _OUTSIDE
        under = reaches & (height <= height_m)
        below[under], low[under] = number, height[under]
        first = reaches & (height > height_m) & (above == _OUTSIDE)
        above[first], high[first] = number, height[first]
    both = (below != _OUTSIDE) & (above != _OUTSIDE)
    weight = np.where(above != _OUTSIDE, np.float32(1), np.float32(0))
    weight[both] = (height_m - low[both]) / (high[both] - low[both])
    return below, above, weight


def _sample(sweep: Sweep, place: _Place, where: NDArray[np.bool_] | None = None) -> Field:
    """The sweep's values at the cells (at those of ``where``, flat, if it is given)."""
    gate, ray = _gates(_beam(sweep), place), _rays(np.asarray(sweep.azimuth, np.float64).tobytes(), place)
    if where is not None:
        gate, ray = gate[where], ray[where]
    out = sweep.values[ray, gate].astype(np.float32, copy=False)
    out[(gate == _OUTSIDE) | (ray == _OUTSIDE)] = np.nan
    return out


def _cappi(sweeps: Sequence[Sweep], place: _Place, height_m: float) -> Field:
    """Where one of the two beams has no data, the other counts alone."""
    below, above, weight = _levels(tuple(_beam(sweep) for sweep in sweeps), place, height_m)
    under = np.full(below.shape, np.nan, np.float32)
    over = np.full(below.shape, np.nan, np.float32)
    for number, sweep in enumerate(sweeps):
        for wanted, out in ((below, under), (above, over)):
            cells = wanted == number
            if cells.any():
                out[cells] = _sample(sweep, place, cells)
    mixed = under + weight * (over - under)
    return np.where(np.isnan(over), under, np.where(np.isnan(under), over, mixed))
