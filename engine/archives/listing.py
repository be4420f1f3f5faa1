"""What a folder holds: files in order of name with size and time of change, and the descriptions beside them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

from engine.archives.index import Listed
from engine.errors import UnreadableInput

DESCRIBING = (".toml", ".csv", ".json", ".xml")
IGNORED = (*DESCRIBING, ".md", ".idx", ".part", ".tmp", ".png.aux")
_name = attrgetter("name")


def ignored(name: str) -> bool:
    """Hidden files, and those whose names say that they hold no radar data."""
    return name.startswith(".") or name.lower().endswith(IGNORED)


@dataclass
class Listing:
    """described: name, size and time of change (ns) of descriptions, on which the meaning of other files may hang.
    whole: everything below the roots is listed, so that what is not here is gone."""

    files: list[Listed] = field(default_factory=list)
    described: list[tuple[str, int, int]] = field(default_factory=list)
    whole: bool = True

    def add_inside(self, path: Path) -> None:
        """What is opened as it is and never remembered: a folder that is a format, a part of a file."""
        self.whole = False
        self.files.append(Listed(path, plain=True))

    def add_file(self, path: Path, root: str = "") -> None:
        """One file that was named by itself."""
        self.whole = False
        try:
            state = path.stat()
        except OSError:  # inside a bundle, or gone: it is told when the file is scanned
            self.files.append(Listed(path))
        else:
            self.files.append(Listed(path, f"{root}{path.name}", state.st_size, state.st_mtime_ns))

    def add_folder(self, folder: Path, is_format: Callable[[Path], bool], root: str = "") -> None:
        """All files below; folders that are a format themselves are listed as they are, links to folders are not
        followed. Raises UnreadableInput for folders that may not be read."""
        try:
            paths = {path.name: path for path in folder.iterdir()}  # made four times as fast as by themselves
            with os.scandir(folder) as entries:
                inside = sorted(entries, key=_name)
            for entry in inside:  # a hundred thousand times: nothing is called that need not be
                name = entry.name
                if entry.is_file() and not (name[0] == "." or name.lower().endswith(IGNORED)):
                    state = entry.stat()
                    path = paths.get(name) or Path(entry.path)
                    self.files.append(Listed(path, root + name, state.st_size, state.st_mtime_ns))
                else:
                    self._add_other(entry, is_format, root)
        except OSError as problem:
            raise UnreadableInput(problem.filename or folder, problem.strerror or str(problem)) from problem

    def _add_other(self, entry: os.DirEntry[str], is_format: Callable[[Path], bool], root: str) -> None:
        """Folders and what is ignored."""
        name, path = entry.name, Path(entry.path)
        if ignored(name):
            if name.lower().endswith(DESCRIBING) and entry.is_file():
                state = entry.stat()
                self.described.append((f"{root}{name}", state.st_size, state.st_mtime_ns))
        elif entry.is_dir() and not entry.is_symlink():  # a link may lead back to where we are
            if is_format(path):
                self.files.append(Listed(path, plain=True))
            else:
                self.add_folder(path, is_format, f"{root}{name}/")
