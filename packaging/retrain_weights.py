"""Retrains the weights that ship: ``make weights DATA=../shared/data`` (many hours on a processor).

    python packaging/retrain_weights.py ../shared/data out/weights [NAME ...]

Packs are cut from the archives of KNMI, FMI and MRMS, the networks trained by the recipes of resources/recipes, one
after the other, and the weights written to the second folder beside the packs and runs. What is there already is not
made again, and a run that was stopped goes on. MeteoSwiss, BoM and OPERA are for evaluation and are not touched.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

KNMI, FMI16, FMI17, MRMS = "knmi/2010-08-26", "fmi-pgm/2016-09-28", "fmi-pgm/2017-05-09", "mrms/2019-06-10"
WEST, NORTH, SOUTH = "-104,26,-88.3,49", "-88.3,41.3,-75,50", "-88.3,24,-75,33.7"
HELD_OUT = "-88,34,-81,41"
"""Degrees of MRMS; the last part is for validation only."""
TRAIN, VALIDATE, LATE = "1,0,0", "0,1,0", "0.65,0.35,0"


@dataclass(frozen=True)
class Cut:
    """A pack. every: of MRMS's frames at 2 minutes, beginning with ``first``; 1 for all. wishes: of ``pack``."""

    name: str
    archive: str
    split: str
    wishes: str
    every: int = 1
    first: int = 0


@dataclass(frozen=True)
class Network:
    """name: of the weight file. recipes: one after the other, each beginning with the weights of the one before, the
    first with those of the network ``begins`` where one is named."""

    name: str
    packs: tuple[Cut, ...]
    recipes: tuple[str, ...]
    checkpoint: str = "last"
    begins: str = ""


def _cuts(prefix: str, common: str, coarse: str = "", every: int = 1) -> tuple[Cut, ...]:
    """The same pieces of all archives. coarse: further wishes for MRMS, whose frames come every 2 minutes."""
    mrms = [Cut(f"{prefix}-mrms-{part}{first or ''}", MRMS, split, f"{common} {coarse} --crop={box}", every, first)
            for part, box, split in (("w", WEST, TRAIN), ("n", NORTH, TRAIN), ("s", SOUTH, TRAIN),
                                     ("val", HELD_OUT, VALIDATE))
            for first in range(every if part == "w" else 1)]  # the west has most storms: all of its frames
    europe = [Cut(f"{prefix}-{name}", archive, split, f"{common} {'' if every == 1 else '--pixel-km 2'}")
              for name, archive, split in (("fmi16", FMI16, TRAIN), ("knmi", KNMI, LATE), ("fmi17", FMI17, TRAIN))]
    return (*europe, *mrms)


_PARCELS = "--moving-frame 5 --step 5 --length 25 --most-missing 0.7"
MOVING = (*_cuts("moving", f"{_PARCELS} --tile 208 --stride 3 --least-rain 0.02"),
          *_cuts("moving2", f"{_PARCELS} --pixel-km 2 --tile 176 --stride 8 --least-rain 0.01"))
"""Of 1 and of 2 km, so that one network serves both."""
PLAIN = _cuts("plain", "--length 15 --tile 128 --stride 2 --least-rain 0.02 --most-missing 0.5", "--pixel-km 1.6", 2)
"""2 km in 5 minutes and 1.6 km in 4: storms move as many pixels a step."""
_FINE = "--length 3 --tile 128 --stride 3 --threshold 0.3 --least-rain 0.2 --most-missing 0.3"
FINE = (Cut("fine-fmi16", FMI16, "0.8,0.2,0", _FINE), Cut("fine-fmi17", FMI17, TRAIN, _FINE),
        Cut("fine-knmi", KNMI, LATE, _FINE), Cut("fine-mrms-val", MRMS, VALIDATE, f"{_FINE} --crop={HELD_OUT}", 3),
        *(Cut(f"fine-mrms-{part}{first}", MRMS, TRAIN, f"{_FINE} --crop={box}", 3, first)
          for part, box, firsts in (("w", WEST, 3), ("n", NORTH, 3), ("s", SOUTH, 2)) for first in range(firsts)))
"""Three frames; MRMS's are 6 minutes apart."""


def _pairs(name: str, archive: str, split: str, *wishes: str) -> Cut:
    return Cut(f"pair-{name}", archive, split, " ".join(("--length 2 --tile 128", *wishes)))


def _frames() -> Iterator[Cut]:
    """Pairs of frames, of which single ones are drawn; of 2 and of 1 km."""
    for name, archive in (("fmi16", FMI16), ("fmi17", FMI17)):
        yield _pairs(f"{name}-2", archive, TRAIN, "--stride 4 --least-rain 0.03 --most-missing 0.3 --pixel-km 2")
        yield _pairs(f"{name}-1", archive, TRAIN, "--stride 8 --least-rain 0.05 --most-missing 0.2")
    yield _pairs("knmi-2", KNMI, LATE, "--stride 2 --least-rain 0.03 --most-missing 0.5 --pixel-km 2")
    yield _pairs("knmi-1", KNMI, LATE, "--stride 4 --least-rain 0.05 --most-missing 0.3")
    for part, box, split, missing in (("w", WEST, TRAIN, 0.3), ("s", SOUTH, TRAIN, 0.4), ("n", NORTH, TRAIN, 0.4),
                                      ("val", HELD_OUT, VALIDATE, 0.4)):
        yield _pairs(f"mrms-{part}-2", MRMS, split, f"--crop={box} --stride 4 --least-rain 0.02",
                     f"--most-missing {missing} --pixel-km 2")
    for part, box in (("w", WEST), ("s", SOUTH)):
        yield _pairs(f"mrms-{part}-1", MRMS, TRAIN, f"--crop={box} --stride 12 --least-rain 0.04 --most-missing 0.3")


NETWORKS = (
    Network("lagrangian-unet", MOVING, ("lagrangian-unet", "lagrangian-unet-finish", "lagrangian-unet-last")),
    Network("ms-convlstm", PLAIN, ("ms-convlstm-small", "ms-convlstm-small-finish", "ms-convlstm-small-last")),
    Network("ms-predrnn", PLAIN, ("ms-predrnn-small",)),
    Network("simvp", PLAIN, ("simvp-small",)),
    Network("convgru", PLAIN, ("convgru-small",)),
    Network("trajgru", PLAIN, ("trajgru-small",)),
    Network("db-convlstm", PLAIN, ("db-convlstm-small",), begins="ms-convlstm"),
    Network("db-predrnn", PLAIN, ("db-predrnn-small",), begins="ms-predrnn"),
    Network("ms-motionrnn", PLAIN, ("ms-motionrnn-small",)),
    Network("db-motionrnn", PLAIN, ("db-motionrnn-small",), begins="ms-motionrnn"),
    Network("postcast", tuple(_frames()), ("postcast",)),
    Network("unet-small", FINE, ("unet-small",), "best"),
    Network("unet3d-small", FINE, ("unet3d-small",), "best"),
    Network("zsm-small", FINE, ("zsm-small", "zsm-small-finish", "zsm-small-last"), "best"),
    Network("fc-zsm-s-small", FINE, ("fc-zsm-s-small-finish",), "best", begins="zsm-small"),
)


def engine(*words: object) -> None:
    """Raises CalledProcessError where the command fails."""
    subprocess.run([sys.executable, "-m", "engine", *map(str, words)], check=True)


def cut(wish: Cut, data: Path, folder: Path) -> Path:
    """The pack, made where it is not there."""
    pack = folder / f"{wish.name}.h5"
    if not pack.is_file():
        archive = data / wish.archive
        files = sorted(archive.glob("*.grib2"))[wish.first::wish.every] if wish.every > 1 else [archive]
        engine("pack", *files, *wish.wishes.split(), "--split", wish.split, "-o", pack)
    return pack


def trained(network: Network, packs: Sequence[Path], folder: Path) -> Path:
    """The weight file, made where it is not there."""
    target = folder / f"{network.name}.safetensors"
    before: list[object] = ["--start-from", folder / f"{network.begins}.safetensors"] if network.begins else []
    for recipe in () if target.is_file() else network.recipes:
        run = folder / recipe
        asked = ["--resume"] if run.is_dir() else before + [word for pack in packs for word in ("--pack", pack)]
        engine("train", recipe, "-o", run, *asked)
        before = ["--start-from", next(run.glob("*.safetensors"))]
        if recipe == network.recipes[-1]:
            engine("promote", run, "--checkpoint", network.checkpoint, "-o", target)
    return target


def made(data: Path, folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """Yields each weight file once it is there; what one begins with comes before it."""
    folder.mkdir(parents=True, exist_ok=True)
    for network in NETWORKS:
        if not names or network.name in names or any(n.begins == network.name for n in NETWORKS if n.name in names):
            yield trained(network, [cut(wish, data, folder) for wish in network.packs], folder)


def main() -> None:
    for path in made(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]):
        print(path, flush=True)


if __name__ == "__main__":
    main()
