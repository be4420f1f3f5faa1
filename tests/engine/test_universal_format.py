"""Universal Format: files written from its published layout, with the lengths of Fortran around records and without."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.archives import open_archive
from engine.archives.uf_records import framed
from engine.errors import UnreadableInput
from engine.radar.units import NO_ECHO_DBZ
from tests.universal_format import VERTICAL, universal_format

pytest.importorskip("xradar")
NOON = datetime(2020, 7, 1, 12, 0, tzinfo=UTC)
SITE = (5.4, 51.075, 140.0)
RAYS, GATES = 90, 40


def rings() -> NDArray[np.float64]:
    """Ten gates each of 5, 15 and 25 dBZ, then nothing."""
    field = np.repeat([5.0, 15.0, 25.0, np.nan], GATES // 4)
    return np.broadcast_to(field, (RAYS, GATES)).copy()


def without_lengths(content: bytes, around: str) -> bytes:
    """The records with other lengths around them: none or two bytes."""
    size = int.from_bytes(content[:4], "big")
    length = struct.pack(around, *([size] if around else []))
    records = (content[at + 4:at + 4 + size] for at in range(0, len(content), size + 8))
    return b"".join(length + record + length for record in records)


def test_values_place_and_time(tmp_path: Path) -> None:
    sequence = open_archive(universal_format(tmp_path / "a", [(0.5, rings()), (1.5, rings())], NOON, site=SITE))
    assert (sequence.layout.format, sequence.times) == ("Universal Format", (NOON,))
    assert sequence.grid.lonlat(np.array(0.0), np.array(0.0)) == pytest.approx(SITE[:2], abs=1e-6)
    half = sequence.native(0)[GATES // 2, GATES // 2:]  # cells of 1 km, from the radar to the east
    np.testing.assert_array_equal(half[[2, 7, 12]], np.array([5, 15, 25], np.float32))
    assert (half[16:19] == NO_ECHO_DBZ).all()


@pytest.mark.parametrize("around", ["", ">H"])
def test_records_without_four_bytes_of_length(tmp_path: Path, around: str) -> None:
    path = universal_format(tmp_path / "a", [(0.5, rings())], NOON, site=SITE)
    expected = open_archive(path).native(0)
    other = tmp_path / "b"
    other.write_bytes(without_lengths(path.read_bytes(), around))
    assert framed(other.read_bytes()) == path.read_bytes()
    np.testing.assert_array_equal(open_archive(other).native(0), expected)


def test_vertical_cuts_are_refused(tmp_path: Path) -> None:
    path = universal_format(tmp_path / "a", [(37.0, rings())], NOON, site=SITE, mode=VERTICAL)
    with pytest.raises(UnreadableInput, match="RHI"):
        open_archive(path)


def test_something_else_between_records_is_refused(tmp_path: Path) -> None:
    path = universal_format(tmp_path / "a", [(0.5, rings())], NOON, site=SITE)
    bare = without_lengths(path.read_bytes(), "")
    path.write_bytes(bare[:400] + b"\xff" + bare[400:])
    with pytest.raises(UnreadableInput):
        open_archive(path)
