"""GeoTIFF: one band of rain rate or reflectivity, its law and time from GDAL's notes, tags and the name of the file.

Law: items ``Gain``/``SCALE`` and ``Offset``/``OFFSET`` of GDAL_METADATA, no data from ``Nodata`` or GDAL_NODATA, no
echo from ``Undetect`` (the Finnish Meteorological Institute writes them all). Quantity: the unit noted there, else
words in notes, description or file name. Time: an item with "time" in its name, the file name, last the tag DateTime,
which is often when the file was written. Pyramids, masks and further bands are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from engine.archives import wrapped
from engine.archives.decoding import Law, decode_in_pieces
from engine.archives.geotiff_keys import (
    GDAL_METADATA,
    GDAL_NODATA,
    KEY_DIRECTORY,
    PIXEL_SCALE,
    TRANSFORM,
    Note,
    grid_of,
    notes,
)
from engine.archives.probe import Probe
from engine.archives.reader import MAX_CELLS, Scan
from engine.errors import UnreadableInput
from engine.radar.sequence import Field, FrameRef, Layout
from engine.radar.units import MARSHALL_PALMER, ZR, Quantity

TITLE = "GeoTIFF"
_DESCRIPTION, _DATE_TIME, _SAMPLE_FORMAT = 270, 306, 339
_MODES = ("L", "P", "I;16", "I;16B", "I", "F")
_RATES = {"mm/h": 1.0, "mm/hr": 1.0, "mm h-1": 1.0, "mm hr-1": 1.0, "mm/hour": 1.0, "kg m-2 h-1": 1.0, "kg/m2/h": 1.0,
          "kg m-2 s-1": 3600.0, "kg/m2/s": 3600.0, "kg/(m^2 s)": 3600.0, "mm/s": 3600.0}
_DBZ_WORDS = re.compile(r"dbz|reflectivity", re.IGNORECASE)
_RATE_WORDS = re.compile(r"rain.?rate|rate.?of.?rain|precip\w*.?rate|rain.?intensity|(?<![a-z])rr(?![a-z])",
                         re.IGNORECASE)
_COMPACT = re.compile(r"(?<!\d)((?:19|20)\d{6})[-_T]?(\d{4})(\d{2})?(?!\d)")
_SPELT = re.compile(r"(?<!\d)((?:19|20)\d\d)[-:_.](\d\d)[-:_.](\d\d)[T _-](\d\d)[:_.-]?(\d\d)(?:[:_.-]?(\d\d))?(?!\d)")
_FINLAND = "EPSG:3067"
_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def recognises(probe: Probe) -> bool:
    """A TIFF (or BigTIFF) that says where it lies."""
    if not probe.head.startswith(_MARKS):
        return False
    try:
        with wrapped.as_file(probe.path) as file, opened(file) as image:
            tags = tags_of(image)
            return KEY_DIRECTORY in tags or TRANSFORM in tags or PIXEL_SCALE in tags
    except UnreadableInput:
        return False


def scan(path: Path) -> Scan:
    """Raises UnreadableInput, which names what is missing."""
    with opened(path) as image:
        tags, shape = tags_of(image), (image.size[1], image.size[0])
        check_picture(path, image)
        try:
            grid, flips = grid_of(tags, shape)
        except ValueError as problem:
            raise UnreadableInput(path, str(problem), tried=TITLE) from problem
        found = notes(tag_text(tags, GDAL_METADATA))
        quantity, name, unit = _quantity(path, tags, found)
        law = _law(path, tags, found, quantity, unit, stated=unit != "", whole=image.mode != "F")
        zr, zr_source = _zr(quantity, grid.crs)
        layout = Layout(TITLE, name, quantity, unit or quantity.unit, grid, zr, zr_source)
        return Scan(layout, (FrameRef(_time(path, tags, found), path, (law, flips)),))


def read(ref: FrameRef, layout: Layout) -> Field:
    law, (flip_y, flip_x) = ref.key
    with opened(ref.path) as image:
        check_picture(ref.path, image)
        image.load()
        stored = np.asarray(image)
        if stored.shape != layout.grid.shape:
            raise UnreadableInput(ref.path, f"its picture is {stored.shape}, not {layout.grid.shape}", tried=TITLE)
        if image.mode == "L" and tags_of(image).get(_SAMPLE_FORMAT, (1,)) in ((2,), 2):
            stored = stored.view(np.int8)
        values = decode_in_pieces(layout.grid.shape, lambda rows: stored[rows], law)
    return values[::-1 if flip_y else 1, ::-1 if flip_x else 1]


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """The first picture, not yet decoded."""
    try:
        with path.open("rb") as file, Image.open(file, formats=("TIFF",)) as image:
            yield image
    except UnreadableInput:
        raise
    except FileNotFoundError as problem:
        raise UnreadableInput(path, "the file is gone", tried=TITLE) from problem
    except Exception as problem:  # the library throws whatever a damaged directory leads to
        raise UnreadableInput(path, f"damaged or truncated ({problem})", tried=TITLE) from problem


def tags_of(image: Image.Image) -> Mapping[int, Any]:
    tags: Mapping[int, Any] = image.tag_v2  # type: ignore[attr-defined]  # only TIFF pictures have it
    return tags


def check_picture(path: Path, image: Image.Image) -> None:
    nx, ny = image.size
    if min(nx, ny) < 2 or nx * ny > MAX_CELLS:
        raise UnreadableInput(path, f"an absurd size of {ny} x {nx}", tried=TITLE)
    if image.mode not in _MODES:
        raise UnreadableInput(path, f"it is a picture in colours ({image.mode}), not a field of values", tried=TITLE)


def tag_text(tags: Mapping[int, Any], tag: int) -> str:
    value = tags.get(tag, "")
    value = value[0] if isinstance(value, tuple) and value else value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _role(found: Mapping[str, Note], *names: str) -> str:
    """The value of the first item with one of these names or roles, empty where there is none."""
    named = (found[name].value for name in names if name in found)
    roles = (note.value for note in found.values() if note.attributes.get("role", "").lower() in names)
    return next((*named, *roles).__iter__(), "")


def _quantity(path: Path, tags: Mapping[int, Any], found: Mapping[str, Note]) -> tuple[Quantity, str, str]:
    """(quantity, name of the field, unit as written, empty where only words tell)."""
    noted = found.get("quantity") or next((n for n in found.values() if n.attributes.get("unit")), None)
    unit = (noted.attributes.get("unit", "") if noted else "") or _role(found, "unittype", "unit", "units")
    name = (noted.value if noted else "") or _role(found, "description", "long_name") or "band 1"
    plain = unit.strip().lower()
    if plain in ("dbz", "dbze"):
        return Quantity.REFLECTIVITY, name, unit
    if plain in _RATES:
        return Quantity.RAIN_RATE, name, unit
    if plain:
        raise UnreadableInput(path, f"its unit '{unit[:40]}' is no reflectivity and no rain rate", tried=TITLE)
    described = tag_text(tags, _DESCRIPTION)[:2000]
    words = " ".join((name, described, *(f"{k} {n.value}" for k, n in found.items()), path.name))
    is_dbz, is_rate = _DBZ_WORDS.search(words), _RATE_WORDS.search(words)
    if bool(is_dbz) == bool(is_rate):
        raise UnreadableInput(path, "it does not say whether it holds reflectivity or rain rate (a unit among GDAL's "
                                    "notes, or a word such as dbz or rain_rate in the name)", tried=TITLE)
    return (Quantity.REFLECTIVITY if is_dbz else Quantity.RAIN_RATE), name, ""


def _law(path: Path, tags: Mapping[int, Any], found: Mapping[str, Note], quantity: Quantity, unit: str, *,
         stated: bool, whole: bool) -> Law:
    """stated: the unit stands in the file, so that without a scale the numbers are the values."""
    gain, offset = (number_of(path, _role(found, *names)) for names in (("gain", "scale"), ("offset",)))
    if gain is None and whole and not stated:
        raise UnreadableInput(path, "it does not say how its whole numbers become values (no Gain or SCALE, no unit "
                                    "among GDAL's notes)", tried=TITLE)
    missing = (number_of(path, _role(found, "nodata")), number_of(path, tag_text(tags, GDAL_NODATA).strip(" \0")))
    undetect = number_of(path, _role(found, "undetect"))
    return Law(quantity, 1.0 if gain is None else gain, offset or 0.0, _RATES.get(unit.strip().lower(), 1.0),
               tuple(code for code in missing if code is not None), () if undetect is None else (undetect,))


def number_of(path: Path, text: str) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError as problem:
        raise UnreadableInput(path, f"'{text[:40]}' is no number", tried=TITLE) from problem


def _zr(quantity: Quantity, crs: str | None) -> tuple[ZR, str]:
    if quantity is Quantity.REFLECTIVITY and crs == _FINLAND:
        return ZR(223.0, 1.53), "customary in Finland, whose map grid it uses"
    return MARSHALL_PALMER, "assumed: Marshall-Palmer"


def _time(path: Path, tags: Mapping[int, Any], found: Mapping[str, Note]) -> datetime:
    """UTC; the first of notes, name and DateTime that holds a date and a time."""
    noted = [note.value for name, note in found.items() if "time" in name or "date" in name]
    for text in (*noted, path.name, tag_text(tags, _DATE_TIME)):
        moment = _moment(text)
        if moment is not None:
            return moment
    raise UnreadableInput(path, "it does not say its time (no observation time among GDAL's notes, no date and time "
                                "in the file name, no DateTime tag)", tried=TITLE)


def _moment(text: str) -> datetime | None:
    found = _SPELT.search(text) or _COMPACT.search(text)
    if found is None:
        return None
    try:
        return datetime.strptime("".join(part or "" for part in found.groups()).ljust(14, "0"),
                                 "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
