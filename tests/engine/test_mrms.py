"""GRIB2 composites: messages built octet by octet, real MRMS files against ecCodes."""

from __future__ import annotations

import gzip
import io
import struct
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from engine.archives import open_archive
from engine.errors import UnreadableInput
from engine.radar.units import NO_ECHO_DBZ, Quantity

NOON = datetime(2020, 7, 1, 12, 0, tzinfo=UTC)
CODES = np.array([[0, 20, 30, 31, 500], [130, 30, 30, 30, 30], [65535, 30, 35, 40, 20]], np.uint16)
RATES = np.array([[np.nan, np.nan, 0, 0.1, 47], [10, 0, 0, 0, 0], [6550.5, 0, 0.5, 1, np.nan]], np.float32)
"""CODES with reference -30 and decimal scale 1; -3 and -1 are no data."""


def _section(number: int, body: bytes) -> bytes:
    return struct.pack(">IB", len(body) + 5, number) + body


def _sign(value: int, octets: int) -> bytes:
    return (abs(value) | (1 << (8 * octets - 1) if value < 0 else 0)).to_bytes(octets, "big")


def message(codes: NDArray[np.integer], time: datetime = NOON, *, parameter: tuple[int, int, int] = (209, 6, 1),
            template: int = 41, reference: float = -30.0, binary: int = 0, decimal: int = 1, scan: int = 0,
            forecast: int = 0, bitmap: NDArray[np.bool_] | None = None) -> bytes:
    """One field of 0.01 degree from 54.995 N 230.005 E, after the WMO manual on codes."""
    ny, nx = codes.shape
    bits = 8 * codes.dtype.itemsize
    micro = [54_995_000, 230_005_000, 54_995_000 - 10_000 * (ny - 1), 230_005_000 + 10_000 * (nx - 1)]
    if scan & 0x40:
        micro[0], micro[2] = micro[2], micro[0]
    identity = struct.pack(">HHBBBHBBBBBBB", 161, 0, 255, 1, 3, time.year, time.month, time.day, time.hour, time.minute,
                           time.second, 0, 0)
    grid = struct.pack(">BIBBH", 0, ny * nx, 0, 0, 0) + bytes([2]) + bytes(15) + struct.pack(">II", nx, ny) \
        + struct.pack(">II", 0, 0xFFFFFFFF) + _sign(micro[0], 4) + _sign(micro[1], 4) + bytes([48]) \
        + _sign(micro[2], 4) + _sign(micro[3], 4) + struct.pack(">IIB", 10_000, 10_000, scan)
    product = struct.pack(">HHBBBBBHBB", 0, 0, parameter[1], parameter[2], 8, 0, 97, 0, 0, 0) + _sign(forecast, 4) \
        + bytes([102, 0, 0, 0, 0, 0, 255, 0, 0, 0, 0, 0])
    stored = codes if bitmap is None else codes[bitmap][None]
    packing = struct.pack(">IHf", stored.size, template, reference) + _sign(binary, 2) + _sign(decimal, 2) \
        + bytes([bits, 0])
    png = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(stored)).save(png, format="PNG")
    data = png.getvalue() if template == 41 else stored.astype(stored.dtype.newbyteorder(">")).tobytes()
    mask = bytes([255]) if bitmap is None else bytes([0]) + np.packbits(bitmap).tobytes()
    body = _section(1, identity) + _section(3, grid) + _section(4, product) + _section(5, packing) \
        + _section(6, mask) + _section(7, data) + b"7777"
    return b"GRIB" + bytes([0, 0, parameter[0], 2]) + struct.pack(">Q", 16 + len(body)) + body


@pytest.mark.parametrize("template", [0, 41])
@pytest.mark.parametrize("name", ["a.grib2", "a.gif"])
def test_rain_rates_by_hand(tmp_path: Path, template: int, name: str) -> None:
    (tmp_path / name).write_bytes(message(CODES, template=template))
    sequence = open_archive(tmp_path / name)
    np.testing.assert_array_equal(sequence.native(0), RATES)
    layout = sequence.layout
    assert (layout.variable, layout.quantity, sequence.times) == ("PrecipRate", Quantity.RAIN_RATE, (NOON,))
    assert (sequence.grid.x[0], sequence.grid.y[0]) == pytest.approx((-129.995, 54.995))
    assert (sequence.grid.dx, sequence.grid.dy) == pytest.approx((0.01, 0.01))
    assert sequence.grid.lonlat(sequence.grid.x[0], sequence.grid.y[0]) == pytest.approx((-129.995, 54.995))


def test_a_compressed_file_opens_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "MRMS_PrecipRate.grib2.gz").write_bytes(gzip.compress(message(CODES)))
    np.testing.assert_array_equal(open_archive(tmp_path).native(0), RATES)


def test_reflectivity_keeps_no_echo_apart_from_no_coverage(tmp_path: Path) -> None:
    codes = np.array([[0, 9000, 9990], [10290, 9989, 10000]], np.uint16)  # -999, -99, 0, 30, -0.1, 1 dBZ
    (tmp_path / "a").write_bytes(message(codes, parameter=(209, 10, 0), reference=-9990.0))
    native = open_archive(tmp_path / "a").native(0)
    np.testing.assert_allclose(native, np.array([[np.nan, NO_ECHO_DBZ, 0], [30, -0.1, 1]], np.float32), atol=1e-6)


def test_rows_from_south_to_north_are_turned(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(message(CODES[::-1], scan=0x40))
    sequence = open_archive(tmp_path / "a")
    np.testing.assert_array_equal(sequence.native(0), RATES)
    assert sequence.grid.y[0] == pytest.approx(54.995)


def test_several_messages_are_frames_and_forecast_times_are_added(tmp_path: Path) -> None:
    both = message(CODES, forecast=10) + message(np.full_like(CODES, 30), NOON) + b"\0\0"
    (tmp_path / "a").write_bytes(both)
    sequence = open_archive(tmp_path / "a")
    assert sequence.times == (NOON, NOON + timedelta(minutes=10))
    assert sequence.native(0).max() == 0
    np.testing.assert_array_equal(sequence.native(1), RATES)


def test_other_packings_go_through_eccodes(tmp_path: Path) -> None:
    pytest.importorskip("eccodes")
    bitmap = CODES != 0
    content = message(CODES, template=0, bitmap=bitmap, parameter=(0, 1, 7), reference=0.0, decimal=4)
    (tmp_path / "a").write_bytes(content)
    sequence = open_archive(tmp_path / "a")
    expected = np.where(bitmap, CODES / 1e4 * 3600, np.nan)
    np.testing.assert_allclose(sequence.native(0), expected.astype(np.float32), rtol=1e-6)
    assert (sequence.layout.variable, sequence.layout.unit) == ("prate", "kg m-2 s-1")


@pytest.mark.parametrize(("change", "words"), [
    (lambda good: good[:-40], "cut short"),
    (lambda good: good[:60], "cut short"),
    (lambda good: good.replace(struct.pack(">II", 5, 3), struct.pack(">II", 1 << 30, 1 << 30), 1), "absurd"),
    (lambda good: good.replace(b"IDAT", b"JDAT"), "damaged"),
    (lambda good: good[:8] + struct.pack(">Q", 1 << 60) + good[16:], "absurd"),
    (lambda good: good[:6] + bytes([0]) + good[7:], "no known rain rate"),
], ids=["end", "middle", "size", "picture", "length", "parameter"])
def test_damage_is_refused(tmp_path: Path, change: object, words: str) -> None:
    (tmp_path / "a").write_bytes(change(message(CODES)))  # type: ignore[operator]
    with pytest.raises(UnreadableInput, match=words):
        open_archive(tmp_path / "a").native(0)


def test_damage_anywhere_is_never_more_than_unreadable(tmp_path: Path) -> None:
    good, rng = message(CODES), np.random.default_rng(3)
    for _ in range(300):
        bad = bytearray(good)
        for place in rng.integers(0, len(bad), 3):
            bad[place] = int(rng.integers(256))
        (tmp_path / "a").write_bytes(bytes(bad[:int(rng.integers(1, len(bad) + 1))]))
        with suppress(UnreadableInput):
            open_archive(tmp_path / "a").native(0)


@pytest.mark.realdata
def test_real_files_equal_eccodes(real_data: Path) -> None:
    eccodes = pytest.importorskip("eccodes")
    sequence = open_archive(real_data / "mrms" / "2019-06-10")
    assert (len(sequence), sequence.step_minutes, sequence.grid.shape) == (36, 2.0, (3500, 7000))
    assert sequence.times[0] == datetime(2019, 6, 10, tzinfo=UTC)
    assert (sequence.grid.y[0], sequence.grid.y[-1]) == pytest.approx((54.995, 20.005), abs=1e-5)
    assert (sequence.grid.x[0] + 360, sequence.grid.x[-1] + 360) == pytest.approx((230.005, 299.995), abs=1e-5)
    handle = eccodes.codes_new_from_message(sequence.frames[7].path.read_bytes())
    values = eccodes.codes_get_values(handle).reshape(3500, 7000)
    eccodes.codes_release(handle)
    native = sequence.native(7)
    assert np.array_equal(np.isnan(native), values < 0)
    assert np.array_equal(native[values >= 0], values[values >= 0].astype(np.float32))
    assert np.isnan(native).mean() == pytest.approx(0.36, abs=0.01)
