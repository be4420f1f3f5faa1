"""DWD DX: the local reflectivity sweep of a German weather radar, 360 rays of 128 gates of 1 km.

A text header up to the byte 0x03: ``DX``, day, hour and minute, the radar's number, month and year, ``BY`` and the
length, then a message. Words of 16 bits, little-endian: 0x2000 begins a ray, followed by its azimuth and elevation
in tenths of a degree; in others the low 12 bits are the value, 0x1000 marks a run of zeros, 0x8000 clutter.
dBZ = value / 2 - 32.5; 0 is no echo. The file does not say where the radar stands: that is a table of its number.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.archives.polar_volume import Outline, SweepHead, reflectivity_law
from engine.archives.probe import Probe
from engine.errors import UnreadableInput
from engine.radar.gridding import Site, Sweep, reach
from engine.radar.units import ZR

TITLE = "DWD DX"
MAX_BYTES = 400_000
MAX_RAYS = 720
GATES = 128
SPACING_M = 1000.0
DWD_ZR = ZR(256.0, 1.42)
"""DWD's pair for the mean drop spectrum."""

_HEADER = re.compile(rb"DX(\d{6})(\d{5})(\d{4})BY *(\d+)VS")
_RAY, _ZEROS, _VALUE = 0x2000, 0x1000, 0x0FFF

SITES = {
    "10103": Site(6.748292, 53.564011, 36), "10132": Site(10.04687, 54.00438, 125),
    "10169": Site(12.05808, 54.17566, 37), "10339": Site(9.69452, 52.46008, 98),
    "10356": Site(11.17609, 52.16009, 183), "10392": Site(13.858212, 52.648667, 194),
    "10410": Site(6.967111, 51.405649, 185), "10440": Site(8.801998, 51.311197, 627),
    "10488": Site(13.768639, 51.124639, 263), "10557": Site(11.135034, 50.500114, 880),
    "10605": Site(6.548328, 50.109656, 586), "10629": Site(8.712933, 49.984745, 246),
    "10780": Site(12.402788, 49.540667, 799), "10832": Site(9.782675, 48.585379, 768),
    "10873": Site(12.101779, 48.174705, 678), "10908": Site(8.003611, 47.873611, 1516),
    "10950": Site(10.219222, 48.042145, 724),
}
"""Radar number to place, after DWD's list of radar sites."""


def is_dx(probe: Probe) -> bool:
    return _HEADER.match(probe.head) is not None


def outline(path: Path) -> Outline:
    """Raises UnreadableInput."""
    header, words = _words(path)
    day, radar, month = (part.decode() for part in header.groups()[:3])
    try:
        time = datetime.strptime(day[:2] + month + day[2:], "%d%m%y%H%M").replace(tzinfo=UTC)
    except ValueError as problem:
        raise UnreadableInput(path, f"'{day} {month}' is no time", tried=TITLE) from problem
    if radar not in SITES:
        raise UnreadableInput(path, f"it is of radar {radar}, whose place is not known", tried=TITLE,
                              advice="Choose files of another radar.")
    rays = _rays(path, words)
    elevation = float(np.median([ray[1] for ray in rays]))
    head = SweepHead("sweep", elevation, reach(elevation, SPACING_M / 2, SPACING_M, GATES), time)
    return Outline(TITLE, "DX", SITES[radar], time, (head,), f"DWD radar {radar}", DWD_ZR, "DWD's standard pair")


def sweeps(path: Path) -> list[Sweep]:
    """The one sweep; its elevation, which DX varies with azimuth, is the middle one. Raises UnreadableInput."""
    _, words = _words(path)
    rays = _rays(path, words)
    values = reflectivity_law(0.5, -32.5, nothing=0.0)(np.stack([ray[2] for ray in rays]))
    return [Sweep(float(np.median([ray[1] for ray in rays])), np.array([ray[0] for ray in rays]),
                  SPACING_M / 2, SPACING_M, values)]


def _words(path: Path) -> tuple[re.Match[bytes], NDArray[np.uint16]]:
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    header = _HEADER.match(content)
    end = content.find(b"\x03")
    if header is None or end < 0 or len(content) > MAX_BYTES:
        raise UnreadableInput(path, "its header is damaged", tried=TITLE)
    if content[end + 1:end + 2] == b"\x03":
        end += 1
    declared = int(header.group(4))
    if len(content) + 1 < declared:
        raise UnreadableInput(path, f"it is cut short: {len(content)} of {declared} bytes", tried=TITLE)
    body = content[end + 1:]
    return header, np.frombuffer(body[:len(body) // 2 * 2], "<u2")


def _rays(path: Path, words: NDArray[np.uint16]) -> list[tuple[float, float, NDArray[np.uint16]]]:
    """(azimuth, elevation, values of 128 gates) of each ray."""
    starts = np.flatnonzero(words == _RAY)
    if not 2 <= starts.size <= MAX_RAYS:
        raise UnreadableInput(path, f"it has {starts.size} rays", tried=TITLE)
    rays = []
    for start, end in zip(starts, [*starts[1:], words.size], strict=True):
        ray = words[start:end]
        if ray.size < 4:
            raise UnreadableInput(path, "a ray is damaged", tried=TITLE)
        azimuth, elevation = (float(int(word) & _VALUE) / 10.0 for word in ray[1:3])
        rays.append((azimuth, elevation, _unpacked(path, ray[3:])))
    return rays


def _unpacked(path: Path, ray: NDArray[np.uint16]) -> NDArray[np.uint16]:
    runs = (ray & _ZEROS) != 0
    repeats = np.where(runs, ray & _VALUE, 1)
    if int(repeats.sum()) != GATES:
        raise UnreadableInput(path, f"a ray has {int(repeats.sum())} gates", tried=TITLE)
    return np.repeat(np.where(runs, 0, ray & _VALUE), repeats).astype(np.uint16)
