"""Small files that say they are huge: refused, before anything of that size is allocated."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest

from engine.archives import open_archive
from engine.errors import UnreadableInput
from tests import builders
from tests.engine.test_image_folder import folder_of
from tests.engine.test_mrms import message
from tests.fuzz.seeds import BUILT, FMI_PGM
from tests.fuzz.test_fuzz import peak_bytes

pytestmark = pytest.mark.fuzz
NOON = datetime(2020, 7, 1, 12, 0, tzinfo=UTC)
CODES = np.zeros((3, 4), np.uint16)
SIDE = 60_000
"""Cells along both sides of a field that no radar has."""


def gif(folder: Path) -> Path:
    path = BUILT["meteoswiss"](folder)
    content = bytearray(path.read_bytes())
    content[6:10] = struct.pack("<HH", SIDE, SIDE)
    image = content.index(b",\0\0\0\0" + struct.pack("<HH", 710, 640))
    content[image + 5:image + 9] = struct.pack("<HH", SIDE, SIDE)
    path.write_bytes(content)
    return path


def pgm(folder: Path) -> Path:
    (folder / "a.pgm").write_bytes(FMI_PGM.replace(b"\n8 12\n", b"\n%d %d\n" % (SIDE, SIDE)) + bytes(96))
    return folder / "a.pgm"


def png(folder: Path) -> Path:
    """Every row of a picture of 3.6 GB, packed to some MB."""
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    opened = folder_of(folder)
    pack, row = zlib.compressobj(9), bytes(1 + SIDE)
    rows = b"".join(pack.compress(row) for _ in range(2000)) + pack.flush()
    head = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    for picture in folder.glob("*.png"):
        picture.write_bytes(content)
    return opened


def hdf5(folder: Path) -> Path:
    path = builders.odim(folder / "a.h5", [CODES.astype(np.uint8)], [NOON])
    with h5py.File(path, "a") as file:
        del file["dataset1/data1/data"]
        file["dataset1/data1"].create_dataset("data", shape=(SIDE, SIDE), dtype="u1", chunks=(SIDE, 1000))
    return path


def netcdf(folder: Path) -> Path:
    path = folder / "a.nc"
    with netCDF4.Dataset(str(path), "w") as file:
        for name, unit, size in (("time", "minutes since 2020-01-01", 1), ("y", "m", SIDE), ("x", "m", SIDE)):
            file.createDimension(name, size)
            file.createVariable(name, "f8", (name,)).units = unit
            file[name][:] = np.arange(size)
        rain = file.createVariable("rain", "f4", ("time", "y", "x"), chunksizes=(1, 100, 100))
        rain.setncatts({"units": "mm h-1", "standard_name": "rainfall_rate"})
    return path


def grib(folder: Path) -> Path:
    content = message(CODES, template=0)
    sizes = struct.pack(">II", 4, 3)
    (folder / "a").write_bytes(content.replace(sizes, struct.pack(">II", SIDE, SIDE)))
    return folder / "a"


@pytest.mark.parametrize("bomb", [gif, pgm, png, hdf5, netcdf, grib])
def test_a_small_file_that_says_it_is_huge_is_refused(tmp_path: Path, bomb: Callable[[Path], Path]) -> None:
    path, before = bomb(tmp_path), peak_bytes()
    with pytest.raises(UnreadableInput):
        open_archive(path).native(0)
    assert peak_bytes() - before < 500 * 1024**2
