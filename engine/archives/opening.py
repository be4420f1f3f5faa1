"""From paths to a :class:`~engine.radar.sequence.RadarSequence`, whatever the format."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

from engine import catalogue
from engine.archives import wrapped
from engine.archives.probe import Probe
from engine.archives.reader import PartedReader, PolarReader, Reader, Scan
from engine.cancel import CancelToken
from engine.errors import StormdeckError, UnreadableInput
from engine.radar.gridding import PolarOptions
from engine.radar.sequence import Field, FrameRef, Layout, RadarSequence, Skipped

log = logging.getLogger(__name__)

Report = Callable[[float, str], None]
T = TypeVar("T")
MAX_ALIKE = 8
"""Layouts of one kind and size that a new one is compared with."""

_IGNORED_SUFFIXES = frozenset({".md", ".toml", ".csv", ".json", ".xml", ".png.aux", ".idx", ".part", ".tmp"})


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
    found = list(_expand(wanted, token))
    scans: list[_Scanned] = []
    layouts: dict[object, list[Layout]] = {}
    skipped: list[tuple[Path, StormdeckError]] = []
    likely: str | None = None
    for count, path in enumerate(found, start=1):
        token.check()
        report(count / len(found), f"reading {path.name}")
        try:
            likely, scan = scan_path(path, likely, options)
        except UnreadableInput as problem:
            skipped.append((path, problem))
        else:
            scans.append(_Scanned(likely, path, _shared(layouts, likely, scan.layout), scan.frames, scan.skipped))
    if not scans:
        raise _nothing(wanted, skipped)
    return _assemble(wanted, _joined(scans), [Skipped(str(p), _reason(e)) for p, e in skipped])


def scan_path(path: Path, likely: str | None = None, options: PolarOptions | None = None) -> tuple[str, Scan]:
    """(reader's name, what the file holds); ``likely`` is asked first. Raises UnreadableInput."""
    path, part = inside(path)
    probe = Probe(path)
    if not probe.is_folder and not probe.head:
        raise UnreadableInput(path, "the file is empty")
    name = recognise(probe, likely)
    if name is None and probe.is_broken_hdf5:
        raise UnreadableInput(path, "an HDF5 or NetCDF-4 file that is damaged or cut short")
    if name is None:
        tried = ", ".join(row.title for row in catalogue.rows("reader"))
        raise UnreadableInput(path, f"no known radar format (tried: {tried})")
    return name, _with_file(path, name, lambda reader, file: _under(_scan(reader, file, options, part), file, path))


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


def read_frame(name: str, ref: FrameRef, layout: Layout) -> Field:
    """One frame through the named reader. Raises UnreadableInput."""
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


def _expand(paths: Iterable[Path], token: CancelToken) -> Iterable[Path]:
    """Files in order of name, those inside bundles too; folders are walked, except those that are a format
    themselves (Zarr)."""
    for path in paths:
        if inside(path)[1] and wrapped.exists(inside(path)[0]):
            yield path
            continue
        if not wrapped.exists(path):
            raise UnreadableInput(path, "there is no such file or folder")
        folder = path.is_dir() and recognise(Probe(path)) is None
        for file in _walk(path) if folder else [path]:
            yield from [file] if file.is_dir() else _unbundled(file, token)


def _unbundled(path: Path, token: CancelToken) -> Iterable[Path]:
    """The members of a bundle that may be radar files; any other file is itself."""
    try:
        inside = wrapped.members(path, token.check)
    except UnreadableInput:  # it is told when the file is scanned
        return [path]
    known = [member for member in inside if member == path or not _ignored(member)]
    return known or inside


def _ignored(path: Path) -> bool:
    return path.name.startswith(".") or path.suffix.lower() in _IGNORED_SUFFIXES


def _walk(folder: Path) -> Iterable[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as problem:
        raise UnreadableInput(folder, problem.strerror or str(problem)) from problem
    for entry in entries:
        if _ignored(entry):
            continue
        if entry.is_dir():
            if entry.is_symlink():  # it may lead back to where we are
                continue
            yield from _walk(entry) if recognise(Probe(entry)) is None else [entry]
        elif entry.is_file():
            yield entry


@dataclass(frozen=True)
class _Scanned:
    """A file's frames; files that agree hold the same layout, so that 100,000 of them hold one grid."""

    name: str
    path: Path
    layout: Layout
    frames: tuple[FrameRef, ...]
    skipped: tuple[Skipped, ...] = ()


def _shared(layouts: dict[object, list[Layout]], name: str, layout: Layout) -> Layout:
    """The first layout met that agrees with this one. Only layouts alike in kind and size are compared, and no
    more than a few of those, so that a folder of strangers takes no longer."""
    alike = layouts.setdefault((name, layout.variable, layout.quantity, layout.grid.shape), [])
    for known in alike[:MAX_ALIKE]:
        if layout.agrees_with(known) is None and layout.synthetic == known.synthetic and layout.zr == known.zr:
            return known
    alike.append(layout)
    return layout


def _joined(scans: list[_Scanned]) -> list[_Scanned]:
    """Volumes whose sweeps lie in several files, put together by their reader; all else as it is."""
    out: list[_Scanned] = []
    for name in dict.fromkeys(scanned.name for scanned in scans):
        own = [scanned for scanned in scans if scanned.name == name]
        join = getattr(catalogue.load("reader", name), "join", None)
        if join is None:
            out += own
            continue
        joined = join([Scan(scanned.layout, scanned.frames, scanned.skipped) for scanned in own])
        out += [_Scanned(name, scan.frames[0].path, scan.layout, scan.frames, scan.skipped) for scan in joined]
    return out


def _assemble(wanted: list[Path], scans: list[_Scanned], skipped: list[Skipped]) -> RadarSequence:
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


def _keep(refs: dict[datetime, FrameRef], scanned: _Scanned) -> Iterable[Skipped]:
    """Takes over the frames of new times; a file is named once, however many of its times are known."""
    others = {refs[ref.time].path: None for ref in scanned.frames
              if ref.time in refs and refs[ref.time].path != scanned.path}
    for ref in scanned.frames:
        refs.setdefault(ref.time, ref)
    if others:
        names = ", ".join(path.name for path in list(others)[:3])
        yield Skipped(str(scanned.path), f"same time as {names}")


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
    path, error = skipped[0]
    if len(skipped) == 1 and isinstance(error, UnreadableInput):
        return error
    return UnreadableInput(wanted[0] if len(wanted) == 1 else path.parent,
                           f"none of its {len(skipped)} files can be read; {path.name}: {_reason(error)}")
