"""GeoTIFF: files built tag by tag with tifffile, FMI's real ones decoded by tifffile too."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyproj import Proj, Transformer

from engine.archives import open_archive
from engine.archives.geotiff_keys import notes
from engine.errors import UnreadableInput
from engine.radar.units import NO_ECHO_DBZ, Quantity

tifffile = pytest.importorskip("tifffile")

CODES = np.array([[0, 64, 255], [1, 154, 100]], np.uint8)
DBZ = np.array([[NO_ECHO_DBZ, 0, np.nan], [-31.5, 45, 18]], np.float32)
FMI = ('<GDALMetadata><Item name="Observation time" format="YYYYMMDDhhmm">202007011205</Item>'
       '<Item name="Quantity" unit="dBZ">Corrected reflectivity</Item><Item name="Gain">0.5</Item>'
       '<Item name="Offset">-32</Item><Item name="Nodata">255</Item><Item name="Undetect">0</Item></GDALMetadata>')
ITEM = '<GDALMetadata><Item name="{}" sample="0" role="{}">{}</Item></GDALMetadata>'
UTM = ((1024, 1), (1025, 1), (3072, 3067))


def geotiff(path: Path, field: Any, *, notes: str = FMI, keys: tuple[tuple[int, float], ...] = UTM,
            scale: tuple[float, ...] = (1000.0, 500.0, 0.0), tie: tuple[float, ...] = (0, 0, 0, 200e3, 7000e3, 0),
            matrix: tuple[float, ...] | None = None, nodata: str = "", **how: Any) -> Path:
    doubles = [value for _, value in keys if isinstance(value, float)]
    rows: list[int] = [1, 1, 0, len(keys)]
    for key, value in keys:
        rows += [key, 34736, 1, doubles.index(value)] if isinstance(value, float) else [key, 0, 1, value]
    tags: list[tuple[int, str, int, Any, bool]] = [(34735, "H", len(rows), tuple(rows), True)] if keys else []
    tags += [(34736, "d", len(doubles), tuple(doubles), True)] if doubles else []
    tags += [(34264, "d", 16, matrix, True)] if matrix else [(33550, "d", 3, scale, True), (33922, "d", 6, tie, True)]
    tags += [(42112, "s", 0, notes, True)] if notes else []
    tags += [(42113, "s", 0, nodata, True)] if nodata else []
    tifffile.imwrite(path, field, extratags=tags, photometric="minisblack", metadata=None, **how)
    return path


@pytest.mark.parametrize("how", [{}, {"tile": (16, 16), "compression": "zlib"}, {"bigtiff": True}, {"byteorder": ">"},
                                 {"compression": "zlib", "rowsperstrip": 1}])
def test_values_in_every_wrapping(tmp_path: Path, how: dict[str, Any]) -> None:
    sequence = open_archive(geotiff(tmp_path / "name.txt", CODES, **how))
    np.testing.assert_array_equal(sequence.native(0), DBZ)
    assert sequence.times == (datetime(2020, 7, 1, 12, 5, tzinfo=UTC),)
    assert sequence.layout.variable == "Corrected reflectivity"
    assert (sequence.grid.crs, sequence.grid.extent) == ("EPSG:3067", (200e3, 203e3, 6999e3, 7000e3))
    lon, lat = Transformer.from_crs("EPSG:3067", "EPSG:4326", always_xy=True).transform(200500, 6999750)
    assert sequence.grid.lonlat(sequence.grid.x[0], sequence.grid.y[0]) == pytest.approx((lon, lat), abs=1e-9)
    assert (sequence.zr.a, sequence.zr.b) == (223, 1.53)


def test_pixels_that_are_points_lie_half_a_cell_away(tmp_path: Path) -> None:
    grid = open_archive(geotiff(tmp_path / "a", CODES, keys=((1024, 1), (1025, 2), (3072, 3067)))).grid
    assert (grid.x[0], grid.y[0]) == (200e3, 7000e3)


def test_a_matrix_with_rows_to_the_north_is_turned(tmp_path: Path) -> None:
    matrix = (1000.0, 0, 0, 200e3, 0, 500.0, 0, 6999e3, 0, 0, 0, 0, 0, 0, 0, 1.0)
    sequence = open_archive(geotiff(tmp_path / "a", CODES[::-1], matrix=matrix))
    np.testing.assert_array_equal(sequence.native(0), DBZ)
    assert sequence.grid.extent == (200e3, 203e3, 6999e3, 7000e3)


def test_float_rates_with_the_time_in_the_name(tmp_path: Path) -> None:
    field = np.array([[0, 1.5, -9999], [3, 2, 100]], np.float32)
    path = geotiff(tmp_path / "rain_20200701T1210.tif", field, notes=ITEM.format("UNITTYPE", "unittype", "mm/h"),
                   nodata="-9999")
    sequence = open_archive(path)
    np.testing.assert_array_equal(sequence.native(0), np.where(field < 0, np.nan, field))
    assert (sequence.layout.quantity, sequence.times[0].minute) == (Quantity.RAIN_RATE, 10)
    assert "assumed" in sequence.layout.zr_source


def test_sixteen_bits_with_gdal_scale(tmp_path: Path) -> None:
    field = np.array([[0, 100, 65535], [200, 1, 2]], np.uint16)
    text = ITEM.format("SCALE", "scale", "0.01").replace("</GDAL", '<Item name="OFFSET" role="offset">0</Item></GDAL')
    sequence = open_archive(geotiff(tmp_path / "rain_rate_202007011210.tif", field, notes=text, nodata="65535"))
    expected = np.where(field == 65535, np.nan, field * 0.01).astype(np.float32)
    np.testing.assert_allclose(sequence.native(0), expected, rtol=1e-6)


@pytest.mark.parametrize(("keys", "proj"), [
    (((1024, 1), (3072, 32767), (3075, 15), (2057, 6371288.0), (3081, 60.0), (3095, 25.0)),
     {"proj": "stere", "lat_0": 90, "lon_0": 25, "lat_ts": 60, "R": 6371288}),
    (((1024, 1), (3072, 32767), (3075, 10), (2048, 4326), (3088, 10.0), (3089, 55.0), (3082, 1950000.0),
      (3083, -2100000.0)),
     {"proj": "laea", "lat_0": 55, "lon_0": 10, "x_0": 1950000, "y_0": -2100000, "ellps": "WGS84"}),
    (((1024, 1), (3072, 32767), (3075, 11), (2048, 4283), (3078, -26.2), (3079, -29.3), (3080, 153.24), (3081, -27.7)),
     {"proj": "aea", "lat_1": -26.2, "lat_2": -29.3, "lon_0": 153.24, "lat_0": -27.7, "ellps": "GRS80"}),
], ids=["stereographic", "lambert azimuthal", "albers"])
def test_projections_given_by_parameters(tmp_path: Path, keys: Any, proj: dict[str, Any]) -> None:
    grid = open_archive(geotiff(tmp_path / "a", CODES, keys=keys, tie=(0, 0, 0, 1000.0, -500000.0, 0))).grid
    expected = Proj(proj)(grid.x[1], grid.y[0], inverse=True)
    back = Transformer.from_crs(grid.projection, grid.projection.geodetic_crs, always_xy=True)
    assert back.transform(grid.x[1], grid.y[0]) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("change", "words"), [
    ({"notes": ""}, "reflectivity or rain rate"),
    ({"notes": FMI.replace("dBZ", "m/s")}, "unit"),
    ({"notes": FMI.replace("202007011205", "soon")}, "time"),
    ({"notes": FMI.replace("Gain", "Pain").replace(' unit="dBZ"', "")}, "whole numbers"),
    ({"notes": FMI.replace("0.5", "half")}, "no number"),
    ({"matrix": (1.0, 1.0, 0, 0, 1.0, -1.0, 0, 0, *[0.0] * 8)}, "rotated"),
    ({"keys": ((1024, 1), (3072, 1))}, "PROJ"),
    ({"keys": ((1024, 1), (3072, 32767), (3075, 99), (2048, 4326))}, "code 99"),
    ({"scale": (0.0, 0.0, 0.0)}, "damaged"),
])
def test_what_is_missing_is_named(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    with pytest.raises(UnreadableInput, match=words):
        open_archive(geotiff(tmp_path / "a", CODES, **change))


def test_colours_and_cut_files_are_refused(tmp_path: Path) -> None:
    good = geotiff(tmp_path / "a", np.tile(CODES, (40, 40)), compression="zlib").read_bytes()
    for length in (20, 200, len(good) - 30):
        (tmp_path / "b").write_bytes(good[:length])
        with pytest.raises(UnreadableInput):
            open_archive(tmp_path / "b").native(0)


def test_notes_that_were_escaped_twice() -> None:
    inner = FMI.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    outer = "<GDALMetadata><Item name=\"GDAL_METADATA\">" + inner.replace("&", "&amp;") + "</Item></GDALMetadata>"
    assert {name: note.value for name, note in notes(outer).items()} == {
        "observation time": "202007011205", "quantity": "Corrected reflectivity", "gain": "0.5", "offset": "-32",
        "nodata": "255", "undetect": "0"}


@pytest.mark.realdata
def test_real_files_equal_tifffile(real_data: Path) -> None:
    sequence = open_archive(real_data / "fmi-geotiff" / "2017-05-09")
    assert (len(sequence), sequence.step_minutes, sequence.grid.shape) == (12, 5.0, (7316, 4963))
    assert sequence.times[0] == datetime(2017, 5, 9, 13, 5, tzinfo=UTC)
    assert (sequence.grid.dx, sequence.grid.dy) == pytest.approx((250.004, 250.014), abs=1e-3)
    rows = slice(2000, 4000)
    stored = tifffile.imread(sequence.frames[3].path)[rows]
    native = sequence.native(3)[rows]
    assert np.array_equal(np.isnan(native), stored == 255)
    known = stored != 255
    assert np.array_equal(native[known], stored[known] * np.float32(0.5) - np.float32(32))
