"""Fields that change with time and lie beside the rain: what networks read besides it, and as which numbers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from engine.radar.sequence import Field

RAIN_RATE = "rain_rate"
"""mm/h, of the frame itself: every archive has it."""
MEASUREMENT_HEIGHT = "measurement_height"
"""m above sea level at which the value of a cell was measured."""
RAIN_PROBABILITY = "rain_probability"
"""%."""
WHOLE: Mapping[str, float] = MappingProxyType({RAIN_RATE: 100.0, MEASUREMENT_HEIGHT: 10_000.0,
                                               RAIN_PROBABILITY: 100.0})
"""What a network is shown as 1."""
WORDS: Mapping[str, str] = MappingProxyType({
    RAIN_RATE: "the rain rate", MEASUREMENT_HEIGHT: "the height of measurement", RAIN_PROBABILITY: "the probability of "
    "rain"})
USUAL = (RAIN_RATE, MEASUREMENT_HEIGHT)
"""Beside the reflectivity, where a network does not say otherwise."""


def as_shown(name: str, values: Field) -> Field:
    """(ny, nx) in the field's unit to numbers from 0 to 1; no data as 0."""
    return np.asarray(np.clip(np.nan_to_num(values / np.float32(WHOLE[name]), posinf=1.0), 0.0, 1.0), np.float32)
