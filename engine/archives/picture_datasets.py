"""Data sets of the papers that are folders of pictures, described once, and how their folders are known.

What the publications leave open is said in ``source`` and can be changed: write the description into the folder
(``write_description``), edit it there, and it is used instead of the one here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from engine.archives.description import Description, GridLaw, TimeLaw, ValueLaw
from engine.archives.pictures import Look
from engine.radar.units import HKO7

_AROUND_HONG_KONG = "+proj=aeqd +lat_0=22.302 +lon_0=114.174 +datum=WGS84 +units=m"
_NOMINAL = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class DataSet:
    """A description and how its folders are known: by the whole path of a picture and by its size in grey pixels.
    path is None where the layout is not public: the description is a beginning for the user, never assumed."""

    description: Description
    shape: tuple[int, int]
    path: re.Pattern[str] | None = None

    def matches(self, path: str) -> bool:
        return self.path is not None and self.path.search(path) is not None


HKO_7 = DataSet(
    Description(
        title="HKO-7", step_minutes=6, zr=HKO7, zr_source="the benchmark paper's: Hong Kong Observatory", masks="hko7",
        value=ValueLaw(law="hko7"),
        time=TimeLaw(pattern=r"RAD(?P<year>\d{2})(?P<month>\d{2})(?P<day>\d{2})(?P<hour>\d{2})(?P<minute>\d{2})"
                             r"(?P<second>\d{2})\.png$"),
        grid=GridLaw(crs=_AROUND_HONG_KONG, pixel=(512_000 / 480, 512_000 / 480)),
        source="Hong Kong Observatory, CAPPI at 2 km; 512 km around Hong Kong, the centre is assumed to be "
               "22.302 N 114.174 E; times taken as UTC"),
    (480, 480), re.compile(r"(^|/)RAD\d{12}\.png$"))

SRAD2018 = DataSet(
    Description(
        title="SRAD2018", step_minutes=6, value=ValueLaw(law="hko7"),
        time=TimeLaw(pattern=r"RAD_(?P<event>\d{15})_(?P<number>\d{3})\.png$", start=_NOMINAL),
        grid=GridLaw(pixel=(1000, 1000)),
        source="SRAD2018; dates are nominal (the files have none), value law (v / 255 * 70 - 10 dBZ) and no place "
               "on the map: assumed, not published"),
    (501, 501), re.compile(r"(^|/)RAD_\d{15}_\d{3}\.png$"))

SHANGHAI = DataSet(
    Description(
        title="Shanghai", step_minutes=6, value=ValueLaw(gain=70 / 255, no_echo=(0,)),
        time=TimeLaw(pattern=r"(?P<year>20\d{2})(?P<month>\d{2})(?P<day>\d{2})_?(?P<hour>\d{2})(?P<minute>\d{2})"
                             r"[^/]*\.png$"),
        grid=GridLaw(crs="EPSG:4326", pixel=(0.01, 0.01), at=(121.5, 31.2)),
        source="Shanghai composite; value law (v / 255 * 70 dBZ; 90 is used too) and centre 31.2 N 121.5 E: "
               "assumed, not published"),
    (501, 501), re.compile(r"(^|/)nh_radar_comp_echo/.*20\d{6}_?\d{4}[^/]*\.png$"))

SCWDS = DataSet(
    Description(
        title="SCWDS", step_minutes=6, value=ValueLaw(gain=70 / 255, no_echo=(0,)),
        time=TimeLaw(pattern=r"(?P<year>20\d{2})(?P<month>\d{2})(?P<day>\d{2})_?(?P<hour>\d{2})(?P<minute>\d{2})"),
        grid=GridLaw(pixel=(1000, 1000)),
        source="SCWDS (CAP30 or CR): the files' layout and values are not published; every line here is an example"),
    (301, 301))

TAASRAD19_PICTURES = DataSet(
    Description(
        title="TAASRAD19 pictures", step_minutes=5, value=ValueLaw(gain=52.5 / 255, no_echo=(0,)),
        time=TimeLaw(pattern=r"(?P<year>20\d{2})(?P<month>\d{2})(?P<day>\d{2})_?(?P<hour>\d{2})(?P<minute>\d{2})"),
        grid=GridLaw(crs="+proj=aeqd +lat_0=46.488 +lon_0=11.211 +datum=WGS84 +units=m", pixel=(500, 500)),
        source="TAASRAD19; value law (v / 255 * 52.5 dBZ) and the radar's place 46.488 N 11.211 E: assumed"),
    (480, 480))

DATA_SETS: Mapping[str, DataSet] = MappingProxyType({
    "hko-7": HKO_7, "srad2018": SRAD2018, "shanghai": SHANGHAI, "scwds": SCWDS, "taasrad19": TAASRAD19_PICTURES})


def known_as(path: Path, seen: Look) -> str | None:
    """The data set that a picture belongs to, by its path, size and mode; None if it is not known."""
    text = path.as_posix()
    for name, data_set in DATA_SETS.items():
        if seen.shape == data_set.shape and seen.is_grey and data_set.matches(text):
            return name
    return None


def looks_known(path: Path) -> bool:
    """Whether a path alone might belong to a known data set: saves opening all others."""
    text = path.as_posix()
    return any(data_set.matches(text) for data_set in DATA_SETS.values())
