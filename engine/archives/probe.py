"""A first look at a path: enough for every reader to say whether the content is its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from engine.errors import UnreadableInput

HEAD_BYTES = 4096


@dataclass(frozen=True)
class Probe:
    """A path and the first bytes behind it; folders have no head."""

    path: Path

    @cached_property
    def is_folder(self) -> bool:
        return self.path.is_dir()

    @cached_property
    def head(self) -> bytes:
        """The first 4096 bytes (fewer in a short file, none for a folder)."""
        if self.is_folder:
            return b""
        try:
            with self.path.open("rb") as file:
                return file.read(HEAD_BYTES)
        except OSError as problem:
            raise UnreadableInput(self.path, problem.strerror or str(problem)) from problem

    @property
    def is_hdf5(self) -> bool:
        return self.head.startswith(b"\x89HDF\r\n\x1a\n")

    @property
    def is_netcdf3(self) -> bool:
        return self.head[:4] in (b"CDF\x01", b"CDF\x02", b"CDF\x05")

    @cached_property
    def is_broken_hdf5(self) -> bool:
        """It begins like an HDF5 file, but the library cannot open it (cut short, damaged)."""
        return self.is_hdf5 and not self.hdf5_outline

    @cached_property
    def hdf5_outline(self) -> frozenset[str]:
        """Names of the root's groups and datasets, and of its attributes as ``@name``; empty if unreadable."""
        if not self.is_hdf5:
            return frozenset()
        import h5py

        try:
            with h5py.File(self.path, "r", locking="best-effort") as file:
                names = [*file.keys(), *(f"@{name}" for name in file.attrs if isinstance(name, str))]
                return frozenset(name for name in names if isinstance(name, str))  # bytes: damaged names
        except (OSError, RuntimeError, ValueError, KeyError, TypeError):
            return frozenset()
