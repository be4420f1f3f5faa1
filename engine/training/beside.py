"""What packs hold beside the rain: fields that change with it, in whole metres or percent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.archives.beside import changing_field
from engine.radar.sequence import Field, RadarSequence

NO_DATA = 65535
Numbers = NDArray[np.uint16]


def numbers_of(field: Field) -> Numbers:
    """Whole numbers from 0 to 65534; :data:`NO_DATA` for NaN."""
    return np.where(np.isnan(field), NO_DATA, np.clip(np.rint(np.nan_to_num(field)), 0, NO_DATA - 1)).astype(np.uint16)


def field_of(numbers: Numbers) -> Field:
    """The field again, NaN = no data."""
    return np.where(numbers == NO_DATA, np.float32(np.nan), numbers.astype(np.float32)).astype(np.float32)


def beside(sequence: RadarSequence, indices: tuple[int, ...], names: tuple[str, ...]) -> dict[str, Numbers]:
    """(len(indices), ny, nx) each. Raises NotEnoughInput where the archive does not give one, UnreadableInput."""
    return {name: np.stack([numbers_of(changing_field(sequence, name, sequence.frames[index].time))
                            for index in indices]) for name in names}
