"""The sequences that a file holds beside each other (events in different places), to choose one by ``file#name``."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from engine import catalogue
from engine.archives import guard, wrapped
from engine.archives.opening import inside, recognise
from engine.archives.probe import Probe
from engine.archives.reader import PartedReader, PartInfo


def parts_of(path: Path) -> tuple[PartInfo, ...]:
    """What may follow "#" in a path, in the order of the file; nothing for a format or a folder without parts.

    Raises UnreadableInput, Cancelled.
    """
    file, _ = inside(path)
    if file.is_dir():
        return ()
    with guard.at_hand(file, True) as copies:
        return guard.call(parts_directly, file, path=file, seconds=guard.SCAN_SECONDS, kind="parts", copies=copies)


def parts_directly(file: Path) -> tuple[PartInfo, ...]:
    """As :func:`parts_of`, in this process."""
    name = recognise(Probe(file))
    reader = None if name is None else catalogue.load("reader", name)
    if not hasattr(reader, "parts"):
        return ()
    with wrapped.as_file(file) as plain:
        return cast(PartedReader, reader).parts(plain)
