"""What lies beside the frames of an archive: fields that change with them, and fixed ones.

A reader may have three functions more than :class:`engine.archives.reader.Reader` asks for: ``beside(path)``, names
of the fields that a file holds beside its frames; ``read_beside(ref, name)``, one of them at the time of a frame and on
its grid; ``ground_files(path)``, files with fixed fields that belong to it.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np

from engine import catalogue
from engine.archives import wrapped
from engine.errors import NotEnoughInput, UnreadableInput
from engine.radar.changing_fields import WORDS
from engine.radar.resampling import between
from engine.radar.sequence import Field, FrameRef, RadarSequence
from engine.radar.static_fields import ELEVATION, LAND_SEA, StaticField


def names(reader: str, ref: FrameRef) -> tuple[str, ...]:
    """What an archive gives beside its rain, judged by one of its files; nothing is decoded."""
    module = catalogue.load("reader", reader)
    if not hasattr(module, "beside"):
        return ()
    try:
        with wrapped.as_file(ref.path) as file:
            found = tuple(module.beside(file))
    except UnreadableInput:  # it is told when a frame is read
        return ()
    return (*found, *((ELEVATION, LAND_SEA) if module.ground_files(ref.path) else ()))


def changing_field(sequence: RadarSequence, name: str, time: datetime) -> Field:
    """(ny, nx) on the sequence's grid in the field's own unit, NaN = no data: of the newest frame that is not later.

    Raises NotEnoughInput where the archive does not give it, UnreadableInput.
    """
    earlier = [index for index, known in enumerate(sequence.times) if known <= time]
    own, ref, reader = _origin(sequence, earlier[-1] if earlier else 0)
    if reader is None or name not in sequence.gives:
        raise NotEnoughInput(f"{sequence.name} does not give {WORDS[name]}.")
    module = catalogue.load("reader", reader)
    with wrapped.as_file(ref.path) as file:
        values = module.read_beside(FrameRef(ref.time, file, ref.key), name)
    if values.shape != own.grid.shape:
        raise NotEnoughInput(f"{sequence.name}: {WORDS[name]} lies on another grid than the frames.")
    return np.asarray(values if own.grid.same_as(sequence.grid) else between(own.grid, sequence.grid)(values),
                      np.float32)


def ground(sequence: RadarSequence) -> tuple[StaticField, ...]:
    """The fixed fields that lie beside an archive. Raises UnreadableInput."""
    if ELEVATION not in sequence.gives:
        return ()
    from engine.archives.ground_files import read_ground

    _, ref, reader = _origin(sequence, 0)
    files: tuple[Path, ...] = catalogue.load("reader", reader).ground_files(ref.path) if reader else ()
    return tuple(field for file in files for field in read_ground(file))


def _origin(sequence: RadarSequence, index: int) -> tuple[RadarSequence, FrameRef, str | None]:
    """The sequence as it was opened, the frame there that one of a cropped, resampled or filled sequence is made of
    (the first of several), and its reader's name."""
    ref = sequence.frames[index]
    below = getattr(sequence.read, "source", None)
    if isinstance(below, RadarSequence):
        return _origin(below, ref.key[0] if isinstance(ref.key, tuple) else ref.key)
    return sequence, ref, str(sequence.read.args[0]) if isinstance(sequence.read, partial) else None
