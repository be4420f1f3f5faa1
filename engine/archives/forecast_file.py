"""Stormdeck's own forecast file: as an archive of its valid times, and as a forecast with its header.

As an archive an ensemble shows its first member: a mean of members has other extremes than any of them, so that
thresholds would no longer mean the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.archives import guard
from engine.archives.cf_grid import FieldGrid, find_grid
from engine.archives.netcdf_tools import axis, check_variable, numbers, opened, text, times
from engine.archives.probe import Probe
from engine.archives.reader import Scan
from engine.errors import UnreadableInput
from engine.radar.forecast import ForecastHeader
from engine.radar.sequence import Field, FrameRef, Layout
from engine.radar.units import MARSHALL_PALMER, ZR, Quantity

TITLE = "Stormdeck forecast file"
MAX_MEMBERS = 1000


@dataclass(frozen=True)
class Forecast:
    """An open forecast: header, lead times in minutes, valid times (UTC); frames are read when asked for."""

    path: Path
    header: ForecastHeader
    lead_minutes: tuple[float, ...]
    valid_times: tuple[datetime, ...]

    def __len__(self) -> int:
        return len(self.lead_minutes)

    def frame(self, index: int) -> NDArray[np.float32]:
        """Lead time ``index``: (ny, nx) or (member, ny, nx) in mm/h, NaN = no data. Raises UnreadableInput."""
        place = range(len(self))[index]
        members, shape = self.header.members, self.header.grid.shape
        places = [(place,)] if members is None else [(member, place) for member in range(members)]
        seconds = guard.READ_SECONDS + guard.READ_SECONDS_PER_CELL * math.prod(shape)
        fields = [guard.call(_read, self.path, at, shape, path=self.path, seconds=seconds) for at in places]
        return fields[0] if members is None else np.stack(fields)


def recognises(probe: Probe) -> bool:
    return {"@stormdeck_version", "@forecaster", "rain_rate", "lead_time"} <= probe.hdf5_outline


def read_forecast(path: Path | str) -> Forecast:
    """Raises UnreadableInput."""
    path = Path(path)
    if not path.exists():
        raise UnreadableInput(path, "there is no such file", tried=TITLE)
    return guard.call(_read_forecast, path, path=path, seconds=guard.SCAN_SECONDS)


def _read_forecast(path: Path) -> Forecast:
    if not recognises(Probe(path)):
        raise UnreadableInput(path, "it is no forecast file", tried=TITLE)
    with opened(path, TITLE) as file:
        rate, place = _rain_rate(file)
        leads = tuple(axis(file.variables["lead_time"]).tolist())
        valid = tuple(times(file.variables["time"]))
        if not leads or len(valid) != len(leads) or rate.shape[place.y_at - 1] != len(leads):
            raise UnreadableInput(path, "it holds no lead times", tried=TITLE)
        if not all(math.isfinite(lead) for lead in leads):
            raise UnreadableInput(path, "its lead times are damaged", tried=TITLE)
        return Forecast(path, _header(file, rate, place), leads, valid)


def scan(path: Path) -> Scan:
    forecast = read_forecast(path)
    header = forecast.header
    layout = Layout(TITLE, "rain_rate", Quantity.RAIN_RATE, "mm h-1", header.grid, header.zr, "given in the file",
                    f"{header.forecaster}: {header.source}", header.synthetic)
    first = () if header.members is None else (0,)
    refs = {time: FrameRef(time, path, (*first, k)) for k, time in enumerate(forecast.valid_times)}
    return Scan(layout, tuple(refs[time] for time in sorted(refs)))


def read(ref: FrameRef, layout: Layout) -> Field:
    return _read(ref.path, ref.key, layout.grid.shape)


def _read(path: Path, place: tuple[int, ...], shape: tuple[int, int]) -> Field:
    with opened(path, TITLE) as file:
        rate = file.variables["rain_rate"]
        if len(rate.shape) != len(place) + 2 or rate.shape[-2:] != shape:
            raise UnreadableInput(path, f"its field is {rate.shape}, not {shape}", tried=TITLE)
        check_variable(rate, shape)
        return np.asarray(rate[place], np.float32)


def _rain_rate(file: Any) -> tuple[Any, FieldGrid]:
    rate = file.variables["rain_rate"]
    wanted = (("lead_time", "y", "x"), ("member", "lead_time", "y", "x"))
    place = find_grid(file, rate)
    if rate.dimensions not in wanted or place is None or (place.y_at, place.x_at) != tuple(
            len(rate.shape) - k for k in (2, 1)):
        raise ValueError(f"its rain rate has the dimensions {rate.dimensions}")
    check_variable(rate, rate.shape[-2:])
    if len(rate.shape) == 4 and not 1 <= rate.shape[0] <= MAX_MEMBERS:
        raise ValueError(f"it holds {rate.shape[0]} members")
    return rate, place


def _header(file: Any, rate: Any, place: FieldGrid) -> ForecastHeader:
    a, b = numbers(file, "zr_a"), numbers(file, "zr_b")
    step = numbers(file, "step_minutes")
    return ForecastHeader(
        grid=place.grid(file, rate), zr=ZR(a[0], b[0]) if a and b else MARSHALL_PALMER,
        reference_time=times(file.variables["forecast_reference_time"])[0], step_minutes=step[0] if step else 0.0,
        forecaster=text(file, "forecaster"), deblurrer=text(file, "deblurrer"), downscaler=text(file, "downscaler"),
        weights_sha256=text(file, "weights_sha256"), title=text(file, "title"), source=text(file, "source"),
        synthetic=text(file, "synthetic").lower() == "true", history=text(file, "history"),
        members=rate.shape[0] if len(rate.shape) == 4 else None)
