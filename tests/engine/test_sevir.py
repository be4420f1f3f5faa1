"""SEVIR: catalogue and VIL in the published layout."""

from __future__ import annotations

import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import h5py
import numpy as np
import pytest
from pyproj import Transformer

from engine.archives import open_archive
from engine.archives.parts import parts_of
from engine.archives.sevir import dbz_of_vil, events, vil_of_dbz, vil_of_pixel
from engine.errors import UnreadableInput
from engine.jobs.parts import PartsReady, PartsRequest, run
from engine.jobs.scope import Scope
from engine.radar.units import NO_ECHO_DBZ, Quantity
from tests.engine.image_builders import sevir

LAEA = "+proj=laea +lat_0=38 +lon_0=-98 +units=m +a=6370997.0 +ellps=sphere"
CORNERS = [(-98.0, 38.0), (-90.0, 35.0), (-90.0, 35.0)]


def archive(folder: Path) -> Path:
    """Three events of 4 x 6 cells and 5 maps, two with the same id; pixel = 10 * step, 255 at the first (southern)
    row's first cell, 0 at its second."""
    vil = np.zeros((3, 4, 6, 5), np.uint8)
    vil[:] = np.arange(5) * 10 + 100
    vil[:, 0, 0], vil[:, 0, 1] = 255, 0
    vil[1] += 1
    return sevir(folder, ["S1", "S2", "S2"], vil, CORNERS)


def test_the_published_law_of_pixels() -> None:
    """The thresholds of the papers in pixels and in kg/m2."""
    pixels = np.array([0, 5, 16, 74, 133, 160, 181, 219, 255])
    expected = [0, 0, 0.154, 0.775, 3.533, 7.073, 12.136, 32.23, np.nan]
    np.testing.assert_allclose(vil_of_pixel(pixels), expected, rtol=1e-3, atol=5e-4)


def test_vil_is_carried_as_reflectivity_and_comes_back() -> None:
    vil = vil_of_pixel(np.arange(255))
    dbz = dbz_of_vil(vil)
    np.testing.assert_allclose(vil_of_dbz(dbz), vil, rtol=1e-5)
    assert (np.diff(dbz[5:]) > 0).all()
    assert dbz[0] == NO_ECHO_DBZ
    # the levels of aviation weather radar: 30, 41, 46, 50, 57 dBZ
    np.testing.assert_allclose(dbz_of_vil(np.array([0.76, 3.5, 6.9, 12, 32])), [30, 41, 46, 50, 57], atol=1.1)


def test_an_event(tmp_path: Path) -> None:
    path = archive(tmp_path)
    sequence = open_archive(path)
    start = datetime(2018, 6, 1, 17, 50, tzinfo=UTC)
    assert sequence.times == tuple(start + timedelta(minutes=5 * k) for k in range(5))
    layout = sequence.layout
    assert (layout.format, layout.variable, layout.unit, layout.quantity) == ("SEVIR", "vil", "kg m-2",
                                                                              Quantity.REFLECTIVITY)
    assert "VIL" in layout.zr_source
    assert "S1" in layout.source
    values = sequence.native(2)
    assert np.isnan(values[-1, 0])  # the first row lies in the south
    assert values[-1, 1] == NO_ECHO_DBZ
    expected = 17.5 * np.log10(np.exp((120 - 83.9) / 38.9) / (3.44e-6 * 4500))
    np.testing.assert_allclose(values[0], expected, rtol=1e-6)


def test_its_place(tmp_path: Path) -> None:
    grid = open_archive(archive(tmp_path)).grid
    assert grid.pixel_km == pytest.approx((1, 1))
    to_lonlat = Transformer.from_crs(LAEA, "+proj=longlat +a=6370997.0 +b=6370997.0", always_xy=True)
    left, _, bottom, _ = grid.extent
    assert to_lonlat.transform(left, bottom) == pytest.approx((-98, 38), abs=1e-9)


def test_events_are_chosen_by_name(tmp_path: Path) -> None:
    path = archive(tmp_path)
    assert [event.name for event in events(path)] == ["S1", "S2"]
    sequence = open_archive(f"{path}#S2")
    assert sequence.times[0] == datetime(2018, 6, 2, 17, 50, tzinfo=UTC)
    assert vil_of_dbz(sequence.native(0))[0, 0] == pytest.approx(np.exp((101 - 83.9) / 38.9), rel=1e-5)
    assert not sequence.grid.same_as(open_archive(path).grid)
    with pytest.raises(UnreadableInput, match="no event 'S9'"):
        open_archive(f"{path}#S9")


def test_an_id_that_occurs_twice_counts_once(tmp_path: Path) -> None:
    sequence = open_archive(archive(tmp_path))
    assert [(s.path.rpartition("#")[2], "twice" in s.reason) for s in sequence.skipped] == [("S2", True)]


def test_without_the_catalogue_it_is_said(tmp_path: Path) -> None:
    path = archive(tmp_path)
    (tmp_path / "CATALOG.csv").unlink()
    with pytest.raises(UnreadableInput, match=r"CATALOG\.csv") as caught:
        open_archive(path)
    assert "Put SEVIR's CATALOG.csv" in caught.value.advice


@pytest.mark.parametrize(("old", "new"), [
    ("18:00:00", "25:00:00"), ("-10:-5:0:5:10", "-10:x"), ("-10:-5:0:5:10", "0:5"), ("38.0", "900"),
    ("4000.0", "nan"), ("4000.0", "-1"), ("id,", "name,"), ("laea", "nonsense")])
def test_damaged_catalogues(tmp_path: Path, old: str, new: str) -> None:
    path = archive(tmp_path)
    table = tmp_path / "CATALOG.csv"
    assert old in table.read_text()
    table.write_text(table.read_text().replace(old, new))
    with pytest.raises(UnreadableInput):
        open_archive(path)


@pytest.mark.parametrize("shape", [(1, 4, 6), (1, 1, 6, 5), (0, 4, 6, 5)])
def test_strange_stacks(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = archive(tmp_path)
    with h5py.File(path, "w") as file:
        file["id"] = np.array([b"S1"])
        file["vil"] = np.zeros(shape, np.uint8)
    with pytest.raises(UnreadableInput):
        open_archive(path)


def test_damaged_files_raise_nothing_else(tmp_path: Path) -> None:
    path = archive(tmp_path)
    good, draw = path.read_bytes(), random.Random("sevir")
    for _ in range(60):
        content = bytearray(good[:draw.randrange(1, len(good))] if draw.random() < 0.3 else good)
        for _ in range(draw.choice((1, 4, 32))):
            content[draw.randrange(len(content))] = draw.randrange(256)
        path.write_bytes(content)
        with suppress(UnreadableInput):
            open_archive(path).native(0)


def test_its_events_are_listed_with_time_and_place(tmp_path: Path) -> None:
    path = archive(tmp_path)
    first, second = parts_of(path)
    assert (first.name, second.name, first.frames) == ("S1", "S2", 5)
    assert first.time == datetime(2018, 6, 1, 17, 50, tzinfo=UTC)
    for part in (first, second):
        grid = open_archive(f"{path}#{part.name}").grid
        left, right, bottom, top = grid.extent
        middle = grid.lonlat((left + right) / 2, (bottom + top) / 2)
        assert (part.lon, part.lat) == pytest.approx([float(degrees) for degrees in middle], abs=1e-3)
    assert parts_of(path.with_name(f"{path.name}#S2")) == (first, second)
    assert parts_of(tmp_path) == ()
    (tmp_path / "note.txt").write_text("no radar")
    assert parts_of(tmp_path / "note.txt") == ()


def test_the_job_that_lists_them_says_what_to_open(tmp_path: Path) -> None:
    path = archive(tmp_path)
    ready = next(event for event in run(PartsRequest(path.with_name(f"{path.name}#S2")), Scope())
                 if isinstance(event, PartsReady))
    assert ready.file == path
    assert [part.name for part in ready.parts] == ["S1", "S2"]
