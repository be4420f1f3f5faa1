"""TAASRAD19: days in HDF5, the file of links, raw scans; and stacks of pictures in HDF5."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from engine.archives import open_archive
from engine.archives import taasrad19 as reader
from engine.archives.probe import Probe
from engine.errors import UnreadableInput
from engine.radar.units import NO_ECHO_DBZ, Quantity
from tests.engine.image_builders import taasrad19

DAY = datetime(2016, 11, 1, 3, 25, tzinfo=UTC)
FIVE = timedelta(minutes=5)


def run(count: int, value: float) -> NDArray[np.float16]:
    data = np.zeros((count, 480, 480), np.float16)
    data[:, 240, :] = value
    data[:, 0, 0] = 33  # outside the radar's circle
    return data


def test_a_day(tmp_path: Path) -> None:
    later = DAY + timedelta(hours=6)
    sequence = open_archive(taasrad19(tmp_path / "20161101.hdf5", [(DAY, run(3, 20.1)), (later, run(2, 52.5))]))
    assert sequence.times == (DAY, DAY + FIVE, DAY + 2 * FIVE, later, later + FIVE)
    assert (sequence.layout.format, sequence.step) == ("TAASRAD19", FIVE)
    assert sequence.layout.quantity is Quantity.REFLECTIVITY
    assert len(sequence.gaps) == 1
    assert sequence.grid.pixel_km == (0.5, 0.5)
    assert sequence.grid.lonlat(0.0, 0.0) == pytest.approx((11.211, 46.488))
    values = sequence.native(0)
    assert values[240, 240] == np.float32(np.float16(20.1))
    assert values[200, 200] == NO_ECHO_DBZ
    assert np.isnan(values[0, 0])
    inside = np.hypot(*np.mgrid[-239.5:240, -239.5:240]) <= 240
    np.testing.assert_array_equal(np.isnan(values), ~inside)
    assert sequence.native(4)[240, 5] == 52.5


def test_the_table_gives_times_where_the_file_does_not(tmp_path: Path) -> None:
    folder = tmp_path / "hdf_archives"
    folder.mkdir()
    path = taasrad19(folder / "20161101.hdf5", [(DAY, run(3, 1)), (DAY, run(2, 1))], attributes=False)
    with pytest.raises(UnreadableInput, match="no start time"):
        open_archive(path)
    (tmp_path / "hdf_metadata.csv").write_text(
        "id,start_datetime,end_datetime,run_length,avg_cell_value,tags\n"
        "7,2016-10-31 00:00:00,2016-10-31 00:05:00,2,1.0,rain\n"
        "8,2016-11-01 03:25:00,2016-11-01 03:35:00,3,1.0,rain\n"
        "9,2016-11-01 09:25:00,2016-11-01 09:30:00,2,1.0,rain\n")
    assert open_archive(path).times == (DAY, DAY + FIVE, DAY + 2 * FIVE, DAY + timedelta(hours=6),
                                        DAY + timedelta(hours=6) + FIVE)


def test_links_are_followed_beside_the_file_only(tmp_path: Path) -> None:
    taasrad19(tmp_path / "20161101.hdf5", [(DAY, run(2, 10)), (DAY + timedelta(hours=2), run(2, 20))])
    other = tmp_path / "elsewhere"
    other.mkdir()
    taasrad19(other / "20161102.hdf5", [(DAY + timedelta(days=1), run(2, 30))])
    with h5py.File(tmp_path / "all_data.hdf5", "w") as file:
        file["0"] = h5py.ExternalLink("/nowhere/hdf_archives/20161101.hdf5", "0")
        file["1"] = h5py.ExternalLink("/nowhere/hdf_archives/20161101.hdf5", "1")
        file["2"] = h5py.ExternalLink(str(other / "20161102.hdf5"), "0")
        file["3"] = h5py.ExternalLink("/etc/passwd", "0")
        file["4"] = h5py.ExternalLink("20161101.hdf5", "../../x")
    sequence = open_archive(tmp_path / "all_data.hdf5")
    assert sequence.times == (DAY, DAY + FIVE, DAY + timedelta(hours=2), DAY + timedelta(hours=2) + FIVE)
    assert sequence.native(2)[240, 240] == 20
    reasons = {skipped.path[-1]: skipped.reason for skipped in sequence.skipped}
    assert set(reasons) == {"2", "3", "4"}
    assert "not beside it" in reasons["2"]
    assert "refused" in reasons["3"]


def test_one_bad_link_does_not_hide_the_others(tmp_path: Path) -> None:
    """Whatever the order in which a set of names is walked, which is another one in every process."""
    names = [str(number) for number in range(5)]
    with h5py.File(tmp_path / "all_data.hdf5", "w") as file:
        for name in names:
            file[name] = h5py.ExternalLink("/etc/passwd" if name in "03" else f"2016110{name}.hdf5", "0")
        file.attrs["note"] = 1
    for first in names:
        order = (first, "@note", *(name for name in names if name != first))
        assert reader.recognises(SimpleNamespace(path=tmp_path / "all_data.hdf5", hdf5_outline=order))
    with h5py.File(tmp_path / "none.hdf5", "w") as file:
        file["0"] = h5py.ExternalLink("/etc/passwd", "0")
    assert not reader.recognises(Probe(tmp_path / "none.hdf5"))


def ascii_grid(values: NDArray[np.float64]) -> bytes:
    header = "ncols 480\nnrows 480\nxllcorner 0\nyllcorner 0\ncellsize 500\nNODATA_value -99\n"
    rows = ("\t".join(f"{v:.1f}" for v in row) for row in values)
    return (header + "\n".join(rows) + "\n").encode()


def test_raw_scans_in_a_tar(tmp_path: Path) -> None:
    values = np.full((480, 480), -99.0)
    values[240, 240], values[240, 241] = 30.5, 55.0
    with tarfile.open(tmp_path / "20161101.tar", "w") as tar:
        for minute in (25, 30):
            content = gzip.compress(ascii_grid(values))
            member = tarfile.TarInfo(f"./Cmaz_cmaZ_20161101_03{minute}.ascii.gz")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    sequence = open_archive(tmp_path / "20161101.tar")
    assert sequence.times == (DAY, DAY + FIVE)
    frame = sequence.native(1)
    assert frame[240, 240] == 30.5
    assert frame[239, 239] == NO_ECHO_DBZ
    assert np.isnan(frame[240, 241])
    assert np.isnan(frame[0, 0])


@pytest.mark.parametrize("change", [lambda b: b[:5000], lambda b: b.replace(b"30.5", b"x"), lambda b: b + b"1.0\n"])
def test_damaged_raw_scans(tmp_path: Path, change) -> None:  # type: ignore[no-untyped-def]
    values = np.full((480, 480), -99.0)
    values[240, 240] = 30.5
    path = tmp_path / "cmaZ_201611010325.ascii"
    path.write_bytes(change(ascii_grid(values)))
    with pytest.raises(UnreadableInput):
        open_archive(path).native(0)


def test_stacks_as_diffcast_packs_them(tmp_path: Path) -> None:
    frames = np.zeros((25, 40, 50), np.uint8)
    frames[3, 0, 0] = 255
    with h5py.File(tmp_path / "shanghai.h5", "w") as file:
        for group in ("train", "test"):
            for k in range(12):
                file.require_group(group).create_dataset(str(k), data=frames + (k == 11), compression="lzf")
            file[group]["all_len"] = 12
    sequence = open_archive(tmp_path / "shanghai.h5")
    assert len(sequence) == 24 * 25
    assert sequence.step_minutes == 6
    assert len(sequence.gaps) == 23
    assert "assumed" in sequence.layout.source
    assert sequence.native(3)[0, 0] == 70
    assert sequence.native(3)[1, 1] == NO_ECHO_DBZ
    assert sequence.native(12 * 25 - 1)[1, 1] == pytest.approx(70 / 255)  # "11" comes after "9"
    (tmp_path / "stormdeck.toml").write_text(
        'title = "Shanghai"\nstep_minutes = 12\n[value]\ngain = 0.35294117647\n[time]\nstart = 2018-01-01T00:00:00Z\n')
    told = open_archive(tmp_path / "shanghai.h5")
    assert (told.layout.format, told.step_minutes, told.times[0].year) == ("Shanghai", 12, 2018)
    assert told.native(3)[0, 0] == pytest.approx(90)


def test_stacks_of_the_cikm_challenge(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "train.h5", "w") as file:
        for k in (1, 2, 10):
            file[f"sample_{k}"] = np.full((15, 101, 101), k, np.uint8)
    sequence = open_archive(tmp_path / "train.h5")
    assert (len(sequence), sequence.grid.shape) == (45, (101, 101))
    assert [round(float(sequence.native(k)[0, 0]) * 255 / 70) for k in (0, 15, 30)] == [1, 2, 10]


def test_stacks_in_other_files_are_not_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["0"] = np.zeros((5, 8, 8), np.uint8)
    with h5py.File(tmp_path / "links.h5", "w") as file:
        file.create_group("train")["0"] = h5py.ExternalLink("other.h5", "0")
    with pytest.raises(UnreadableInput):
        open_archive(tmp_path / "links.h5")


@pytest.mark.parametrize("which", ["day", "stack"])
def test_damaged_files_raise_nothing_else(tmp_path: Path, which: str) -> None:
    path = tmp_path / "20161101.hdf5"
    if which == "day":
        taasrad19(path, [(DAY, run(1, 20))])
    else:
        with h5py.File(path, "w") as file:
            file.create_group("train")["0"] = np.zeros((5, 8, 8), np.uint8)
    good, draw = path.read_bytes(), random.Random(which)
    for _ in range(60):
        content = bytearray(good[:draw.randrange(1, len(good))] if draw.random() < 0.3 else good)
        for _ in range(draw.choice((1, 4, 32))):
            content[draw.randrange(len(content))] = draw.randrange(256)
        path.write_bytes(content)
        with suppress(UnreadableInput):
            open_archive(path).native(0)
