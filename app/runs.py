"""One forecast as the window holds it: its frames, its comparison with the truth, and how it stands."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import StormdeckError
from engine.radar.grid import Grid
from engine.radar.packed import AnyField

WAITING, RUNNING, DONE, PARTIAL, FAILED = "waiting", "running", "done", "partial", "failed"
_serials = itertools.count(1)


@dataclass(frozen=True)
class RunFrame:
    """One lead time. rain_rate: (ny, nx) float32 mm/h on the archive's grid, NaN = no data; large frames packed.
    fine: the same after a downscaler, on ``grid``; what is drawn and exported. None without one. kernel: the blur that
    a deblurrer found in the frame as it was before."""

    minutes: float
    time: datetime
    rain_rate: AnyField
    fine: AnyField | None = None
    grid: Grid | None = None
    kernel: NDArray[np.float32] | None = None

    @property
    def drawn(self) -> AnyField:
        return self.rain_rate if self.fine is None else self.fine

    @property
    def nbytes(self) -> int:
        return self.rain_rate.nbytes + (0 if self.fine is None else self.fine.nbytes)


@dataclass(eq=False)
class Run:
    """Filled by the session as events arrive. forecaster: the run's name wherever it is shown or compared, with its
    deblurrer behind it; method: the forecaster alone. serial: never used twice, names the pictures of this run.
    parts: lead times for each step of the archive.
    notes: what the user should know about it; marks: what its frames wear on the map."""

    forecaster: str
    title: str
    reference: int
    lead_times: int
    inputs: int
    method: str = ""
    deblurrer: str = ""
    downscaler: str = ""
    parts: int = 1
    device: str = ""
    state: str = WAITING
    frames: dict[int, RunFrame] = field(default_factory=dict)
    tallies: dict[float, Any] = field(default_factory=dict)
    tiles: dict[float, Any] = field(default_factory=dict)
    scores: dict[str, Any] | None = None
    error: StormdeckError | None = None
    notes: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    job: int = 0
    plain: Run | None = None  # the forecast as it was before the deblurrer, where it comes with this run
    outdated: bool = False  # observations have come while it ran
    serial: int = field(default_factory=lambda: next(_serials))

    @property
    def active(self) -> bool:
        return self.state in (WAITING, RUNNING)

    @property
    def nbytes(self) -> int:
        return sum(frame.nbytes for frame in self.frames.values()) \
            + sum(int(tiles.nbytes) for tiles in self.tiles.values())

    def counted(self) -> tuple[tuple[float, Any], ...]:
        return tuple(sorted(self.tallies.items()))
