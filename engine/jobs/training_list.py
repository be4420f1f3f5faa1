"""The training runs that this user has started, by whatever program: a small file for each in the data folder."""

from __future__ import annotations

import hashlib
import logging
from contextlib import suppress
from pathlib import Path

from engine.jobs.rolling import data_folder

log = logging.getLogger(__name__)


def _note(folder: Path) -> Path:
    name = hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:16]
    return data_folder() / "runs" / f"{name}.txt"


def remember(folder: Path) -> None:
    """A list that cannot be written stops no training."""
    note = _note(folder)
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(str(folder.absolute()), encoding="utf-8")
    except OSError as problem:
        log.warning("%s: %s", note, problem)


def forget(folder: Path) -> None:
    """Takes a run off the list; its folder stays as it is."""
    with suppress(OSError):
        _note(folder).unlink()


def remembered() -> list[Path]:
    """Folders of runs, those begun last first; those that are gone are left out."""
    notes = []
    with suppress(OSError):
        notes = sorted((data_folder() / "runs").glob("*.txt"), key=lambda note: note.stat().st_mtime, reverse=True)
    found = []
    for note in notes:
        with suppress(OSError, UnicodeDecodeError):
            folder = Path(note.read_text(encoding="utf-8").strip())
            if folder.is_dir():
                found.append(folder)
    return found
