"""Outlines of basins and districts from files: GeoJSON, ESRI shapefiles (extra ``region``) and KML, told by content.

GeoJSON is WGS84 unless an old-style ``crs`` member says otherwise; a shapefile's ``.prj`` says, and without one its
corners must look like degrees; KML is always WGS84. Points and lines are passed over.
"""

from __future__ import annotations

import json
import re
import struct
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from engine.errors import UnreadableInput, WrongUsage
from engine.radar.region import LONLAT, OUTLINE, Polygon, Region

TITLE = "an outline"
UNNAMED = "outline {}"
MOST_BYTES = 256 << 20
MOST_CORNERS = 3_000_000
SHAPEFILE_MAGIC = b"\x00\x00\x27\x0a"
NAME_KEYS = ("name", "title", "label", "id", "river", "basin", "code")
"""Properties that name an outline, looked for in this order without regard to case, then as parts of longer words."""


@dataclass(frozen=True)
class Feature:
    """One outline of a file."""

    name: str
    polygons: tuple[Polygon, ...]


@dataclass(frozen=True)
class Outlines:
    """What a file holds. crs: what the corners are in."""

    path: Path
    crs: str
    features: tuple[Feature, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features)

    def region(self, name: str = "") -> Region:
        """The outline of that name (all that bear it), or all together. Raises WrongUsage with the names there are."""
        chosen = [feature for feature in self.features if not name or feature.name == name]
        if not chosen:
            known = ", ".join(dict.fromkeys(self.names[:12])) + (", …" if len(self.names) > 12 else "")
            raise WrongUsage(f"{self.path.name} holds no outline called '{name}'. Known: {known}.")
        alone = self.features[0].name if len(self.features) == 1 else ""
        title = name or (alone if alone and alone != UNNAMED.format(1) else self.path.stem)
        return Region(OUTLINE, tuple(p for feature in chosen for p in feature.polygons), title, self.crs)


def read_region(path: Path | str) -> Region:
    """The outlines of a file as one region; ``basins.geojson#NAME`` takes one of them.

    Raises UnreadableInput, WrongUsage.
    """
    path = Path(path)
    if path.exists():
        return read_outlines(path).region()
    file, _, name = path.name.partition("#")
    return read_outlines(path.with_name(file)).region(name) if file and name else read_outlines(path).region()


def read_outlines(path: Path | str) -> Outlines:
    """Every polygon of a file. Raises UnreadableInput."""
    path = Path(path)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UnreadableInput(path, f"it is larger than {MOST_BYTES >> 20} MiB", tried=TITLE)
        with path.open("rb") as file:
            head = file.read(4096)
        outlines = _reader(path, head)(path)
    except OSError as problem:
        reason = "there is no such file" if isinstance(problem, FileNotFoundError) else problem.strerror or str(problem)
        raise UnreadableInput(path, reason, tried=TITLE) from problem
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as problem:
        raise UnreadableInput(path, f"damaged or of an unknown form ({problem})", tried=TITLE) from problem
    if not outlines.features:
        raise UnreadableInput(path, "it holds no polygon", tried=TITLE)
    if sum(len(ring) for f in outlines.features for polygon in f.polygons for ring in polygon) > MOST_CORNERS:
        raise UnreadableInput(path, f"it holds more than {MOST_CORNERS:,} corners", tried=TITLE)
    return outlines


def _reader(path: Path, head: bytes) -> Callable[[Path], Outlines]:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(SHAPEFILE_MAGIC):
        return _shapefile
    if text.startswith(b"{"):
        return _geojson
    if text.startswith(b"<") and b"kml" in head.lower():
        return _kml
    raise UnreadableInput(path, "it is no GeoJSON, shapefile or KML", tried=TITLE,
                          advice="Choose a .geojson, .shp or .kml file.")


# -- GeoJSON

def _geojson(path: Path) -> Outlines:
    document = json.loads(path.read_text("utf-8-sig"))
    features = [Feature(_name_of(properties, number), polygons)
                for number, (geometry, properties) in enumerate(_geometries(document), 1)
                if (polygons := tuple(_polygons(geometry)))]
    return Outlines(path, _crs_of(document), tuple(features))


def _geometries(node: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    kind = node["type"]
    if kind == "FeatureCollection":
        for feature in node["features"]:
            yield from _geometries(feature)
    elif kind == "Feature":
        if node.get("geometry"):
            yield node["geometry"], {"id": node["id"]} | (node.get("properties") or {}) if "id" in node \
                else node.get("properties") or {}
    else:
        yield node, {}


def _polygons(geometry: dict[str, Any]) -> Iterator[Polygon]:
    kind = geometry["type"]
    if kind == "Polygon":
        yield _polygon(geometry["coordinates"])
    elif kind == "MultiPolygon":
        yield from (_polygon(rings) for rings in geometry["coordinates"])
    elif kind == "GeometryCollection":
        for part in geometry["geometries"]:
            yield from _polygons(part)


def _polygon(rings: Any) -> Polygon:
    """A third coordinate, a height, is left out; the corner that closes a ring is not repeated."""
    made = []
    for ring in rings:
        corners = np.array([point[:2] for point in ring], np.float64)
        closed = len(corners) > 1 and bool((corners[0] == corners[-1]).all())
        made.append(corners[:-1] if closed else corners)
    Region(OUTLINE, (tuple(made),))  # raises ValueError where that is no polygon
    return tuple(made)


def _crs_of(document: dict[str, Any]) -> str:
    named = ((document.get("crs") or {}).get("properties") or {}).get("name")
    return _known_crs(str(named)) if named and "CRS84" not in str(named) else LONLAT


def _known_crs(text: str) -> str:
    """Raises ValueError if PROJ does not know it."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        return str(CRS.from_user_input(text).to_wkt())
    except CRSError as problem:
        raise ValueError(f"an unknown projection: {text[:80]}") from problem


def _name_of(properties: dict[str, Any], number: int) -> str:
    lower = {str(key).lower(): value for key, value in properties.items() if value not in (None, "")}
    for wanted in NAME_KEYS:
        if wanted in lower:
            return str(lower[wanted])
    for wanted in NAME_KEYS:
        found = next((value for key, value in lower.items() if wanted in key and isinstance(value, str)), None)
        if found is not None:
            return found
    return UNNAMED.format(number)


# -- shapefile

def _shapefile(path: Path) -> Outlines:
    try:
        import shapefile
    except ImportError as problem:
        raise UnreadableInput(path, "shapefiles need a library that is not installed", tried="an ESRI shapefile",
                              advice='Install it: pip install "stormdeck[region]"') from problem
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # lengths in headers that are a little off
            with shapefile.Reader(str(path)) as reader:
                features = list(_records(reader))
    except (shapefile.ShapefileException, struct.error, AssertionError, AttributeError, OverflowError) as problem:
        raise ValueError(str(problem)) from problem
    return Outlines(path, _crs_beside(path, features), tuple(features))


def _records(reader: Any) -> Iterator[Feature]:
    for number in range(len(reader)):
        shape = reader.shape(number)
        if shape.shapeTypeName not in ("POLYGON", "POLYGONZ", "POLYGONM"):
            continue
        properties = reader.record(number).as_dict() if reader.dbf is not None else {}
        yield Feature(_name_of(properties, number + 1), tuple(_polygons(shape.__geo_interface__)))


def _crs_beside(path: Path, features: list[Feature]) -> str:
    beside = next((path.with_suffix(end) for end in (".prj", ".PRJ") if path.with_suffix(end).is_file()), None)
    if beside is not None:
        return _known_crs(beside.read_text("utf-8", "replace"))
    corners = [ring for feature in features for polygon in feature.polygons for ring in polygon]
    if corners and (np.abs(np.concatenate(corners)) > (360, 90)).any():
        raise UnreadableInput(path, "nothing says what its coordinates are (no .prj beside it)", tried=TITLE,
                              advice=f"Put {path.stem}.prj beside it.")
    return LONLAT


# -- KML

def _kml(path: Path) -> Outlines:
    from xml.etree import ElementTree

    body = path.read_bytes()
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:  # a few lines of these can stand for gigabytes
        raise UnreadableInput(path, "it defines entities, which no outline needs", tried="KML")
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as problem:
        raise ValueError(str(problem)) from problem
    features = []
    for number, mark in enumerate((e for e in root.iter() if _tag(e) == "Placemark"), 1):
        polygons = tuple(_kml_polygon(e) for e in mark.iter() if _tag(e) == "Polygon")
        if polygons:
            name = next((e.text.strip() for e in mark if _tag(e) == "name" and e.text), UNNAMED.format(number))
            features.append(Feature(name, polygons))
    return Outlines(path, LONLAT, tuple(features))


def _tag(element: Any) -> str:
    return cast(str, element.tag).rpartition("}")[2]


def _kml_polygon(element: Any) -> Polygon:
    rings = []
    for border in ("outerBoundaryIs", "innerBoundaryIs"):
        for edge in (e for e in element if _tag(e) == border):
            text = next(e.text for e in edge.iter() if _tag(e) == "coordinates")
            rings.append([[float(v) for v in point.split(",")] for point in re.sub(r"\s*,\s*", ",", text).split()])
    return _polygon(rings)
