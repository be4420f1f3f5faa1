"""Polar files: built ODIM and CfRadial files, rounds of single sweeps, options, damage; and the real ones."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import json
import math
import sys
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pytest
from numpy.typing import NDArray

from engine import commands
from engine.archives import dx, nexrad_records, open_archive, polar, polar_formats
from engine.archives import odim_polar as odim_polar_reader
from engine.archives.opening import recognise
from engine.archives.probe import Probe
from engine.errors import UnreadableInput
from engine.radar.denoise import load_mask
from engine.radar.gridding import EFFECTIVE_RADIUS_M, PolarOptions
from engine.radar.sequence import RadarSequence
from engine.radar.units import NO_ECHO_DBZ, Quantity
from tests.level2 import level2
from tests.rainbow5 import rainbow

NOON = datetime(2020, 7, 1, 12, 0, tzinfo=UTC)
LON, LAT, HEIGHT = 5.4, 51.07, 140.0


def odim_polar(path: Path, sweeps: dict[float, NDArray[np.uint8]], time: datetime, *, kind: str = "PVOL",
               start: datetime | None = None, scale: float = 500.0, nodata: float = 255, undetect: float = 0,
               conventions: bool = True, arrays: bool = False, how: dict[str, Any] | None = None,
               quantity: bytes = b"DBZH") -> Path:
    """An ODIM polar file, dBZ = stored / 2 - 32, from the information model; ``arrays``: attributes of length 1."""

    def put(group: h5py.Group, **values: Any) -> None:
        for name, value in values.items():
            fixed = np.bytes_(value) if isinstance(value, bytes) else value
            group.attrs[name] = np.array([fixed]) if arrays else fixed

    begin = start or time
    with h5py.File(path, "w") as file:
        if conventions:
            put(file, Conventions=b"ODIM_H5/V2_2")
        put(file.create_group("what"), object=kind.encode(), source=b"NOD:xxtst,PLC:Test",
            date=time.strftime("%Y%m%d").encode(), time=time.strftime("%H%M%S").encode())
        put(file.create_group("where"), lon=LON, lat=LAT, height=HEIGHT)
        for k, (elevation, values) in enumerate(sweeps.items(), start=1):
            dataset = file.create_group(f"dataset{k}")
            put(dataset.create_group("what"), product=b"SCAN", startdate=begin.strftime("%Y%m%d").encode(),
                starttime=begin.strftime("%H%M%S").encode())
            put(dataset.create_group("where"), elangle=elevation, nrays=values.shape[0], nbins=values.shape[1],
                rscale=scale, rstart=0.0, a1gate=0)
            if how:
                put(dataset.create_group("how"), **{k_: v for k_, v in how.items() if not isinstance(v, np.ndarray)})
                for name, value in how.items():
                    if isinstance(value, np.ndarray):
                        dataset["how"].attrs[name] = value
            for j, name in enumerate((b"VRADH", quantity), start=1):
                data = dataset.create_group(f"data{j}")
                put(data.create_group("what"), quantity=name, gain=0.5, offset=-32.0, nodata=nodata,
                    undetect=undetect)
                data.create_dataset("data", data=values if name == quantity else np.full_like(values, 7),
                                    compression="gzip")
    return path


def cfradial(path: Path, values: NDArray[np.float32], time: datetime, *, mode: str = "azimuth_surveillance",
             name: str = "DBZH", form: str = "NETCDF4", elevation: float = 1.0) -> Path:
    """One sweep of CfRadial 1.4 (Dixon, Lee: CfRadial data file format), 500 m gates, fill -9999."""
    rays, gates = values.shape
    with netCDF4.Dataset(str(path), "w", format=form) as file:
        file.setncatts({"Conventions": "CF/Radial instrument_parameters", "version": "1.4",
                        "instrument_name": "test"})
        for dimension, size in (("time", rays), ("range", gates), ("sweep", 1), ("string_length", 32)):
            file.createDimension(dimension, size)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ")
        for text, value in (("time_coverage_start", stamp), ("time_coverage_end", stamp)):
            file.createVariable(text, "S1", ("string_length",))[:] = netCDF4.stringtochar(
                np.array([value.ljust(32)], "S32"))[0]
        file.createVariable("sweep_mode", "S1", ("sweep", "string_length"))[:] = netCDF4.stringtochar(
            np.array([mode.ljust(32)], "S32"))
        file.createVariable("volume_number", "i4", ())[...] = 0
        for single, number in (("latitude", LAT), ("longitude", LON), ("altitude", HEIGHT)):
            file.createVariable(single, "f8", ())[...] = number
        for variable, kind, numbers in (("sweep_number", "i4", [0]), ("fixed_angle", "f4", [elevation]),
                                        ("sweep_start_ray_index", "i4", [0]),
                                        ("sweep_end_ray_index", "i4", [rays - 1])):
            file.createVariable(variable, kind, ("sweep",))[:] = numbers
        clock = file.createVariable("time", "f8", ("time",))
        clock.units = f"seconds since {stamp}"
        clock[:] = np.arange(rays) * 0.05
        distance = file.createVariable("range", "f4", ("range",))
        distance.setncatts({"units": "meters", "spacing_is_constant": "true", "meters_to_center_of_first_gate": 250.0,
                            "meters_between_gates": 500.0})
        distance[:] = 500.0 * (np.arange(gates) + 0.5)
        rhi = mode == "rhi"
        file.createVariable("azimuth", "f4", ("time",))[:] = 37.0 if rhi else (np.arange(rays) + 0.5) * 360 / rays
        file.createVariable("elevation", "f4", ("time",))[:] = np.linspace(0, 40, rays) if rhi else elevation
        field = file.createVariable(name, "f4", ("time", "range"), fill_value=-9999.0)
        field.setncatts({"units": "dBZ", "standard_name": "equivalent_reflectivity_factor"})
        field[:] = values
    return path


def codes(seed: int, rays: int = 360, gates: int = 120) -> NDArray[np.uint8]:
    """Codes of ODIM: some no data (255), some no echo (0), the rest dBZ."""
    rng = np.random.default_rng(seed)
    values = rng.integers(60, 180, (rays, gates)).astype(np.uint8)
    values[rng.random(values.shape) < 0.1] = 0
    values[rng.random(values.shape) < 0.1] = 255
    return values


def nearest(sequence: RadarSequence, row: int, column: int, elevation: float, spacing: float, rays: int = 360,
            north: float = 0.0) -> tuple[int, int]:
    """(ray, gate) below a cell by hand; ``north``: bearing at which the first ray begins."""
    x, y = sequence.grid.x[column], sequence.grid.y[row]
    g = math.hypot(x, y) / EFFECTIVE_RADIUS_M
    slant = EFFECTIVE_RADIUS_M * math.sin(g) / math.cos(math.radians(elevation) + g)
    bearing = (math.degrees(math.atan2(x, y)) - north) % 360
    return math.floor(bearing * rays / 360), math.floor(slant / spacing)


LOWEST = PolarOptions("lowest")


@pytest.mark.parametrize("arrays", [False, True])
def test_an_odim_volume_is_gridded_bin_by_bin(tmp_path: Path, arrays: bool) -> None:
    low = codes(1)
    path = odim_polar(tmp_path / "a.h5", {4.0: codes(2), 0.5: low}, NOON, arrays=arrays)
    sequence = open_archive(path, options=LOWEST)
    layout = sequence.layout
    assert (layout.variable, layout.quantity, layout.format) == ("DBZH (lowest sweep)", Quantity.REFLECTIVITY,
                                                                 "ODIM HDF5 polar")
    assert sequence.times == (NOON,)
    assert sequence.grid.shape == (120, 120)
    assert sequence.grid.lonlat(np.array(0.0), np.array(0.0)) == pytest.approx((LON, LAT), abs=1e-9)
    field = sequence.native(0)
    seen = set()
    for row in range(2, 120, 7):
        for column in range(3, 120, 5):
            if math.hypot(sequence.grid.x[column], sequence.grid.y[row]) > 59_000:
                continue
            stored = int(low[nearest(sequence, row, column, 0.5, 500.0)])
            expected = math.nan if stored == 255 else NO_ECHO_DBZ if stored == 0 else stored / 2 - 32
            np.testing.assert_equal(float(field[row, column]), expected)
            seen.add(min(max(stored, 0), 255) in (0, 255))
    assert seen == {True, False}


def test_products_heights_and_pixels_are_chosen(tmp_path: Path) -> None:
    path = odim_polar(tmp_path / "a.h5", {0.5: np.full((360, 120), 84, np.uint8),
                                          9.0: np.full((360, 120), 124, np.uint8)}, NOON)
    lowest, top = open_archive(path, options=LOWEST), open_archive(path, options=PolarOptions("max", pixel_km=2.0))
    assert np.nanmax(lowest.native(0)) == 10.0
    assert (top.grid.shape, np.nanmin(top.native(0))) == ((60, 60), 10.0)  # beyond the reach of the upper sweep
    assert top.native(0)[30, 30] == 30.0
    cappi = open_archive(path)
    assert cappi.layout.variable == "DBZH (CAPPI 2 km)"
    between = cappi.native(0)[cappi.grid.index(30_000.0, 0.0)]
    assert 10.0 < between < 30.0
    assert open_archive(path, options=PolarOptions(height_m=500.0)).layout.variable == "DBZH (CAPPI 0.5 km)"


@pytest.mark.parametrize("product", ["lowest", "max"])
def test_convert_and_export_take_the_product(tmp_path: Path, product: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = odim_polar(tmp_path / "a.h5", {0.5: np.full((360, 120), 84, np.uint8),
                                          9.0: np.full((360, 120), 124, np.uint8)}, NOON)
    options = ["--product", product, "--pixel-km", "2", "--json"]
    assert commands.run(["convert", str(path), "-o", str(tmp_path / "b.nc"), *options]) == 0
    converted = open_archive(tmp_path / "b.nc")
    assert converted.grid.shape == (60, 60)
    assert converted.native(0)[30, 30] == pytest.approx(10.0 if product == "lowest" else 30.0)
    assert commands.run(["export", str(path), "-o", str(tmp_path / "frames.png"), "--size", "640x360", *options]) == 0
    capsys.readouterr()
    assert any(tmp_path.rglob("*.png"))


def test_equal_codes_for_no_data_and_no_echo_mean_no_echo(tmp_path: Path) -> None:
    path = odim_polar(tmp_path / "a.h5", {0.5: np.zeros((360, 120), np.uint8)}, NOON, nodata=0, conventions=False)
    field = open_archive(path, options=LOWEST).native(0)
    assert set(field[~np.isnan(field)]) == {np.float32(NO_ECHO_DBZ)}


def test_antenna_readings_turn_the_map(tmp_path: Path) -> None:
    values = codes(4)
    start = (np.arange(360) + 90.0) % 360  # the first ray looks east
    turned = open_archive(odim_polar(tmp_path / "a.h5", {0.5: values}, NOON,
                                     how={"startazA": start, "stopazA": (start + 1) % 360}), options=LOWEST)
    plain = open_archive(odim_polar(tmp_path / "b.h5", {0.5: np.roll(values, 90, axis=0)}, NOON), options=LOWEST)
    np.testing.assert_array_equal(turned.native(0), plain.native(0))
    offset = open_archive(odim_polar(tmp_path / "c.h5", {0.5: values}, NOON, how={"astart": -0.5}), options=LOWEST)
    ray, gate = nearest(offset, 20, 70, 0.5, 500.0, north=-0.5)
    stored = int(values[ray, gate])
    assert stored not in (0, 255)
    assert offset.native(0)[20, 70] == stored / 2 - 32


def test_volumes_of_several_times_make_a_sequence(tmp_path: Path) -> None:
    for k in range(4):
        odim_polar(tmp_path / f"v{k}.h5", {0.5: codes(k), 2.0: codes(9)}, NOON + timedelta(minutes=5 * k))
    sequence = open_archive(tmp_path)
    assert (len(sequence), sequence.step_minutes, sequence.gaps, sequence.skipped) == (4, 5.0, (), ())
    assert not np.array_equal(sequence.native(0), sequence.native(1), equal_nan=True)


@pytest.mark.parametrize("elevations", [(6.0, 2.6, 1.0, 0.4), (0.4, 1.0, 2.6, 6.0)])
def test_single_sweeps_make_volumes(tmp_path: Path, elevations: tuple[float, ...]) -> None:
    """Rounds of 5 minutes, one file a sweep, the first sweep of each second round higher; one file is lost."""
    for turn in range(3):
        for k, elevation in enumerate(elevations):
            told = 8.0 if elevation == 6.0 and turn == 1 else elevation
            time = NOON + timedelta(minutes=5 * turn, seconds=55 * k + turn)
            if (turn, k) != (2, 1):
                odim_polar(tmp_path / f"s{turn}{k}.h5", {told: np.full((360, 120), 60 + 10 * k + turn, np.uint8)},
                           time + timedelta(seconds=40), start=time, kind="SCAN")
    sequence = open_archive(tmp_path, options=LOWEST)
    assert sequence.times == tuple(NOON + timedelta(minutes=5 * turn) for turn in range(3))
    assert [len(frame.key.paths) for frame in sequence.frames] == [4, 4, 3]
    lowest = elevations.index(0.4)
    for turn in range(3):
        assert np.nanmax(sequence.native(turn)) == (60 + 10 * lowest + turn) / 2 - 32


def test_lowest_sweeps_alone_stay_apart(tmp_path: Path) -> None:
    for k in range(3):
        odim_polar(tmp_path / f"s{k}.h5", {0.5: codes(k)}, NOON + timedelta(minutes=6 * k), kind="SCAN")
    sequence = open_archive(tmp_path)
    assert (len(sequence), sequence.step_minutes) == (3, 6.0)


def test_compressed_volumes_and_their_errors_name_the_file(tmp_path: Path) -> None:
    plain = odim_polar(tmp_path / "a.h5", {0.5: codes(1)}, NOON)
    packed = tmp_path / "b.h5.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    np.testing.assert_array_equal(open_archive(packed).native(0), open_archive(plain).native(0))
    bad = tmp_path / "c.h5.gz"
    bad.write_bytes(gzip.compress(odim_polar(tmp_path / "d.h5", {0.5: codes(1)}, NOON, kind="ELEV").read_bytes()))
    with pytest.raises(UnreadableInput, match=r"c\.h5\.gz"):
        open_archive(bad)


@pytest.mark.parametrize(("change", "says"), [
    ({"kind": "ELEV"}, "RHI"), ({"quantity": b"ZDR"}, "none of DBZH"), ({"scale": -1.0}, "length of its gates")])
def test_odim_without_a_map_is_refused(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    path = odim_polar(tmp_path / "a.h5", {0.5: codes(1)}, NOON, **change)
    with pytest.raises(UnreadableInput, match=says):
        open_archive(path)


@pytest.mark.parametrize("form", ["NETCDF4", "NETCDF3_CLASSIC"])
def test_cfradial_is_gridded_bin_by_bin(tmp_path: Path, form: str) -> None:
    pytest.importorskip("xradar")
    values = np.random.default_rng(0).uniform(-5, 60, (360, 120)).astype(np.float32)
    values[:, 50:60] = -9999.0
    path = cfradial(tmp_path / "a.nc", values, NOON + timedelta(seconds=7), form=form)
    assert recognise(Probe(path)) == "polar"
    sequence = open_archive(path)
    assert sequence.layout.format == "CfRadial 1"
    assert sequence.times == (NOON + timedelta(seconds=7),)
    field = sequence.native(0)
    for row, column in ((5, 60), (59, 90), (60, 30), (100, 20), (33, 81)):
        expected = float(values[nearest(sequence, row, column, 1.0, 500.0)])
        assert field[row, column] == np.float32(NO_ECHO_DBZ if expected == -9999.0 else expected)


def test_an_rhi_is_no_map(tmp_path: Path) -> None:
    pytest.importorskip("xradar")
    path = cfradial(tmp_path / "a.nc", np.zeros((40, 60), np.float32), NOON, mode="rhi")
    with pytest.raises(UnreadableInput, match=r"RHI.*no map can be made"):
        open_archive(path)


def test_without_the_library_the_line_that_installs_it_is_named(tmp_path: Path,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xradar", None)
    path = cfradial(tmp_path / "a.nc", np.zeros((360, 60), np.float32), NOON)
    with pytest.raises(UnreadableInput) as caught:
        polar.scan(path)
    assert 'pip install "stormdeck[polar]"' in caught.value.advice
    assert len(polar.scan(odim_polar(tmp_path / "b.h5", {0.5: codes(1)}, NOON)).frames) == 1  # ODIM needs none


HEADS = {"nexrad": b"AR2V0006.001" + bytes(12), "iris": b"\x1b\x00\x08\x00" + bytes(8) + b"\x1a\x00" + bytes(10)
         + b"\x0f\x00", "rainbow": b'<volume version="5.34.16"', "dx": b"DX021735109080608BY  900VS 2\x03"}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_without_a_body_is_refused(tmp_path: Path, name: str) -> None:
    pytest.importorskip("xradar")
    rng = np.random.default_rng(1)
    path = tmp_path / "a.bin"
    for body in (b"", bytes(3000), rng.bytes(6000)):
        path.write_bytes(HEADS[name] + body)
        assert recognise(Probe(path)) == "polar"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(UnreadableInput):
                open_archive(path).native(0)


def test_nexrad_records_are_unpacked_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    header, parts = b"AR2V0006.001" + bytes(12), [b"one" * 9, b"two" * 5, b"three"]
    packed = [bz2.compress(part) for part in parts]
    lengths = [len(packed[0]), len(packed[1]), -len(packed[2])]
    content = header + b"".join(n.to_bytes(4, "big", signed=True) + p for n, p in zip(lengths, packed, strict=True))
    assert nexrad_records.unpacked(content) == header + b"".join(parts)
    assert nexrad_records.unpacked(content, 2) == header + parts[0] + parts[1]
    assert nexrad_records.unpacked(header + b"plain messages") == header + b"plain messages"
    with pytest.raises(ValueError, match="cut short"):
        nexrad_records.unpacked(content[:-3])
    monkeypatch.setattr(nexrad_records, "MAX_UNPACKED", 30)
    with pytest.raises(ValueError, match="absurdly large"):
        nexrad_records.unpacked(content)


def test_odim_cut_short_or_flipped_never_crashes(tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    good = odim_polar(tmp_path / "a.h5", {0.5: codes(1), 2.0: codes(2)}, NOON).read_bytes()
    path = tmp_path / "b.h5"
    for turn in range(60):
        damaged = bytearray(good if turn % 2 else good[:int(rng.integers(1, len(good)))])
        for place in rng.integers(0, len(damaged), 8):
            damaged[place] ^= 1 << int(rng.integers(0, 8))
        path.write_bytes(damaged)
        with contextlib.suppress(UnreadableInput):
            assert open_archive(path).native(0).ndim == 2


# --- real files -------------------------------------------------------------------------------------------------

REAL = [
    ("odim-polar/behel-2020-02-07", 8, datetime(2020, 2, 7, 13, 0, 5), (400, 400), (5.4064, 51.069072)),
    ("odim-polar/frave-2023-04-20", 2, datetime(2023, 4, 20, 6, 50), (500, 500), (3.81181, 50.12832)),
    ("odim-polar/norst-2017-04-21", 1, datetime(2017, 4, 21, 9, 8, 37), (480, 480), (12.0986, 67.5307)),
    ("odim-polar/nldhl-2011-06-10", 1, datetime(2011, 6, 10, 11, 40, 2), (500, 500), (4.78997, 52.953339)),
    ("odim-polar/au66-2014-12-06", 1, datetime(2014, 12, 6, 9, 48, 29), (300, 300), (153.24, -27.7181)),
    ("nexrad/KLBB-2016-06-01", 1, datetime(2016, 6, 1, 15, 0, 25), (500, 500), (-101.814163, 33.65414)),
    ("cfradial/MLL2217907250U.003.nc", 1, datetime(2022, 6, 28, 7, 21, 36), (492, 492), (8.833217, 46.04076)),
    ("iris/cor-main131125105503.RAW2049", 1, datetime(2013, 11, 25, 10, 55, 4), (500, 500), (-75.283, 9.331)),
    ("rainbow", 1, datetime(2013, 5, 10, 0, 0, 6), (200, 200), (6.379967, 50.856633)),
    ("dwd-dx/2008-06-02", 3, datetime(2008, 6, 2, 17, 35), (256, 256), (8.003611, 47.873611)),
]


@pytest.mark.realdata
@pytest.mark.parametrize(("group", "frames", "first", "shape", "site"), REAL, ids=[row[0] for row in REAL])
def test_real_groups_open(real_data: Path, group: str, frames: int, first: datetime, shape: tuple[int, int],
                          site: tuple[float, float]) -> None:
    pytest.importorskip("xradar")
    sequence = open_archive(real_data / group)
    assert (len(sequence), sequence.times[0], sequence.grid.shape) == (frames, first.replace(tzinfo=UTC), shape)
    assert (sequence.skipped, sequence.gaps, sequence.grid.pixel_km) == ((), (), (1.0, 1.0))
    assert sequence.step_minutes == (None if frames == 1 else pytest.approx(5.0, abs=0.05))
    assert sequence.grid.lonlat(np.array(0.0), np.array(0.0)) == pytest.approx(site, abs=1e-5)
    field = sequence.native(0)
    assert 0.3 < (~np.isnan(field)).mean() <= 1.0
    assert NO_ECHO_DBZ == np.nanmin(field) < np.nanmax(field) < 80


@pytest.mark.realdata
@pytest.mark.parametrize("group", ["cfradial/example_cfradial_rhi.nc", "uf"])
def test_real_rhi_are_refused(real_data: Path, group: str) -> None:
    pytest.importorskip("xradar")
    with pytest.raises(UnreadableInput, match=r"RHI.*no map can be made"):
        open_archive(real_data / group)


@pytest.mark.realdata
@pytest.mark.parametrize("group", [row[0] for row in REAL if row[0].startswith("odim")])
def test_odim_sweeps_agree_with_xradar(real_data: Path, group: str) -> None:
    """Elevation, rays, gates and values of the lowest sweep of a file; au66 gives an offset (astart) that xradar
    does not use."""
    xradar = pytest.importorskip("xradar")
    path = sorted((real_data / group).iterdir())[-1]
    head = odim_polar_reader.outline(path)
    ours = min(odim_polar_reader.sweeps(path, head.moment), key=lambda one: one.elevation)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with xradar.io.open_odim_datatree(str(path), mask_and_scale=False) as tree:
            nodes = [tree[name].to_dataset() for name in tree.children if name.startswith("sweep_")]
            theirs = min(nodes, key=lambda node: float(node["sweep_fixed_angle"])).load()
    assert ours.elevation == pytest.approx(float(theirs["sweep_fixed_angle"]), abs=1e-6)
    gates = ours.first_m + ours.spacing_m * np.arange(ours.values.shape[1])
    np.testing.assert_allclose(gates, theirs["range"], atol=0.1)
    order = np.argsort(ours.azimuth)
    offset = 0.5 if "au66" in group else 0.0
    np.testing.assert_allclose((ours.azimuth[order] + offset) % 360, theirs["azimuth"], atol=1e-3)
    stored, law = theirs["DBZH"].values.astype(float), theirs["DBZH"].attrs
    expected = stored * law["scale_factor"] + law["add_offset"]
    expected[stored == law["_FillValue"]] = np.nan
    expected[stored == law["_Undetect"]] = NO_ECHO_DBZ
    np.testing.assert_allclose(ours.values[order], expected, rtol=1e-6)


@pytest.mark.realdata
def test_dx_agrees_with_wradlib(real_data: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        radolan = pytest.importorskip("wradlib.io.radolan")
        for packed in (real_data / "dwd-dx/2008-06-02").iterdir():
            path = tmp_path / packed.stem
            path.write_bytes(gzip.decompress(packed.read_bytes()))
            values, attributes = radolan.read_dx(str(path))
            (ours,) = dx.sweeps(path)
            np.testing.assert_array_equal(ours.azimuth, attributes["azim"])
            echo = values > -32.5
            np.testing.assert_allclose(ours.values[echo], values[echo], rtol=1e-6)
            assert (ours.values[~echo] == NO_ECHO_DBZ).all()
            assert dx.outline(path).time == attributes["datetime"]


def test_written_level_two_and_rainbow_volumes_are_gridded(tmp_path: Path) -> None:
    """Code 121 everywhere is 28.5 dBZ in Rainbow's steps from -31.5, 126 is 30 dBZ in Level II: (code - 66) / 2."""
    rays = np.ones((90, 40), np.uint8)
    volumes = {rainbow(tmp_path / "a.vol", [(0.5, rays * 121), (1.5, rays * 121)], NOON): 28.5,
               level2(tmp_path / "KFWS20200701_120000_V06", [(0.5, rays * 126), (1.5, rays * 126)], NOON): 30.0}
    for path, dbz in volumes.items():
        sequence = open_archive(path, options=PolarOptions(product="lowest", pixel_km=2.0))
        field = sequence.native(0)
        assert sequence.times == (NOON,)
        assert field.shape == (40, 40)
        assert np.unique(field[np.isfinite(field)]).tolist() == [dbz]


def test_packs_masks_and_benchmarks_of_polar_data_take_their_pixels(tmp_path: Path,
                                                                    capsys: pytest.CaptureFixture[str]) -> None:
    """120 gates of 500 m reach 60 km: 60 cells of 2 km along each side, 24 of 5 km."""
    folder = tmp_path / "radar"
    folder.mkdir()
    for k in range(6):
        odim_polar(folder / f"{k}.h5", {0.5: codes(k), 2.5: codes(k + 50)}, NOON + timedelta(minutes=5 * k))
    lowest = ["--product", "lowest", "--json"]
    shapes = []
    for wish in (["pack", "-o", str(tmp_path / "a.h5"), "--length", "2", "--pixel-km", "2"],
                 ["denoise", "-o", str(tmp_path / "mask.npz"), "--pixel-km", "5"],
                 ["benchmark", "--forecasters", "persistence", "--inputs", "2", "--lead-times", "2",
                  "--pixel-km", "2", "--mask", str(tmp_path / "mask.npz")]):
        shapes.append((commands.run([wish[0], str(folder), *wish[1:], *lowest]), capsys.readouterr()))
    assert [code for code, _ in shapes[:2]] == [0, 0]
    assert json.loads(shapes[0][1].out)["shape"] == [2, 60, 60]
    assert load_mask(tmp_path / "mask.npz").excluded.shape == (24, 24)
    assert shapes[2][0] != 0, "a mask of other pixels does not fit"


@pytest.mark.realdata
def test_nexrad_and_rainbow_agree_with_their_own_laws(real_data: Path) -> None:
    """NEXRAD: dBZ = (code - 66) / 2, 0 below threshold (ICD 2620010); Rainbow: from its minimum in steps."""
    xradar = pytest.importorskip("xradar")
    for path, opener in ((real_data / "nexrad/KLBB-2016-06-01/KLBB20160601_150025_V06", "open_nexradlevel2_datatree"),
                         (real_data / "rainbow/2013051000000600dBZ.vol", "open_rainbow_datatree")):
        known = polar_formats.format_of(Probe(path))
        assert known is not None
        ours = polar_formats.sweeps(path, known, "DBZH")[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with getattr(xradar.io, opener)(str(path), mask_and_scale=False) as tree:
                codes_ = tree["sweep_0"]["DBZH"].values.astype(float)
        gain, offset = (0.5, -33.0) if "nexrad" in opener else (0.5, -32.0)
        echo = codes_ > 1
        np.testing.assert_allclose(ours.values[echo], np.maximum(codes_[echo] * gain + offset, NO_ECHO_DBZ))
        assert (ours.values[codes_ == 0] == NO_ECHO_DBZ).all()


@pytest.mark.realdata
@pytest.mark.parametrize(("group", "inputs", "leads"), [("odim-polar/behel-2020-02-07", 5, 3),
                                                        ("dwd-dx/2008-06-02", 2, 1)])
def test_real_sequences_forecast_and_verify(real_data: Path, tmp_path: Path, group: str, inputs: int,
                                            leads: int) -> None:
    output = tmp_path / "forecast.nc"
    options = ["--pixel-km", "2", "--product", "lowest"]
    assert commands.run(["forecast", str(real_data / group), "--forecaster", "rover-nonlinear", "--inputs",
                         str(inputs), "--index", str(inputs - 1), "--lead-times", str(leads), *options,
                         "-o", str(output), "--json"]) == 0
    assert commands.run(["verify", str(output), "--against", str(real_data / group), *options, "--json"]) == 0
