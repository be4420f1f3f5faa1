"""What an archive holds: files in order of name with size and time of change, and the descriptions beside them.
Folders that are trusted (:mod:`engine.archives.folders`) are taken as they are remembered."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

from engine.archives.folders import Block, Described, Listed, Record, Seen
from engine.errors import UnreadableInput

DESCRIBING = (".toml", ".csv", ".json", ".xml")
IGNORED = (*DESCRIBING, ".md", ".idx", ".part", ".tmp", ".png.aux")
_name = attrgetter("name")


def ignored(name: str) -> bool:
    """Hidden files, and those whose names say that they hold no radar data."""
    return name.startswith(".") or name.lower().endswith(IGNORED)


@dataclass
class Listing:
    """known: what is remembered of folders by name. items: files in order; single ones are never remembered.
    described: name, size and time of change (ns) of descriptions, on which the meaning of other files may hang.
    whole: everything below the roots is listed, so that what is not here is gone. seen: the folders that were listed,
    by name; trusted: the names of those that were not."""

    known: Mapping[str, Record] = field(default_factory=dict)
    items: list[Listed | Block] = field(default_factory=list)
    described: list[Described] = field(default_factory=list)
    whole: bool = True
    seen: dict[str, Seen] = field(default_factory=dict)
    trusted: set[str] = field(default_factory=set)

    @property
    def count(self) -> int:
        """Number of files."""
        return sum(len(item.names) if isinstance(item, Block) else 1 for item in self.items)

    def add_inside(self, path: Path) -> None:
        """What is opened as it is and never remembered: a folder that is a format, a part of a file."""
        self.whole = False
        self.items.append(Listed(path, plain=True))

    def add_file(self, path: Path, root: str = "") -> None:
        """One file that was named by itself."""
        self.whole = False
        try:
            state = path.stat()
        except OSError:  # inside a bundle, or gone: it is told when the file is scanned
            self.items.append(Listed(path))
            return
        last = self.items[-1] if self.items else None
        if not isinstance(last, Block) or last.root != root or last.folder != path.parent:
            last = Block(path.parent, root, [], [], [])
            self.items.append(last)
        last.add(path.name, state)

    def add_folder(self, folder: Path, is_format: Callable[[Path], bool], root: str = "") -> None:
        """All files below; folders that are a format themselves are listed as they are, links to folders are not
        followed. Raises UnreadableInput for folders that may not be read."""
        try:
            self._add(Seen.at(folder, root), is_format)
        except OSError as problem:
            raise UnreadableInput(problem.filename or folder, problem.strerror or str(problem)) from problem

    def _add(self, seen: Seen, is_format: Callable[[Path], bool]) -> None:
        record = self._trusted(seen)
        if record is not None:
            seen.names, seen.inside, seen.described = record.names, list(record.trust.inside), list(
                record.trust.described)
            self.trusted.add(seen.root)
        else:
            _list(seen)
            self.seen[seen.root] = seen
        self.described += seen.described
        start = 0
        for stop, name in (*seen.inside, (len(seen.names), "")):
            if start < stop:
                self.items.append(seen.block(start, stop) if record is None else Block(
                    seen.folder, seen.root, seen.names[start:stop]))
            start = stop
            if name:
                self._add_inner(Seen.at(seen.folder / name, f"{seen.root}{name}/"), is_format)

    def _trusted(self, seen: Seen) -> Record | None:
        record = self.known.get(seen.root)
        return record if record is not None and record.trust.holds(seen.state, seen.began) else None

    def _add_inner(self, seen: Seen, is_format: Callable[[Path], bool]) -> None:
        """A folder in another. A trusted one was no format; with folders in it it is asked again, as what those hold
        may have made it one."""
        record = self._trusted(seen)
        if (record is None or record.trust.inside) and is_format(seen.folder):
            self.items.append(Listed(seen.folder, plain=True))
        else:
            self._add(seen, is_format)


def _list(seen: Seen) -> None:
    """Looks at everything in a folder."""
    with os.scandir(seen.folder) as entries:
        inside = sorted(entries, key=_name)
    names, sizes, changed = seen.names, seen.sizes, seen.changed
    for entry in inside:  # a hundred thousand times: nothing is called that need not be
        name = entry.name
        if entry.is_file() and not (name[0] == "." or name.lower().endswith(IGNORED)):
            state = entry.stat()
            names.append(name)
            sizes.append(state.st_size)
            changed.append(state.st_mtime_ns)
        else:
            _list_other(entry, seen)
        seen.has_links = seen.has_links or entry.is_symlink()


def _list_other(entry: os.DirEntry[str], seen: Seen) -> None:
    """Folders and what is ignored."""
    name = entry.name
    if ignored(name):
        if name.lower().endswith(DESCRIBING) and entry.is_file():
            state = entry.stat()
            seen.described.append((f"{seen.root}{name}", state.st_size, state.st_mtime_ns))
    elif entry.is_dir() and not entry.is_symlink():  # a link may lead back to where we are
        seen.inside.append((len(seen.names), name))
