"""Archive II (NEXRAD Level II) volumes, laid out as in the interface control documents 2620002 and 2620010."""

from __future__ import annotations

import bz2
import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RECORD = 2432
"""Bytes of a message of the metadata record."""
METADATA_MESSAGES, RADIALS_OF_A_RECORD = 134, 120
_POINTERS_END = 72
"""Where the blocks of a message 31 begin: after its head and ten pointers."""
SCALE, OFFSET = 2.0, 66.0
"""Of reflectivity: dBZ = (code - offset) / scale."""


def level2(path: Path, sweeps: Sequence[tuple[float, NDArray[np.uint8]]], when: datetime,
           site: tuple[float, float, int] = (-97.3, 32.6, 208), gate_m: int = 1000) -> Path:
    """sweeps: elevation in degrees and codes (rays, gates). site: longitude, latitude, height in m."""
    radials = [_radial(sweep, elevation, ray, codes[ray], codes.shape[0], sweep == len(sweeps) - 1, when, site, gate_m)
               for sweep, (elevation, codes) in enumerate(sweeps) for ray in range(codes.shape[0])]
    records = [_metadata(when)] + [b"".join(radials[at:at + RADIALS_OF_A_RECORD])
                                   for at in range(0, len(radials), RADIALS_OF_A_RECORD)]
    packed = [bz2.compress(record, 1) for record in records]
    head = b"AR2V0006." + b"001" + struct.pack(">II", *_moment(when)) + b"KFWS"
    path.write_bytes(head + b"".join(struct.pack(">i", len(part)) + part for part in packed))
    return path


def _moment(when: datetime) -> tuple[int, int]:
    """Days, of which 1970-01-01 is the first, and milliseconds of the day."""
    since = when - datetime(1970, 1, 1, tzinfo=UTC)
    return since.days + 1, since.seconds * 1000


def _head(kind: int, halfwords: int, when: datetime) -> bytes:
    days, milliseconds = _moment(when)
    return bytes(12) + struct.pack(">HBBHHIHH", halfwords, 8, kind, 0, days, milliseconds, 1, 1)


def _metadata(when: datetime) -> bytes:
    """Messages without content, the last of them the status of the radar."""
    empty = bytes(RECORD) * (METADATA_MESSAGES - 1)
    return empty + (_head(2, 48, when) + bytes(80)).ljust(RECORD, b"\0")


def _radial(sweep: int, elevation: float, ray: int, codes: NDArray[np.uint8], rays: int, last: bool, when: datetime,
            site: tuple[float, float, int], gate_m: int) -> bytes:
    """A message 31 with the blocks VOL, ELV, RAD and REF."""
    lon, lat, height = site
    volume = b"RVOL" + struct.pack(">HBBffhHfffffH2x", 44, 1, 0, lat, lon, height, 20, 0, 0, 0, 0, 0, 12)
    elevations = b"RELV" + struct.pack(">Hhf", 12, 0, 0.0)
    radial = b"RRAD" + struct.pack(">Hhffh2x", 20, 4660, 0.0, 0.0, 2500)
    moment = b"DREF" + struct.pack(">IHhhhhBBff", 0, codes.size, gate_m // 2, gate_m, 0, 16, 0, 8, SCALE, OFFSET)
    blocks = [volume, elevations, radial, moment + codes.tobytes()]
    starts = np.cumsum([_POINTERS_END] + [len(block) for block in blocks[:-1]])
    length = _POINTERS_END + sum(map(len, blocks))
    first, end = (3 if sweep == 0 else 0), (4 if last else 2)
    status = first if ray == 0 else end if ray == rays - 1 else 1
    days, milliseconds = _moment(when)
    body = struct.pack(">4sIHHfBBHBBBBfBbH", b"KFWS", milliseconds, days, ray + 1, ray * 360 / rays, 0, 0, length, 2,
                       status, sweep + 1, 1, elevation, 0, 0, len(blocks))
    body += struct.pack(">4I24x", *starts[:4]) + b"".join(blocks)
    body += bytes(length % 2)
    return _head(31, (len(body) + 16) // 2, when) + body
