"""Ground clutter, sun spikes and weak noise, as the HKO-7 benchmark removes them (Shi et al. 2017, appendix D.2).

Outlier locations: the feature of a location is the share of its frames in which its pixel has the value 1, 2, ...
255. A location whose Mahalanobis distance from the mean of all features (pseudo-inverse of their covariance) is
more than the mean distance plus three standard deviations is an outlier. Weak echo: pixels above 0 and below 71
become no echo. A pixel is ``round(255 (dBZ + 10) / 70)``, so that 70 and less is below 9.35 dBZ: 0.29 mm/h with
Hong Kong's Z-R pair, 0.14 mm/h with Marshall and Palmer's.
"""

from __future__ import annotations

import json
import logging
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import NotEnoughInput, UnreadableInput, WrongUsage
from engine.radar.grid import Grid
from engine.radar.operations import derived, source_frame
from engine.radar.scaling import pixel_of_dbz
from engine.radar.sequence import Field, FrameRef, Layout, RadarSequence
from engine.radar.units import NO_ECHO_DBZ, ZR, Quantity

log = logging.getLogger(__name__)

VALUES = 255
"""Features of a location: one for each pixel value but 0."""
WEAK_PIXEL = 71
WEAK_DBZ = (WEAK_PIXEL - 0.5) / 255 * 70 - 10
"""Echo below this rounds to a pixel below 71."""
FEWEST_FRAMES = 2
COUNT_BYTES = 512 * 1024**2
_CELLS_AT_ONCE = 4096
_OUTLIER, _OUTSIDE, _EXCLUDE = "outlier_mask", "out_boundary_mask", "exclude_mask"
_MOST_MASK = 400_000_000

Check = Callable[[float, str], None]


@dataclass(frozen=True, eq=False)
class OutlierMask:
    """outliers, outside: (ny, nx) bool; outside: never any data there. threshold: of the distance, NaN where the
    mask comes from a file that does not say. grid: None where not known."""

    outliers: NDArray[np.bool_]
    outside: NDArray[np.bool_]
    frames: int = 0
    threshold: float = float("nan")
    grid: Grid | None = None

    @property
    def excluded(self) -> NDArray[np.bool_]:
        """(ny, nx): outliers and what is outside, as :func:`masked` takes it."""
        return self.outliers | self.outside


def pixels(values: Field, layout: Layout) -> NDArray[np.uint8]:
    """Native values to pixels 0 to 255 by the HKO-7 law; no data becomes 0."""
    dbz = layout.zr.dbz(values) if layout.quantity is Quantity.RAIN_RATE else values
    part = np.clip(np.nan_to_num(pixel_of_dbz(dbz)), 0.0, 1.0)
    return np.asarray(np.rint(part * np.float32(255.0)), np.uint8)


@dataclass(frozen=True, eq=False)
class _Counts:
    """counts: (cells, 255) of one band of rows. valid: (cells,) frames with data."""

    rows: slice
    counts: NDArray[np.unsignedinteger]
    valid: NDArray[np.uint32]

    def features(self) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
        """(cells, their shares (n, 255)) of the cells with data, a few thousand at a time."""
        cells = np.flatnonzero(self.valid)
        for start in range(0, cells.size, _CELLS_AT_ONCE):
            part = cells[start:start + _CELLS_AT_ONCE]
            yield part, self.counts[part] / self.valid[part, None].astype(np.float64)


def outlier_mask(sequence: RadarSequence, check: Check = lambda fraction, text: None,
                 memory: int = COUNT_BYTES) -> OutlierMask:
    """The outlier locations of an archive. check: told how far it is, may raise; asked several times a second.

    Counts take 255 small integers a cell. Where all of them need more than ``memory`` bytes the grid is counted
    in bands of rows, and the archive is read twice for each band. Raises NotEnoughInput, UnreadableInput.
    """
    if len(sequence) < FEWEST_FRAMES:
        raise NotEnoughInput(f"{sequence.name}: one frame is not enough to tell noise from rain.",
                             advice="Choose an archive of many frames, best of many days.")
    bands = _bands(sequence, memory)
    passes = len(bands) * (1 if len(bands) == 1 else 2)
    first = (_count(sequence, rows, partial(_share, check, k, passes)) for k, rows in enumerate(bands))
    kept = list(first) if len(bands) == 1 else None
    cells, mean, spread = _moments(kept or first, check)
    if cells <= VALUES:
        log.info("%d locations for %d features", cells, VALUES)
    inverse = np.linalg.pinv(spread, rcond=VALUES * np.finfo(float).eps, hermitian=True)
    again = (_count(sequence, rows, partial(_share, check, len(bands) + k, passes)) for k, rows in enumerate(bands))
    distance = np.full(sequence.grid.shape, np.nan)
    for band in kept or again:
        flat = np.full(band.valid.size, np.nan)
        for part, features in band.features():
            check(0.99, "measuring distances")
            off = features - mean
            flat[part] = np.sqrt(np.maximum(np.einsum("ij,ij->i", off @ inverse, off), 0.0))
        distance[band.rows] = flat.reshape(-1, sequence.grid.shape[1])
    outside = np.isnan(distance)
    threshold = float(distance[~outside].mean() + 3 * distance[~outside].std())
    with np.errstate(invalid="ignore"):
        return OutlierMask(distance > threshold, outside, len(sequence), threshold, sequence.grid)


def _share(check: Check, number: int, passes: int, fraction: float) -> None:
    check(0.98 * (number + fraction) / passes, "counting pixel values")


def _bands(sequence: RadarSequence, memory: int) -> list[slice]:
    ny, nx = sequence.grid.shape
    rows = max(1, memory // (nx * VALUES * _counter(len(sequence)).itemsize))
    return [slice(start, min(ny, start + rows)) for start in range(0, ny, rows)]


def _counter(frames: int) -> np.dtype[np.unsignedinteger]:
    return np.dtype(np.uint8 if frames < 1 << 8 else np.uint16 if frames < 1 << 16 else np.uint32)


def _count(sequence: RadarSequence, rows: slice, check: Callable[[float], None]) -> _Counts:
    """Counts of one band over the whole archive; unreadable frames are passed over."""
    nx, total = sequence.grid.shape[1], len(sequence)
    cells = (rows.stop - rows.start) * nx
    counts = np.zeros((cells, VALUES), _counter(total))
    valid = np.zeros(cells, np.uint32)
    flat = counts.reshape(-1)
    for index in range(total):
        check(index / total)
        try:
            values = source_frame(sequence, index, sequence.layout)[rows]
        except UnreadableInput as problem:
            log.warning("left out of the mask: %s", problem)
            continue
        valid += ~np.isnan(values).reshape(-1)
        pixel = pixels(values, sequence.layout).reshape(-1)
        echo = np.flatnonzero(pixel)
        flat[echo * VALUES + (pixel[echo].astype(np.intp) - 1)] += 1  # a cell has one value a frame
    return _Counts(rows, counts, valid)


def _moments(bands: list[_Counts] | Iterator[_Counts], check: Check
             ) -> tuple[int, NDArray[np.float64], NDArray[np.float64]]:
    """(locations, mean, covariance) of the features, gathered a few thousand locations at a time.

    Sums are taken around a first guess of the mean, so that nothing is lost where they are subtracted.
    """
    count, guess = 0, np.zeros(VALUES)
    total, products = np.zeros(VALUES), np.zeros((VALUES, VALUES))
    for band in bands:
        for _, features in band.features():
            check(0.98, "gathering the covariance")
            if count == 0:
                guess = features.mean(axis=0)
            off = features - guess
            total += off.sum(axis=0)
            products += off.T @ off
            count += off.shape[0]
    if count < 2:
        raise NotEnoughInput("There is no data in this archive from which noise could be told.")
    shift = total / count
    return count, guess + shift, (products - count * np.outer(shift, shift)) / (count - 1)


@dataclass(frozen=True, eq=False)
class _Masked:
    source: RadarSequence
    mask: NDArray[np.bool_] | None
    clutter_filter: bool

    def __call__(self, ref: FrameRef, layout: Layout) -> Field:
        values = source_frame(self.source, ref.key, layout).copy()
        if self.clutter_filter:
            _drop_weak(values, layout)
        if self.mask is not None:
            values[self.mask] = np.nan
        return values


def _drop_weak(values: Field, layout: Layout) -> None:
    limit, nothing = WEAK_DBZ, np.float32(NO_ECHO_DBZ)
    if layout.quantity is Quantity.RAIN_RATE:
        limit, nothing = weak_rain_rate(layout.zr), np.float32(0.0)
    with np.errstate(invalid="ignore"):
        values[values < limit] = nothing


def weak_rain_rate(zr: ZR) -> float:
    """The rain rate in mm/h below which echo is taken for clutter."""
    return float(zr.rain_rate(np.array([WEAK_DBZ], np.float32))[0])


def masked(sequence: RadarSequence, mask: NDArray[np.bool_] | None, clutter_filter: bool = True) -> RadarSequence:
    """Cells of ``mask`` as no data, echo below pixel 71 as no echo. Raises WrongUsage for a mask of another shape."""
    if mask is not None and mask.shape != sequence.grid.shape:
        raise WrongUsage(f"The mask has {mask.shape[0]} x {mask.shape[1]} cells, the archive "
                         f"{sequence.grid.shape[0]} x {sequence.grid.shape[1]}.")
    if mask is None and not clutter_filter:
        return sequence
    own = None if mask is None else np.array(mask, bool)
    return derived(sequence, _Masked(sequence, own, clutter_filter), replace(sequence.layout))


def write_mask(path: Path, mask: OutlierMask) -> None:
    """An npz with the three masks under the names that HKO-7's own file has, uint8, and where they belong."""
    arrays: dict[str, Any] = {} if mask.grid is None else {"x": mask.grid.x, "y": mask.grid.y}
    arrays |= {_OUTLIER: mask.outliers.astype(np.uint8), _OUTSIDE: mask.outside.astype(np.uint8),
               _EXCLUDE: mask.excluded.astype(np.uint8)}
    about = {"crs": mask.grid.crs if mask.grid else None, "frames": mask.frames, "threshold": mask.threshold}
    with path.open("wb") as file:
        np.savez_compressed(file, about=np.array(json.dumps(about)), **arrays)


def load_mask(path: Path) -> OutlierMask:
    """A mask of :func:`write_mask`, or HKO-7's ``mask_dat.npz``. Raises UnreadableInput."""
    tried = "an outlier mask"
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            _check_sizes(path, stored.zip)
            outliers, outside = (np.asarray(stored[name]) for name in (_OUTLIER, _OUTSIDE))
            about = json.loads(str(stored["about"])) if "about" in stored else {}
            grid = Grid(stored["x"], stored["y"], about.get("crs")) if {"x", "y"} <= set(stored.files) else None
            if outliers.ndim != 2 or outliers.shape != outside.shape or outliers.dtype.kind not in "bu":
                raise ValueError("its masks are no maps of one size")
            if grid is not None and grid.shape != outliers.shape:
                raise ValueError("its masks and its grid differ in size")
            return OutlierMask(outliers != 0, outside != 0, int(about.get("frames", 0)),
                               float(about.get("threshold", float("nan"))), grid)
    except (OSError, KeyError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as problem:
        raise UnreadableInput(path, str(problem) or "damaged", tried=tried) from problem


def _check_sizes(path: Path, archive: zipfile.ZipFile | None) -> None:
    if archive is None or sum(entry.file_size for entry in archive.infolist()) > 3 * _MOST_MASK:
        raise UnreadableInput(path, "it is absurdly large", tried="an outlier mask")
