"""Compressed and bundled archives: everything opens as if it were unpacked, and bombs do not go off."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import pickle
import random
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from engine.archives import bundles, open_archive, unpacked, wrapped
from engine.cancel import CancelToken
from engine.errors import Cancelled, UnreadableInput
from tests import builders
from tests.conftest import ROOT

NOON = datetime(2020, 7, 1, 12, 0, tzinfo=UTC)
FIELD = np.arange(12, dtype=np.uint8).reshape(3, 4)
TIMES = tuple(NOON + timedelta(minutes=5 * k) for k in range(3))


def files(folder: Path) -> list[Path]:
    """Three ODIM files, 5 minutes apart, each with its own values."""
    folder.mkdir()
    return [builders.odim(folder / f"f{k}.h5", [FIELD + k], [time]) for k, time in enumerate(TIMES)]


def tar(path: Path, content: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as bundle:  # type: ignore[call-overload]
        for name, data in content.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            bundle.addfile(entry, io.BytesIO(data))
    return path


def zipped(path: Path, content: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, data in content.items():
            bundle.writestr(name, data)
    return path


def named(paths: list[Path], change: Callable[[bytes], bytes] = bytes, end: str = "") -> dict[str, bytes]:
    return {path.name + end: change(path.read_bytes()) for path in paths}


SINGLE: dict[str, Callable[[Path, bytes], object]] = {
    "gz": lambda path, data: path.write_bytes(gzip.compress(data)),
    "bz2": lambda path, data: path.write_bytes(bz2.compress(data)),
    "gz of gz": lambda path, data: path.write_bytes(gzip.compress(gzip.compress(data))),
    "zip": lambda path, data: zipped(path, {"x/inner.h5": data}),
    "tar": lambda path, data: tar(path, {"inner.h5": data}),
    "tar.gz": lambda path, data: tar(path, {"inner.h5": data}, "w:gz"),
}


@pytest.mark.parametrize("how", SINGLE)
@pytest.mark.parametrize("form", ["hdf5", "netcdf4", "netcdf3"])
def test_one_file_in_every_wrapper_and_under_a_name_that_says_nothing(tmp_path: Path, how: str, form: str) -> None:
    plain = tmp_path / "plain"
    if form == "hdf5":
        builders.odim(plain, [FIELD], [NOON])
    else:
        builders.cf(plain, FIELD[None].astype("f4"), [NOON],
                    form="NETCDF4" if form == "netcdf4" else "NETCDF3_CLASSIC")
    SINGLE[how](tmp_path / "radar.dat", plain.read_bytes())
    sequence, expected = open_archive(tmp_path / "radar.dat"), open_archive(plain)
    assert (sequence.layout.format, sequence.times) == (expected.layout.format, (NOON,))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(sequence)).native(0), expected.native(0))


BUNDLES: dict[str, Callable[[Path, list[Path]], object]] = {
    "tar": lambda path, paths: tar(path, named(paths)),
    "tar.gz": lambda path, paths: tar(path, named(paths), "w:gz"),
    "tar.bz2": lambda path, paths: tar(path, named(paths), "w:bz2"),
    "tar of gz": lambda path, paths: tar(path, named(paths, gzip.compress, ".gz")),
    "tar.gz of bz2": lambda path, paths: tar(path, named(paths, bz2.compress, ".bz2"), "w:gz"),
    "zip": lambda path, paths: zipped(path, named(paths)),
    "tar of tar.gz": lambda path, paths: tar(path, {
        f"day{k}.tar.gz": tar(path.parent / "day", named([p], gzip.compress), "w:gz").read_bytes()
        for k, p in enumerate(paths)}),
}


@pytest.mark.parametrize("how", BUNDLES)
def test_bundles_are_sequences(tmp_path: Path, how: str) -> None:
    BUNDLES[how](tmp_path / "radar.dat", files(tmp_path / "plain"))
    sequence = open_archive(tmp_path / "radar.dat")
    assert (sequence.times, sequence.skipped) == (TIMES, ())
    for k in (2, 0, 1):
        np.testing.assert_array_equal(sequence.native(k)[1:], (FIELD + k)[1:] * np.float32(0.5))
    assert {wrapped.real_file(frame.path) for frame in sequence.frames} == {tmp_path / "radar.dat"}
    assert open_archive(sequence.frames[1].path).times == TIMES[1:2]


def test_a_folder_mixes_bundles_wrapped_and_plain_files(tmp_path: Path) -> None:
    paths = files(tmp_path / "plain")
    folder = tmp_path / "mixed"
    folder.mkdir()
    tar(folder / "a.tar", named(paths[:1]))
    (folder / "b.gz").write_bytes(gzip.compress(paths[1].read_bytes()))
    (folder / "c.h5").write_bytes(paths[2].read_bytes())
    assert open_archive(folder).times == TIMES


def test_bad_members_are_left_out_and_named(tmp_path: Path) -> None:
    good = named(files(tmp_path / "plain"))
    content = {**good, "f1.h5": good["f1.h5"][:300], "readme.md": b"words", "f3.gz": gzip.compress(b"x" * 999)[:-9]}
    sequence = open_archive(tar(tmp_path / "a.tar", content))
    assert sequence.times == (TIMES[0], TIMES[2])
    assert {Path(skipped.path).name for skipped in sequence.skipped} == {"f1.h5", "f3.gz"}


def test_names_that_lead_out_of_the_bundle_are_left_out(tmp_path: Path) -> None:
    data = files(tmp_path / "plain")[0].read_bytes()
    hostile = ("../up.h5", "/etc/root.h5", "a/../../up.h5", "C:/up.h5", "a\\up.h5")
    bundle = tar(tmp_path / "a.tar", {**dict.fromkeys(hostile, data), "./sub/good.h5": data})
    assert wrapped.members(bundle) == (bundle / "sub" / "good.h5",)
    with pytest.raises(UnreadableInput, match="bundle of no files"):
        open_archive(tar(tmp_path / "b.tar", dict.fromkeys(hostile, data)))
    assert not (tmp_path.parent / "up.h5").exists()


def test_links_and_devices_are_no_members(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as bundle:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            entry = tarfile.TarInfo(f"x{kind.decode()}")
            entry.type, entry.linkname = kind, "/etc/passwd"
            bundle.addfile(entry)
    with pytest.raises(UnreadableInput, match="bundle of no files"):
        open_archive(tmp_path / "a.tar")


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrapped, "MAX_CONTENT", 4 << 20)
    bomb = files(tmp_path / "plain")[0].read_bytes() + bytes(20 << 20)
    for how in ("gz", "bz2", "zip"):
        SINGLE[how](tmp_path / how, bomb)
        with pytest.raises(UnreadableInput, match="unpacks to more than") as caught:
            wrapped.read_bytes(tmp_path / how)
        assert caught.value.path == str(tmp_path / how)
        with pytest.raises(UnreadableInput):
            open_archive(tmp_path / how)


@pytest.mark.parametrize("how", ["gz", "bz2", "zip", "tar.gz"])
def test_what_unpacks_to_a_thousand_times_its_size_is_refused_early(tmp_path: Path, how: str,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrapped, "FREE_BYTES", 1 << 20)
    SINGLE[how](tmp_path / "a", b"\x89HDF\r\n\x1a\n" + bytes(30 << 20))
    with pytest.raises(UnreadableInput, match="times its size"):
        wrapped.read_bytes(tmp_path / "a")


def test_a_compressed_bundle_is_bounded_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrapped, "MAX_BUNDLE", 4 << 20)
    with pytest.raises(UnreadableInput, match="unpacks to more than 4 MB"):
        open_archive(tar(tmp_path / "a", {f"m{k}": bytes(1 << 20) for k in range(6)}, "w:gz"))


def test_members_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "MAX_MEMBERS", 5)
    for make in (tar, zipped):
        with pytest.raises(UnreadableInput, match="more than 5 members"):
            open_archive(make(tmp_path / make.__name__, {f"m{k}": b"x" for k in range(9)}))


def test_wrappers_without_end_are_refused(tmp_path: Path) -> None:
    data = files(tmp_path / "plain")[0].read_bytes()
    for _ in range(12):
        data = gzip.compress(data)
    (tmp_path / "a.gz").write_bytes(data)
    with pytest.raises(UnreadableInput, match="too deep"):
        open_archive(tmp_path / "a.gz")


def test_a_tar_header_cannot_ask_for_gigabytes(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = tarfile.XHDTYPE, 3 << 30
    (tmp_path / "a.tar").write_bytes(entry.tobuf() + bytes(4096))
    with pytest.raises(UnreadableInput, match="a header of"):
        open_archive(tmp_path / "a.tar")


@pytest.mark.parametrize("how", ["gz", "bz2", "zip", "tar.gz", "tar"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.7, 0.99])
def test_cut_short(tmp_path: Path, how: str, part: float) -> None:
    path = tmp_path / "a"
    SINGLE[how](path, files(tmp_path / "plain")[0].read_bytes())
    os.truncate(path, int(path.stat().st_size * (part if how != "tar" else part / 3)))
    with pytest.raises(UnreadableInput):
        open_archive(path)


def test_an_encrypted_zip_says_so(tmp_path: Path) -> None:
    content = bytearray(zipped(tmp_path / "a.zip", {"x": b"abc"}).read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(UnreadableInput, match="encrypted"):
        open_archive(tmp_path / "a.zip")


def test_npz_is_a_format_and_no_wrapper(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", data=FIELD)
    assert wrapped.members(tmp_path / "a.npz") == (tmp_path / "a.npz",)
    assert wrapped.read_head(tmp_path / "a.npz", 2) == b"PK"
    with wrapped.as_file(tmp_path / "a.npz") as file:
        assert file == tmp_path / "a.npz"


def test_copies_are_bounded_kept_while_used_and_carry_the_inner_name(tmp_path: Path) -> None:
    kept = unpacked.Unpacked(tmp_path / "store", limit=2500)
    kept.folder.mkdir()
    with kept.file(("a",), "day/a.h5", lambda: io.BytesIO(bytes(1000)), lambda: None) as first:
        for name in "bcd":
            with kept.file((name,), name, lambda: io.BytesIO(bytes(1000)), lambda: None):
                pass
        assert (first.name, first.exists()) == ("a.h5", True)
    left = [path for path in kept.folder.rglob("*") if path.is_file()]
    assert sorted(path.name for path in left) == ["a.h5", "d"]


USE = """
import multiprocessing, pathlib, sys
from engine.archives import wrapped

def use(path):
    with wrapped.as_file(pathlib.Path(path)) as file:
        return str(file)

if __name__ == "__main__":
    mine = use(sys.argv[1])
    with multiprocessing.get_context("spawn" if sys.platform == "win32" else "fork").Pool(1) as pool:
        theirs = pool.map(use, sys.argv[1:])[0]
        pool.close()
        pool.join()
    assert pathlib.Path(mine).exists()
    print(mine, theirs, sep="\\n")
"""


def test_no_process_leaves_its_copies_behind(tmp_path: Path) -> None:
    (tmp_path / "use.py").write_text(USE)
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"content"))
    done = subprocess.run([sys.executable, tmp_path / "use.py", tmp_path / "a.gz"], capture_output=True, text=True,
                          check=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})
    mine, theirs = map(Path, done.stdout.split("\n")[:2])
    assert mine.parents[1] != theirs.parents[1]
    assert not mine.parents[1].exists()
    assert not theirs.parents[1].exists()


def test_unpacking_can_be_cancelled_and_leaves_nothing(tmp_path: Path) -> None:
    bundle = tar(tmp_path / "a", {f"m{k}": bytes(1 << 20) for k in range(6)}, "w:gz")
    before = set(wrapped.store().folder.iterdir())
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        open_archive(bundle, token=token)
    assert set(wrapped.store().folder.iterdir()) == before


def test_a_file_that_changes_is_unpacked_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    tar(path, {"x": b"old", "y": b""})
    assert wrapped.read_bytes(path / "x") == b"old"
    tar(path, {"w": b"", "x": b"newer"})
    os.utime(path, (1, 1))
    assert wrapped.read_bytes(path / "x") == b"newer"
    with pytest.raises(UnreadableInput, match="no such file"):
        wrapped.read_bytes(path / "y")
    path.unlink()
    with pytest.raises(UnreadableInput, match="gone"):
        wrapped.read_bytes(path / "x")


def harmless_when_damaged(folder: Path, how: str, count: int, seed: int = 0) -> None:
    path, draw = folder / "radar.dat", random.Random(f"{how} {seed}")
    BUNDLES[how](path, files(folder / "plain"))
    good = path.read_bytes()
    for _ in range(count):
        bad = bytearray(good[:draw.randrange(1, len(good))] if draw.random() < 0.3 else good)
        for _ in range(draw.choice((0, 1, 4, 32))):
            bad[draw.randrange(len(bad))] = draw.randrange(256)
        path.write_bytes(bytes(bad))
        try:
            sequence = open_archive(path)
            for k in range(len(sequence)):
                sequence.native(k)
        except UnreadableInput:
            pass


@pytest.mark.parametrize("how", BUNDLES)
def test_damaged_wrappers_raise_nothing_else(tmp_path: Path, how: str) -> None:
    harmless_when_damaged(tmp_path, how, 15)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("how", BUNDLES)
def test_many_damaged_wrappers_raise_nothing_else(tmp_path: Path, how: str, seed: int) -> None:
    harmless_when_damaged(tmp_path, how, 400, seed)
