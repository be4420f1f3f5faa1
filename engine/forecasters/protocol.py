"""What every forecaster is, optical flow and neural network alike: rain-rate frames in, lead times out.

A forecaster is a class named in the catalogue. It is built without arguments that depend on the archive, does
its heavy imports inside :meth:`Forecaster.run`, and yields each lead time as soon as it exists. Between the
yields, and inside long steps, it asks ``context.token`` whether to stop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.cancel import CancelToken
from engine.radar.grid import Grid
from engine.radar.units import ZR


@dataclass(frozen=True)
class Inputs:
    """frames: (T, ny, nx) float32 mm/h, oldest first, one step apart, row 0 in the north, NaN = no data.
    times: their valid times; the last one is the reference time. step_minutes: the step between them."""

    frames: NDArray[np.float32]
    times: tuple[datetime, ...]
    step_minutes: float
    grid: Grid
    zr: ZR

    def __post_init__(self) -> None:
        if self.frames.ndim != 3 or self.frames.shape[1:] != self.grid.shape:
            raise ValueError(f"frames {self.frames.shape} do not lie on the grid {self.grid.shape}")
        if len(self.times) != len(self.frames):
            raise ValueError(f"{len(self.frames)} frames but {len(self.times)} times")

    @property
    def reference_time(self) -> datetime:
        return self.times[-1]


@dataclass(frozen=True)
class Options:
    """What the user chose for a run. seed: every random draw comes from it."""

    lead_times: int = 20
    members: int = 1
    seed: int = 0


@dataclass(frozen=True)
class Context:
    """What a run may use: the token, where to report progress (0..1 and a word), and the torch device's name."""

    token: CancelToken = field(default_factory=CancelToken)
    progress: Callable[[float, str], None] = lambda fraction, text: None
    device: str = "cpu"


@dataclass(frozen=True)
class LeadFrame:
    """One lead time. rain_rate: (ny, nx), or (member, ny, nx) for an ensemble; float32 mm/h, NaN = no data.
    Never written again after it was yielded. After a deblurrer, before: what it was given; kernel: the blur that was
    found in it, of the first member, None where none was looked for."""

    lead_minutes: float
    rain_rate: NDArray[np.float32]
    before: NDArray[np.float32] | None = None
    kernel: NDArray[np.float32] | None = None


class Forecaster(Protocol):
    """One that only indexes, slices and walks through ``inputs.frames`` says ``reads_packed = True``; large frames
    then come as a :class:`~engine.radar.packed.PackedStack`, which holds no more than one of them as an array. One
    that draws random numbers from ``options.seed`` says ``draws = True``; the benchmark runs it with several seeds."""

    min_inputs: int

    def run(self, inputs: Inputs, options: Options, context: Context) -> Iterator[LeadFrame]:
        """Yields ``options.lead_times`` frames, one input step apart.

        Raises NotEnoughInput (too few frames), NoWeights, Cancelled.
        """
