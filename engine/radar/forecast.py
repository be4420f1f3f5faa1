"""What a forecast says about its origin; stored in the forecast file and read back from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from engine.radar.grid import Grid
from engine.radar.units import ZR


@dataclass(frozen=True)
class ForecastHeader:
    """reference_time: UTC. step_minutes: between lead times, 0 where unknown. history: how it was made.
    members: size of the ensemble, None for a single forecast."""

    grid: Grid
    zr: ZR
    reference_time: datetime
    step_minutes: float
    forecaster: str
    deblurrer: str = ""
    downscaler: str = ""
    weights_sha256: str = ""
    title: str = ""
    source: str = ""
    synthetic: bool = False
    history: str = ""
    members: int | None = None
