"""What every reader is: a module with three functions, named in the catalogue.

A reader scans a file without decoding it, then decodes single frames on demand. It raises
:class:`~engine.errors.UnreadableInput` for anything that is wrong with the file, names file and reason, and
checks declared sizes before it allocates.

Compressed and bundled files are unwrapped before: a reader is handed the path of a plain file. Only a module that
says ``READS_WRAPPED = True`` is handed paths as they are and opens them through :mod:`engine.archives.wrapped`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from engine.archives.probe import Probe
from engine.radar.gridding import PolarOptions
from engine.radar.sequence import Field, FrameRef, Layout, Skipped

MAX_CELLS = 10_000 * 20_000
"""Larger grids than this are refused as absurd."""


@dataclass(frozen=True)
class Scan:
    """What one file (or folder, for formats that are folders) holds. skipped: files inside that are no frames."""

    layout: Layout
    frames: tuple[FrameRef, ...]
    skipped: tuple[Skipped, ...] = ()


class PolarReader(Protocol):
    """What a reader of polar data has instead; it says ``TAKES_OPTIONS = True``."""

    def scan(self, path: Path, options: PolarOptions | None = None) -> Scan:
        """As :meth:`Reader.scan`, for maps of that product, height and pixel size."""

    def join(self, scans: Sequence[Scan]) -> list[Scan]:
        """Files that are parts of one volume put together; the rest as it is."""


@dataclass(frozen=True)
class PartInfo:
    """One of several sequences in a file. time: its first frame (UTC). lon, lat: degrees, of its middle. kind: what
    the archive says that it is, "" where it says nothing."""

    name: str
    time: datetime
    frames: int
    lon: float | None = None
    lat: float | None = None
    kind: str = ""


class PartedReader(Protocol):
    """What a format adds whose files hold several sequences that cannot be one (events in different places)."""

    def parts(self, path: Path) -> tuple[PartInfo, ...]:
        """All of them, in the order of the file."""

    def scan_part(self, path: Path, part: str) -> Scan:
        """The sequence named ``part``, as in ``file#part``; :meth:`Reader.scan` takes the first."""


class Reader(Protocol):
    def recognises(self, probe: Probe) -> bool:
        """By content, not by name. Must not raise on a strange file."""

    def scan(self, path: Path) -> Scan:
        """Times, grid, quantity; no frame is decoded."""

    def read(self, ref: FrameRef, layout: Layout) -> Field:
        """One frame: (ny, nx) float32 in ``layout.quantity.unit``, row 0 in the north, NaN = no data."""
