"""FMI radar composites as 8-bit PGM: reflectivity, with everything else in the comment lines of the header.

``dBZ = (v - 64) / 2`` for the stored byte v; 0 is no echo, 255 is no data. ``obstime`` is the time (UTC). The corners
are the outer edges of the grid, in a polar stereographic projection on a sphere of 6,371,288 m: with it, and only with
it, they lie ``metersperpixel`` times the number of pixels apart, to a nanometre. The Finnish pair Z = 223 R**1.53 is
the provider's for rain (Leinonen et al. 2012, J. Appl. Meteor. Climatol. 51, 392).
"""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from engine.archives import wrapped
from engine.archives.decoding import Law
from engine.archives.probe import Probe
from engine.archives.projections import project
from engine.archives.reader import MAX_CELLS, Scan
from engine.errors import UnreadableInput
from engine.radar.grid import Grid
from engine.radar.sequence import Field, FrameRef, Layout
from engine.radar.units import ZR, Quantity

log = logging.getLogger(__name__)

READS_WRAPPED = True
TITLE = "FMI PGM"
FINNISH = ZR(223.0, 1.53)
EARTH_RADIUS = 6_371_288
LAW = Law(Quantity.REFLECTIVITY, gain=0.5, offset=-32.0, missing=(255,), undetect=(0,))
_HEADER_BYTES = 16_384
_COMMENT = re.compile(rb"#[ \t]*([^\r\n]*)")
_SIZES = re.compile(rb"P5((?:[ \t\r\n]|#[^\r\n]*[\r\n])+)(\d{1,9})((?:[ \t\r\n]|#[^\r\n]*[\r\n])+)(\d{1,9})"
                    rb"((?:[ \t\r\n]|#[^\r\n]*[\r\n])+)(\d{1,5})[ \t\r\n]")


def recognises(probe: Probe) -> bool:
    """A binary grey map with FMI's keys among its comments."""
    head = probe.head
    return head[:2] == b"P5" and head[2:3].isspace() and b"obstime" in head and b"projection" in head


def scan(path: Path) -> Scan:
    header = wrapped.read_head(path, _HEADER_BYTES)
    (ny, nx), start = _size(path, header)
    keys = _keys(header[:start])
    parameter = keys.get("param", "")
    if "reflectivity" not in parameter.lower() and "dbz" not in parameter.lower():
        raise UnreadableInput(path, f"its quantity '{parameter}' is not known; only reflectivity is", tried=TITLE)
    try:
        time = datetime.strptime(keys.get("obstime", ""), "%Y%m%d%H%M").replace(tzinfo=UTC)
    except ValueError as problem:
        raise UnreadableInput(path, f"'{keys.get('obstime', '')}' is no time", tried=TITLE) from problem
    product = keys.get("productname") or keys.get("producttype") or "reflectivity"
    layout = Layout(TITLE, product, Quantity.REFLECTIVITY, "dBZ", _grid(path, keys, (ny, nx)), FINNISH,
                    "the provider's: Finnish Meteorological Institute", f"FMI {keys.get('composite_area', '')}".strip())
    return Scan(layout, (FrameRef(time, path, start),))


def read(ref: FrameRef, layout: Layout) -> Field:
    ny, nx = layout.grid.shape
    content = wrapped.read_bytes(ref.path, ref.key + ny * nx + _HEADER_BYTES)
    if len(content) < ref.key + ny * nx:
        raise UnreadableInput(ref.path, "the file is cut short", tried=TITLE)
    return LAW(np.frombuffer(content, np.uint8, ny * nx, ref.key).reshape(ny, nx))


def _size(path: Path, header: bytes) -> tuple[tuple[int, int], int]:
    """((rows, columns), where the pixels begin)."""
    found = _SIZES.match(header)
    if found is None:
        raise UnreadableInput(path, "its header has no end", tried=TITLE)
    nx, ny, highest = (int(found.group(k)) for k in (2, 4, 6))
    if highest != 255:
        raise UnreadableInput(path, f"its values reach {highest}; radar composites have 8 bits", tried=TITLE)
    if nx < 2 or ny < 2 or nx * ny > MAX_CELLS:
        raise UnreadableInput(path, f"an absurd size of {ny} x {nx}", tried=TITLE)
    return (ny, nx), found.end()


def _keys(header: bytes) -> dict[str, str]:
    """The comment lines: first word, rest. Radar sites repeat their key and are not wanted."""
    lines = (match.group(1).decode("latin-1").strip().split(None, 1) for match in _COMMENT.finditer(header))
    return {words[0]: words[1] for words in lines if len(words) == 2}


def _grid(path: Path, keys: dict[str, str], shape: tuple[int, int]) -> Grid:
    kind = keys.get("type", "")
    if kind != "stereographic":
        raise UnreadableInput(path, f"its projection '{kind}' is not known", tried=TITLE)
    try:
        lon, lat, true = (float(keys[name]) for name in ("centrallongitude", "centrallatitude", "truelatitude"))
        (west, south), (east, north) = (_pair(keys[name]) for name in ("bottomleft", "topright"))
    except (KeyError, ValueError) as problem:
        raise UnreadableInput(path, "its header does not say where it lies", tried=TITLE) from problem
    if abs(lat) != 90 or not (0 < abs(true) <= 90 and -360 <= lon <= 360):
        raise UnreadableInput(path, "its projection is no polar stereographic one", tried=TITLE)
    crs = f"+proj=stere +lat_0={lat:g} +lon_0={lon:.12g} +lat_ts={true:.12g} +R={EARTH_RADIUS} +units=m"
    (left, bottom), (right, top) = project(crs, west, south), project(crs, east, north)
    dx, dy = (right - left) / shape[1], (top - bottom) / shape[0]
    if not (dx > 0 and dy > 0):
        raise UnreadableInput(path, "its upper right corner does not lie above and right of the lower left one",
                              tried=TITLE)
    _compare(path, keys, dx, dy)
    return Grid.regular(left=left, top=top, dx=dx, dy=dy, nx=shape[1], ny=shape[0], crs=crs)


def _compare(path: Path, keys: dict[str, str], dx: float, dy: float) -> None:
    """The stated pixel size is rounded less than a thousandth away from the corners', or something is wrong."""
    for name, size in (("metersperpixel_x", dx), ("metersperpixel_y", dy)):
        try:
            stated = float(keys.get(name, size))
        except ValueError:
            continue
        if abs(stated - size) > 1e-3 * size:
            log.warning("%s: pixels of %g m stated, %g m between the corners; the corners are believed", path.name,
                        stated, size)


def _pair(text: str) -> tuple[float, float]:
    first, second = text.split()
    return float(first), float(second)
