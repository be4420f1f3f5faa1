"""MeteoNet: built files, hostile pickles, and the samples of METEO FRANCE."""

from __future__ import annotations

import contextlib
import os
import pickle
import random
import warnings
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.archives import npz_tools, open_archive
from engine.archives.meteonet_masks import static_fields
from engine.errors import UnreadableInput
from engine.radar.grid import Grid
from engine.radar.static_fields import ELEVATION, LAND_SEA, StaticField, regridded
from engine.radar.units import NO_ECHO_DBZ, Quantity
from tests.engine.image_builders import meteonet, npz_with

FIRST = datetime(2016, 8, 21)
NORTH_WEST, SOUTH_EAST = (565, 784), (515, 784)


def times(*minutes: float) -> list[datetime]:
    return [FIRST + timedelta(minutes=m) for m in minutes]


def maps(shape: tuple[int, int], *values: int) -> NDArray[np.int16]:
    """One map for each 5 values; they stand at the beginning of its first row."""
    data = np.zeros((1, *shape), np.int16)
    data[0, 0, :len(values)] = values
    return data


@pytest.mark.parametrize(("name", "stored", "values", "quantity"), [
    ("rainfall_NW_2016_08.3", (-1, 0, 1, 250), (np.nan, 0, 0.12, 30), Quantity.RAIN_RATE),
    ("reflectivity_old_NW_2016_08.3", (255, 0, 8, 47), (np.nan, NO_ECHO_DBZ, 8, 47), Quantity.REFLECTIVITY),
    ("reflectivity_new_NW_2018_01.1", (-200, -100, 0, 475), (np.nan, NO_ECHO_DBZ, 0, 47.5), Quantity.REFLECTIVITY),
    ("renamed", (-200, -100, 0, 475), (np.nan, NO_ECHO_DBZ, 0, 47.5), Quantity.REFLECTIVITY),
    ("renamed", (-1, 0, 1, 1250), (np.nan, 0, 0.12, 150), Quantity.RAIN_RATE),
])
def test_the_products(tmp_path: Path, name: str, stored: tuple[int, ...], values: tuple[float, ...],
                      quantity: Quantity) -> None:
    sequence = open_archive(meteonet(tmp_path / f"{name}.npz", maps(NORTH_WEST, *stored), times(0)))
    assert (sequence.layout.format, sequence.layout.quantity) == ("MeteoNet", quantity)
    np.testing.assert_allclose(sequence.native(0)[0, :4], values, rtol=1e-6)


def test_names_and_values_that_disagree_are_told(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match="none of reflectivity_old"):
        open_archive(meteonet(tmp_path / "reflectivity_old_NW.npz", maps(NORTH_WEST, -200), times(0)))
    with pytest.raises(UnreadableInput, match="neither its name nor its values"):
        open_archive(meteonet(tmp_path / "some.npz", maps(NORTH_WEST, 0), times(0)))


def test_quality_codes_are_refused(tmp_path: Path) -> None:
    days = [date(2016, 8, 21)]
    for name in ("rainfall_mean_quality-code_NW.npz", "rainfall_NW.npz"):
        with pytest.raises(UnreadableInput, match="quality codes"):
            open_archive(meteonet(tmp_path / name, maps(NORTH_WEST, 99, 255), days))


def test_gaps_and_order(tmp_path: Path) -> None:
    data = np.concatenate([maps(SOUTH_EAST, k) for k in range(4)])
    sequence = open_archive(meteonet(tmp_path / "rainfall_SE.npz", data, times(10, 0, 5, 25)))
    assert sequence.times == tuple(t.replace(tzinfo=UTC) for t in times(0, 5, 10, 25))
    assert [gap.missing for gap in sequence.gaps] == [2]
    assert [round(float(sequence.native(k)[0, 0]) / 0.12) for k in range(4)] == [1, 2, 0, 3]


def test_the_zone_from_shape_or_coordinates(tmp_path: Path) -> None:
    sequence = open_archive(meteonet(tmp_path / "rainfall.npz", maps(SOUTH_EAST, 1), times(0)))
    assert (sequence.grid.x[0], sequence.grid.x[-1]) == pytest.approx((2.005, 9.835))
    assert (sequence.grid.y[0], sequence.grid.y[-1]) == pytest.approx((46.245, 41.105))
    path = meteonet(tmp_path / "rainfall_small.npz", maps((3, 6), 1), times(0))
    with pytest.raises(UnreadableInput, match="no known zone"):
        open_archive(path)
    lats, lons = np.meshgrid([50.0, 49.99, 49.98], np.arange(6) * 0.01, indexing="ij")
    np.savez(tmp_path / "radar_coords_XX.npz", lats=lats, lons=lons)
    assert open_archive(path).grid.y.tolist() == [50.0, 49.99, 49.98]


def python_2(dates: list[datetime], protocol: int = 2) -> bytes:
    """What numpy wrote under Python 2: bytes as text, longs, the old name of numpy's module."""
    body = b"".join(b"h\x05U\x0a" + bytes([d.year // 256, d.year % 256, d.month, d.day, d.hour, d.minute, d.second,
                                           0, 0, 0]) + b"\x85R" for d in dates)
    count = len(dates).to_bytes(1, "little")
    return (b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87R(K\x01"
            b"\x8a\x01" + count + b"\x85cnumpy\ndtype\nU\x02O8K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xff"
            b"J\xff\xff\xff\xffK?tb\x89](cdatetime\ndatetime\nq\x05" + body.replace(b"h\x05", b"", 1) + b"etb.")


def test_dates_written_by_python_2(tmp_path: Path) -> None:
    wanted = times(0, 5)
    content = python_2(wanted)
    trusted: Any = pickle.loads(content, encoding="latin-1")  # the built pickle is a good one
    assert trusted.tolist() == wanted
    data = np.concatenate([maps(NORTH_WEST, -1), maps(NORTH_WEST, 5)])
    sequence = open_archive(npz_with(tmp_path / "rainfall_NW.npz", data, content, 2))
    assert sequence.times == tuple(t.replace(tzinfo=UTC) for t in wanted)


def test_headers_written_by_python_2_need_no_warning(tmp_path: Path) -> None:
    path = npz_with(tmp_path / "rainfall_NW.npz", maps(NORTH_WEST, -1), python_2(times(0)), 1)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content.replace(b"(1,), }  ", b"(1L,), } "))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(open_archive(path)) == 1


class Evil:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.system, ("touch \"$EVIL\"",)


def hostile() -> dict[str, bytes]:
    array = np.array([Evil()], object)
    getattr_trick = b"\x80\x02c__builtin__\neval\nX\x10\x00\x00\x00open('hacked','w')\x85R."
    return {
        "reduce": pickle.dumps(array, 2), "reduce 4": pickle.dumps(array, 4),
        "bare": pickle.dumps(Evil()), "text": b"cos\nsystem\n(S'touch \"$EVIL\"'\ntR.",
        "eval": getattr_trick, "dotted": b"\x80\x04\x8c\x08datetime\x8c\x11datetime.__class__\x93.",
        "memo": b"\x80\x02]r\xff\xff\xff\xff.", "bytearray": b"\x80\x05\x96" + b"\xff" * 7 + b"\x0f.",
        "no dates": pickle.dumps(np.array(["x"], object)), "huge long": b"\x80\x02\x8b\xff\xff\xff\x7f.",
        "persistent": b"\x80\x02Pos.system\n.", "empty": b"", "cut": pickle.dumps(np.array(times(0), object))[:-20],
        "inst": b"(S'touch \"$EVIL\"'\nios\nsystem\n.", "extension": b"\x80\x02\x82\x01.",
        "numbers": pickle.dumps(np.array([1.0], object)),
    }


@pytest.mark.parametrize("which", hostile())
def test_hostile_pickles_run_nothing(tmp_path: Path, which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    witness = tmp_path / "evil"
    monkeypatch.setenv("EVIL", str(witness))
    monkeypatch.chdir(tmp_path)
    path = npz_with(tmp_path / "rainfall_NW.npz", maps(NORTH_WEST, -1), hostile()[which], 1)
    with pytest.raises(UnreadableInput, match="rainfall_NW"):
        open_archive(path)
    assert not witness.exists()
    assert not (tmp_path / "hacked").exists()


def test_the_hostile_pickle_would_have_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """numpy's own loader falls for it: the test above tests something."""
    monkeypatch.setenv("EVIL", str(tmp_path / "evil"))
    pickle.loads(hostile()["reduce"])
    assert (tmp_path / "evil").exists()


@pytest.mark.parametrize("shape", [(10**6, 10**6), (2**40,), (3, -1), (0, 5, 5), (1, 1, 10**9)])
def test_absurd_headers_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = meteonet(tmp_path / "rainfall_NW.npz", maps((3, 4), 1), times(0))
    text = f"{{'descr': '<i2', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content if name != "data.npy" else
                             content[:8] + len(text).to_bytes(2, "little") + text.encode() + content[128:])
    with pytest.raises(UnreadableInput):
        open_archive(path)


def test_damaged_files_raise_nothing_else(tmp_path: Path) -> None:
    lats, lons = np.meshgrid(50 - np.arange(5) * 0.01, np.arange(6) * 0.01, indexing="ij")
    np.savez(tmp_path / "radar_coords_XX.npz", lats=lats, lons=lons)
    good = meteonet(tmp_path / "rainfall.npz", maps((5, 6), -1, 7), times(0)).read_bytes()
    draw, bad = random.Random("meteonet"), tmp_path / "rainfall_bad.npz"
    for _ in range(150):
        content = bytearray(good[:draw.randrange(1, len(good))] if draw.random() < 0.3 else good)
        for _ in range(draw.choice((1, 4, 32))):
            content[draw.randrange(len(content))] = draw.randrange(256)
        bad.write_bytes(content)
        with contextlib.suppress(UnreadableInput):
            open_archive(bad).native(0)


def test_static_fields_come_onto_the_radars_grid() -> None:
    """A plane in longitude and latitude is kept exactly by bilinear interpolation."""
    coarse = Grid(np.arange(9) * 0.025, 50 - np.arange(5) * 0.025, "EPSG:4326")
    fine = Grid(0.03 + np.arange(10) * 0.01, 49.98 - np.arange(6) * 0.01, "EPSG:4326")
    plane = (coarse.x[None, :] * 100 + coarse.y[:, None]).astype(np.float32)
    field = regridded(StaticField(ELEVATION, plane, "m", "a test", coarse), fine)
    np.testing.assert_allclose(field.values, fine.x[None, :] * 100 + fine.y[:, None], rtol=1e-6)
    outside = Grid(fine.x + 1, fine.y, "EPSG:4326")
    assert np.isnan(regridded(StaticField(ELEVATION, plane, "m", "a test", coarse), outside).values).all()


def test_static_fields_from_grib(tmp_path: Path) -> None:
    eccodes = pytest.importorskip("eccodes")
    path = tmp_path / "masks.grib"
    with path.open("wb") as file:
        for parameter, values in ((172, [0, 1, 1, 0, 1, 1]), (3008, [0, 100, 200, 0, 300, 400])):
            message = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib2")
            for key, value in {"Ni": 3, "Nj": 2, "latitudeOfFirstGridPointInDegrees": 50.025,
                               "longitudeOfFirstGridPointInDegrees": 359.975, "latitudeOfLastGridPointInDegrees": 50.0,
                               "longitudeOfLastGridPointInDegrees": 0.025, "iDirectionIncrementInDegrees": 0.025,
                               "jDirectionIncrementInDegrees": 0.025, "paramId": parameter}.items():
                eccodes.codes_set(message, key, value)
            eccodes.codes_set_values(message, np.array(values, float))
            eccodes.codes_write(message, file)
            eccodes.codes_release(message)
    fields = {field.name: field for field in static_fields(path)}
    assert set(fields) == {LAND_SEA, ELEVATION}
    np.testing.assert_allclose(fields[ELEVATION].values, [[0, 100, 200], [0, 300, 400]], atol=0.1)
    np.testing.assert_allclose(fields[LAND_SEA].grid.x, [-0.025, 0, 0.025], atol=1e-9)
    np.testing.assert_allclose(fields[LAND_SEA].grid.y, [50.025, 50])
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UnreadableInput):
        static_fields(path)


REAL = [("rainfall_NW", NORTH_WEST, 45), ("rainfall_SE", SOUTH_EAST, 45),
        ("reflectivity_old_NW", NORTH_WEST, 29), ("reflectivity_old_SE", SOUTH_EAST, 29)]


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "shape", "count"), REAL)
def test_the_samples(real_data: Path, name: str, shape: tuple[int, int], count: int) -> None:
    path = real_data / f"meteonet/2016-08-21/{name}_2016_08.3.npz"
    sequence = open_archive(path)
    trusted = np.load(path, allow_pickle=True)
    assert sequence.times == tuple(t.replace(tzinfo=UTC) for t in sorted(trusted["dates"].tolist()))
    assert (len(sequence), sequence.grid.shape, sequence.step_minutes) == (count, shape, 5)
    for index in (0, 7, count - 1):
        raw = trusted["data"][trusted["dates"].tolist().index(sequence.times[index].replace(tzinfo=None))].astype(float)
        if "rainfall" in name:
            expected = np.where(raw == -1, np.nan, raw * 0.12)
        else:
            expected = np.where(raw == 255, np.nan, np.where(raw == 0, NO_ECHO_DBZ, raw))
        np.testing.assert_allclose(sequence.native(index), expected, rtol=1e-6)
    zone = np.load(path.parent / f"radar_coords_{name[-2:]}.npz")
    np.testing.assert_allclose(sequence.grid.x, zone["lons"][0], atol=1e-9)
    np.testing.assert_allclose(sequence.grid.y, zone["lats"][:, 0], atol=1e-9)
    assert sequence.grid.pixel_km[0] == pytest.approx(1.112, abs=2e-3)


@pytest.mark.realdata
def test_the_samples_longest_runs(real_data: Path) -> None:
    """As the description of the data says: 10:00 to 11:10 and 13:00 to 13:55 on the 28th have no gap."""
    sequence = open_archive(real_data / "meteonet/2016-08-21/rainfall_NW_2016_08.3.npz")
    day = datetime(2016, 8, 28, tzinfo=UTC)
    for hours, minutes, count in ((11, 10, 15), (13, 55, 12)):
        index = sequence.index_exactly_at(day.replace(hour=hours, minute=minutes))
        assert index is not None
        sequence.inputs_ending_at(index, count)
    assert len(sequence.gaps) == 9


@pytest.mark.realdata
def test_the_folder_of_the_samples(real_data: Path) -> None:
    """One zone and product make an archive; the others are named with the reason."""
    sequence = open_archive(real_data / "meteonet/2016-08-21")
    reasons = {Path(skipped.path).name: skipped.reason for skipped in sequence.skipped}
    assert len(sequence) == 45
    assert len(reasons) == 7
    assert "coordinates" in reasons["radar_coords_NW.npz"]
    assert "quality" in reasons["rainfall_mean_quality-code_SE_2016_08.3.npz"]


@pytest.mark.realdata
def test_the_samples_own_pickles(real_data: Path) -> None:
    for path in sorted((real_data / "meteonet/2016-08-21").glob("r*_*_2016_08.3.npz")):
        trusted = np.load(path, allow_pickle=True)
        with npz_tools.opened(path, "a test") as archive:
            for name in ("dates", "miss_dates"):
                assert list(npz_tools.dates(archive, name)) == trusted[name].tolist()
