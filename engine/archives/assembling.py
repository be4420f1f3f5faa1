"""What was found in the files of an archive, put together: one layout, frames in order of time, what is left out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine import catalogue
from engine.archives.folders import FileFrames
from engine.archives.index import Part
from engine.archives.reader import Scan
from engine.radar.sequence import EPOCH, MICROSECOND, FrameRef, Layout, LazyFrames, Skipped

MAX_ALIKE = 8
"""Layouts of one kind and size that a new one is compared with."""


class Layouts:
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


def is_joined(name: str) -> bool:
    """Whether the reader puts files together, so that it wants to see each."""
    return hasattr(catalogue.load("reader", name), "join")


def joined(scans: list[Part]) -> list[Part]:
    """Volumes whose sweeps lie in several files, put together by their reader; all else as it is."""
    out: list[Part] = []
    for name in dict.fromkeys(scanned.name for scanned in scans):
        own = [scanned for scanned in scans if scanned.name == name]
        join = getattr(catalogue.load("reader", name), "join", None)
        if join is None:
            out += own
            continue
        whole = join([Scan(scanned.layout, tuple(scanned.frames), scanned.skipped) for scanned in own])
        out += [Part(name, scan.frames[0].path, scan.layout, scan.frames, scan.skipped) for scan in whole]
    return out


def assembled(scans: Sequence[Part]) -> tuple[str, Layout, LazyFrames, list[Skipped]]:
    """(reader, layout, frames in order of time, what is left out). The format and grid of most frames make the
    archive; the first met wins among equals."""
    votes: Counter[tuple[str, int]] = Counter()
    for scanned in scans:
        votes[scanned.name, id(scanned.layout)] += len(scanned.frames)
    (most, chosen), _ = votes.most_common(1)[0]
    layout = next(scanned.layout for scanned in scans if id(scanned.layout) == chosen)
    misfits: dict[tuple[str, int], str | None] = {}
    fitting: list[Part] = []
    for scanned in scans:
        kind = (scanned.name, id(scanned.layout))
        if kind not in misfits:
            misfits[kind] = _misfit(scanned.name, most, scanned.layout, layout)
        if misfits[kind] is None:
            fitting.append(scanned)
    frames, repeated = _in_time([scanned.frames for scanned in fitting])
    skipped: list[Skipped] = []
    numbers = iter(range(len(fitting)))
    for scanned in scans:
        reason = misfits[scanned.name, id(scanned.layout)]
        if reason is None:
            skipped += [*scanned.skipped, *repeated.get(next(numbers), ())]
        elif isinstance(scanned.frames, FileFrames):
            skipped += [Skipped(str(ref.path), reason) for ref in scanned.frames]
        else:
            skipped.append(Skipped(str(scanned.path), reason))
    return most, layout, frames, skipped


def _in_time(sources: Sequence[Sequence[FrameRef]]) -> tuple[LazyFrames, dict[int, list[Skipped]]]:
    """The first frame of each time, in order of time; by number of the source, the files whose frames are left out
    because of that."""
    every = [_moments(frames) for frames in sources]
    moments = np.concatenate(every) if every else np.zeros(0, np.int64)
    sizes = [len(own) for own in every]
    source = np.repeat(np.arange(len(every)), sizes)
    place = np.arange(len(moments)) - np.repeat(np.cumsum([0, *sizes])[:-1], sizes)
    order = np.argsort(moments, kind="stable")
    is_first = np.diff(moments[order], prepend=moments[order[:1]] - 1) != 0
    kept = order[is_first]
    frames = LazyFrames(moments[kept], sources, source[kept], place[kept])
    pairs = zip(order[~is_first].tolist(), kept[np.cumsum(is_first) - 1][~is_first].tolist(), strict=True)
    return frames, _repeated(sources, source, place, sorted(pairs))


def _moments(frames: Sequence[FrameRef]) -> NDArray[np.int64]:
    """(n,) microseconds since 1970."""
    if isinstance(frames, FileFrames):
        return frames.moments
    return np.array([(ref.time - EPOCH) // MICROSECOND for ref in frames], np.int64)


def _repeated(sources: Sequence[Sequence[FrameRef]], source: NDArray[np.int64], place: NDArray[np.int64],
              pairs: list[tuple[int, int]]) -> dict[int, list[Skipped]]:
    """By number of the source; a file is named once, however many of its times are known. pairs: a frame that is left
    out and the one that is kept."""
    others: defaultdict[int, dict[Path, dict[Path, None]]] = defaultdict(dict)
    for left_out, kept in pairs:
        own, first = (sources[source[at]][int(place[at])].path for at in (left_out, kept))
        if own != first:
            others[int(source[left_out])].setdefault(own, {})[first] = None
    return {number: [Skipped(str(path), f"same time as {', '.join(other.name for other in list(known)[:3])}")
                     for path, known in files.items()] for number, files in others.items()}


def _misfit(name: str, most: str, layout: Layout, expected: Layout) -> str | None:
    if name != most:
        return f"it is {layout.format}, the archive is {expected.format}"
    reason = expected.agrees_with(layout)
    if reason is None and layout.synthetic != expected.synthetic:
        return "one is synthetic, the other observed"
    return reason
