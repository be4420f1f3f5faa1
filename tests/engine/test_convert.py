"""Converted archives, read back by our reader, by netCDF4 and by xarray."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from engine.archives import open_archive
from engine.cancel import CancelToken
from engine.commands import run as command
from engine.errors import Cancelled, NotEnoughInput, UnwritableOutput, WrongUsage
from engine.export.cf_netcdf import write_cf
from engine.jobs.convert import Changes, ConvertRequest, changed, run
from engine.jobs.scope import Scope
from engine.radar.grid import Grid
from engine.radar.operations import fill_gaps
from engine.radar.units import HKO7, Quantity
from tests import builders
from tests.engine.sequences import START, sequence


def field(index: int) -> np.ndarray:
    out = np.random.default_rng(index).gamma(0.4, 5.0, (24, 32)).astype(np.float32)
    out[0, :3] = np.nan
    return out


def archive(folder: Path, count: int = 8, missing: tuple[int, ...] = ()) -> Path:
    folder.mkdir()
    for k in range(count):
        if k not in missing:
            stored = np.random.default_rng(k).integers(0, 60, (24, 32)).astype(np.uint8)
            builders.odim(folder / f"{k:03}.h5", [stored], [START + timedelta(minutes=5 * k)])
    return folder


@pytest.mark.parametrize("quantity", list(Quantity))
def test_cf_netcdf_is_read_back_as_it_was(tmp_path: Path, quantity: Quantity) -> None:
    one = sequence(field, 4, quantity=quantity, zr=HKO7, synthetic=True)
    write_cf(tmp_path / "a.nc", one)
    back = open_archive(tmp_path / "a.nc")
    assert back.times == one.times
    assert back.grid.same_as(one.grid)
    assert (back.zr, back.layout.quantity, back.layout.synthetic) == (HKO7, quantity, True)
    for k in range(4):
        np.testing.assert_array_equal(back.native(k), one.native(k))


def test_geographic_grids_and_grids_without_projection(tmp_path: Path) -> None:
    for name, crs in (("geo", "EPSG:4326"), ("bare", None)):
        place = Grid.regular(left=5.0, top=50.0, dx=0.01, dy=0.01, nx=32, ny=24, crs=crs)
        one = sequence(field, 2, on=place)
        write_cf(tmp_path / f"{name}.nc", one)
        back = open_archive(tmp_path / f"{name}.nc")
        np.testing.assert_array_equal(back.native(1), one.native(1))
        assert back.grid.is_geographic is (crs is not None)


def test_filled_frames_are_marked_in_the_file(tmp_path: Path) -> None:
    write_cf(tmp_path / "a.nc", fill_gaps(sequence(field, 5, missing=(2,)), "linear"))
    with netCDF4.Dataset(tmp_path / "a.nc") as file:
        assert file["interpolated"][:].tolist() == [0, 0, 1, 0, 0]


def test_xarray_reads_the_file(tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    one = sequence(field, 3)
    write_cf(tmp_path / "a.nc", one)
    with xarray.open_dataset(tmp_path / "a.nc") as dataset:
        assert dataset.time.values[0] == np.datetime64("2020-07-01T12:00")
        np.testing.assert_array_equal(dataset.rain_rate[2].values, one.native(2))


def test_to_xarray_and_back_reads_on_demand(tmp_path: Path) -> None:
    pytest.importorskip("xarray")
    from engine.export.xarray_bridge import from_xarray, to_xarray

    one = fill_gaps(sequence(field, 5, missing=(2,), zr=HKO7), "nearest")
    dataset = to_xarray(one)
    np.testing.assert_array_equal(dataset.rain_rate[1, 3:9, ::4].values, one.native(1)[3:9, ::4])
    np.testing.assert_array_equal(dataset.rain_rate[1:3, 5].values, np.stack([one.native(k)[5] for k in (1, 2)]))
    back = from_xarray(dataset)
    assert (back.times, back.filled, back.zr) == (one.times, one.filled, HKO7)
    assert back.grid.same_as(one.grid)
    np.testing.assert_array_equal(back.native(3), one.native(3))
    upside_down = from_xarray(dataset.isel(y=slice(None, None, -1)).transpose("x", "time", "y"))
    np.testing.assert_array_equal(upside_down.native(3), one.native(3))
    with pytest.raises(NotEnoughInput):
        from_xarray(dataset.rename(rain_rate="a").assign(b=dataset.rain_rate))
    with pytest.raises(NotEnoughInput):
        from_xarray(dataset, "nothing")


def test_zarr_is_read_by_xarray_and_replaced_whole(tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    xarray = pytest.importorskip("xarray")
    from engine.export.xarray_bridge import from_xarray
    from engine.export.zarr import write_zarr

    one = sequence(field, 3, zr=HKO7)
    for _ in range(2):
        write_zarr(tmp_path / "a.zarr", one)
    with xarray.open_zarr(tmp_path / "a.zarr", chunks=None) as dataset:
        back = from_xarray(dataset)
        assert (back.times, back.zr) == (one.times, HKO7)
        assert back.grid.same_as(one.grid)
        np.testing.assert_array_equal(back.native(2), one.native(2))
    (tmp_path / "mine").mkdir()
    with pytest.raises(UnwritableOutput):
        write_zarr(tmp_path / "mine", one)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zarr", "mine"]


def test_all_changes_at_once(tmp_path: Path) -> None:
    changes = Changes(zr=(300, 1.4), fill="linear", crop=(10.0, 30.0, 60.0, 70.0), pixel_km=4.0, step_minutes=10)
    with pytest.raises(WrongUsage, match="outside"):
        changed(sequence(field, 8), Changes(crop=(100, 10, 101, 11)))
    done = changed(open_archive(archive(tmp_path / "a", 9, missing=(4,))), Changes(**{**vars(changes), "crop": None}))
    assert done.step_minutes == 10
    assert done.grid.shape == (12, 16)
    assert done.filled == {1}
    with pytest.raises(WrongUsage):
        changed(done, Changes(zr=(-1, 2)))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, output = archive(tmp_path / "a", missing=(3,)), tmp_path / "b.nc"
    assert command(["convert", str(folder), "-o", str(output), "--pixel-km", "4", "--fill", "linear", "--json"]) == 0
    assert '"filled": ["2020-07-01T12:15:00Z"]' in capsys.readouterr().out
    back, whole = open_archive(output), open_archive(folder)
    assert len(back) == 8
    np.testing.assert_allclose(back.native(0), whole.native(0).reshape(12, 2, 16, 2).mean((1, 3)), rtol=1e-5)
    assert command(["convert", str(folder), "-o", str(tmp_path / "b.txt")]) == 2
    assert command(["convert", str(folder), "-o", str(tmp_path / "c.nc"), "--fill", "refuse"]) == 4
    assert command(["convert", str(folder), "-o", str(tmp_path / "c.nc"), "--crop", "1,2,3"]) == 2
    assert not (tmp_path / "c.nc").exists()


@pytest.mark.parametrize("name", ["c.nc", "c.zarr"])
def test_a_cancelled_conversion_leaves_nothing(tmp_path: Path, name: str) -> None:
    if name.endswith("zarr"):
        pytest.importorskip("zarr")
    folder, token = archive(tmp_path / "a"), CancelToken()
    scope = Scope(token, lambda event: token.cancel() if "writing" in str(event) else None)
    with pytest.raises(Cancelled):
        list(run(ConvertRequest((folder,), tmp_path / name), scope))
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.realdata
def test_a_real_archive_converted_is_the_archive(tmp_path: Path, real_data: Path) -> None:
    files = sorted((real_data / "bom-prcp-c10").rglob("*.nc"))[:3]
    whole = open_archive(files)
    write_cf(tmp_path / "a.nc", whole)
    back = open_archive(tmp_path / "a.nc")
    assert back.times == whole.times
    assert back.grid.same_as(whole.grid)
    np.testing.assert_array_equal(back.native(1), whole.native(1))
