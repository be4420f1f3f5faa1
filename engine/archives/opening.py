"""From paths to a :class:`~engine.radar.sequence.RadarSequence`, whatever the format."""

from __future__ import annotations

import gc
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TypeVar, cast

import numpy as np

from engine import catalogue
from engine.archives import beside, guard, wrapped
from engine.archives.assembling import Layouts, assembled, is_joined, joined
from engine.archives.folders import Listed, Record
from engine.archives.index import SMALL, ArchiveIndex, Found, Part, cache_folder, opened, stamp_of
from engine.archives.listing import Listing, ignored
from engine.archives.probe import Probe
from engine.archives.reader import PartedReader, PolarReader, Reader, Scan
from engine.cancel import CancelToken
from engine.errors import StormdeckError, Undescribed, UnreadableInput
from engine.radar.gridding import PolarOptions
from engine.radar.packed import LARGE_CELLS, AnyField, packed
from engine.radar.sequence import Field, FrameRef, Layout, RadarSequence, Skipped

log = logging.getLogger(__name__)

Report = Callable[[float, str], None]
T = TypeVar("T")
UNKNOWN = "no known radar format"


def open_archive(paths: Path | str | Sequence[Path | str], *, token: CancelToken | None = None,
                 report: Report | None = None, options: PolarOptions | None = None,
                 fresh: bool = False) -> RadarSequence:
    """Opens files or folders as one sequence. ``options``: how polar data become maps. ``fresh``: every file is
    looked at, also in old folders that have not changed for a day (see :mod:`engine.archives.folders`).

    Files that cannot be read, are of another format than most, or lie on another grid are left out and listed
    in ``sequence.skipped``. Two frames of the same time: the first file in order of name is kept.

    Raises UnreadableInput if nothing can be read (exit code 3), Cancelled.
    """
    token, report = token or CancelToken(), report or (lambda fraction, text: None)
    wanted = [Path(paths)] if isinstance(paths, str | Path) else [Path(p) for p in paths]
    if not wanted:
        raise UnreadableInput("(no path)", "no file was named")
    with _no_collection() as collect_again:
        scans, failures = _scans(wanted, options or PolarOptions(), fresh, token, report, collect_again)
        if not scans:
            raise _nothing(wanted, failures)
        name, layout, frames, left_out = assembled(joined(scans))
    if not frames:
        raise UnreadableInput(wanted[0], "it holds no frame", tried=layout.format)
    skipped = (*(Skipped(str(path), _reason(error)) for path, error in failures), *left_out)
    return RadarSequence(layout, frames, partial(read_frame, name), skipped, _name_of(wanted),
                         gives=beside.names(name, frames[0]))


@contextmanager
def _no_collection() -> Iterator[Callable[[], None]]:
    """No search for garbage while a hundred thousand entries are made that all stay (a quarter of the time); what
    is handed out allows it again, as scanning files leaves some."""
    was_on = gc.isenabled()
    gc.disable()

    def again() -> None:
        if was_on:
            gc.enable()

    try:
        yield again
    finally:
        again()


def _scans(wanted: list[Path], options: PolarOptions, fresh: bool, token: CancelToken, report: Report,
           collect_again: Callable[[], None]) -> tuple[list[Part], list[tuple[Path, StormdeckError]]]:
    """What the files hold, from the index or by scanning, and what went wrong."""
    scans: list[Part] = []
    failures: list[tuple[Path, StormdeckError]] = []
    layouts = Layouts()
    likely: str | None = None
    with opened(cache_folder(wanted), options) as stored:
        listing, index = _listed(wanted, options, fresh, stored)
        done, total = 0, listing.count
        for count, known, file in _in_order(listing, index):
            token.check()
            done, found = done + count, known
            if found is None:
                collect_again()
                report(done / total, f"reading {file.path.name}")
                found = _look(file, likely, options, token)
                index.learn(file, found)
            failures += found.failures
            for part in found.parts:
                likely = part.name
                scans.append(layouts.shared(part))
        if listing.whole:
            index.settle(listing.seen, listing.trusted)
    return scans, failures


def _listed(wanted: list[Path], options: PolarOptions, fresh: bool,
            stored: ArchiveIndex) -> tuple[Listing, ArchiveIndex]:
    """The files, and the archive's index; one that knows and keeps nothing for a small archive."""
    listing = _expand(wanted, {} if fresh else stored.packed)
    if listing.count < SMALL:
        return listing, ArchiveIndex()
    stamp = stamp_of(listing.described, options)
    if listing.trusted and not stored.counts(stamp):
        listing = _expand(wanted, {})
        stamp = stamp_of(listing.described, options)
    stored.begin(stamp)
    return listing, stored


def _in_order(listing: Listing, index: ArchiveIndex) -> Iterator[tuple[int, Found | None, Listed]]:
    """(number of files, what is known of them, the first of them)."""
    alone = cache(is_joined)
    for item in listing.items:
        if isinstance(item, Listed):
            yield 1, None, item
            continue
        at = 0
        for count, found in index.known(item, alone):
            yield count, found, item.file(at, found is not None)
            at += count


def _look(file: Listed, likely: str | None, options: PolarOptions | None, token: CancelToken) -> Found:
    """Scans a file, or the files in a bundle."""
    parts: list[Part] = []
    failures: list[tuple[Path, StormdeckError]] = []
    for member in [file.path] if file.plain else _unbundled(file.path, token):
        token.check()
        try:
            with token.takes_charge():
                likely, scan = scan_path(member, likely, options)
        except UnreadableInput as problem:
            failures.append((member, problem))
        else:
            parts.append(Part(likely, member, scan.layout, scan.frames, scan.skipped))
    return Found(tuple(parts), tuple(failures))


def scan_path(path: Path, likely: str | None = None, options: PolarOptions | None = None) -> tuple[str, Scan]:
    """(reader's name, what the file holds); ``likely`` is asked first. Raises UnreadableInput, Cancelled."""
    file, _ = inside(path)
    probe = Probe(file)
    name = None if probe.head.startswith(guard.OPENED_TO_BE_KNOWN) else _known(probe, likely)
    if not guard.is_needed(name, file):
        return scan_directly(path, name or likely, options)
    with guard.at_hand(file, name is None) as copies:
        return guard.call(scan_directly, path, name or likely, options, path=file, seconds=guard.SCAN_SECONDS,
                          kind=f"scan {name}", copies=copies)


def scan_directly(path: Path, likely: str | None, options: PolarOptions | None) -> tuple[str, Scan]:
    """As :func:`scan_path`, in this process."""
    path, part = inside(path)
    probe = Probe(path)
    name = _known(probe, likely)
    return name, _with_file(path, name, lambda reader, file: _under(_scan(reader, file, options, part), file, path))


def _known(probe: Probe, likely: str | None) -> str:
    if not probe.is_folder and not probe.head:
        raise UnreadableInput(probe.path, "the file is empty")
    name = recognise(probe, likely)
    if name is None and probe.is_broken_hdf5:
        raise UnreadableInput(probe.path, "an HDF5 or NetCDF-4 file that is damaged or cut short")
    if name is None:
        tried = ", ".join(row.title for row in catalogue.rows("reader"))
        raise UnreadableInput(probe.path, f"{UNKNOWN} (tried: {tried})")
    return name


def inside(path: Path) -> tuple[Path, str]:
    """(file, part) of a path like ``events.h5#S830001``: one of several sequences in a file; "" for the whole."""
    file, _, part = path.name.partition("#")
    return (path, "") if not (file and part) or wrapped.exists(path) else (path.with_name(file), part)


def _scan(reader: Reader, file: Path, options: PolarOptions | None, part: str) -> Scan:
    if part:
        if not hasattr(reader, "scan_part"):
            raise UnreadableInput(f"{file}#{part}", "this format has no parts to choose from")
        return cast(PartedReader, reader).scan_part(file, part)
    if getattr(reader, "TAKES_OPTIONS", False):
        return cast(PolarReader, reader).scan(file, options)
    return reader.scan(file)


def _under(scan: Scan, file: Path, path: Path) -> Scan:
    """The frames of a temporary copy under the path that leads to it; a folder's frames lie in files of their own."""
    if file == path:
        return scan
    return replace(scan, frames=tuple(replace(ref, path=path) if ref.path == file else ref for ref in scan.frames))


def recognise(probe: Probe, likely: str | None = None) -> str | None:
    """The name of the first reader that takes the content for its own, or None."""
    names = [row.name for row in catalogue.rows("reader")]
    if likely in names:
        names.remove(likely)
        names.insert(0, likely)
    for name in names:
        try:
            if catalogue.load("reader", name).recognises(probe):
                return name
        except UnreadableInput:
            raise
        except Exception:  # one broken reader must not keep the others from answering
            log.warning("reader %s failed to look at %s", name, probe.path, exc_info=True)
    return None


def read_frame(name: str, ref: FrameRef, layout: Layout) -> AnyField:
    """One frame through the named reader; large ones come packed from the process that decodes them. Raises
    UnreadableInput, Cancelled."""
    if not guard.is_needed(name, ref.path):
        return read_directly(name, ref, layout)
    reader = catalogue.load("reader", name)
    seconds = guard.READ_SECONDS + guard.READ_SECONDS_PER_CELL * math.prod(layout.grid.shape)
    per_byte = getattr(reader, "READ_SECONDS_PER_BYTE", 0.0)
    if per_byte:
        seconds += per_byte * wrapped.real_file(ref.path).stat().st_size
    with guard.at_hand(ref.path, not getattr(reader, "READS_WRAPPED", False)) as copies:
        return guard.call(read_packed, name, ref, layout, path=ref.path, seconds=seconds, kind=f"read {name}",
                          copies=copies)


def read_directly(name: str, ref: FrameRef, layout: Layout) -> Field:
    """As :func:`read_frame`, in this process and never packed."""
    return np.ascontiguousarray(_read(name, ref, layout), np.float32)


def read_packed(name: str, ref: FrameRef, layout: Layout) -> AnyField:
    """As :func:`read_frame`, in this process: a tenth of an array's bytes are sent for a large frame."""
    field = np.asarray(_read(name, ref, layout), np.float32)
    return np.ascontiguousarray(field) if field.size < LARGE_CELLS else packed(field, layout.quantity.nothing)


def _read(name: str, ref: FrameRef, layout: Layout) -> Field:
    return _with_file(ref.path, name, lambda reader, file: reader.read(
        ref if file == ref.path else replace(ref, path=file), layout))


def _with_file(path: Path, name: str, work: Callable[[Reader, Path], T]) -> T:
    """Runs a reader on the plain file behind a path, or on the path itself if the reader unwraps."""
    if getattr(catalogue.load("reader", name), "READS_WRAPPED", False):
        return _guarded(path, name, lambda reader: work(reader, path))
    with wrapped.as_file(path) as file:
        try:
            return _guarded(file, name, lambda reader: work(reader, file))
        except UnreadableInput as problem:
            if file == path or problem.path != str(file):
                raise
            raise UnreadableInput(path, problem.reason, tried=problem.tried, advice=problem.advice) from problem


def _guarded(path: Path, name: str, work: Callable[[Reader], T]) -> T:
    """Runs a reader; whatever a file library throws at a damaged file becomes an UnreadableInput."""
    title = catalogue.row("reader", name).title
    try:
        return work(catalogue.load("reader", name))
    except StormdeckError:
        raise
    except MemoryError as problem:
        raise UnreadableInput(path, "it asks for more memory than there is", tried=title) from problem
    except FileNotFoundError as problem:
        raise UnreadableInput(path, "the file is gone", tried=title) from problem
    except Exception as problem:
        log.debug("%s could not read %s", name, path, exc_info=True)
        raise UnreadableInput(path, f"damaged or truncated ({problem})", tried=title) from problem


def _expand(paths: Sequence[Path], known: Mapping[str, Record]) -> Listing:
    """Files in order of name; folders are walked, except those that are a format themselves (Zarr) and those that are
    known and may be trusted."""
    listing = Listing(known)
    for path in paths:
        if inside(path)[1] and wrapped.exists(inside(path)[0]):
            listing.add_inside(path)
        elif not wrapped.exists(path):
            raise UnreadableInput(path, "there is no such file or folder")
        elif not path.is_dir():
            listing.add_file(path, f"{path.resolve().parent}/" if len(paths) > 1 else "")
        elif _is_format(path):
            listing.add_inside(path)
        else:
            listing.add_folder(path, _is_format, f"{path.resolve()}/" if len(paths) > 1 else "")
    return listing


def _is_format(folder: Path) -> bool:
    return recognise(Probe(folder)) is not None


def _unbundled(path: Path, token: CancelToken) -> Iterable[Path]:
    """The members of a bundle that may be radar files; any other file is itself."""
    try:
        inside = wrapped.members(path, token.check)
    except UnreadableInput:  # it is told when the file is scanned
        return [path]
    known = [member for member in inside if member == path or not ignored(member.name)]
    return known or inside


def _name_of(wanted: list[Path]) -> str:
    first = wanted[0].resolve()
    return first.name if len(wanted) == 1 else f"{first.parent.name} ({len(wanted)} files)"


def _reason(error: StormdeckError) -> str:
    return error.reason if isinstance(error, UnreadableInput) else str(error)


def _nothing(wanted: list[Path], skipped: list[tuple[Path, StormdeckError]]) -> UnreadableInput:
    if not skipped:
        return UnreadableInput(wanted[0], "the folder holds no radar file")
    from engine.archives.pictures import SUFFIXES

    path, error = skipped[0]
    pictured = next((p for p, e in skipped if p.suffix.lower() in SUFFIXES and _reason(e).startswith(UNKNOWN)), None)
    if pictured is not None:
        folder = wanted[0] if len(wanted) == 1 and wanted[0].is_dir() else pictured.parent
        return Undescribed(folder, f"{UNKNOWN}, but pictures that nothing describes")
    if len(skipped) == 1 and isinstance(error, UnreadableInput):
        return error
    return UnreadableInput(wanted[0] if len(wanted) == 1 else path.parent,
                           f"none of its {len(skipped)} files can be read; {path.name}: {_reason(error)}")
