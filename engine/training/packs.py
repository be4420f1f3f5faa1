"""Training packs: sequences cut from archives, of one length and size, in one HDF5 file.

``frames`` (n, length, ny, nx) are codes of :func:`engine.radar.scaling.code_of_dbz`, uint8 or uint16, one sequence a
chunk; ``times`` (n, length) microseconds since 1970; ``split`` (n,), ``archive`` (n,), ``origin`` (n, 2) row and
column of the tile in its archive; ``beside_NAME`` (n, length, ny, nx) uint16 where fields beside the rain are held
(:mod:`engine.training.beside`). What is the same for all stands in attributes; the archives as JSON.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from engine import __version__
from engine.cancel import CancelToken
from engine.errors import NotEnoughInput, UnreadableInput, WrongUsage
from engine.radar.changing_fields import RAIN_RATE, WORDS
from engine.radar.scaling import PIXEL_DBZ_MIN, PIXEL_DBZ_RANGE, code_of_dbz, unit_pixel_of_code
from engine.radar.sequence import Field, RadarSequence
from engine.radar.units import ZR
from engine.training.beside import Numbers, beside, field_of
from engine.training.moving_packs import ABSENT, moved, moving_candidates

SPLITS = ("train", "validation", "test")
FORMAT = "stormdeck-pack"
VERSION = 1
_BESIDE = "beside_"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CHUNK_BYTES = 4 * 1024**2
_MOST_BYTES = 4 * 1024**3
Codes = NDArray[np.unsignedinteger]


@dataclass(frozen=True)
class PackSettings:
    """length: frames of a sequence. stride: frames from one to the next, ``length`` where None. tile: cells along
    each side, the whole grid where None. threshold: mm/h. least_rain: share of cells with data that must reach the
    threshold. most_missing: share of cells without data that is allowed. split: shares of train, validation and test
    in time, or ``cuts``: where validation and test begin. moving: how many of the frames lie at or before the reference
    time in whose moving frame (:mod:`engine.training.moving_packs`) the sequence is seen; 0: as on the map.
    step_minutes: of the sequence, the archive's where 0; only in the moving frame. beside: names of fields that lie
    beside the rain (:mod:`engine.radar.changing_fields`) and are held as well. Raises WrongUsage."""

    length: int = 25
    stride: int | None = None
    tile: int | None = None
    threshold: float = 0.5
    least_rain: float = 0.0
    most_missing: float = 1.0
    bits: int = 8
    split: tuple[float, float, float] = (0.8, 0.1, 0.1)
    cuts: tuple[datetime, datetime] | None = None
    moving: int = 0
    step_minutes: float = 0.0
    beside: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.length < 2 or self.step_frames < 1 or (self.tile is not None and self.tile < 8):
            raise WrongUsage("A pack needs at least 2 frames a sequence, a stride of 1 and tiles of 8 cells.")
        if not 0 <= self.moving < self.length or self.step_minutes < 0 or (self.step_minutes and not self.moving):
            raise WrongUsage("In the moving frame, some frames lie after the reference time; only there may the step "
                             "be another than the archive's.")
        if self.moving and self.beside:
            raise WrongUsage("What lies beside the rain is not carried along with it; cut the pack on the map.")
        if not set(self.beside) <= set(WORDS) - {RAIN_RATE}:
            raise WrongUsage(f"A pack holds {', '.join(sorted(set(WORDS) - {RAIN_RATE}))} beside the rain, not "
                             f"{', '.join(self.beside)}.")
        if self.bits not in (8, 16):
            raise WrongUsage(f"Packs hold 8 or 16 bits a cell, not {self.bits}.")
        if not (0 <= self.least_rain <= 1 and 0 <= self.most_missing <= 1 and self.threshold > 0):
            raise WrongUsage("Shares lie between 0 and 1, and the threshold above 0 mm/h.")
        if min(self.split) < 0 or not math.isclose(sum(self.split), 1.0, abs_tol=1e-6):
            raise WrongUsage(f"The shares of the split must add up to 1: {self.split}.")
        if self.cuts is not None and self.cuts[0] > self.cuts[1]:
            raise WrongUsage("Test must begin after validation.")

    @property
    def step_frames(self) -> int:
        return self.length if self.stride is None else self.stride


@dataclass(frozen=True)
class Candidate:
    """A gapless run of frames: the archive's number, its first frame's number, its times."""

    archive: int
    indices: tuple[int, ...]  # ABSENT where a moving sequence lacks a frame
    start: datetime
    end: datetime


def candidates(sequence: RadarSequence, settings: PackSettings, archive: int = 0) -> list[Candidate]:
    """All gapless runs of the wanted length, ``stride`` frames apart, none with filled frames; nothing is read."""
    if settings.moving:
        return moving_candidates(sequence, settings, archive)
    found, index = [], settings.length - 1
    while index < len(sequence):
        try:
            run = sequence.inputs_ending_at(index, settings.length)
        except NotEnoughInput:
            index += 1
            continue
        if sequence.filled.isdisjoint(run):
            found.append(Candidate(archive, run, sequence.frames[run[0]].time, sequence.frames[run[-1]].time))
            index += settings.step_frames
        else:
            index += 1
    return found


def assigned(runs: list[Candidate], settings: PackSettings, step: timedelta) -> list[tuple[Candidate, int]]:
    """Each run with its split (0 train, 1 validation, 2 test), in order of time; those in between are left out.

    Splits follow each other in time, over all archives alike. From the last frame of one to the first of the next
    lies at least the length of a sequence, so that no weather is in two of them.
    """
    ordered = sorted(runs, key=lambda run: (run.start, run.archive))
    if not ordered:
        return []
    cuts = settings.cuts or _cuts(ordered, settings.split)
    gap = step * settings.length
    out = []
    for run in ordered:
        split = 0 if run.end < cuts[0] else 1 if run.start >= cuts[0] and run.end < cuts[1] else (
            2 if run.start >= cuts[1] else None)
        begins = cuts[split - 1] if split else None
        if split is not None and (begins is None or _keeps_distance(run, begins, gap, settings, split)):
            out.append((run, split))
    return out


def _keeps_distance(run: Candidate, begins: datetime, gap: timedelta, settings: PackSettings, split: int) -> bool:
    """Whether a run keeps its distance from the split before it, which ends where its own begins."""
    before = settings.split[:split]
    return (settings.cuts is None and sum(before) == 0) or run.start >= begins + gap


def _cuts(ordered: list[Candidate], shares: tuple[float, float, float]) -> tuple[datetime, datetime]:
    """Where validation and test begin, so that the shares of runs come near the wanted ones."""
    after = ordered[-1].end + timedelta(microseconds=1)

    def cut(share: float) -> datetime:
        place = round(share * len(ordered))
        return ordered[place].start if place < len(ordered) else after

    return cut(shares[0]), cut(shares[0] + shares[1])


def tiles(shape: tuple[int, int], tile: int | None) -> list[tuple[int, int, int, int]]:
    """(row, column, rows, columns) of the tiles that fit side by side, centred on the grid."""
    if tile is None:
        return [(0, 0, *shape)]
    down, across = shape[0] // tile, shape[1] // tile
    top, left = (shape[0] - down * tile) // 2, (shape[1] - across * tile) // 2
    return [(top + r * tile, left + c * tile, tile, tile) for r in range(down) for c in range(across)]


@dataclass(frozen=True)
class Cut:
    """A sequence for the pack. codes: (length, ny, nx). beside: as large, by name."""

    codes: Codes
    origin: tuple[int, int]
    beside: dict[str, Numbers]


def cut_out(sequence: RadarSequence, run: Candidate, settings: PackSettings,
            token: CancelToken | None = None) -> Iterator[Cut]:
    """The tiles of a run with rain enough. The share of rain is taken over all cells with data of all its frames.

    A run is read whole; more than 4 GB of it is refused with NotEnoughInput.
    """
    if math.prod(sequence.grid.shape) * settings.length * 6 > _MOST_BYTES:
        raise NotEnoughInput(f"{sequence.name}: {settings.length} frames of {sequence.grid.shape[0]} x "
                             f"{sequence.grid.shape[1]} cells are too large at once.",
                             advice="Convert the archive to larger pixels, or take shorter sequences.")
    places = tiles(sequence.grid.shape, settings.tile)
    fields = (moved(sequence, run, settings, token or CancelToken()) if settings.moving
              else map(sequence.rain_rate, run.indices))
    codes: list[Codes] = []
    counts = np.zeros((len(places), 2))  # cells with data, cells with rain
    for rain in fields:
        codes.append(code_of_dbz(sequence.zr.dbz(rain), settings.bits))
        counts += [_count(rain[r:r + h, c:c + w], settings.threshold) for r, c, h, w in places]
    more = beside(sequence, run.indices, settings.beside)
    for (row, column, high, wide), (valid, rainy) in zip(places, counts, strict=True):
        cells = high * wide * settings.length
        if valid > 0 and valid >= cells * (1 - settings.most_missing) and rainy >= valid * settings.least_rain:
            cut = (..., slice(row, row + high), slice(column, column + wide))
            others = {name: field[cut] for name, field in more.items()}
            yield Cut(np.stack([field[cut] for field in codes]), (row, column), others)


def _count(rain: Field, threshold: float) -> tuple[int, int]:
    with np.errstate(invalid="ignore"):
        return int(np.count_nonzero(~np.isnan(rain))), int(np.count_nonzero(rain >= np.float32(threshold)))


def check_alike(sequences: list[RadarSequence], settings: PackSettings) -> timedelta:
    """The common step. Raises NotEnoughInput where archives differ in step, pixel size or size."""
    first = sequences[0]
    for sequence in sequences:
        if sequence.step is None:
            raise NotEnoughInput(f"{sequence.name}: one frame only; nothing can be cut from it.")
        if first.step is None or abs(sequence.step - first.step) > first.step * 0.01:
            raise NotEnoughInput(f"{sequence.name}: its step is {sequence.step_minutes:g} min, that of {first.name} "
                                 f"{first.step_minutes:g} min.", advice="Convert one with --step, or make two packs.")
        if not np.allclose(sequence.grid.pixel_km, first.grid.pixel_km, rtol=0.02):
            raise NotEnoughInput(f"{sequence.name}: its pixels are of another size than those of {first.name}.",
                                 advice="Convert one with --pixel-km, or make two packs.")
        if settings.tile is None and sequence.grid.shape != first.grid.shape:
            raise NotEnoughInput(f"{sequence.name}: its grid has another size than that of {first.name}.",
                                 advice="Cut both to tiles.")
        if not tiles(sequence.grid.shape, settings.tile):
            raise NotEnoughInput(f"{sequence.name}: no tile of {settings.tile} cells fits into its grid.")
    return first.step or timedelta(0)


class PackWriter:
    """``with PackWriter(path, sequences, settings) as writer: writer.add(...)``; the path is a temporary one."""

    def __init__(self, path: Path, sequences: list[RadarSequence], settings: PackSettings) -> None:
        self._path, self._sequences, self._settings = path, sequences, settings
        self._count = 0

    def __enter__(self) -> PackWriter:
        settings, first = self._settings, self._sequences[0]
        shape = (settings.length, *((settings.tile,) * 2 if settings.tile else first.grid.shape))
        kind = np.uint8 if settings.bits == 8 else np.uint16
        whole = math.prod(shape) * settings.bits // 8 <= _CHUNK_BYTES
        chunk = (1, *shape) if whole else (1, 1, *shape[1:])
        self._file = h5py.File(self._path, "w")
        make = self._file.create_dataset
        make("frames", (0, *shape), kind, maxshape=(None, *shape), chunks=chunk, compression="gzip",
             compression_opts=1, shuffle=settings.bits == 16)
        for name in settings.beside:
            make(f"{_BESIDE}{name}", (0, *shape), np.uint16, maxshape=(None, *shape), chunks=chunk, compression="gzip",
                 compression_opts=1, shuffle=True)
        make("times", (0, settings.length), np.int64, maxshape=(None, settings.length), chunks=(256, settings.length))
        for name, width in (("split", ()), ("archive", ()), ("origin", (2,))):
            make(name, (0, *width), np.int32, maxshape=(None, *width), chunks=(1024, *width))
        self._file.attrs.update(_about(self._sequences, settings))
        return self

    def add(self, run: Candidate, split: int, cut: Cut) -> None:
        """The next sequence."""
        sequence = self._sequences[run.archive]
        times = [(time - _EPOCH) // timedelta(microseconds=1) for time in _times(sequence, run, self._settings)]
        values = {"frames": cut.codes, "times": times, "split": split, "archive": run.archive, "origin": cut.origin,
                  **{f"{_BESIDE}{name}": field for name, field in cut.beside.items()}}
        for name, value in values.items():
            dataset = self._file[name]
            dataset.resize(self._count + 1, axis=0)
            dataset[self._count] = value
        self._count += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._file.close()


def _times(sequence: RadarSequence, run: Candidate, settings: PackSettings) -> list[datetime]:
    """Those of the frames; of absent ones, when they should have been."""
    step = timedelta(minutes=settings.step_minutes or sequence.step_minutes or 0.0)
    return [run.start + step * place if index == ABSENT else sequence.frames[index].time
            for place, index in enumerate(run.indices)]


def _about(sequences: list[RadarSequence], settings: PackSettings) -> dict[str, Any]:
    first = sequences[0]
    archives = [{"name": s.name, "format": s.layout.format, "source": s.layout.source, "zr_a": s.zr.a, "zr_b": s.zr.b,
                 "zr_source": s.layout.zr_source, "crs": s.grid.crs, "extent": list(s.grid.extent),
                 "shape": list(s.grid.shape), "synthetic": s.layout.synthetic} for s in sequences]
    return {
        "format": FORMAT, "version": VERSION, "stormdeck_version": __version__, "archives": json.dumps(archives),
        "settings": json.dumps(asdict(settings), default=lambda time: time.isoformat()), "quantity": "reflectivity",
        "unit": "dBZ", "law": "dBZ = dbz_min + dbz_range * code / top; code 0: no echo; code top + 1: no data",
        "dbz_min": PIXEL_DBZ_MIN, "dbz_range": PIXEL_DBZ_RANGE, "top": 254 if settings.bits == 8 else 65534,
        "step_minutes": settings.step_minutes or float(first.step_minutes or 0), "moving": settings.moving,
        "pixel_km": np.array(first.grid.pixel_km),
    }


class Pack:
    """A pack to learn from. ``pack[i]`` is ``(frames, times)``: (length, ny, nx) float32 as pixel/255 in [0, 1], NaN =
    no data, and their times (UTC). May be sent to other processes; each opens the file by itself. Safe to use from
    several threads. Raises UnreadableInput."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._open()

    def _open(self) -> None:
        self._lock = threading.Lock()
        try:
            self._file = h5py.File(self.path, "r")
            self._take(self._file)
        except (OSError, RuntimeError, KeyError, TypeError, ValueError, AttributeError) as problem:
            raise UnreadableInput(self.path, f"damaged or no pack ({problem})", tried="a training pack") from problem

    def _take(self, file: Any) -> None:
        if file.attrs.get("format") != FORMAT or int(file.attrs["version"]) != VERSION:
            raise ValueError("no pack of this version")
        frames, count = file["frames"], file["frames"].shape[0]
        if frames.ndim != 4 or frames.dtype not in (np.uint8, np.uint16) or math.prod(frames.shape[1:]) > _MOST_BYTES:
            raise ValueError("its frames are of a strange kind or size")
        if any(file[name].shape[0] != count for name in ("times", "split", "archive", "origin")):
            raise ValueError("its parts differ in length")
        if (float(file.attrs["dbz_min"]), float(file.attrs["dbz_range"])) != (PIXEL_DBZ_MIN, PIXEL_DBZ_RANGE):
            raise ValueError("its scaling law is another")
        self.held = tuple(name.removeprefix(_BESIDE) for name in file if name.startswith(_BESIDE))
        if any(file[f"{_BESIDE}{name}"].shape != frames.shape for name in self.held):
            raise ValueError("what it holds beside the rain is of another size")
        self.shape: tuple[int, int, int] = frames.shape[1:]
        self.archives: list[dict[str, Any]] = json.loads(file.attrs["archives"])
        self.step_minutes = float(file.attrs["step_minutes"])
        self.moving = int(file.attrs.get("moving", 0))
        high, wide = (float(value) for value in file.attrs["pixel_km"])
        self.pixel_km = (high, wide)
        self._times, self._split = file["times"][...], file["split"][...]
        self._archive, self._origin = file["archive"][...], file["origin"][...]
        if count and not (self._archive.min() >= 0 and self._archive.max() < len(self.archives)):
            raise ValueError("its sequences are of unknown archives")

    def __len__(self) -> int:
        return len(self._split)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], tuple[datetime, ...]]:
        return unit_pixel_of_code(self.codes(index)), self.times(index)

    def codes(self, index: int) -> Codes:
        """(length, ny, nx) as stored."""
        return np.asarray(self._stored("frames", index))

    def beside(self, index: int) -> dict[str, Field]:
        """(length, ny, nx) float32 in the field's own unit, NaN = no data, of each field in ``held``."""
        return {name: field_of(self._stored(f"{_BESIDE}{name}", index)) for name in self.held}

    def _stored(self, name: str, index: int) -> Any:
        index = range(len(self))[index]
        try:
            with self._lock:
                return self._file[name][index]
        except (OSError, RuntimeError) as problem:
            raise UnreadableInput(self.path, f"damaged ({problem})", tried="a training pack") from problem

    def times(self, index: int) -> tuple[datetime, ...]:
        return tuple(_EPOCH + timedelta(microseconds=int(moment)) for moment in self._times[index])

    def origin(self, index: int) -> tuple[int, int]:
        """Row and column of the sequence's first cell in its archive."""
        return int(self._origin[index][0]), int(self._origin[index][1])

    def archive(self, index: int) -> dict[str, Any]:
        """What is known about the archive that a sequence is from: name, crs, extent, shape and more."""
        return self.archives[int(self._archive[index])]

    def zr(self, index: int) -> ZR:
        about = self.archives[int(self._archive[index])]
        return ZR(float(about["zr_a"]), float(about["zr_b"]))

    def rain_rate(self, index: int) -> NDArray[np.float32]:
        """(length, ny, nx) in mm/h through the archive's Z-R pair; code 0 is no rain, NaN no data."""
        codes = self.codes(index)
        dbz = unit_pixel_of_code(codes) * np.float32(PIXEL_DBZ_RANGE) + np.float32(PIXEL_DBZ_MIN)
        return np.where(codes == 0, np.float32(0.0), self.zr(index).rain_rate(dbz)).astype(np.float32)

    def split(self, name: str) -> NDArray[np.intp]:
        """Numbers of the sequences of "train", "validation" or "test"."""
        if name not in SPLITS:
            raise WrongUsage(f"There is no split '{name}'. Known: {', '.join(SPLITS)}.")
        return np.flatnonzero(self._split == SPLITS.index(name))

    def close(self) -> None:
        self._file.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path = state["path"]
        self._open()
