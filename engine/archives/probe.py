"""A first look at a path: enough for every reader to say whether the content is its own.

Of compressed files and of members of bundles it is the content that is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from engine.archives import wrapped
from engine.errors import UnreadableInput

HEAD_BYTES = 4096


@dataclass(frozen=True)
class Probe:
    """A path and the first bytes behind it; folders have no head.

    ``path`` may lead into a wrapper: use :func:`engine.archives.wrapped.as_file` or ``open_binary`` to look further.
    """

    path: Path

    @cached_property
    def is_folder(self) -> bool:
        return self.path.is_dir()

    @cached_property
    def head(self) -> bytes:
        """The first 4096 bytes, unwrapped (fewer in a short file, none for a folder). Raises UnreadableInput."""
        return b"" if self.is_folder else wrapped.read_head(self.path, HEAD_BYTES)

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
            with wrapped.as_file(self.path) as path, h5py.File(path, "r", locking="best-effort") as file:
                names = [*file.keys(), *(f"@{name}" for name in file.attrs if isinstance(name, str))]
                return frozenset(name for name in names if isinstance(name, str))  # bytes: damaged names
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, UnreadableInput):
            return frozenset()
