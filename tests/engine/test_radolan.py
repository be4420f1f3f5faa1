"""DWD's formats: built from the published description, and the real files against an independent decoder."""

from __future__ import annotations

import bz2
import io
import random
import tarfile
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from engine.archives import open_archive, wrapped
from engine.archives.radolan import decode_runs
from engine.archives.radolan_header import Coding, looks_like_radolan, parse_header
from engine.errors import UnreadableInput
from engine.radar.sequence import RadarSequence
from engine.radar.units import NO_ECHO_DBZ, Quantity
from tests.engine import radolan_files as built

NIGHT = datetime(2014, 8, 10, 20, 50, tzinfo=UTC)
SHAPE = (900, 900)
FIRST = "raa01-{}_10000-1408102050-dwd---bin.gz"


def words(**cells: int) -> NDArray[np.uint16]:
    """A dry field with some cells of the southernmost row set: c0=..., c1=..."""
    field = np.zeros(SHAPE, np.uint16)
    for name, word in cells.items():
        field[0, int(name[1:])] = word
    return field


def south(sequence: RadarSequence, count: int) -> list[float]:
    return [float(value) for value in sequence.native(0)[-1, :count]]


def test_flags_by_hand(tmp_path: Path) -> None:
    field = words(c0=150, c1=0x1000 | 150, c2=0x2000 | 2500, c3=0x4000 | 7, c4=0x8000 | 150, c5=0x1000, c6=0x4000,
                  c7=0xA000 | 2500)
    sequence = open_archive(built.composite(tmp_path / "x.gif", field, NIGHT))
    assert (sequence.layout.format, sequence.layout.variable, sequence.layout.unit) == ("DWD RADOLAN", "RY", "mm")
    assert sequence.times == (NIGHT,)
    np.testing.assert_allclose(south(sequence, 8), [18, 18, np.nan, np.nan, np.nan, 0, 0, np.nan], rtol=1e-6)
    assert sequence.native(0)[0, 0] == 0  # the row of the flags was the southernmost
    assert (sequence.zr.a, sequence.zr.b, sequence.layout.zr_source) == (256, 1.42, "the provider's: DWD")
    assert "DWD-12" in sequence.layout.source


@pytest.mark.parametrize(("product", "precision", "interval", "hours"), [
    ("RW", "E-01", "  60", 1), ("SF", "E-01", "1440", 24), ("RV", "E-02", "   5", 1 / 12),
    ("SJ", "E-01", "  31U1", 744), ("RQ", "E-01", "  60U0", 1), ("S2", "E+00", " 120", 2)])
def test_sums_become_mean_rates_over_their_interval(tmp_path: Path, product: str, precision: str, interval: str,
                                                    hours: float) -> None:
    path = built.composite(tmp_path / "a", words(c0=1234), NIGHT, product, precision=precision, interval=interval)
    expected = 1234 * float(f"1{precision}") / hours
    assert south(open_archive(path), 1)[0] == pytest.approx(expected, rel=1e-6)


def test_bytes_are_half_decibels(tmp_path: Path) -> None:
    field = words(c0=0, c1=1, c2=65, c3=179, c4=248, c5=249, c6=250, c7=255).astype(np.uint8)
    sequence = open_archive(built.composite(tmp_path / "a", field, NIGHT, "RX", precision="E+00"))
    assert sequence.layout.quantity is Quantity.REFLECTIVITY
    np.testing.assert_array_equal(south(sequence, 8), [NO_ECHO_DBZ, -32, 0, 57, 91.5, np.nan, np.nan, np.nan])
    assert sequence.rain_rate(0)[-1, 2] == pytest.approx((1 / 256) ** (1 / 1.42), rel=1e-5)


def test_fine_reflectivity_of_wn(tmp_path: Path) -> None:
    field = words(c0=0, c1=650, c2=651, c3=0x2000 | 2500, c4=0x8000 | 2490)
    sequence = open_archive(built.composite(tmp_path / "a", field, NIGHT, "WN", precision="E-01", version=5, lead=0))
    np.testing.assert_allclose(south(sequence, 5), [NO_ECHO_DBZ, 0, 0.05, np.nan, np.nan], atol=1e-6)


def test_classes_are_their_lower_limits_and_rows_run_from_the_north(tmp_path: Path) -> None:
    classes = np.full((460, 460), 255, np.uint8)
    classes[0, 440:455] = 3
    classes[5, 10:300] = 0
    classes[5, 20:60] = 1
    classes[5, 60] = 2
    sequence = open_archive(built.runs(tmp_path / "a", classes, NIGHT))
    expected = np.array([NO_ECHO_DBZ, 1, 19, 28] + [np.nan] * 252, np.float32)[classes]
    np.testing.assert_array_equal(sequence.native(0), expected)
    assert sequence.grid.pixel_km == (2, 2)
    assert sequence.grid.extent[0] == pytest.approx(-533462.17, abs=0.01)


@pytest.mark.parametrize("body", [b"", b"\x10", b"\x10\x11\x29", b"\x10\x11\xf1\xf1\n" * 2, b"\x10\x11\x21\n"])
def test_damaged_runs_are_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"lines|end|cells"):
        decode_runs(body, (2, 4))


def test_forecasts_stand_at_their_valid_times_and_make_a_sequence(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "forecast.tar.bz2", "w:bz2") as bundle:
        for lead in (0, 5, 10, 15):
            data = built.composite(tmp_path / "one", words(c0=100 + lead), NIGHT, "RV", version=5,
                                   lead=lead).read_bytes()
            entry = tarfile.TarInfo(f"RV_{lead:03d}")
            entry.size = len(data)
            bundle.addfile(entry, io.BytesIO(data))
    sequence = open_archive(tmp_path / "forecast.tar.bz2")
    assert sequence.times == tuple(NIGHT + timedelta(minutes=lead) for lead in (0, 5, 10, 15))
    assert sequence.step_minutes == 5
    np.testing.assert_allclose([sequence.native(k)[-1, 0] for k in range(4)], np.array([1, 1.05, 1.1, 1.15]) * 12)


@pytest.mark.parametrize(("product", "says"), [
    ("RE", "solid share"), ("%J", "per cent"), ("HG", "classes"), ("ZZ", "not known"), ("RD", "difference")])
def test_what_is_no_rain_is_refused_by_name(tmp_path: Path, product: str, says: str) -> None:
    with pytest.raises(UnreadableInput, match=says):
        open_archive(built.composite(tmp_path / "a", words(), NIGHT, product))


def test_a_folder_of_several_products_keeps_the_commonest_and_names_the_others(tmp_path: Path) -> None:
    for minute in (0, 5):
        built.composite(tmp_path / f"b{minute}", words(), NIGHT.replace(minute=minute))
    built.composite(tmp_path / "a", words(), NIGHT, "RZ")
    built.composite(tmp_path / "c", np.zeros((1100, 900), np.uint16), NIGHT)
    sequence = open_archive(tmp_path)
    assert (len(sequence), sequence.layout.variable) == (2, "RY")
    reasons = {Path(skipped.path).name: skipped.reason for skipped in sequence.skipped}
    assert reasons == {"a": "it holds RZ (mm/h), the archive RY",
                       "c": "its grid is (1100, 900), the archive's is (900, 900)"}


@pytest.mark.parametrize(("old", "new", "says"), [
    (b"GP 900x 900", b"GP 901x 899", "known place|announces"), (b"GP 900x 900", b"GP9999x9999", "announces"),
    (b"PR E-02", b"        ", "precision"), (b"INT   5", b"INT   0", "makes no sense"),
    (b"INT   5", b"       ", "over which"), (b"RY102050", b"RY322050", "no date"), (b"10000", b"10410", "single radar"),
    (b"GP 900x 900", b"           ", "rows and columns")])
def test_damaged_headers_are_refused(tmp_path: Path, old: bytes, new: bytes, says: str) -> None:
    path = built.composite(tmp_path / "a", words(), NIGHT)
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with pytest.raises(UnreadableInput, match=says):
        open_archive(path)


@pytest.mark.parametrize("keep", [20, 60, 500, 1_000_000])
def test_a_file_cut_short_is_refused_at_the_latest_when_read(tmp_path: Path, keep: int) -> None:
    path = built.composite(tmp_path / "a", words(c0=1), NIGHT)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UnreadableInput):
        open_archive(path).native(0)


def test_sweeps_of_single_radars_are_not_taken_for_composites() -> None:
    assert not looks_like_radolan(b"DX021735109080608BY46921VS 2CO0CD2CS0EP0.30.30.4MS  0\x03" + bytes(400))


CORNERS = {  # of DWD's format description (sphere) and of its HDF5 composites (ellipsoid); sides of extent, lon, lat
    "900 south-west": ((900, 900), 3, (0, 2), 3.5889, 46.9526),
    "900 south-east": ((900, 900), 3, (1, 2), 14.6209, 47.0705),
    "900 north-east": ((900, 900), 3, (1, 3), 15.7208, 54.7405),
    "900 north-west": ((900, 900), 3, (0, 3), 2.0715, 54.5877),
    "1100 south-west": ((1100, 900), 3, (0, 2), 4.6759, 46.1929),
    "1100 north-east": ((1100, 900), 3, (1, 3), 17.1128, 55.5342),
    "1500 south-west": ((1500, 1400), 3, (0, 2), 2.3419, 43.9336),
    "1200 south-west": ((1200, 1100), 5, (0, 2), 3.566994635, 45.69642538),
    "1200 south-east": ((1200, 1100), 5, (1, 2), 16.58086935, 45.68460578),
    "1200 north-east": ((1200, 1100), 5, (1, 3), 18.73161645, 55.84543856),
    "1200 north-west": ((1200, 1100), 5, (0, 3), 1.46330151, 55.86208711),
}


@pytest.mark.parametrize("which", CORNERS)
def test_corners_are_those_that_dwd_publishes(tmp_path: Path, which: str) -> None:
    shape, version, (side, end), lon, lat = CORNERS[which]
    grid = open_archive(built.composite(tmp_path / "a", np.zeros(shape, np.uint16), NIGHT, version=version)).grid
    crs = CRS(grid.crs)
    to_lonlat = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)
    found = to_lonlat.transform(grid.extent[side], grid.extent[end])
    assert found == pytest.approx((lon, lat), abs=6e-5 if version < 5 else 1e-7)


def test_header_of_every_token() -> None:
    head = (b"RE180700100001022BY   1620201VS 5SW P300001HPR E-03INT  60GP 900x 900VV 060MF 00000008QN 016MS  9"
            b"<GP 1x 1>\x03").replace(b"RE", b"RQ")
    header = parse_header(head)
    assert (header.product, header.coding, header.version, header.shape) == ("RQ", Coding.RAIN, 5, (900, 900))
    assert (header.precision, header.hours, header.lead) == (0.001, 1.0, 60)
    assert header.valid_time == datetime(2022, 10, 18, 8, tzinfo=UTC)


def test_ascii_grid_by_hand(tmp_path: Path) -> None:
    counts = np.zeros(SHAPE, np.int64)
    counts[0, :3] = [12, -1, 5]
    sequence = open_archive(built.ascii_grid(tmp_path / "RW_20221018-0050.asc", counts))
    np.testing.assert_allclose(sequence.native(0)[0, :4], [1.2, np.nan, 0.5, 0], rtol=1e-6)
    assert sequence.times == (datetime(2022, 10, 18, 0, 50, tzinfo=UTC),)
    assert sequence.grid.extent == pytest.approx((-523462, 376538, -4658645, -3758645), abs=1)
    five = open_archive(built.ascii_grid(tmp_path / "YW_2017.002_20170101_0005.asc", counts))
    assert five.native(0)[0, 0] == pytest.approx(0.12 * 12)


def test_ascii_grids_elsewhere_or_without_a_telling_name(tmp_path: Path) -> None:
    counts = np.zeros(SHAPE, np.int64)
    with pytest.raises(UnreadableInput, match="no known radar format"):
        open_archive(built.ascii_grid(tmp_path / "RW_20221018-0050.asc", counts, left=-500000))
    with pytest.raises(UnreadableInput, match="in their names"):
        open_archive(built.ascii_grid(tmp_path / "rain.asc", counts))
    path = built.ascii_grid(tmp_path / "RW_20221018-0150.asc", counts)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(UnreadableInput):
        open_archive(path).native(0)


def test_rydl_is_the_archive_of_dwd_12(tmp_path: Path) -> None:
    field = np.zeros(SHAPE, np.float32)
    field[0, 0], field[899, 899], field[0, 1], field[0, 2] = 0.5, 0.25, np.nan, -9999
    with h5py.File(tmp_path / "a", "w") as file:
        for minute in ("05", "00", "10"):
            file.create_dataset(f"2006040112{minute}", data=field + np.float32(int(minute) == 5), compression="gzip")
    sequence = open_archive(tmp_path / "a")
    assert (sequence.layout.variable, sequence.step_minutes, len(sequence)) == ("RY", 5, 3)
    native = sequence.native(0)
    assert (native[899, 0], native[0, 899]) == (6, 3)
    assert np.isnan(native[899, 1:3]).all()
    assert sequence.native(1)[500, 500] == 12


def test_odd_names_in_rydl_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a", "w") as file:
        file["200699999999"] = np.zeros(SHAPE, np.float32)
    with pytest.raises(UnreadableInput, match="none of its names"):
        open_archive(tmp_path / "a")


def dwd_hdf5(path: Path, quantity: bytes, counts: NDArray[np.uint16], gain: float, offset: float) -> Path:
    """DWD's HX, RY ... as ODIM 2.3: DE1200 with false origin, corners, unsigned 16 bit, accumulations with times."""
    proj = ("+proj=stere +lat_0=90 +lat_ts=60 +lon_0=10 +a=6378137 +b=6356752.3142451802 +no_defs "
            "+x_0=543196.83521776402 +y_0=3622588.8619310018")
    with h5py.File(path, "w") as file:
        file.attrs["Conventions"] = np.bytes_("ODIM_H5/V2_3")
        file.create_group("what").attrs.update(object=np.bytes_("COMP"), version=np.bytes_("H5rad 2.3"), date=np.bytes_(
            "20230701"), time=np.bytes_("120500"), source=np.bytes_("ORG:78,CTY:616,PLC:Offenbach,WMO:10000"))
        file.create_group("where").attrs.update(
            projdef=np.bytes_(proj), xsize=1100, ysize=1200, xscale=1000.0, yscale=1000.0, LL_lon=3.566994635,
            LL_lat=45.69642538, UL_lon=1.46330151, UL_lat=55.86208711, UR_lon=18.73161645, UR_lat=55.84543856,
            LR_lon=16.58086935, LR_lat=45.68460578)
        what = file.create_group("dataset1/what")
        what.attrs.update(product=np.bytes_("COMP"), startdate=np.bytes_("20230701"), starttime=np.bytes_("120000"),
                          enddate=np.bytes_("20230701"), endtime=np.bytes_("120500"))
        data = file.create_group("dataset1/data1")
        data.create_group("what").attrs.update(quantity=np.bytes_(quantity), gain=gain, offset=offset, nodata=65535.0,
                                               undetect=0.0)
        data.create_dataset("data", data=counts, compression="gzip")
    return path


@pytest.mark.parametrize(("quantity", "gain", "offset", "expected"), [
    (b"DBZH", 0.00293, -64.00293, [NO_ECHO_DBZ, 1000 * 0.00293 - 64.00293, np.nan]),
    (b"ACRR", 0.01, 0.0, [0, 120, np.nan])])
def test_hdf5_of_dwd_is_read_as_odim(tmp_path: Path, quantity: bytes, gain: float, offset: float,
                                     expected: list[float]) -> None:
    counts = np.zeros((1200, 1100), np.uint16)
    counts[0, :3] = [0, 1000, 65535]
    sequence = open_archive(dwd_hdf5(tmp_path / "hx", quantity, counts, gain, offset))
    np.testing.assert_allclose(sequence.native(0)[0, :3], expected, rtol=1e-5)
    assert sequence.layout.format == "ODIM HDF5"
    grid = sequence.grid
    assert grid.lonlat(np.array(grid.extent[0]), np.array(grid.extent[3])) == pytest.approx(
        (1.46330151, 55.86208711), abs=1e-4)


def small(folder: Path, which: str) -> Path:
    """A good file of each kind, as small as the format lets it be."""
    path = folder / ("RW_20221018-0050.asc" if which == "ascii" else which)
    rain = np.random.default_rng(1).integers(0, 300, (230, 230)).astype(np.uint16)
    if which == "ascii":
        return built.ascii_grid(path, rain, left=-533462, bottom=-4668645, cell=4000)
    if which == "runs":
        return built.runs(path, (rain // 80).astype(np.uint8), NIGHT, "PC")
    if which == "rydl":
        with h5py.File(path, "w") as file:
            file.create_dataset("200604011200", data=np.zeros(SHAPE, np.float32), compression="gzip")
        return path
    product = {"words": "RY", "bytes": "RX", "fine": "WN"}[which]
    return built.composite(path, rain.astype(np.uint8) if which == "bytes" else rain, NIGHT, product)


def damaged(good: bytes, draw: random.Random) -> bytes:
    """Cut short, or wrong bytes anywhere, or wrong bytes in the header."""
    if draw.random() < 0.3:
        return good[:draw.randrange(1, len(good))]
    bad, reach = bytearray(good), len(good) if draw.random() < 0.5 else 200
    for _ in range(draw.choice((1, 4, 16))):
        bad[draw.randrange(reach)] = draw.choice((draw.randrange(256), ord("9"), ord(" ")))
    return bytes(bad)


KINDS = ("words", "bytes", "fine", "runs", "ascii", "rydl")


def harmless_when_damaged(folder: Path, which: str, count: int, seed: int = 0) -> None:
    path, draw = small(folder, which), random.Random(f"{which} {seed}")
    assert open_archive(path).native(0).size
    good = path.read_bytes()
    for _ in range(count):
        path.write_bytes(damaged(good, draw))
        try:
            sequence = open_archive(path)
            assert sequence.native(0).shape == sequence.grid.shape
        except UnreadableInput:
            pass


@pytest.mark.parametrize("which", KINDS)
def test_damaged_files_raise_nothing_else(tmp_path: Path, which: str) -> None:
    harmless_when_damaged(tmp_path, which, 25)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("which", KINDS)
def test_many_damaged_files_raise_nothing_else(tmp_path: Path, which: str, seed: int) -> None:
    harmless_when_damaged(tmp_path, which, 400, seed)


# --- real files -------------------------------------------------------------------------------------------------------

REAL: dict[str, tuple[str, tuple[int, int], float]] = {  # share of no data, counted once with numpy from the bytes
    "rw": ("mm", (900, 900), 0.2211), "sf": ("mm", (900, 900), 0.2013), "sh": ("mm", (900, 900), 0.2050),
    "ry": ("mm", (900, 900), 0.2495), "rz": ("mm", (900, 900), 0.2458), "ez": ("mm", (1500, 1400), 0.3272),
    "rx": ("dBZ", (900, 900), 0.2180), "wx": ("dBZ", (1100, 900), 0.3222), "ex": ("dBZ", (1500, 1400), 0.2070),
}


def oracle(path: Path, missing: int = -9999) -> tuple[NDArray[Any], dict[str, Any]]:
    """wradlib's decode: values times precision, NaN = no data, first row in the south. missing: must fit the type."""
    wradlib = pytest.importorskip("wradlib", reason="wradlib, the independent decoder, is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values, attributes = wradlib.io.read_radolan_composite(io.BytesIO(wrapped.read_bytes(path)), missing=missing)
    values = values.astype(float)
    values[values == missing] = np.nan
    return values, attributes


@pytest.mark.realdata
@pytest.mark.parametrize("which", REAL)
def test_real_composites_equal_an_independent_decode(real_data: Path, which: str) -> None:
    path = real_data / "dwd-radolan" / "2014-08-10" / FIRST.format(which)
    unit, shape, missing = REAL[which]
    sequence = open_archive(path)
    assert (sequence.layout.unit, sequence.grid.shape, sequence.times) == (unit, shape, (NIGHT,))
    assert sequence.grid.pixel_km == (1, 1)
    native = sequence.native(0)
    assert np.isnan(native).mean() == pytest.approx(missing, abs=1e-4)
    values, attributes = oracle(path)
    if unit == "mm":
        expected = values * 3600 / attributes["intervalseconds"]
        secondary = attributes["secondary"]
        assert np.isfinite(native[::-1].reshape(-1)[secondary]).all()  # another source, but rain all the same
    else:
        values[np.isin(values, (249, 250, 255))] = np.nan
        expected = np.where(values == 0, NO_ECHO_DBZ, values / 2 - 32.5)
    np.testing.assert_allclose(native[::-1], expected, rtol=3e-7)


@pytest.mark.realdata
def test_real_classes_equal_an_independent_decode(real_data: Path) -> None:
    path = real_data / "dwd-radolan" / "2014-08-10" / "raa01-pg_10000-1408102045-dwd---bin.gz"
    values, attributes = oracle(path, missing=255)
    native = open_archive(path).native(0)
    limits = np.array([NO_ECHO_DBZ, *attributes["level"], *[np.nan] * 249])
    expected = limits[np.nan_to_num(values, nan=255).astype(int)]
    np.testing.assert_array_equal(native[::-1], expected.astype(np.float32))


@pytest.mark.realdata
def test_real_classes_lie_where_the_real_reflectivity_lies(real_data: Path) -> None:
    """Two products of one provider, rows stored in opposite order, meet on the map."""
    folder = real_data / "dwd-radolan" / "2014-08-10"
    coarse = open_archive(folder / "raa01-pg_10000-1408102045-dwd---bin.gz")
    fine = open_archive(folder / FIRST.format("rx"))
    strong = np.argwhere(fine.native(0) >= 37)
    cells = [coarse.grid.index(float(fine.grid.x[column]), float(fine.grid.y[row])) for row, column in strong]
    upright = np.array([coarse.native(0)[cell] for cell in cells if cell is not None])
    flipped = np.array([coarse.native(0)[::-1][cell] for cell in cells if cell is not None])
    assert np.mean(upright >= 28) > 0.6
    assert np.mean(flipped >= 28) < 0.2


@pytest.mark.realdata
@pytest.mark.parametrize("minutes", [0, 60, 120])
def test_real_radvor_analyses_equal_an_independent_decode(real_data: Path, minutes: int) -> None:
    path = real_data / "dwd-radvor" / "2022-10-18" / f"RQ2210180700_{minutes:03d}.gz"
    sequence, (values, attributes) = open_archive(path), oracle(path)
    assert attributes["predictiontime"] == minutes
    assert sequence.times == (datetime(2022, 10, 18, 7, tzinfo=UTC) + timedelta(minutes=minutes),)
    np.testing.assert_allclose(sequence.native(0)[::-1], values, rtol=3e-7)


@pytest.mark.realdata
def test_real_radvor_bundle_is_a_forecast_of_two_hours(real_data: Path) -> None:
    path = real_data / "dwd-radvor" / "2022-10-18" / "DE1200_RV2210180700.tar.bz2"
    sequence = open_archive(path)
    assert (len(sequence), sequence.step_minutes, sequence.grid.shape, sequence.gaps) == (25, 5, (1200, 1100), ())
    assert sequence.times[-1] == datetime(2022, 10, 18, 9, tzinfo=UTC)
    with tarfile.open(path) as bundle:
        stored = bundle.extractfile("DE1200_RV2210180700_085")
        assert stored is not None
        body = stored.read()
    counts = np.frombuffer(body[-1200 * 1100 * 2:], "<u2").reshape(1200, 1100)
    expected = np.where(counts & 0x2000, np.nan, (counts & 0xFFF) * 0.12)
    np.testing.assert_allclose(sequence.native(17)[::-1], expected, rtol=3e-7)
    values, _ = oracle(sequence.frames[24].path)
    np.testing.assert_allclose(sequence.native(24)[::-1], values * 12, rtol=3e-7)


@pytest.mark.realdata
def test_real_products_that_hold_no_rain_say_what_they_hold(real_data: Path) -> None:
    sequence = open_archive(real_data / "dwd-radvor" / "2022-10-18")
    reasons = {Path(skipped.path).name[:2]: skipped.reason for skipped in sequence.skipped}
    assert len(sequence) == 25
    assert "solid share" in reasons["RE"]


@pytest.mark.realdata
def test_a_real_monthly_sum_opens_as_a_mean_rate(real_data: Path) -> None:
    """July 2021 brought Germany some 110 mm: over 31 days 0.15 mm/h."""
    sequence = open_archive(real_data / "dwd-radolan" / "2021-08-01")
    assert sequence.layout.variable == "%M"
    assert np.nanmean(sequence.native(0)) * 31 * 24 == pytest.approx(110, rel=0.25)


@pytest.mark.realdata
def test_real_ascii_grids_equal_their_text(real_data: Path) -> None:
    folder = real_data / "dwd-radolan-asc" / "2022-10-18"
    sequence = open_archive(folder)
    assert (len(sequence), sequence.step_minutes, sequence.grid.shape) == (24, 60, SHAPE)
    assert (sequence.times[0].hour, sequence.times[-1].hour, sequence.times[0].minute) == (0, 23, 50)
    with tarfile.open(folder / "RW-20221018.tar.gz") as bundle:
        stored = bundle.extractfile("RW_20221018-1250.asc")
        assert stored is not None
        rows = stored.read().split(b"\n")[6:906]
    counts = np.array([[int(text) for text in row.split()] for row in rows])
    np.testing.assert_allclose(sequence.native(12), np.where(counts == -1, np.nan, counts / 10), rtol=3e-7)


@pytest.mark.realdata
def test_real_ascii_sum_agrees_with_the_radar_sum_of_that_hour(real_data: Path) -> None:
    """Tenths of mm and rows from the north: RW to 06:50 (adjusted) beside RQ to 07:00 (from radar)."""
    hourly = open_archive(real_data / "dwd-radolan-asc" / "2022-10-18").native(6)
    radar = open_archive(real_data / "dwd-radvor" / "2022-10-18" / "RQ2210180700_000.gz").native(0)
    both = np.isfinite(hourly) & np.isfinite(radar)
    assert np.corrcoef(hourly[both], radar[both])[0, 1] > 0.6
    assert 0.5 < hourly[both].mean() / radar[both].mean() < 2


@pytest.mark.realdata
def test_real_folder_of_ry_under_bz2_is_one_archive(real_data: Path, tmp_path: Path) -> None:
    """Minutes changed in the headers of a real file: five minutes apart they are what papers call DWD-12."""
    original = wrapped.read_bytes(real_data / "dwd-radolan" / "2014-08-10" / FIRST.format("ry"))
    for minute in range(0, 30, 5):
        data = original[:6] + f"{minute:02d}".encode() + original[8:]
        (tmp_path / f"ry{minute}.bz2").write_bytes(bz2.compress(data, 1))
    sequence = open_archive(tmp_path)
    assert (len(sequence), sequence.step_minutes, sequence.layout.variable) == (6, 5, "RY")
    assert sequence.possible_references(6) == (5,)
