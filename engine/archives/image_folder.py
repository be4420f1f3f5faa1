"""Folders of PNG, GIF, PGM and TIFF pictures: described by ``stormdeck.toml`` or known from the papers (HKO-7, ...).

A description covers the folder it lies in and those below. Pictures whose paths do not fit its time pattern are no
part of the archive. The description beside the pictures goes before a known data set.
"""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.archives import description_file, npz_tools, picture_datasets, pictures
from engine.archives.description import Description
from engine.archives.probe import Probe
from engine.archives.reader import Scan
from engine.cancel import in_charge
from engine.errors import UnreadableInput
from engine.radar.sequence import Field, FrameRef, Layout, Skipped

READS_WRAPPED = True
TITLE = "image folder"
MAX_DEPTH = 12
LOOKED_AT = 400
"""Entries looked at to find out whether a folder is of a known data set."""
LOOKED_AT_IN_ONE = 64
"""The same for each folder of those; asked of every folder of an archive."""
NAMED = 5
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """A description, the folder that its patterns start from, and the data set's name ("" for a file)."""

    description: Description
    root: Path
    name: str = ""


def recognises(probe: Probe) -> bool:
    """A picture, or a folder that holds one, that a description covers or that is of a known data set."""
    if not probe.is_folder:
        return pictures.is_picture(probe.head) and (description_file.find(probe.path.parent) is not None
                                                    or _known(probe.path) is not None)
    written = description_file.find(probe.path)
    if written is not None and (written.parent == probe.path or _holds_frames(probe.path, written)):
        return True
    return any(_known(path) is not None for path in _first_candidates(probe.path))


def scan(path: Path) -> Scan:
    """Times from the names; the size from the first picture that can be looked at."""
    return described(path, source_of(path))


def read(ref: FrameRef, layout: Layout) -> Field:
    if ref.key:
        description = picture_datasets.DATA_SETS[ref.key].description
    else:
        written = description_file.find(ref.path.parent)
        if written is None:
            raise UnreadableInput(ref.path, f"the {description_file.NAME} that describes it is gone", tried=TITLE)
        description = description_file.read_description(written)
    if description.value.quantity is not layout.quantity:
        raise UnreadableInput(ref.path, "its description has changed since it was opened", tried=TITLE,
                              advice="Open the folder again.")
    return preview(description, ref.path, layout.grid.shape)


def preview(description: Description, path: Path, shape: tuple[int, int] | None = None) -> Field:
    """One picture under a description, written to a file or not: (ny, nx) float32 in the description's unit, row 0
    in the north, NaN = no data. shape: what it must have. Raises UnreadableInput."""
    value = description.value
    stored, hidden = pictures.stored(path, coloured=value.law == "colours", indices=value.palette == "index",
                                     shape=shape)
    field = value.decode(stored)
    if hidden is not None:
        field[hidden] = np.nan
    if description.masks == "hko7":
        mask = hko7_mask(path, field.shape)
        if mask is not None:
            field[~mask] = np.nan
    return field if description.grid.rows == "north-first" else np.ascontiguousarray(field[::-1])


def source_of(path: Path) -> Source:
    """The description that covers a folder or picture. Raises UnreadableInput where there is none."""
    folder = path if path.is_dir() else path.parent
    written = description_file.find(folder)
    if written is not None and (written.parent == folder or not path.is_dir() or _holds_frames(path, written)):
        return Source(description_file.read_description(written), written.parent)
    for candidate in _first_candidates(path) if path.is_dir() else (path,):
        name = _known(candidate)
        if name is not None:
            return Source(picture_datasets.DATA_SETS[name].description, folder, name)
    raise UnreadableInput(path, f"no {description_file.NAME} says what its pictures mean", tried=TITLE,
                          advice="Describe the images: what a pixel is worth, when and where they were taken.")


def described(path: Path, source: Source) -> Scan:
    """The frames of a folder (or one picture) under a description."""
    names = [_relative(file, source.root) for file in (sorted(_walk(str(path), 0)) if path.is_dir() else [str(path)])]
    try:
        times = source.description.times(names)
    except ValueError as problem:
        raise UnreadableInput(path, str(problem), tried=TITLE) from problem
    frames, skipped = _frames(source, names, times)
    if not frames:
        reason = f"the name '{names[0]}' does not fit its time pattern" if names else "it holds no picture"
        raise UnreadableInput(path, reason, tried=TITLE, advice=f"Correct {description_file.NAME}.")
    return Scan(_layout(path, source, frames), tuple(frames), tuple(skipped))


def _frames(source: Source, names: list[str], times: list[datetime | None]) -> tuple[list[FrameRef], list[Skipped]]:
    """In order of time; of two pictures of one time the first by name. Pictures without a time are told."""
    found: dict[datetime, str] = {}
    skipped, strangers = [], []
    for name, time in zip(names, times, strict=True):
        if time is None:
            strangers.append(name)
        elif time in found:
            skipped.append(Skipped(str(source.root / name), f"same time as {found[time]}"))
        else:
            found[time] = name
    for name in strangers[:NAMED]:
        more = f" (and {len(strangers) - NAMED} others)" if name == strangers[:NAMED][-1] and strangers[NAMED:] else ""
        skipped.append(Skipped(str(source.root / name), f"its name does not fit the time pattern{more}"))
    root = str(source.root) + os.sep if str(source.root) != "." else ""
    return [FrameRef(time, Path(root + found[time]), source.name) for time in sorted(found)], skipped


def _layout(path: Path, source: Source, frames: list[FrameRef]) -> Layout:
    description = source.description
    for frame in frames[:NAMED]:
        try:
            shape = pictures.look(frame.path).shape
            break
        except UnreadableInput as problem:
            reason = problem
    else:
        raise reason
    try:
        grid = description.grid.grid(shape)
    except ValueError as problem:
        raise UnreadableInput(path, f"its place on the map: {problem}", tried=TITLE) from problem
    return Layout(description.title, description.variable, description.value.quantity, description.value.unit, grid,
                  description.zr, description.zr_source, description.source, description.synthetic)


def _relative(file: str, root: Path) -> str:
    """The path below the root with "/" between folders; of texts, because paths of 100,000 files take seconds."""
    return file.removeprefix(str(root)).replace(os.sep, "/").lstrip("/")


def _walk(folder: str, depth: int) -> Iterator[str]:
    """Pictures by suffix in this folder and below. Folders below that have a description of their own are archives
    of their own; links to folders are not followed."""
    in_charge().check()
    found, deeper = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if os.path.splitext(entry.name)[1].lower() in pictures.SUFFIXES and not entry.name.startswith("."):
                    found.append(entry.path)
                elif depth and entry.name == description_file.NAME:
                    return
                elif depth < MAX_DEPTH and entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                    deeper.append(entry.path)
    except OSError as problem:
        raise UnreadableInput(folder, problem.strerror or str(problem), tried=TITLE) from problem
    yield from found
    for inner in deeper:
        yield from _walk(inner, depth + 1)


def some_pictures(folder: Path, in_one: int = LOOKED_AT) -> Iterator[Path]:
    """The first pictures met, after a bounded number of entries, of which ``in_one`` in one folder."""
    waiting, seen = [str(folder)], 0
    while waiting and seen < LOOKED_AT:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in islice(entries, in_one):
                    seen += 1
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif os.path.splitext(entry.name)[1].lower() in pictures.SUFFIXES:
                        yield Path(entry.path)
                    if seen >= LOOKED_AT:
                        return
        except OSError:
            continue


def _first_candidates(folder: Path) -> list[Path]:
    """At most three pictures whose paths look like those of a known data set."""
    found: list[Path] = []
    for path in some_pictures(folder, LOOKED_AT_IN_ONE):
        if picture_datasets.looks_known(path):
            found.append(path)
        if len(found) == 3:
            break
    return found


def _known(path: Path) -> str | None:
    if not picture_datasets.looks_known(path):
        return None
    try:
        return picture_datasets.known_as(path, pictures.look(path))
    except UnreadableInput:
        return None


def _holds_frames(folder: Path, written: Path) -> bool:
    """Whether a description further up means the pictures in this folder."""
    names = [_relative(str(path), written.parent) for path in some_pictures(folder)]
    try:
        return any(time is not None for time in description_file.read_description(written).times(names))
    except (UnreadableInput, ValueError):
        return bool(names)  # scan says what is wrong with the description


def hko7_mask(path: Path, shape: tuple[int, int]) -> NDArray[np.bool_] | None:
    """True where a picture of HKO-7 is to be believed: its own ``.mask`` file (a zlib stream of booleans) in the
    folder ``radarPNG_mask`` beside ``radarPNG``, or beside the picture; else the static ``exclude_mask`` (1 is
    excluded) of ``mask_dat.npz`` in a folder above or its ``hko_data``; None where there is neither."""
    parts = path.parts
    places = [path.with_suffix(".mask")]
    if "radarPNG" in parts:
        at = len(parts) - 1 - parts[::-1].index("radarPNG")
        places.insert(0, Path(*parts[:at], "radarPNG_mask", *parts[at + 1:]).with_suffix(".mask"))
    for place in places:
        if place.is_file():
            return _own_mask(place, shape)
    static = next((file for folder in path.parents[:6] for file in (folder / "mask_dat.npz",
                                                                    folder / "hko_data" / "mask_dat.npz")
                   if file.is_file()), None)
    if static is None:
        return None
    mask = _static_mask(static, static.stat().st_mtime_ns)
    return mask if mask is not None and mask.shape == shape else None


def _own_mask(path: Path, shape: tuple[int, int]) -> NDArray[np.bool_]:
    count = shape[0] * shape[1]
    try:
        with path.open("rb") as file:
            content = zlib.decompressobj().decompress(file.read(count + 100_000), count + 1)
    except (OSError, zlib.error) as problem:
        raise UnreadableInput(path, f"damaged mask ({problem})", tried=TITLE) from problem
    if len(content) != count:
        raise UnreadableInput(path, f"a mask of {len(content)} pixels, the picture has {count}", tried=TITLE)
    return np.asarray(np.frombuffer(content, np.uint8).reshape(shape) != 0)


@lru_cache(maxsize=4)
def _static_mask(path: Path, changed: int) -> NDArray[np.bool_] | None:
    try:
        with npz_tools.opened(path, TITLE) as archive:
            mask = np.asarray(npz_tools.array(archive, "exclude_mask", 10_000_000) == 0)
    except UnreadableInput:
        log.warning("%s cannot be read; the frames are shown without it", path)
        return None
    mask.flags.writeable = False
    return mask


def with_place(description: Description, lon: float, lat: float) -> Description:
    """The same pictures around another centre (degrees), on a local map."""
    crs = f"+proj=aeqd +lat_0={lat:.6g} +lon_0={lon:.6g} +datum=WGS84 +units=m"
    return replace(description, grid=replace(description.grid, crs=crs, place="centre", at=(0.0, 0.0), lonlat=False))


def describe(folder: Path) -> Description | None:
    """What a folder's pictures mean, as far as it is written down or known; None where it is neither."""
    try:
        return source_of(folder).description
    except UnreadableInput:
        return None
