"""Whether the files of an archive have changed since one looked last."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from engine.archives.listing import ignored

State = frozenset[tuple[str, int, int]]
"""Name, size and time of change (ns) of files; name, number of entries and time of change of large folders."""

MOST_FILES = 300
"""In a folder of more files names are counted and only the last few looked at: new files show, and whether the newest
are whole; an old one that is written anew does not."""
LAST_FILES = 24


def state_of(paths: Sequence[Path]) -> State:
    """Of the files named and of those in the folders named, at any depth. What is gone is left out."""
    return frozenset(entry for path in paths for entry in _entries(path))


def _entries(path: Path) -> Iterator[tuple[str, int, int]]:
    with suppress(OSError):
        status = path.stat()
        if not path.is_dir():
            yield str(path), status.st_size, status.st_mtime_ns
            return
        with os.scandir(path) as inside:
            entries = [entry for entry in inside if not ignored(entry.name)]
        folders = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
        for folder in folders:
            yield from _entries(Path(folder.path))
        files = [entry for entry in entries if not entry.is_dir(follow_symlinks=False)]
        if len(files) > MOST_FILES:
            yield str(path), len(entries), status.st_mtime_ns
            files = sorted(files, key=lambda entry: entry.name)[-LAST_FILES:]
        yield from _files(files)


def _files(entries: Iterable[os.DirEntry[str]]) -> Iterator[tuple[str, int, int]]:
    for entry in entries:
        with suppress(OSError):
            status = entry.stat()
            yield entry.path, status.st_size, status.st_mtime_ns


def folders_of(paths: Sequence[Path], most: int = 200) -> tuple[Path, ...]:
    """The folders among the paths and those below them, so many at most: what a watch is set on."""
    found: list[Path] = []
    waiting = [path for path in paths if path.is_dir()]
    while waiting and len(found) < most:
        folder = waiting.pop(0)
        found.append(folder)
        with suppress(OSError), os.scandir(folder) as inside:
            waiting += sorted(Path(e.path) for e in inside if e.is_dir(follow_symlinks=False) and e.name[0] != ".")
    return tuple(found)
