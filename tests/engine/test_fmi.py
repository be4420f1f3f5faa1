"""FMI's PGM composites: built files, real ones against their raw bytes and against FMI's GeoTIFF of the same time."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pyproj import Proj

from engine.archives import open_archive
from engine.errors import UnreadableInput
from engine.radar.units import NO_ECHO_DBZ, Quantity

HEADER = """P5
# composite_area FIN
# projection_name SUOMI1
# radar KOR 1 21.6460 60.1280
# obstime 201705091400
# producttype CAPPI
# productname LOWEST
# param CorrectedReflectivity
# metersperpixel_x 999.674053
# metersperpixel_y 999.62859
# projection radar {
# type stereographic
# centrallongitude 25
# centrallatitude 90
# truelatitude 60
# bottomleft 18.600000 57.930000
# topright 34.903000 69.005000
# }
760 1226
255
"""


def pgm(path: Path, field: NDArray[np.uint8], header: str = HEADER, packed: bool = True) -> Path:
    content = header.encode() + field.tobytes()
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    return path


@pytest.fixture
def field() -> NDArray[np.uint8]:
    made = np.zeros((1226, 760), np.uint8)
    made[0, 0], made[0, 1], made[5, 7], made[-1, -1] = 255, 64, 1, 154
    return made


@pytest.mark.parametrize("packed", [True, False])
def test_values_and_place_by_hand(tmp_path: Path, field: NDArray[np.uint8], packed: bool) -> None:
    sequence = open_archive(pgm(tmp_path / "anything.txt.gif", field, packed=packed))
    native = sequence.native(0)
    assert np.isnan(native[0, 0])
    assert (native[0, 1], native[5, 7], native[-1, -1], native[9, 9]) == (0.0, -31.5, 45.0, NO_ECHO_DBZ)
    assert sequence.times == (datetime(2017, 5, 9, 14, tzinfo=UTC),)
    assert (sequence.zr.a, sequence.zr.b, sequence.layout.quantity) == (223.0, 1.53, Quantity.REFLECTIVITY)
    assert "Finnish" in sequence.layout.zr_source
    assert sequence.rain_rate(0)[-1, -1] == pytest.approx((10**4.5 / 223) ** (1 / 1.53), rel=1e-5)


def test_corners_lie_where_the_header_says(tmp_path: Path, field: NDArray[np.uint8]) -> None:
    grid = open_archive(pgm(tmp_path / "a", field)).grid
    assert (grid.dx, grid.dy) == pytest.approx((999.674053, 999.62859), abs=1e-4)
    left, right, bottom, top = grid.extent
    project = Proj(proj="stere", lat_0=90, lon_0=25, lat_ts=60, R=6371288)
    assert project(18.6, 57.93) == pytest.approx((left, bottom), abs=1e-3)
    assert project(34.903, 69.005) == pytest.approx((right, top), abs=1e-3)


@pytest.mark.parametrize(("old", "new", "words"), [
    ("760 1226", "760000 122600", "absurd"), ("\n255\n", "\n65535\n", "reach 65535"),
    ("201705091400", "201713091400", "no time"), ("# type stereographic", "# type mercator", "projection"),
    ("# topright 34.903000 69.005000\n", "", "where it lies"), ("CorrectedReflectivity", "Velocity", "quantity"),
    ("34.903000 69.005000", "10.0 50.0", "above and right")])
def test_a_wrong_header_is_named(tmp_path: Path, field: NDArray[np.uint8], old: str, new: str, words: str) -> None:
    with pytest.raises(UnreadableInput, match=words):
        open_archive(pgm(tmp_path / "a", field, HEADER.replace(old, new)))


def test_a_cut_file_is_refused(tmp_path: Path, field: NDArray[np.uint8]) -> None:
    sequence = open_archive(pgm(tmp_path / "a", field[:600], packed=False))
    with pytest.raises(UnreadableInput, match="cut short"):
        sequence.native(0)
    with pytest.raises(UnreadableInput):
        open_archive(pgm(tmp_path / "b", field[:0], HEADER[:300], packed=False))


@pytest.mark.realdata
@pytest.mark.parametrize("day", ["2016-09-28", "2017-05-09"])
def test_real_files_equal_their_bytes(real_data: Path, day: str) -> None:
    sequence = open_archive(real_data / "fmi-pgm" / day)
    assert (len(sequence), sequence.step_minutes, sequence.grid.shape, sequence.gaps) == (40, 5.0, (1226, 760), ())
    raw = gzip.decompress(sequence.frames[11].path.read_bytes())
    stored = np.frombuffer(raw[-1226 * 760:], np.uint8).reshape(1226, 760)
    native = sequence.native(11)
    assert np.array_equal(np.isnan(native), stored == 255)
    known = stored != 255
    assert np.array_equal(native[known], ((stored[known].astype(float) - 64) / 2).astype(np.float32))
    assert np.isnan(native).mean() == pytest.approx(0.24, abs=0.005)


@pytest.mark.realdata
def test_both_formats_show_the_same_echoes_at_the_same_place(real_data: Path) -> None:
    coarse, fine = (open_archive(real_data / group / "2017-05-09") for group in ("fmi-pgm", "fmi-geotiff"))
    time = fine.times[-1]
    first, second = (sequence.native(sequence.index_exactly_at(time) or 0) for sequence in (coarse, fine))
    x, y = np.meshgrid(coarse.grid.x, coarse.grid.y)
    x, y = fine.grid.from_lonlat(*coarse.grid.lonlat(x.ravel(), y.ravel()))

    def likeness(east: float, north: float) -> float:
        column = ((x + east - fine.grid.extent[0]) / fine.grid.dx).astype(int)
        row = ((fine.grid.extent[3] - y - north) / fine.grid.dy).astype(int)
        moved, here = second[row, column], first.ravel()
        both = np.isfinite(moved) & np.isfinite(here)
        assert both.mean() > 0.7
        return float(np.corrcoef(np.maximum(moved[both], -10), np.maximum(here[both], -10))[0, 1])

    here = likeness(0, 0)
    assert here > 0.95
    assert all(likeness(*shift) < here for shift in ((500, 0), (-500, 0), (0, -500), (0, 1000), (1000, 1000)))
