"""From paths to a :class:`~engine.radar.sequence.RadarSequence`, whatever the format."""

from __future__ import annotations

import gc
import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

import numpy as np

from engine import catalogue
from engine.archives import guard, wrapped
from engine.archives.index import SMALL, ArchiveIndex, Found, Listed, Part, cache_folder, opened, stamp_of
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
MAX_ALIKE = 8
"""Layouts of one kind and size that a new one is compared with."""


def open_archive(paths: Path | str | Sequence[Path | str], *, token: CancelToken | None = None,
                 report: Report | None = None, options: PolarOptions | None = None) -> RadarSequence:
    """Opens files or folders as one sequence. ``options``: how polar data become maps.

    Files that cannot be read, are of another format than most, or lie on another grid are left out and listed
    in ``sequence.skipped``. Two frames of the same time: the first file in order of name is kept.

    Raises UnreadableInput if nothing can be read (exit code 3), Cancelled.
    """
    token, report = token or CancelToken(), report or (lambda fraction, text: None)
    wanted = [Path(paths)] if isinstance(paths, str | Path) else [Path(p) for p in paths]
    if not wanted:
        raise UnreadableInput("(no path)", "no file was named")
    with _no_collection() as collect_again:
        listing = _expand(wanted)
        scans, skipped = _scans(wanted, listing, options, token, report, collect_again)
        if not scans:
            raise _nothing(wanted, skipped)
        return _assemble(wanted, _joined(scans), [Skipped(str(p), _reason(e)) for p, e in skipped])


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


def _scans(wanted: list[Path], listing: Listing, options: PolarOptions | None, token: CancelToken, report: Report,
           collect_again: Callable[[], None]) -> tuple[list[Part], list[tuple[Path, StormdeckError]]]:
    """What the listed files hold, from the index or by scanning, and what went wrong."""
    scans: list[Part] = []
    skipped: list[tuple[Path, StormdeckError]] = []
    layouts = _Layouts()
    likely: str | None = None
    with _index_of(wanted, listing, options) as index:
        done = 0
        for count, run in index.runs(listing.files, _is_joined):
            token.check()
            file = listing.files[done]
            done += count
            found = Found((run,)) if run is not None else index.known(file)
            if found is None:
                collect_again()
                report(done / len(listing.files), f"reading {file.path.name}")
                found = _look(file, likely, options, token)
                index.learn(file, found)
            skipped += found.failures
            for part in found.parts:
                likely = part.name
                scans.append(layouts.shared(part))
        if listing.whole:
            index.forget_others(file.name for file in listing.files)
    return scans, skipped


def _index_of(wanted: list[Path], listing: Listing,
              options: PolarOptions | None) -> AbstractContextManager[ArchiveIndex]:
    """The archive's index, one that knows and keeps nothing for a small archive."""
    if len(listing.files) < SMALL:
        return nullcontext(ArchiveIndex(None))
    options = options or PolarOptions()
    return opened(cache_folder(wanted), stamp_of(listing.described, options), options)


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


def _expand(paths: Sequence[Path]) -> Listing:
    """Files in order of name; folders are walked, except those that are a format themselves (Zarr)."""
    listing = Listing()
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


class _Layouts:
    """One layout for all files that agree, so that 100,000 of them hold one grid. Only layouts alike in kind and
    size are compared, and no more than a few of those, so that a folder of strangers takes no longer."""

    def __init__(self) -> None:
        self._alike: dict[object, list[Layout]] = {}
        self._met: dict[int, tuple[Layout, Layout]] = {}

    def shared(self, part: Part) -> Part:
        """The part with the first layout met that agrees with its own."""
        own = part.layout
        if id(own) not in self._met:  # kept beside its like, so that no other layout gets its number
            self._met[id(own)] = (own, self._first_like(part.name, own))
        first = self._met[id(own)][1]
        return part if first is own else replace(part, layout=first)

    def _first_like(self, name: str, layout: Layout) -> Layout:
        alike = self._alike.setdefault((name, layout.variable, layout.quantity, layout.grid.shape), [])
        for known in alike[:MAX_ALIKE]:
            if layout.agrees_with(known) is None and layout.synthetic == known.synthetic and layout.zr == known.zr:
                return known
        alike.append(layout)
        return layout


def _is_joined(name: str) -> bool:
    """Whether the reader puts files together, so that it wants to see each."""
    return hasattr(catalogue.load("reader", name), "join")


def _joined(scans: list[Part]) -> list[Part]:
    """Volumes whose sweeps lie in several files, put together by their reader; all else as it is."""
    out: list[Part] = []
    for name in dict.fromkeys(scanned.name for scanned in scans):
        own = [scanned for scanned in scans if scanned.name == name]
        join = getattr(catalogue.load("reader", name), "join", None)
        if join is None:
            out += own
            continue
        joined = join([Scan(scanned.layout, scanned.frames, scanned.skipped) for scanned in own])
        out += [Part(name, scan.frames[0].path, scan.layout, scan.frames, scan.skipped) for scan in joined]
    return out


def _assemble(wanted: list[Path], scans: list[Part], skipped: list[Skipped]) -> RadarSequence:
    """The format and grid of most frames make the archive; the first met wins among equals."""
    votes: Counter[tuple[str, int]] = Counter()
    for scanned in scans:
        votes[scanned.name, id(scanned.layout)] += len(scanned.frames)
    (most, chosen), _ = votes.most_common(1)[0]
    layout = next(scanned.layout for scanned in scans if id(scanned.layout) == chosen)
    refs: dict[datetime, FrameRef] = {}
    misfits: dict[tuple[str, int], str | None] = {}
    for scanned in scans:
        kind = (scanned.name, id(scanned.layout))
        if kind not in misfits:
            misfits[kind] = _misfit(scanned.name, most, scanned.layout, layout)
        reason = misfits[kind]
        if reason is not None:
            skipped.append(Skipped(str(scanned.path), reason))
            continue
        skipped.extend((*scanned.skipped, *_keep(refs, scanned)))
    if not refs:
        raise UnreadableInput(wanted[0], "it holds no frame", tried=layout.format)
    frames = tuple(refs[time] for time in sorted(refs))
    return RadarSequence(layout, frames, partial(read_frame, most), tuple(skipped), _name_of(wanted))


def _keep(refs: dict[datetime, FrameRef], scanned: Part) -> Iterable[Skipped]:
    """Takes over the frames of new times; a file is named once, however many of its times are known."""
    others: dict[Path, dict[Path, None]] = {}
    for ref in scanned.frames:
        first = refs.setdefault(ref.time, ref)
        if first is not ref and first.path != ref.path:
            others.setdefault(ref.path, {})[first.path] = None
    for path, known in others.items():
        names = ", ".join(other.name for other in list(known)[:3])
        yield Skipped(str(path), f"same time as {names}")


def _misfit(name: str, most: str, layout: Layout, expected: Layout) -> str | None:
    if name != most:
        return f"it is {layout.format}, the archive is {expected.format}"
    reason = expected.agrees_with(layout)
    if reason is None and layout.synthetic != expected.synthetic:
        return "one is synthetic, the other observed"
    return reason


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
