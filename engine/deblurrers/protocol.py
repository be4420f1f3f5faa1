"""What every deblurrer is, with weights or without: some lead times of a forecast in, as many out, sharper.

A deblurrer is a class named in the catalogue. What holds for all of them (no data stays no data, rain is never
negative, the total is kept) is seen to by :mod:`engine.deblurrers.chain`; a deblurrer sees fields without gaps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.forecasters.protocol import Context
from engine.radar.grid import Grid
from engine.radar.sequence import Field
from engine.radar.units import ZR

__all__ = ["Blurry", "Context", "Deblurrer", "Observation", "Options", "Sharpened"]

_SAME_PIXEL = 0.05
"""Pixels that differ by less than this share are taken as equal."""


@dataclass(frozen=True)
class Observation:
    """What a forecast starts from. rain_rate: (ny, nx) float32 mm/h, the last observation, NaN = no data."""

    rain_rate: Field
    time: datetime
    step_minutes: float
    grid: Grid
    zr: ZR


@dataclass(frozen=True)
class Blurry:
    """frames: (n, ny, nx) float32 mm/h, finite and not negative; what has no data is 0. known: (n, ny, nx), False
    where there is no data. lead_minutes: (n,), rising."""

    frames: NDArray[np.float32]
    known: NDArray[np.bool_]
    lead_minutes: tuple[float, ...]
    observation: Observation

    def __post_init__(self) -> None:
        if self.frames.ndim != 3 or not self.frames.shape == self.known.shape:
            raise ValueError(f"frames {self.frames.shape} and where they are known {self.known.shape} do not agree")
        if len(self.lead_minutes) != len(self.frames):
            raise ValueError(f"{len(self.frames)} frames but {len(self.lead_minutes)} lead times")


@dataclass(frozen=True)
class Options:
    """seed: every random draw comes from it. members: samples of a deblurrer that draws, where the forecast is no
    ensemble itself; each is drawn with a seed of its own."""

    seed: int = 0
    members: int = 1


@dataclass(frozen=True)
class Sharpened:
    """rain_rate: (ny, nx) float32 mm/h, finite. kernel: (h, w), the blur that was found, where one was looked for."""

    rain_rate: Field
    kernel: NDArray[np.float32] | None = None


class Deblurrer(Protocol):
    """draws: whether results depend on the seed."""

    draws: bool

    def at_once(self, device: str) -> int:
        """How many lead frames it wants together on a device, in order; 0 stands for all of them."""

    def sharpen(self, blurry: Blurry, options: Options, context: Context) -> Iterator[Sharpened]:
        """Yields a result for each frame of ``blurry``, in order, each as soon as it exists.

        Raises NoWeights, Cancelled.
        """


def told_of_pixels(name: str, trained_km: float, observation: Observation) -> tuple[str, ...]:
    """What a user should know where pixels are of another size than a network's; nothing where they are alike."""
    here = observation.grid.pixel_km
    if observation.grid.crs is None or all(abs(km / trained_km - 1) <= _SAME_PIXEL for km in here):
        return ()
    return (f"{name} was trained on pixels of {trained_km:g} km; these, of {here[0]:.3g} x {here[1]:.3g} "
            f"km, are used as they are.",)
