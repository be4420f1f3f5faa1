"""Zarr stores as xarray writes them, versions 2 and 3, folder and zip; the values that went in come out."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.archives import open_archive
from engine.errors import UnreadableInput
from engine.radar.units import Quantity

pytest.importorskip("zarr")
xarray = pytest.importorskip("xarray")
pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' own

TIMES = np.array(["2020-07-01T12:00", "2020-07-01T12:05", "2020-07-01T12:10"], "M8[ns]")
MAPPING = {"grid_mapping_name": "lambert_azimuthal_equal_area", "latitude_of_projection_origin": 52.0,
           "longitude_of_projection_origin": 5.0, "false_easting": 0.0, "false_northing": 0.0,
           "semi_major_axis": 6378137.0, "inverse_flattening": 298.257223563}


def rates() -> Any:
    values = np.random.default_rng(1).gamma(0.3, 3, (3, 20, 30)).astype(np.float32)
    values[:, :3] = np.nan
    return values


def store(path: Path, version: int, values: Any, encoding: dict[str, Any] | None = None) -> Path:
    attributes = {"units": "mm h-1", "standard_name": "rainfall_rate", "grid_mapping": "crs"}
    y = ("y", 52e3 + np.arange(20) * 1e3, {"units": "m", "standard_name": "projection_y_coordinate"})
    x = ("x", np.arange(30) * 1e3, {"units": "m", "standard_name": "projection_x_coordinate"})
    xarray.Dataset({"rain": (("time", "y", "x"), values, attributes), "crs": ((), 0, MAPPING)},
                   coords={"time": TIMES, "y": y, "x": x}).to_zarr(
        path, zarr_format=version, consolidated=False, encoding={"rain": encoding or {}})
    return path


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("zipped", [False, True])
def test_stores_of_both_versions(tmp_path: Path, version: int, zipped: bool) -> None:
    path = store(tmp_path / "radar", version, rates())
    if zipped:
        path = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", path))
    sequence = open_archive(path)
    assert (sequence.layout.format, sequence.layout.quantity) == ("CF Zarr", Quantity.RAIN_RATE)
    assert sequence.times[1] == datetime(2020, 7, 1, 12, 5, tzinfo=UTC)
    for index, values in enumerate(rates()):
        np.testing.assert_array_equal(sequence.native(index), values[::-1])
    assert (sequence.grid.x[0], sequence.grid.y[0], sequence.grid.y[-1]) == (0.0, 71e3, 52e3)
    assert sequence.grid.lonlat(np.float64(0), np.float64(0)) == pytest.approx((5, 52), abs=1e-9)


@pytest.mark.parametrize("version", [2, 3])
def test_packed_integers_with_a_fill_value(tmp_path: Path, version: int) -> None:
    path = store(tmp_path / "radar", version, rates(),
                 {"dtype": "int16", "scale_factor": 0.1, "_FillValue": -1})
    np.testing.assert_allclose(open_archive(path).native(2), rates()[2, ::-1], atol=0.0501)
    assert np.isnan(open_archive(path).native(0)[-3:]).all()


def test_a_folder_of_stores_is_one_archive_each(tmp_path: Path) -> None:
    store(tmp_path / "a", 3, rates())
    assert len(open_archive(tmp_path)) == 3


@pytest.mark.parametrize("version", [2, 3])
def test_damaged_stores_are_refused(tmp_path: Path, version: int) -> None:
    path = store(tmp_path / "radar", version, rates())
    files = (file for file in (path / "rain").rglob("*") if file.is_file())
    chunks = [file for file in files if not file.name.startswith((".z", "zarr"))]
    for chunk in chunks:
        chunk.write_bytes(chunk.read_bytes()[:10])
    with pytest.raises(UnreadableInput):
        open_archive(path).native(0)
    (path / "rain" / (".zarray" if version == 2 else "zarr.json")).write_text("{")
    with pytest.raises(UnreadableInput):
        open_archive(path)
