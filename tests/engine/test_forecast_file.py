"""The forecast file: written whole or not at all, clean CF, read back equal here and by other libraries."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from engine.archives import open_archive
from engine.archives.forecast_file import read_forecast
from engine.errors import Cancelled, UnreadableInput, UnwritableOutput
from engine.export.forecast_file import ForecastHeader, ForecastWriter
from engine.export.whole import whole_file
from engine.radar.grid import Grid
from engine.radar.units import ZR

NOON = datetime(2020, 7, 1, 12, 0, tzinfo=UTC)
SWISS = ("+proj=somerc +lon_0=7.43958333333333 +lat_0=46.9524055555556 +k_0=1 +x_0=600000 +y_0=200000 "
         "+ellps=bessel +towgs84=674.374,15.056,405.346,0,0,0,0 +units=m")
LAEA = "+proj=laea +lat_0=55 +lon_0=10 +x_0=1950000 +y_0=-2100000 +units=m +ellps=WGS84"
GRIDS = {"laea": Grid.regular(left=2e6, top=-2e6, dx=2000, dy=1000, nx=7, ny=5, crs=LAEA),
         "swiss": Grid.regular(left=6e5, top=2e5, dx=1000, dy=1000, nx=7, ny=5, crs=SWISS),
         "degrees": Grid.regular(left=230, top=55, dx=0.01, dy=0.01, nx=7, ny=5, crs="EPSG:4326"),
         "nowhere": Grid.regular(left=0, top=5000, dx=1000, dy=1000, nx=7, ny=5)}
HEADER = ForecastHeader(GRIDS["laea"], ZR(316, 1.5), NOON, 5.0, "rover-nonlinear", "unsharp", "trilinear", "ab" * 32,
                        "a title", "a radar", True, "made in a test")


def field(seed: int, shape: tuple[int, ...] = (5, 7)) -> NDArray[np.float32]:
    values = np.random.default_rng(seed).gamma(0.5, 4, shape).astype(np.float32)
    values[..., 0, 1] = np.nan
    values[..., 1, 1] = 0
    return values


def write(path: Path, header: ForecastHeader = HEADER, leads: int = 3) -> Path:
    shape = (5, 7) if header.members is None else (header.members, 5, 7)
    with ForecastWriter(path, header) as writer:
        for k in range(leads):
            writer.write(5.0 * (k + 1), field(k, shape))
    return path


@pytest.mark.parametrize("where", GRIDS)
def test_read_back_equal(tmp_path: Path, where: str) -> None:
    header = replace(HEADER, grid=GRIDS[where])
    forecast = read_forecast(write(tmp_path / "f.nc", header))
    assert forecast.lead_minutes == (5.0, 10.0, 15.0)
    assert forecast.valid_times == tuple(NOON + timedelta(minutes=5 * k) for k in (1, 2, 3))
    for k in range(3):
        np.testing.assert_array_equal(forecast.frame(k), field(k))
    got = forecast.header
    assert got.grid.same_as(header.grid)
    assert got.history.endswith("made in a test")
    assert replace(got, grid=header.grid, history=header.history) == header
    if where != "nowhere":
        there = np.array(header.grid.x[3]), np.array(header.grid.y[2])
        np.testing.assert_allclose(got.grid.lonlat(*there), header.grid.lonlat(*there), atol=1e-7)


@pytest.mark.parametrize("name", ["f.nc", "radar.gif"])
def test_it_opens_as_an_archive(tmp_path: Path, name: str) -> None:
    sequence = open_archive(write(tmp_path / name))
    assert sequence.layout.format == "Stormdeck forecast file"
    assert sequence.times[0] == NOON + timedelta(minutes=5)
    assert sequence.step_minutes == 5
    assert sequence.layout.synthetic
    assert sequence.zr == ZR(316, 1.5)
    np.testing.assert_array_equal(sequence.native(2), field(2))


def test_an_ensemble_keeps_its_members_and_shows_the_first(tmp_path: Path) -> None:
    path = write(tmp_path / "f.nc", replace(HEADER, members=3))
    forecast = read_forecast(path)
    assert forecast.header.members == 3
    np.testing.assert_array_equal(forecast.frame(1), field(1, (3, 5, 7)))
    np.testing.assert_array_equal(open_archive(path).native(1), field(1, (3, 5, 7))[0])
    with netCDF4.Dataset(str(path)) as file:
        assert file["rain_rate"].dimensions == ("member", "lead_time", "y", "x")


def test_the_contract_holds(tmp_path: Path) -> None:
    with netCDF4.Dataset(str(write(tmp_path / "f.nc"))) as file:
        assert file.Conventions == "CF-1.10"
        assert file.data_model == "NETCDF4"
        rate = file["rain_rate"]
        assert (rate.dimensions, rate.dtype, rate.units) == (("lead_time", "y", "x"), np.float32, "mm h-1")
        assert rate.standard_name == "rainfall_rate"
        assert np.isnan(rate._FillValue)
        assert rate.filters()["zlib"]
        assert file["lead_time"].units == "minutes"
        assert file["lead_time"].standard_name == "forecast_period"
        assert file["forecast_reference_time"].shape == ()
        assert file["forecast_reference_time"].standard_name == "forecast_reference_time"
        assert (file["x"].units, file["x"].axis) == ("m", "X")
        assert set(rate.coordinates.split()) == {"time", "forecast_reference_time", "lat", "lon"}
        assert all(name in file.variables for name in (*rate.coordinates.split(), rate.grid_mapping))
        assert CRS.from_wkt(file[rate.grid_mapping].crs_wkt) == CRS(LAEA)
        wanted = {"title", "source", "history", "forecaster", "deblurrer", "downscaler", "weights_sha256", "zr_a",
                  "zr_b", "stormdeck_version"}
        assert wanted <= set(file.ncattrs())
        x, y = np.meshgrid(file["x"][:], file["y"][:])
        lon, lat = Transformer.from_crs(LAEA, "EPSG:4326", always_xy=True).transform(x, y)
        np.testing.assert_allclose(file["lon"][:], lon, atol=1e-5)
        np.testing.assert_allclose(file["lat"][:], lat, atol=1e-5)


def test_it_opens_in_xarray_as_it_is(tmp_path: Path) -> None:
    with xarray.open_dataset(write(tmp_path / "f.nc"), engine="netcdf4", decode_timedelta=False) as dataset:
        assert dataset["rain_rate"].dims == ("lead_time", "y", "x")
        assert {"time", "forecast_reference_time", "lat", "lon", "x", "y"} <= set(dataset.coords)
        assert dataset["time"].values[0] == np.datetime64("2020-07-01T12:05")
        assert dataset["forecast_reference_time"].values == np.datetime64("2020-07-01T12:00")
        np.testing.assert_array_equal(dataset["rain_rate"].values[1], field(1))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("where", GRIDS)
@pytest.mark.parametrize("members", [None, 2])
def test_a_cf_checker_has_no_complaint(tmp_path: Path, where: str, members: int | None) -> None:
    pytest.importorskip("compliance_checker")
    from compliance_checker.runner import CheckSuite

    path = write(tmp_path / "f.nc", replace(HEADER, grid=GRIDS[where], members=members))
    suite = CheckSuite()
    suite.load_all_available_checkers()
    dataset = suite.load_dataset(str(path))
    try:
        groups = suite.run_all(dataset, ["cf:1.10"])["cf:1.10"][0]
    finally:
        dataset.close()
    complaints = [message for group in groups if group.value[0] < group.value[1] for message in group.msgs]
    # The checker asks oblique Mercator for "azimuth", which appendix F of CF calls azimuth_of_central_line.
    assert [text for text in complaints if not text.startswith("azimuth is a required attribute")] == []


@pytest.mark.parametrize("error", [Cancelled, ValueError, KeyboardInterrupt])
def test_nothing_remains_after_an_error(tmp_path: Path, error: type[BaseException]) -> None:
    def fail_half_way() -> None:
        with ForecastWriter(tmp_path / "f.nc", HEADER) as writer:
            writer.write(5, field(0))
            raise error

    with pytest.raises(error):
        fail_half_way()
    assert list(tmp_path.iterdir()) == []


def test_an_older_file_survives_a_failure(tmp_path: Path) -> None:
    path = write(tmp_path / "f.nc")
    before = path.read_bytes()
    with pytest.raises(Cancelled), ForecastWriter(path, HEADER):
        raise Cancelled
    assert path.read_bytes() == before
    write(path, leads=2)
    assert len(read_forecast(path)) == 2


def test_wrong_frames_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shape"), ForecastWriter(tmp_path / "f.nc", HEADER) as writer:
        writer.write(5, field(0)[:2])
    with ForecastWriter(tmp_path / "g.nc", HEADER) as writer:
        writer.write(10, field(0))
        with pytest.raises(ValueError, match="after"):
            writer.write(5, field(0))
    (tmp_path / "g.nc").unlink()
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(UnwritableOutput, match="no such folder"), ForecastWriter(tmp_path / "no" / "f.nc", HEADER):
        pass
    with pytest.raises(UnwritableOutput, match="folder"), ForecastWriter(tmp_path, HEADER):
        pass


def test_whole_file(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a.txt") as part:
        assert part.parent == tmp_path
        assert part.suffix == ".txt"
        part.write_text("whole")
        assert not (tmp_path / "a.txt").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_other_files_are_no_forecasts(tmp_path: Path) -> None:
    (tmp_path / "f.nc").write_text("text")
    with pytest.raises(UnreadableInput, match="no forecast file"):
        read_forecast(tmp_path / "f.nc")
    path = write(tmp_path / "g.nc")
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(UnreadableInput):
        read_forecast(path)
