"""Rainbow 5 volumes: an XML head that describes slices, then the blobs it names, each zlib behind its unpacked size."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LEAST, MOST = -31.5, 95.5
"""dBZ of the first and last of 254 steps between codes 1 and 255; 0 is no data."""


def rainbow(path: Path, sweeps: Sequence[tuple[float, NDArray[np.uint8]]], when: datetime,
            site: tuple[float, float, float] = (6.38, 50.86, 116.7), gate_km: float = 1.0) -> Path:
    """sweeps: elevation in degrees and codes (rays, gates). site: longitude, latitude, height in m."""
    slices = "".join(_slice(number, elevation, codes, when, gate_km)
                     for number, (elevation, codes) in enumerate(sweeps))
    lon, lat, height = site
    head = (f'<volume version="5.36.5" datetime="{when:%Y-%m-%dT%H:%M:%S}" type="vol" owner="">\n'
            f'<scan name="TEST.vol" time="{when:%H:%M:%S}" date="{when:%Y-%m-%d}">\n<unitid>SI</unitid>\n'
            f'<pargroup refid="sdfbase"><antspeed>33</antspeed></pargroup>\n{slices}</scan>\n'
            f'<sensorinfo type="gdrx" id="TEST" name="Test"><lon>{lon}</lon><lat>{lat}</lat><alt>{height}</alt>'
            "<wavelen>0.0319</wavelen><beamwidth>1.3</beamwidth></sensorinfo>\n</volume>\n<!-- END XML -->\n")
    blobs = [blob for _, codes in sweeps for blob in (_angles(codes.shape[0]), codes.tobytes())]
    path.write_bytes(head.encode() + b"".join(_blob(number, content) for number, content in enumerate(blobs)))
    return path


def _slice(number: int, elevation: float, codes: NDArray[np.uint8], when: datetime, gate_km: float) -> str:
    rays, gates = codes.shape
    return (f'<slice refid="{number}"><posangle>{elevation}</posangle><anglestep>{360 / rays}</anglestep>'
            f"<rangestep>{gate_km}</rangestep><start_range>0</start_range><stoprange>{gate_km * gates}</stoprange>\n"
            f'<slicedata time="{when:%H:%M:%S}" date="{when:%Y-%m-%d}">'
            f'<rayinfo refid="startangle" blobid="{2 * number}" rays="{rays}" depth="16"/>'
            f'<rawdata blobid="{2 * number + 1}" rays="{rays}" type="dBZ" bins="{gates}" min="{LEAST}" max="{MOST}" '
            'depth="8"/></slicedata></slice>\n')


def _angles(rays: int) -> bytes:
    return (np.arange(rays) * 65536 // rays).astype(">u2").tobytes()


def _blob(number: int, content: bytes) -> bytes:
    packed = struct.pack(">I", len(content)) + zlib.compress(content)
    return f'<BLOB blobid="{number}" size="{len(packed)}" compression="qt">\n'.encode() + packed + b"\n</BLOB>\n"
