"""Where sequences come from: packs, or a generator. All look alike to the rest of training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.errors import NotEnoughInput, WrongUsage
from engine.radar.scaling import PIXEL_DBZ_MIN, PIXEL_DBZ_RANGE
from engine.training.ground import Ground
from engine.training.packs import Codes, Pack
from engine.training.preparation import Sample


@dataclass(frozen=True)
class About:
    """What a weight file tells about its data. hours: of sequences, overlapping ones counted once each."""

    words: str
    hours: float
    step_minutes: float
    pixel_km: float


class Source(Protocol):
    """A split of the data; may be sent to other processes."""

    def __len__(self) -> int: ...

    def sequence(self, index: int) -> Sample:
        """The whole sequence, as long and as large as it is stored."""

    def rain_share(self, index: int, threshold: float) -> float:
        """Share of all cells of the sequence with at least so many mm/h."""

    def about(self) -> About: ...


class PackSource:
    """One split of several packs, one after the other. ground: fixed fields to show beside each sequence."""

    def __init__(self, packs: tuple[Pack, ...], split: str, ground: Ground | None = None) -> None:
        self.packs, self.ground = packs, ground
        self.places = [(number, int(index)) for number, pack in enumerate(packs) for index in pack.split(split)]

    def __len__(self) -> int:
        return len(self.places)

    def sequence(self, index: int) -> Sample:
        number, place = self.places[index]
        pack = self.packs[number]
        fixed = self.ground.under(pack, place) if self.ground is not None else None
        return Sample(pack.codes(place), pack.zr(place), pack.step_minutes, float(np.mean(pack.pixel_km)), fixed,
                      pack.beside(place))

    def rain_share(self, index: int, threshold: float) -> float:
        sample = self.sequence(index)
        return float((sample.codes[::2, ::2, ::2] >= code_of_rain(threshold, sample)).mean()
                     - (sample.codes[::2, ::2, ::2] == np.iinfo(sample.codes.dtype).max).mean())

    def about(self) -> About:
        names = sorted({f"{archive['format']} {archive['name']}" for pack in self.packs for archive in pack.archives})
        times = [(self.packs[n].times(i)[0], self.packs[n].times(i)[-1]) for n, i in self.places]
        period = f", {min(a for a, _ in times):%Y-%m-%d %H:%M} to {max(b for _, b in times):%Y-%m-%d %H:%M} UTC"
        first = self.packs[0]
        moments = {(number, time) for number, place in self.places for time in self.packs[number].times(place)}
        hours = sum(self.packs[number].step_minutes for number, _ in moments) / 60
        return About(", ".join(names) + (period if times else ""), hours, first.step_minutes,
                     float(np.mean(first.pixel_km)))


def code_of_rain(rain_rate: float, sample: Sample) -> int:
    """The smallest code of at least so many mm/h, by the archive's Z-R pair."""
    top = np.iinfo(sample.codes.dtype).max - 1
    dbz = float(sample.zr.dbz(np.array([rain_rate]))[0])
    return int(np.clip(np.ceil((dbz - PIXEL_DBZ_MIN) / PIXEL_DBZ_RANGE * top), 1, top))


def open_packs(paths: tuple[str, ...], length: int, motion: bool = True) -> tuple[Pack, ...]:
    """Raises UnreadableInput, NotEnoughInput where a pack's sequences are too short or packs do not go together.
    motion: whether it is learned; if not, packs go together whatever their step and pixels."""
    if not paths:
        raise WrongUsage("There is no pack to train on.", advice="Name one with --pack, or in the recipe.")
    packs = tuple(Pack(Path(path)) for path in paths)
    first = packs[0]
    for pack in packs:
        if pack.shape[0] < length:
            raise NotEnoughInput(f"{pack.path}: its sequences have {pack.shape[0]} frames, the recipe needs {length}.",
                                 advice="Cut a pack with a greater --length.")
        if pack.moving != first.moving:
            raise NotEnoughInput(f"{pack.path}: one of this pack and {first.path} is in the moving frame, one is not.")
        speed = [np.mean(one.pixel_km) / one.step_minutes for one in (first, pack)]
        if motion and not first.moving and abs(speed[0] / speed[1] - 1) > 0.1:
            raise NotEnoughInput(
                f"{pack.path}: storms move another number of pixels per step there than in {first.path} "
                f"({pack.pixel_km[0]:.3g} km in {pack.step_minutes:g} min against {first.pixel_km[0]:.3g} km in "
                f"{first.step_minutes:g} min).", advice="Convert the archive to other pixels before cutting the pack.")
    return packs


def piece(sample: Sample, length: int, every: int, crop: int, draw: np.random.Generator | None) -> Sample:
    """``length`` frames, every so manieth, of a square of ``crop`` cells (0: all). Where: drawn, or with None the
    first frames and the middle."""
    codes, fixed, beside = sample.codes, sample.fixed, sample.beside
    span = (length - 1) * every + 1
    start = _place(codes.shape[0] - span, draw, 0)
    times = slice(start, start + span, every)
    codes, beside = codes[times], {name: field[times] for name, field in beside.items()}
    if crop:
        if crop > min(codes.shape[1:]):
            raise NotEnoughInput(f"A piece of {crop} cells does not fit into frames of {codes.shape[1:]}.")
        row, column = (_place(side - crop, draw, (side - crop) // 2) for side in codes.shape[1:])
        place = (slice(None), slice(row, row + crop), slice(column, column + crop))
        codes, beside = codes[place], {name: field[place] for name, field in beside.items()}
        fixed = None if fixed is None else fixed[place]
    return Sample(codes, sample.zr, sample.step_minutes, sample.pixel_km, fixed, beside)


def _place(most: int, draw: np.random.Generator | None, otherwise: int) -> int:
    return otherwise if draw is None else int(draw.integers(most + 1))


def rain_shares(source: Source, threshold: float) -> NDArray[np.float64]:
    """(n,) of all sequences."""
    return np.array([source.rain_share(index, threshold) for index in range(len(source))])


def codes_of_unit(frames: NDArray[np.floating[Any]]) -> Codes:
    """Unit pixels in [0, 1] to 8-bit codes, for sources that make their frames themselves."""
    codes: Codes = np.rint(np.clip(frames, 0.0, 1.0) * 254).astype(np.uint8)
    return codes


