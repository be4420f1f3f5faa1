"""Quantities of radar fields and the Z-R relation between them.

Physical fields are float32; NaN is "no data" and nothing else. "No echo" is a number: 0 mm/h or
:data:`NO_ECHO_DBZ`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

NO_ECHO_DBZ = -32.0
"""Reflectivity that stands for "measured, nothing there" (the floor of 8-bit radar products)."""


_PIECE = 1 << 20


class Quantity(Enum):
    """What the native values of an archive are."""

    RAIN_RATE = "rain_rate"
    REFLECTIVITY = "reflectivity"

    @property
    def unit(self) -> str:
        return "mm/h" if self is Quantity.RAIN_RATE else "dBZ"

    @property
    def nothing(self) -> float:
        """The number for no rain or no echo."""
        return 0.0 if self is Quantity.RAIN_RATE else NO_ECHO_DBZ


@dataclass(frozen=True)
class ZR:
    """The pair of ``Z = a R**b`` (Z in mm^6/m^3, R in mm/h; Marshall and Palmer 1948 for a=200, b=1.6)."""

    a: float = 200.0
    b: float = 1.6

    def __post_init__(self) -> None:
        if not (self.a > 0 and self.b > 0):
            raise ValueError(f"a Z-R pair must be positive, not ({self.a}, {self.b})")

    def __str__(self) -> str:
        return f"Z = {self.a:g} R^{self.b:g}"

    def rain_rate(self, dbz: NDArray[np.floating]) -> NDArray[np.float32]:
        """Reflectivity in dBZ to rain rate in mm/h; values at or below the no-echo floor become 0."""
        values = np.asarray(dbz, np.float32)
        scale = np.float32(np.log(10.0) / (10.0 * self.b))
        offset = np.float32(np.log(self.a) / self.b)
        rate = np.empty(values.shape, np.float32)
        from_, to = values.reshape(-1), rate.reshape(-1)
        for start in range(0, values.size, _PIECE):  # so that a large frame needs no second and third copy
            piece = slice(start, start + _PIECE)
            with np.errstate(over="ignore", invalid="ignore"):
                to[piece] = np.exp(from_[piece] * scale - offset)
                to[piece][from_[piece] <= NO_ECHO_DBZ] = 0.0
        return rate

    def dbz(self, rain_rate: NDArray[np.floating]) -> NDArray[np.float32]:
        """Rain rate in mm/h to reflectivity in dBZ, never below :data:`NO_ECHO_DBZ`."""
        with np.errstate(divide="ignore", invalid="ignore"):
            rate = np.asarray(rain_rate, np.float32)
            # the natural logarithm is vectorised in numpy, log10 is not: a quarter of the time
            dbz = np.log(rate) * np.float32(10.0 * self.b / np.log(10.0)) + np.float32(10.0 * np.log10(self.a))
            dbz = np.where(rate <= 0, np.float32(NO_ECHO_DBZ), np.maximum(dbz, np.float32(NO_ECHO_DBZ)))
        return np.asarray(dbz, np.float32)

    def dbz_of(self, rain_rate: float) -> float:
        """The same for one number."""
        return float(self.dbz(np.array([rain_rate]))[0])


MARSHALL_PALMER = ZR(200.0, 1.6)
HKO7 = ZR(58.53, 1.56)
"""Hong Kong Observatory's pair (benchmark paper, section 5.1)."""
