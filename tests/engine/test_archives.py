"""Opening folders and files, and the real archives beside the project decoded independently."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pyproj import CRS, Transformer

from engine.archives import open_archive
from engine.archives.assembling import MAX_ALIKE
from engine.cancel import CancelToken
from engine.errors import Cancelled, UnreadableInput
from engine.radar.grid import Grid
from engine.radar.sequence import FrameRef, Layout, RadarSequence
from engine.radar.units import Quantity
from tests import builders

NOON = datetime(2020, 7, 1, 12, 0, tzinfo=UTC)
FIELD = np.arange(12, dtype=np.uint8).reshape(3, 4)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def folder_of(folder: Path, minutes: list[float], field: NDArray[np.uint8] = FIELD) -> Path:
    for k, minute in enumerate(minutes):
        builders.odim(folder / f"f{k:02}.h5", [field], [at(minute)])
    return folder


def test_a_folder_with_one_bad_file_opens_without_it(tmp_path: Path) -> None:
    folder_of(tmp_path, [0, 5, 10, 15])
    (tmp_path / "f02.h5").write_text("this is no radar file")
    sequence = open_archive(tmp_path)
    assert sequence.times == (at(0), at(5), at(15))
    assert [(Path(s.path).name, "no known radar format" in s.reason) for s in sequence.skipped] == [("f02.h5", True)]
    assert [(g.after, g.before, g.missing) for g in sequence.gaps] == [(at(5), at(15), 1)]


@pytest.mark.parametrize(("content", "says"), [
    (b"", "empty"), (b"only text\n", "no known radar format"),
    (b"\x89HDF\r\n\x1a\n" + b"\0" * 50, "damaged or cut short")])
def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "radar.h5"
    path.write_bytes(content)
    with pytest.raises(UnreadableInput, match=says) as caught:
        open_archive(path)
    assert caught.value.exit_code == 3
    assert "radar.h5" in str(caught.value)


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = builders.odim(tmp_path / "a.h5", [FIELD], [NOON])
    path.write_bytes(path.read_bytes()[:-600])
    with pytest.raises(UnreadableInput, match="cut short"):
        open_archive(path)


def test_an_empty_folder_and_a_missing_path(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match="no radar file"):
        open_archive(tmp_path)
    with pytest.raises(UnreadableInput, match="no such file"):
        open_archive(tmp_path / "nowhere")


def test_a_file_that_vanishes_after_the_scan(tmp_path: Path) -> None:
    sequence = open_archive(folder_of(tmp_path, [0, 5]))
    (tmp_path / "f01.h5").unlink()
    with pytest.raises(UnreadableInput, match="gone"):
        sequence.native(1)
    assert sequence.native(0).shape == (3, 4)


def test_the_grid_of_most_files_counts_even_if_the_first_is_another(tmp_path: Path) -> None:
    folder_of(tmp_path, [0, 5, 10])
    builders.odim(tmp_path / "a.h5", [np.zeros((5, 6), np.uint8)], [at(-5)])
    sequence = open_archive(tmp_path)
    assert (len(sequence), sequence.grid.shape) == (3, (3, 4))
    assert [Path(s.path).name for s in sequence.skipped] == ["a.h5"]


def test_two_files_of_one_time(tmp_path: Path) -> None:
    sequence = open_archive(folder_of(tmp_path, [0, 5, 5]))
    assert sequence.times == (at(0), at(5))
    assert sequence.frames[1].path.name == "f01.h5"
    assert "same time as f01.h5" in sequence.skipped[0].reason


def test_mixed_formats_leave_the_fewer_out(tmp_path: Path) -> None:
    folder_of(tmp_path, [0, 5])
    builders.knmi(tmp_path / "k.h5", FIELD.astype(np.uint16), at(10))
    sequence = open_archive(tmp_path)
    assert len(sequence) == 2
    assert "it is KNMI HDF5" in sequence.skipped[0].reason


def test_the_files_of_an_archive_share_one_grid(tmp_path: Path) -> None:
    folder_of(tmp_path, [0, 5])
    for k in range(MAX_ALIKE + 3):  # strangers of the same size elsewhere
        where = {"projdef": builders.LAEA, "xscale": 2000.0, "yscale": 2000.0,
                 **builders.corners(builders.LAEA, 1e4 * (k + 1), -6000, 1e4 * (k + 1) + 8000, 0)}
        builders.odim(tmp_path / f"z{k:02}.h5", [FIELD], [at(100 + k)], where=where)
    sequence = open_archive(tmp_path)
    assert len(sequence) == 2
    assert len(sequence.skipped) == MAX_ALIKE + 3


def test_opening_can_be_cancelled(tmp_path: Path) -> None:
    token = CancelToken()
    with pytest.raises(Cancelled):
        open_archive(folder_of(tmp_path, [0, 5, 10]), token=token, report=lambda fraction, text: token.cancel())


def bare(minutes: list[float]) -> RadarSequence:
    grid = Grid.regular(left=0, top=2, dx=1, dy=1, nx=2, ny=2)
    refs = tuple(FrameRef(at(m), Path("x"), k) for k, m in enumerate(minutes))
    return RadarSequence(Layout("test", "rain", Quantity.RAIN_RATE, "mm/h", grid), refs,
                         lambda ref, layout: np.zeros((2, 2), np.float32))


def test_the_step_survives_gaps_and_late_frames() -> None:
    assert bare([0, 5, 10, 25, 30]).step_minutes == 5
    late = bare([0, 5.1, 9.95, 15.05, 20, 25.02, 40])
    assert late.step_minutes == pytest.approx(5, abs=0.3)
    assert [gap.missing for gap in late.gaps] == [2]
    assert bare([0]).step is None
    assert bare([0]).gaps == ()


@pytest.mark.parametrize(("minute", "found"), [(0, 0), (2.4, 0), (2.6, 1), (-2.6, None), (12, 2), (12.6, None),
                                               (10, 2)])
def test_the_nearest_frame(minute: float, found: int | None) -> None:
    assert bare([0, 5, 10]).index_at(at(minute)) == found


def test_a_hundred_thousand_frames_are_no_quadratic_matter() -> None:
    def cpu(count: int) -> float:
        sequence = bare([5.0 * k for k in range(count)])
        began = time.process_time()
        assert len(sequence.possible_references(5)) == count - 4
        assert sequence.gaps == ()
        return time.process_time() - began

    assert cpu(20_000) < 40 * cpu(2_000)  # ten times the work, not a hundred


# --- real files -----------------------------------------------------------------------------------------------

def check(folder: Path, *, frames: int, first: datetime, last: datetime, step: float, shape: tuple[int, int],
          pixel: float, missing: float, unit: str) -> RadarSequence:
    """What the description of the data says about a group, against every frame of it."""
    sequence = open_archive(folder)
    assert (len(sequence), sequence.times[0], sequence.times[-1]) == (frames, first, last)
    assert (sequence.step_minutes, sequence.gaps, sequence.skipped) == (step, (), ())
    assert sequence.grid.shape == shape
    assert sequence.grid.pixel_km == pytest.approx((pixel, pixel))
    assert sequence.layout.unit == unit
    assert sequence.layout.quantity is Quantity.RAIN_RATE
    share = np.mean([np.isnan(sequence.native(k)).mean() for k in range(0, frames, max(1, frames // 6))])
    assert share == pytest.approx(missing, abs=0.01)
    return sequence


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


@pytest.mark.realdata
def test_knmi(real_data: Path) -> None:
    sequence = check(real_data / "knmi/2010-08-26", frames=92, first=utc(2010, 8, 26, 0, 0),
                     last=utc(2010, 8, 26, 7, 35), step=5, shape=(765, 700), pixel=1, missing=0.74, unit="mm")
    with h5py.File(sequence.frames[46].path) as file:
        raw = file["image1/image_data"][:]
        corners = file["geographic"].attrs["geo_product_corners"].reshape(4, 2)
    expected = np.where(raw == 65535, np.nan, raw * 0.01 * 12)
    np.testing.assert_allclose(sequence.native(46), expected, rtol=1e-6)
    left, right, bottom, top = sequence.grid.extent
    for (lon, lat), (x, y) in zip(corners, ((left, bottom), (left, top), (right, top), (right, bottom)), strict=True):
        assert sequence.grid.lonlat(x, y) == pytest.approx((lon, lat), abs=6e-4)  # the file gives three decimals


@pytest.mark.realdata
@pytest.mark.parametrize(("day", "first", "last", "missing"), [
    ("2015-05-15", utc(2015, 5, 15, 15, 45), utc(2015, 5, 15, 19, 0), 0.31),
    ("2017-01-31", utc(2017, 1, 31, 9, 45), utc(2017, 1, 31, 13, 0), 0.28)])
def test_meteoswiss(real_data: Path, day: str, first: datetime, last: datetime, missing: float) -> None:
    sequence = check(real_data / "mch-aqc" / day, frames=40, first=first, last=last, step=5, shape=(640, 710),
                     pixel=1, missing=missing, unit="mm")
    with Image.open(sequence.frames[20].path) as image:
        index = np.asarray(image).astype(float)
    mm = ((10 ** ((index - 71.5) / 20)) / 316) ** (1 / 1.5)
    mm[(index <= 1) | ((index >= 251) & (index <= 254))] = 0
    mm[index == 255] = np.nan
    np.testing.assert_allclose(sequence.native(20), mm * 12, rtol=1e-6)
    assert sequence.grid.extent == (255_000, 965_000, -160_000, 480_000)
    # Bern's old observatory, the origin of the Swiss grid: 7 deg 26' 22.50" E, 46 deg 57' 08.66" N in CH1903
    bern = sequence.grid.lonlat(np.array(600_000.0), np.array(200_000.0))
    assert bern == pytest.approx((7.43863, 46.95108), abs=1e-4)


@pytest.mark.realdata
def test_opera(real_data: Path) -> None:
    sequence = check(real_data / "opera/2018-08-24", frames=24, first=utc(2018, 8, 24, 18, 0),
                     last=utc(2018, 8, 24, 23, 45), step=15, shape=(2200, 1900), pixel=2, missing=0.50, unit="mm/h")
    with h5py.File(sequence.frames[7].path) as file:
        raw = file["dataset1/data1/data"][:]
        where = dict(file["where"].attrs)
    expected = np.where(raw == -9999000, np.nan, np.where(raw == -8888000, 0, raw))
    np.testing.assert_allclose(sequence.native(7), expected, rtol=1e-6)
    left, right, bottom, top = sequence.grid.extent
    for name, x, y in (("LL", left, bottom), ("UL", left, top), ("LR", right, bottom), ("UR", right, top)):
        assert sequence.grid.lonlat(x, y) == pytest.approx((where[f"{name}_lon"], where[f"{name}_lat"]), abs=1e-6)


@pytest.mark.realdata
def test_bureau_of_meteorology(real_data: Path) -> None:
    sequence = check(real_data / "bom-prcp-c10/2020-10-31", frames=144, first=utc(2020, 10, 31, 0, 0),
                     last=utc(2020, 10, 31, 23, 50), step=10, shape=(512, 512), pixel=0.5, missing=0.0,
                     unit="kg m-2")
    with netCDF4.Dataset(str(sequence.frames[42].path)) as file:
        expected = np.ma.filled(file["precipitation"][:].astype(float), np.nan) * 6
        x = np.asarray(file["x"][:]) * 1000
    np.testing.assert_allclose(sequence.native(42), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(sequence.grid.x, x)
    albers = CRS("+proj=aea +lat_1=-26.2 +lat_2=-29.3 +lat_0=-27.7178 +lon_0=153.24 +a=6378137 +b=6356752.31414")
    to_lonlat = Transformer.from_crs(albers, albers.geodetic_crs, always_xy=True)
    expected_corner = to_lonlat.transform(sequence.grid.x[0], sequence.grid.y[0])
    assert sequence.grid.lonlat(sequence.grid.x[0], sequence.grid.y[0]) == pytest.approx(expected_corner, abs=1e-6)
    assert sequence.grid.lonlat(np.array(0.0), np.array(0.0)) == pytest.approx((153.24, -27.7178), abs=1e-6)


@pytest.mark.realdata
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files can be counted on Linux only")
def test_files_are_closed(real_data: Path) -> None:
    for group in ("knmi/2010-08-26", "mch-aqc/2015-05-15", "opera/2018-08-24", "bom-prcp-c10/2020-10-31"):
        path = sorted((real_data / group).iterdir())[0]
        open_archive(path).native(0)
        before = len(os.listdir("/proc/self/fd"))
        open_archive(path).native(0)
        assert len(os.listdir("/proc/self/fd")) == before
