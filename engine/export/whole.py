"""Files that are either whole or not there."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.errors import UnwritableOutput


@contextmanager
def whole_file(path: Path | str) -> Iterator[Path]:
    """A temporary name in the same folder and with the same ending, to be written to.

    When the block ends well it takes the place of ``path``; when the block raises (an error, a cancelled job)
    it is removed, and an older file at ``path`` stays as it was. Raises UnwritableOutput.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise UnwritableOutput(path, "there is no such folder")
    if path.is_dir():
        raise UnwritableOutput(path, "it is a folder")
    part = path.with_name(f".{path.stem}-{uuid.uuid4().hex[:12]}.part{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    except OSError as problem:
        raise UnwritableOutput(path, problem.strerror or str(problem)) from problem
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
