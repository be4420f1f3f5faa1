"""Thousands of damaged files of the papers' data sets and of picture folders: nothing but UnreadableInput."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest

from engine.archives import open_archive
from engine.archives.description_file import write_description
from engine.archives.picture_datasets import HKO_7
from engine.errors import UnreadableInput
from tests.engine.image_builders import NOON, hko7, meteonet, picture, sevir, taasrad19

FILES = 2000
GROWTH = 2 * 1024**3


def built_hko7(folder: Path, which: str) -> tuple[Path, Path]:
    frame = (np.arange(480 * 480) % 251).astype(np.uint8).reshape(480, 480)
    hko7(folder, {NOON: frame}, {NOON: frame > 9})
    write_description(folder, HKO_7.description)
    return folder, {"picture": folder / "radarPNG/2015/05/11/RAD150511120000.png",
                    "mask": folder / "radarPNG_mask/2015/05/11/RAD150511120000.mask",
                    "toml": folder / "stormdeck.toml"}[which]


def built_picture(folder: Path, ending: str) -> tuple[Path, Path]:
    (folder / "stormdeck.toml").write_text('title = "x"\nstep_minutes = 5\n[time]\nstart = 2020-01-01T00:00:00Z\n')
    return folder, picture(folder / f"a.{ending}", np.arange(300, dtype=np.uint8).reshape(15, 20))


def built_meteonet(folder: Path) -> tuple[Path, Path]:
    lats, lons = np.meshgrid(50 - np.arange(5) * 0.01, np.arange(6) * 0.01, indexing="ij")
    np.savez(folder / "radar_coords_XX.npz", lats=lats, lons=lons)
    data = np.array([[-1, 0, 7]] * 10, np.int16).reshape(1, 5, 6)
    path = meteonet(folder / "rainfall.npz", data, [NOON.replace(tzinfo=None)])
    return path, path


def built_sevir(folder: Path, which: str) -> tuple[Path, Path]:
    path = sevir(folder, ["S1", "S2"], np.full((2, 4, 6, 3), 99, np.uint8), [(-98, 38), (-90, 35)])
    return path, path if which == "data" else folder / "CATALOG.csv"


def built_taasrad19(folder: Path) -> tuple[Path, Path]:
    path = taasrad19(folder / "20161101.hdf5", [(NOON, np.zeros((1, 480, 480), np.float16))])
    return path, path


def built_ascii(folder: Path) -> tuple[Path, Path]:
    path = folder / "cmaZ_201611010325.ascii"
    header = "ncols 480\nnrows 480\nxllcorner 0\nyllcorner 0\ncellsize 500\nNODATA_value -99\n"
    path.write_text(header + ("\t".join(["-99"] * 480) + "\n") * 480)
    return path, path


def built_stacks(folder: Path) -> tuple[Path, Path]:
    path = folder / "stacks.h5"
    with h5py.File(path, "w") as file:
        file.create_group("train").create_dataset("0", data=np.zeros((5, 8, 8), np.uint8), compression="lzf")
    return path, path


BUILT: dict[str, Callable[[Path], tuple[Path, Path]]] = {
    "hko-7": lambda folder: built_hko7(folder, "picture"), "hko-7 mask": lambda folder: built_hko7(folder, "mask"),
    "description": lambda folder: built_hko7(folder, "toml"), "meteonet": built_meteonet,
    "sevir": lambda folder: built_sevir(folder, "data"), "sevir catalogue": lambda folder: built_sevir(folder, "table"),
    "taasrad19": built_taasrad19, "taasrad19 ascii": built_ascii, "stacks": built_stacks,
    "gif": lambda folder: built_picture(folder, "gif"), "pgm": lambda folder: built_picture(folder, "pgm"),
    "tif": lambda folder: built_picture(folder, "tif"), "png": lambda folder: built_picture(folder, "png")}


def damaged(good: bytes, draw: random.Random) -> bytes:
    """Cut short, with wrong bytes, with another head, or with parts repeated."""
    kind = draw.random()
    if kind < 0.25:
        return good[:draw.randrange(1, len(good))]
    bad = bytearray(good)
    if kind < 0.4:
        start, size = draw.randrange(len(bad)), draw.choice((1, 8, 64))
        bad[start:start] = bad[start:start + size]
    for _ in range(draw.choice((1, 4, 32))):
        bad[draw.randrange(len(bad) if kind < 0.7 else min(256, len(bad)))] = draw.randrange(256)
    return bytes(bad)


def peak_bytes() -> int:
    resource = pytest.importorskip("resource")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("which", BUILT)
def test_thousands_of_damaged_files(tmp_path: Path, which: str) -> None:
    opened, broken = BUILT[which](tmp_path)
    open_archive(opened).native(0)
    good, draw, before = broken.read_bytes(), random.Random(which), peak_bytes()
    for _ in range(FILES):
        broken.write_bytes(damaged(good, draw))
        with suppress(UnreadableInput):
            open_archive(opened).native(0)
    assert peak_bytes() - before < GROWTH
