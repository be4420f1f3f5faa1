"""IRIS Cartesian products: built from the manual's layout, and the real ones against wradlib and pyproj."""

from __future__ import annotations

import gzip
import math
import struct
import warnings
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pyproj import Geod

from engine.archives import open_archive
from engine.archives.iris_products import values_of_codes
from engine.errors import UnreadableInput
from engine.radar.units import NO_ECHO_DBZ, ZR, Quantity


def product(path: Path, codes: NDArray[np.unsignedinteger], *, kind: int = 3, stored: int = 2, projection: int = 0,
            sizes: tuple[int, int] | None = None) -> Path:
    """``codes``: rows from the south. 500 m pixels, the antenna in the middle, 25.5 E 58.5 N, WGS84."""
    ny, nx = sizes or codes.shape
    head = bytearray(640)

    def put(form: str, place: int, *values: int) -> None:
        struct.pack_into("<" + form, head, place, *values)

    put("hhihh", 0, 27, 8, 640 + codes.nbytes, 0, 0)
    put("hhihh", 12, 26, 6, 320, 0, 0)
    put("HH", 24, kind, 1)
    put("iHhhh", 44, 22 * 3600 + 300, 999 | (2 << 10), 2016, 7, 3)
    head[74:86] = b"CAPPI_1     "
    put("iii", 100, 50_000, 50_000, 0)
    put("iii", 112, nx, ny, 1)
    put("iii", 124, nx * 500, ny * 500, 0)
    put("H", 142, stored)
    head[158] = projection
    put("ii", 164, 300_000, 1_400)
    head[332 + 90:332 + 90 + 9] = b"Somewhere"
    put("II", 332 + 220, 637_813_700, 298_257_224)
    put("II", 332 + 240, round(58.5 / 360 * 2**32), round(25.5 / 360 * 2**32))
    path.write_bytes(bytes(head) + codes.tobytes())
    return path


CODES = np.array([[255, 0, 64, 66], [100, 1, 254, 128], [90, 91, 92, 93], [0, 0, 0, 255]], np.uint8)


def test_a_map_of_one_byte_reflectivity(tmp_path: Path) -> None:
    sequence = open_archive(product(tmp_path / "a.CAP", CODES))
    layout = sequence.layout
    assert (layout.variable, layout.quantity, layout.source) == ("CAPPI (CAPPI_1)", Quantity.REFLECTIVITY, "Somewhere")
    assert (layout.zr, layout.zr_source) == (ZR(300.0, 1.4), "given in the file")
    assert sequence.times == (datetime(2016, 7, 3, 22, 5, tzinfo=UTC),)
    nan, none = math.nan, NO_ECHO_DBZ
    np.testing.assert_array_equal(sequence.native(0), np.array([
        [none, none, none, nan], [13, 13.5, 14, 14.5], [18, -31.5, 95, 32], [nan, none, 0, 1]], np.float32))
    assert sequence.grid.extent == (-1000, 1000, -1000, 1000)
    lon, lat, _ = Geod(ellps="WGS84").fwd(25.5, 58.5, 90.0, 750.0)
    assert sequence.grid.lonlat(sequence.grid.x[3], np.array(0.0)) == pytest.approx((lon, lat), abs=1e-7)


def test_two_byte_reflectivity_and_rain_rate(tmp_path: Path) -> None:
    words = np.array([[0, 65535, 32768], [33768, 1, 40000]], np.uint16)
    np.testing.assert_allclose(open_archive(product(tmp_path / "a", words, stored=9)).native(0),
                               [[10, NO_ECHO_DBZ, 72.32], [NO_ECHO_DBZ, np.nan, 0]], rtol=1e-6)
    rain = values_of_codes(13)
    assert math.isnan(rain[0])
    assert math.isnan(rain[65535])
    assert rain[1] == 0.0
    # exponents 0 and 1 are the mantissa itself (with its hidden bit), from then on each doubles the step
    assert [round(float(rain[code]) * 1e4) for code in (2, 0x0FFF, 0x1000, 0x1FFF, 0x2000, 0x2001, 0x3000)] == [
        1, 4094, 4095, 8190, 8191, 8193, 16383]
    assert (np.diff(rain[1:65535]) > 0).all()
    archive = open_archive(product(tmp_path / "b", words, stored=13))
    assert archive.layout.quantity is Quantity.RAIN_RATE


@pytest.mark.parametrize(("change", "says"), [
    ({"kind": 2}, "no map"), ({"stored": 3}, "neither reflectivity nor rain rate"), ({"projection": 2}, "projection"),
    ({"sizes": (4000, 4000)}, "cut short"), ({"sizes": (4, 2_000_000)}, "absurd")])
def test_what_is_no_readable_map_is_refused(tmp_path: Path, change: dict[str, int], says: str) -> None:
    path = product(tmp_path / "a", CODES, **change)
    with pytest.raises(UnreadableInput, match=says):
        open_archive(path)


def test_cut_and_flipped_headers_never_crash(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    good = product(tmp_path / "a", CODES).read_bytes()
    path = tmp_path / "b"
    for turn in range(300):
        damaged = bytearray(good[:int(rng.integers(26, len(good)))] if turn % 3 == 0 else good)
        for place in rng.integers(24, len(damaged), 6):
            damaged[place] = int(rng.integers(0, 256))
        path.write_bytes(damaged)
        try:
            field = open_archive(path).native(0)
        except UnreadableInput:
            continue
        assert field.ndim == 2


@pytest.mark.realdata
@pytest.mark.parametrize(("end", "name", "shape", "pixel"), [
    ("CAP71P6", "CAPPI (CAPPI_1)", (940, 940), 0.53171), ("PPI71P4", "PPI (JORMA)", (940, 940), 0.53173),
    ("SRI71PF", "SRI (SRI_TEST)", (720, 720), 0.66667)])
def test_real_products_agree_with_wradlib(real_data: Path, tmp_path: Path, end: str, name: str,
                                          shape: tuple[int, int], pixel: float) -> None:
    path = real_data / f"iris/SUR160703220000.{end}.gz"
    sequence = open_archive(path)
    assert (sequence.layout.variable, sequence.grid.shape) == (name, shape)
    assert sequence.times == (datetime(2016, 7, 3, 22, 0, tzinfo=UTC),)
    assert sequence.grid.pixel_km == pytest.approx((pixel, pixel))
    # Sürgavere, Estonia
    assert sequence.grid.lonlat(np.array(0.0), np.array(0.0)) == pytest.approx((25.5187, 58.4823), abs=1e-4)
    plain = tmp_path / end
    plain.write_bytes(gzip.decompress(path.read_bytes()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        iris = pytest.importorskip("wradlib.io.iris")
        theirs = iris.IrisCartesianProductFile(str(plain), loaddata=True, origin="upper").data[0][0]
    expected = np.where(theirs == 95.5, np.nan, theirs)
    np.testing.assert_array_equal(sequence.native(0), expected.astype(np.float32))
