"""The readers on tiny built files: values by hand, variants of the formats, hostile input (more in tests/fuzz)."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest
from PIL import Image
from pyproj import Transformer

from engine.archives import open_archive
from engine.errors import UnreadableInput
from engine.radar.units import NO_ECHO_DBZ, Quantity
from tests import builders

NOON = datetime(2020, 7, 1, 12, 0, tzinfo=UTC)
CODES = np.array([[0, 1, 2, 255], [10, 20, 30, 40], [0, 0, 100, 254]], np.uint8)
HALF = np.array([[0, 0.5, 1, np.nan], [5, 10, 15, 20], [0, 0, 50, 127]], np.float32)
"""CODES under gain 0.5, nodata 255, undetect 0."""


def build(folder: Path, which: str) -> Path:
    """One small good file of each format, under a name that says nothing."""
    path = folder / f"{which}.bin"
    swiss = np.zeros((640, 710), np.uint8)
    swiss[5, 7], swiss[0, 0] = 100, 255
    if which == "odim":
        return builders.odim(path, [CODES], [NOON])
    if which == "knmi":
        return builders.knmi(path, CODES.astype(np.uint16), NOON)
    if which == "meteoswiss":
        return builders.meteoswiss(path, swiss, NOON)
    return builders.cf(path, CODES[None].astype("f4"), [NOON],
                       form="NETCDF3_CLASSIC" if which == "netcdf3" else "NETCDF4")


FORMATS = {"odim": "ODIM HDF5", "knmi": "KNMI HDF5", "meteoswiss": "MeteoSwiss GIF", "netcdf3": "CF NetCDF",
           "netcdf4": "CF NetCDF"}


@pytest.mark.parametrize("which", FORMATS)
@pytest.mark.parametrize("name", ["radar.gif", "radar.txt.h5", "radar"])
def test_every_reader_recognises_by_content(tmp_path: Path, which: str, name: str) -> None:
    path = build(tmp_path, which).rename(tmp_path / name)
    sequence = open_archive(path)
    assert (sequence.layout.format, sequence.times, sequence.skipped) == (FORMATS[which], (NOON,), ())
    assert sequence.native(0).dtype == np.float32
    assert pickle.loads(pickle.dumps(sequence)).native(0).shape == sequence.grid.shape


@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: v.decode() if isinstance(v, bytes) else v,
                                  lambda v: np.array([v])], ids=["bytes", "text", "array"])
@pytest.mark.parametrize("where_in_dataset", [False, True])
@pytest.mark.parametrize("what_in_data", [False, True])
def test_odim_in_all_spellings(tmp_path: Path, wrap: object, where_in_dataset: bool, what_in_data: bool) -> None:
    sequence = open_archive(builders.odim(tmp_path / "a.h5", [CODES], [NOON], wrap=wrap, what_in_data=what_in_data,
                                          where_in_dataset=where_in_dataset))
    np.testing.assert_array_equal(sequence.native(0), HALF)
    assert sequence.grid.extent == pytest.approx((0, 8000, -6000, 0), abs=0.01)
    lon, lat = Transformer.from_crs(builders.LAEA, "EPSG:4326", always_xy=True).transform(1000, -1000)
    assert sequence.grid.lonlat(sequence.grid.x[0], sequence.grid.y[0]) == pytest.approx((lon, lat), abs=1e-7)


def test_odim_accumulation_becomes_a_rate(tmp_path: Path) -> None:
    sequence = open_archive(builders.odim(tmp_path / "a.h5", [CODES], [NOON], quantity="ACRR", minutes=15))
    np.testing.assert_allclose(sequence.native(0), HALF * 4)
    assert (sequence.layout.unit, sequence.layout.quantity) == ("mm", Quantity.RAIN_RATE)


def test_odim_reflectivity_keeps_no_echo_apart_from_no_data(tmp_path: Path) -> None:
    sequence = open_archive(builders.odim(tmp_path / "a.h5", [CODES], [NOON], quantity="DBZH", offset=-32.0,
                                          how={"zr_a": 316.0, "zr_b": 1.5}))
    native = sequence.native(0)
    assert native[0, 0] == NO_ECHO_DBZ
    assert native[1, 0] == -27.0
    assert np.isnan(native[0, 3])
    assert sequence.rain_rate(0)[0, 0] == 0
    assert (sequence.zr.a, sequence.zr.b, sequence.layout.zr_source) == (316.0, 1.5, "given in the file")


def test_odim_datasets_of_several_times_become_frames(tmp_path: Path) -> None:
    times = [NOON + timedelta(minutes=6 * k) for k in range(4)]
    fields = [np.full((3, 4), k + 1, np.uint8) for k in range(4)]
    sequence = open_archive(builders.odim(tmp_path / "a.h5", fields, times, how={"synthetic": b"true"}))
    assert sequence.times == tuple(times)
    assert [sequence.native(k)[0, 0] for k in range(4)] == [0.5, 1.0, 1.5, 2.0]
    assert sequence.layout.synthetic
    assert sequence.step_minutes == 6


def test_odim_source_can_mark_the_synthetic(tmp_path: Path) -> None:
    assert open_archive(builders.odim(tmp_path / "a.h5", [CODES], [NOON], source="CMT:synthetic")).layout.synthetic


def test_odim_with_float_codes_and_nan_for_no_data(tmp_path: Path) -> None:
    field = np.array([[np.nan, -8888000.0, 3.5], [0.0, 1.0, -1e-9]])
    sequence = open_archive(builders.odim(tmp_path / "a.h5", [field], [NOON], gain=1.0, nodata=np.nan,
                                          undetect=-8888000.0))
    np.testing.assert_array_equal(sequence.native(0), np.array([[np.nan, 0, 3.5], [0, 1, 0]], np.float32))


def test_odim_without_cell_size_takes_it_from_the_corners(tmp_path: Path) -> None:
    where = {"projdef": builders.LAEA, **builders.corners(builders.LAEA, 0, -6000, 8000, 0)}
    grid = open_archive(builders.odim(tmp_path / "a.h5", [CODES], [NOON], where=where)).grid
    assert (grid.dx, grid.dy) == pytest.approx((2000, 2000), abs=1e-3)


def test_odim_does_not_follow_links_into_other_files(tmp_path: Path) -> None:
    builders.odim(tmp_path / "other.h5", [CODES], [NOON])
    path = builders.odim(tmp_path / "a.h5", [CODES], [NOON])
    with h5py.File(path, "a") as file:
        del file["dataset1/data1/data"]
        file["dataset1/data1/data"] = h5py.ExternalLink("other.h5", "/dataset1/data1/data")
    with pytest.raises(UnreadableInput, match="another file"):
        open_archive(path)


def test_absurd_sizes_are_refused_before_anything_is_allocated(tmp_path: Path) -> None:
    path = builders.odim(tmp_path / "a.h5", [CODES], [NOON])
    with h5py.File(path, "a") as file:
        del file["dataset1/data1/data"]
        file["dataset1/data1"].create_dataset("data", shape=(10**6, 10**6), dtype="u1", chunks=(1000, 1000))
    with pytest.raises(UnreadableInput, match="absurd"):
        open_archive(path)


def test_knmi_by_hand(tmp_path: Path) -> None:
    field = np.array([[0, 10, 100], [65535, 1, 2]], np.uint16)
    sequence = open_archive(builders.knmi(tmp_path / "a.h5", field, NOON))
    np.testing.assert_allclose(sequence.native(0), np.array([[0, 1.2, 12], [np.nan, 0.12, 0.24]], np.float32))
    assert sequence.grid.extent == pytest.approx((0, 3000, -3652000, -3650000))


def test_knmi_reflectivity_and_lengths_by_name(tmp_path: Path) -> None:
    field = np.array([[0, 100], [255, 63]], np.uint16)
    dbz = open_archive(builders.knmi(tmp_path / "a.h5", field, NOON, formula="GEO = 0.500000 * PV + -31.500000",
                                     parameter="REFLECTIVITY_[DBZ]", missing=255, minutes=0))
    np.testing.assert_allclose(dbz.native(0), [[-31.5, 18.5], [np.nan, 0.0]])
    assert dbz.layout.quantity is Quantity.REFLECTIVITY
    hours = open_archive(builders.knmi(tmp_path / "b.h5", field, NOON, minutes=0, name="RAD_NL25_RAC_03H"))
    assert hours.native(0)[0, 1] == pytest.approx(1.0 / 3)


@pytest.mark.parametrize("formula", ["GEO=__import__('os')", "GEO=0.01*PV+0.0;1", "GEO=1e999*PV", ""])
def test_knmi_formulas_are_not_evaluated(tmp_path: Path, formula: str) -> None:
    path = builders.knmi(tmp_path / "a.h5", CODES.astype(np.uint16), NOON, formula=formula)
    with pytest.raises(UnreadableInput):
        open_archive(path)


def test_meteoswiss_by_hand(tmp_path: Path) -> None:
    indices = np.zeros((640, 710), np.uint8)
    indices[0, :6] = [1, 2, 131, 250, 251, 255]
    sequence = open_archive(builders.meteoswiss(tmp_path / "x.png", indices, NOON))
    mm = [(10 ** ((i - 71.5) / 20) / 316) ** (1 / 1.5) for i in (2, 131, 250)]
    np.testing.assert_allclose(sequence.native(0)[0, :6], [0, *np.multiply(mm, 12), 0, np.nan], rtol=1e-6)
    assert (sequence.zr.a, sequence.zr.b) == (316.0, 1.5)


@pytest.mark.parametrize("change", [{"product": "RZC"}, {"scale": "other"}, {"minutes": 0}])
def test_meteoswiss_products_of_unknown_law_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = builders.meteoswiss(tmp_path / "x.gif", np.zeros((640, 710), np.uint8), NOON, **change)  # type: ignore[arg-type]
    with pytest.raises(UnreadableInput):
        open_archive(path)


def test_a_gif_of_something_else_is_not_recognised(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((640, 710), np.uint8)).save(tmp_path / "AQC151351545F_00005.801.gif")
    with pytest.raises(UnreadableInput, match="no known radar format"):
        open_archive(tmp_path / "AQC151351545F_00005.801.gif")


@pytest.mark.parametrize("form", ["NETCDF3_CLASSIC", "NETCDF4"])
@pytest.mark.parametrize("axis_unit", ["km", "m"])
@pytest.mark.parametrize("rising", [False, True])
def test_cf_is_turned_north_up_and_into_metres(tmp_path: Path, form: str, axis_unit: str, rising: bool) -> None:
    times = [NOON, NOON + timedelta(minutes=5)]
    values = np.arange(24, dtype="f4").reshape(2, 3, 4)
    sequence = open_archive(builders.cf(tmp_path / "a.nc", values, times, form=form, axis_unit=axis_unit,
                                        rising=rising))
    assert sequence.times == tuple(times)
    np.testing.assert_array_equal(sequence.native(1), values[1, ::-1] if rising else values[1])
    assert sequence.grid.extent == pytest.approx((0, 4000, 0, 3000))
    laea = Transformer.from_crs("+proj=laea +lat_0=52 +lon_0=5 +ellps=WGS84", "EPSG:4326", always_xy=True)
    assert sequence.grid.lonlat(500.0, 500.0) == pytest.approx(laea.transform(500, 500), abs=1e-6)


@pytest.mark.parametrize(("units", "name", "factor"), [
    ("mm/h", "", 1), ("mm hr-1", "rainfall_rate", 1), ("kg m-2 s-1", "precipitation_flux", 3600),
    ("m s-1", "lwe_precipitation_rate", 3.6e6), ("mm", "lwe_thickness_of_precipitation_amount", 12),
    ("kg m-2", "precipitation_amount", 12)])
def test_cf_units(tmp_path: Path, units: str, name: str, factor: float) -> None:
    values = np.full((1, 3, 4), 2.0, "f8")
    sequence = open_archive(builders.cf(tmp_path / "a.nc", values, [NOON], units=units, standard_name=name,
                                        bounds_minutes=5 if factor == 12 else None))
    np.testing.assert_allclose(sequence.native(0), 2.0 * factor, rtol=1e-6)


def test_cf_amount_without_an_interval_is_refused(tmp_path: Path) -> None:
    path = builders.cf(tmp_path / "a.nc", np.ones((1, 3, 4), "f4"), [NOON], units="mm",
                       standard_name="precipitation_amount")
    with pytest.raises(UnreadableInput, match="accumulated"):
        open_archive(path)


def test_cf_packing_and_missing(tmp_path: Path) -> None:
    values = np.array([[[0, 10, -1, 500], [20, -9, 7, 8], [1, 2, 3, 4]]], "i2")
    sequence = open_archive(builders.cf(tmp_path / "a.nc", values, [NOON], attributes={
        "_FillValue": np.int16(-1), "missing_value": np.int16(-9), "scale_factor": 0.1, "add_offset": 1.0,
        "valid_max": np.int16(400)}))
    expected = np.array([[1, 2, np.nan, np.nan], [3, np.nan, 1.7, 1.8], [1.1, 1.2, 1.3, 1.4]], np.float32)
    np.testing.assert_allclose(sequence.native(0), expected, rtol=1e-6)


def test_cf_names_the_candidates_where_it_cannot_choose(tmp_path: Path) -> None:
    path = builders.cf(tmp_path / "a.nc", np.ones((1, 3, 4), "f4"), [NOON])
    with netCDF4.Dataset(str(path), "a") as file:
        twin = file.createVariable("radar_rain", "f4", ("time", "y", "x"))
        twin.setncatts({"units": "mm h-1", "standard_name": "rainfall_rate"})
    with pytest.raises(UnreadableInput, match=r"radar_rain, rain"):
        open_archive(path)


def test_cf_does_not_take_wind_for_rain(tmp_path: Path) -> None:
    path = builders.cf(tmp_path / "a.nc", np.ones((1, 3, 4), "f4"), [NOON], name="u", units="m s-1",
                       standard_name="eastward_wind")
    with pytest.raises(UnreadableInput, match="no variable"):
        open_archive(path)
