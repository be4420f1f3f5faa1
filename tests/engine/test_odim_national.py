"""ODIM composites in the dialects of national services: where attributes stand, what is left out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
import pytest

from engine.archives import open_archive
from tests import builders

NOON = datetime(2020, 7, 1, 12, 0, tzinfo=UTC)
CODES = np.array([[0, 1, 2, 255], [10, 20, 30, 40], [0, 0, 100, 254]], np.uint8)
BELGIUM = ("+proj=lcc +lat_1=49.83333333333334 +lat_2=51.16666666666666 +lat_0=50.797815 +lon_0=4.359215833333333 "
           "+x_0=649328 +y_0=665262 +ellps=GRS80 +units=m")


def belgian(path: Path, quantity: bytes = b"RATE") -> Path:
    """As the Royal Meteorological Institute writes its composites: place and cell size in dataset1/where, the law in
    dataset1/data1/what, nothing in the root but the object and the time."""
    with h5py.File(path, "w") as file:
        file.attrs["Conventions"] = np.bytes_("ODIM_H5/V2_2")
        what = file.create_group("what")
        for name, value in (("object", "COMP"), ("date", "20200701"), ("time", "120000"), ("source", "ORG:208"),
                            ("version", "H5rad 2.2")):
            what.attrs[name] = np.bytes_(value)
        where = file.create_group("dataset1/where")
        for name, number in builders.corners(BELGIUM, 300e3, 800e3 - 1500, 302e3, 800e3).items():
            where.attrs[name] = number
        where.attrs.update({"projdef": np.bytes_(BELGIUM), "xscale": 500.0, "yscale": 500.0, "xsize": np.int64(4),
                            "ysize": np.int64(3)})
        moments = file.create_group("dataset1/what")
        for name, value in (("product", "COMP"), ("startdate", "20200701"), ("starttime", "115500"),
                            ("enddate", "20200701"), ("endtime", "120000")):
            moments.attrs[name] = np.bytes_(value)
        law = file.create_group("dataset1/data1/what")
        law.attrs["quantity"] = np.bytes_(quantity)
        law.attrs.update({"gain": 0.5, "offset": 0.0, "nodata": 255.0, "undetect": 0.0})
        file["dataset1/data1"].create_dataset("data", data=CODES, compression="gzip")
    return path


def test_belgian_composites(tmp_path: Path) -> None:
    sequence = open_archive(belgian(tmp_path / "a"))
    np.testing.assert_array_equal(sequence.native(0), np.where(CODES == 255, np.nan, CODES / 2).astype(np.float32))
    assert sequence.times == (NOON,)
    assert sequence.grid.extent == pytest.approx((300e3, 302e3, 800e3 - 1500, 800e3), abs=0.01)


def test_belgian_accumulations_use_their_interval(tmp_path: Path) -> None:
    sequence = open_archive(belgian(tmp_path / "a", b"ACRR"))
    assert sequence.native(0)[1, 0] == pytest.approx(5.0 * 12)


def test_the_law_may_stand_one_level_above_the_quantity(tmp_path: Path) -> None:
    """Only the quantity in data1/what; gain, offset and codes in dataset1/what."""
    path = belgian(tmp_path / "a")
    with h5py.File(path, "r+") as file:
        for name in ("gain", "offset", "nodata", "undetect"):
            file["dataset1/what"].attrs[name] = file["dataset1/data1/what"].attrs[name]
            del file["dataset1/data1/what"].attrs[name]
    expected = np.where(CODES == 255, np.nan, CODES / 2).astype(np.float32)
    np.testing.assert_array_equal(open_archive(path).native(0), expected)
