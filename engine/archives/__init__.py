"""Archives: one reader per format behind :func:`open_archive`, which recognises formats by content."""

from engine.archives.opening import open_archive

__all__ = ["open_archive"]
