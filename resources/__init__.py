"""Files that ship with the program: colours, maps, the sample archive. Found here, frozen or not."""

from __future__ import annotations

import sys
from pathlib import Path

DEFAULT_COLOURS = "storm"


def path(*parts: str) -> Path:
    """A file or folder below ``resources/``, e.g. ``path("maps", "natural_earth.npz")``.

    Raises FileNotFoundError with the path that was expected.
    """
    found = _root().joinpath(*parts)
    if not found.exists():
        raise FileNotFoundError(f"a file of the program is missing: {found}")
    return found


def sample_archive() -> Path:
    """The embedded archive: a synthetic storm over the southern North Sea (docs/sample.md)."""
    return path("samples", "synthetic_storm.h5")


def colour_tables() -> dict[str, Path]:
    """Files of the colour tables by name, the default first."""
    files = sorted(path("colours").glob("*.csv"), key=lambda file: (file.stem != DEFAULT_COLOURS, file.stem))
    return {file.stem: file for file in files}


def base_map() -> Path:
    """Coastlines, borders and lakes of the world (resources/maps/README.md)."""
    return path("maps", "natural_earth.npz")


def _root() -> Path:
    bundle = getattr(sys, "_MEIPASS", None)  # where a frozen program unpacks its files
    return Path(bundle) / "resources" if bundle else Path(__file__).resolve().parent
