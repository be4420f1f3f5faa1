"""Scores of a part of the map without a second look at most of it.

A first pass over a pair of frames leaves, for every tile of 16 x 16 pixels, how many pixels fall into each pair of
classes (observed, predicted) that the thresholds cut, and the sums of errors. The scores of a region are then the
tiles that lie inside, added up, and the pixels of the tiles that its border crosses, counted one by one. Events come
out as the same whole numbers as from a comparison of the region's pixels alone; sums of errors differ by rounding.

With max pooling the pixels are windows. A window that the border cuts takes its maxima inside the region only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.radar.packed import AnyField, PackedField
from engine.radar.scaling import NO_DATA, RainBins, rain_bins
from engine.radar.units import ZR
from engine.verification.counts import ErrorSums, Tally, error_terms, tally_pair
from engine.verification.pooling import pool_pair

Field = NDArray[np.float32]

TILE = 16
MOST_THRESHOLDS = 14
"""(14 + 1)^2 pairs of classes fit into a byte; tiles of more would outweigh the frames."""
_STRIP_PIXELS = 1 << 20
_SUMS = 6


@dataclass(frozen=True, eq=False)
class Tiles:
    """What the first pass keeps.

    thresholds: mm/h. pool: pixels along a window's side. shape: (ny, nx) of the frames.
    classes: (rows, columns, (K + 1)^2) uint16 valid windows of each tile, observed class first.
    sums: (rows, columns, 6) float64, the fields of ErrorSums. pooled: the two fields in windows; None without pooling.
    """

    thresholds: tuple[float, ...]
    pool: int
    shape: tuple[int, int]
    zr: ZR
    classes: NDArray[np.uint16]
    sums: NDArray[np.float64]
    pooled: tuple[Field, Field] | None = None

    def fits(self, thresholds: tuple[float, ...], pool: int, zr: ZR) -> bool:
        """Whether scores at these settings follow from it."""
        return (self.thresholds, self.pool, self.zr) == (thresholds, pool, zr)

    @property
    def nbytes(self) -> int:
        return self.classes.nbytes + self.sums.nbytes + sum(field.nbytes for field in self.pooled or ())


@dataclass(frozen=True, eq=False)
class Selection:
    """The cells of a region sorted by how they are looked at.

    tiles: (rows, columns) of tiles inside. windows: (N,) places in the field of windows, inside but in tiles that are
    not. cells: (M,) places in the frame, of windows that the border cuts, sorted by window; starts: (W,) where each of
    those windows begins among them.
    """

    tiles: NDArray[np.bool_]
    windows: NDArray[np.intp]
    cells: NDArray[np.intp]
    starts: NDArray[np.intp]
    mask: NDArray[np.bool_] | None = None


def tile_pair(observed: AnyField, predicted: AnyField, thresholds: tuple[float, ...], *, zr: ZR, pool: int = 1,
              check: Callable[[], None] | None = None) -> Tiles:
    """The first pass. observed, predicted: (ny, nx) mm/h, NaN = no data, packed or not. check: may raise to stop.

    Raises ValueError if the shapes differ or there are more than 14 thresholds.
    """
    if observed.shape != predicted.shape:
        raise ValueError(f"frames of {observed.shape} and {predicted.shape} cannot be compared")
    if len(thresholds) > MOST_THRESHOLDS:
        raise ValueError(f"at most {MOST_THRESHOLDS} thresholds can be scored by region")
    shape = (int(observed.shape[0]), int(observed.shape[1]))
    side = TILE * pool
    bins, classes, sums, pooled = rain_bins(thresholds), [], [], []
    for rows in _strips(shape, side):
        if check is not None:
            check()
        truth, forecast = _part(observed, rows), _part(predicted, rows)
        if pool > 1:
            truth, forecast = pool_pair(truth, forecast, pool)
            pooled.append((truth, forecast))
        counted, errors = _tiled(truth, forecast, bins, thresholds, zr)
        classes.append(counted)
        sums.append(errors)
    kept = (np.concatenate([p[0] for p in pooled]), np.concatenate([p[1] for p in pooled])) if pooled else None
    return Tiles(thresholds, pool, shape, zr, np.concatenate(classes), np.concatenate(sums), kept)


def _strips(shape: tuple[int, int], side: int) -> Iterator[slice]:
    """Rows of whole tiles, about a million pixels at a time."""
    high = max(1, _STRIP_PIXELS // (shape[1] * side)) * side
    return (slice(top, min(top + high, shape[0])) for top in range(0, shape[0], high))


def _part(field: AnyField, rows: slice) -> Field:
    return field.unpack(rows) if isinstance(field, PackedField) else field[rows]


def _tiled(truth: Field, forecast: Field, bins: RainBins, thresholds: tuple[float, ...],
           zr: ZR) -> tuple[NDArray[np.uint16], NDArray[np.float64]]:
    """Counts and sums of the tiles of a strip."""
    kinds = len(thresholds) + 1
    class_of = np.searchsorted(_positions(bins, thresholds), np.arange(256), side="right").astype(np.uint8)
    ob, pb = bins(truth), bins(forecast)
    usable = (ob != NO_DATA) & (pb != NO_DATA)
    rows, columns = (-(-length // TILE) for length in truth.shape)
    tile = (np.arange(truth.shape[0]) // TILE * columns)[:, None] + np.arange(truth.shape[1]) // TILE
    pair = class_of.take(ob) * np.uint8(kinds) + class_of.take(pb)
    key = (tile * (kinds * kinds) + pair)[usable]
    counted = np.bincount(key, minlength=rows * columns * kinds * kinds).astype(np.uint16)
    active, terms = error_terms(truth.reshape(-1), forecast.reshape(-1), usable.reshape(-1), zr)
    at = tile.reshape(-1).take(active)
    errors = np.stack([np.bincount(at, term, rows * columns) for term in terms], axis=1).astype(np.float64, copy=False)
    return counted.reshape(rows, columns, -1), errors.reshape(rows, columns, _SUMS)


def _positions(bins: RainBins, thresholds: tuple[float, ...]) -> NDArray[np.intp]:
    places = [bins.position(threshold) for threshold in thresholds]
    return np.array([place for place in places if place is not None], np.intp)


def select(mask: NDArray[np.bool_] | None, shape: tuple[int, int], pool: int = 1) -> Selection:
    """Sorts the cells of a region; mask: (ny, nx), None for the whole grid. shape: (ny, nx) of the frames."""
    none = np.zeros(0, np.intp)
    high, wide = (-(-length // pool) for length in shape)
    if mask is None:
        return Selection(np.ones((-(-high // TILE), -(-wide // TILE)), np.bool_), none, none, none)
    whole = _all_of(mask, pool)
    tiles = _all_of(whole, TILE)
    rest = whole & ~_spread(tiles, TILE, whole.shape)
    if pool == 1:
        return Selection(tiles, np.flatnonzero(rest), none, none, mask)
    cells = np.flatnonzero(mask & ~_spread(whole, pool, shape))
    window = cells // shape[1] // pool * wide + cells % shape[1] // pool
    order = np.argsort(window, kind="stable")
    starts = np.flatnonzero(np.diff(window[order], prepend=-1))
    return Selection(tiles, np.flatnonzero(rest), cells[order], starts, mask)


def _all_of(mask: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """Blocks of which every cell is set."""
    for axis in (0, 1):
        if size > 1:
            mask = np.logical_and.reduceat(mask, np.arange(0, mask.shape[axis], size), axis=axis)
    return mask


def _spread(blocks: NDArray[np.bool_], size: int, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    return blocks.repeat(size, axis=0)[:shape[0]].repeat(size, axis=1)[:, :shape[1]]


def region_tally(tiles: Tiles, selection: Selection, observed: AnyField, predicted: AnyField) -> Tally:
    """The comparison of a region's cells; the frames are those that ``tiles`` were made from.

    Scores follow at the thresholds of ``tiles`` and at no others.
    """
    bins = rain_bins(tiles.thresholds)
    total = _inside(tiles, selection, bins)
    if selection.windows.size:
        fields = tiles.pooled or (observed, predicted)
        truth, forecast = (_take(field, selection.windows) for field in fields)
        total += tally_pair(truth, forecast, zr=tiles.zr, bins=bins)
    if selection.cells.size:
        truth, forecast = _cut_maxima(selection, _take(observed, selection.cells), _take(predicted, selection.cells))
        total += tally_pair(truth, forecast, zr=tiles.zr, bins=bins)
    return Tally(total.joint, total.edges, int(total.pixels > 0), total.pixels, total.sums)


def _inside(tiles: Tiles, selection: Selection, bins: RainBins) -> Tally:
    """The tiles inside, as a tally: each class stands at its lowest bin."""
    kinds = len(tiles.thresholds) + 1
    classes = tiles.classes[selection.tiles].sum(axis=0, dtype=np.int64).reshape(kinds, kinds)
    lowest = np.concatenate([[0], _positions(bins, tiles.thresholds)])
    empty = Tally.empty(bins)
    joint = empty.joint.copy()
    joint[np.ix_(lowest, lowest)] = classes
    pixels = int(classes.sum())
    sums = tiles.sums[selection.tiles].sum(axis=0)
    return Tally(joint, empty.edges, int(pixels > 0), pixels, ErrorSums(*(float(value) for value in sums)))


def _take(field: AnyField, places: NDArray[np.intp]) -> Field:
    """Values at flat places; of a packed field only the rows between the first and the last are unpacked."""
    if not isinstance(field, PackedField):
        return field.reshape(-1).take(places)
    wide = field.shape[1]
    top, bottom = int(places.min()) // wide, int(places.max()) // wide + 1
    return field.unpack(slice(top, bottom)).reshape(-1).take(places - top * wide)


def _cut_maxima(selection: Selection, observed: Field, predicted: Field) -> tuple[Field, Field]:
    """Maxima of the windows that the border cuts, over cells that are valid in both fields; NaN where none is."""
    both = np.isfinite(observed) & np.isfinite(predicted)
    fields = []
    for field in (observed, predicted):
        highest = np.maximum.reduceat(np.where(both, field, np.float32(-np.inf)), selection.starts)
        fields.append(np.where(np.isneginf(highest), np.float32(np.nan), highest))
    return fields[0], fields[1]
