"""The forecast file: CF-1.10 NetCDF-4, written lead time by lead time, whole or not at all."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import NDArray

from engine import __version__
from engine.errors import UnwritableOutput
from engine.export.cf import EPOCH, define_place, seconds, variable
from engine.export.whole import whole_file
from engine.radar.forecast import ForecastHeader
from engine.radar.netcdf_lock import NETCDF_LOCK

__all__ = ["ForecastHeader", "ForecastWriter"]

_CHUNK = 512


class ForecastWriter:
    """``with ForecastWriter(path, header) as writer: writer.write(lead_minutes, rain_rate)`` per lead time.

    The file appears under its name when the block ends well; after an error or a cancel nothing is left and an
    older file stays. No more than one lead time is held in memory. Raises UnwritableOutput.
    """

    def __init__(self, path: Path | str, header: ForecastHeader) -> None:
        self.path, self.header = Path(path), header
        self._stack = ExitStack()
        self._file: Any = None
        self._count = 0
        self._last = -np.inf

    def __enter__(self) -> ForecastWriter:
        with ExitStack() as stack:
            part = stack.enter_context(whole_file(self.path))
            try:
                with NETCDF_LOCK:
                    self._file = netCDF4.Dataset(str(part.resolve()), "w", format="NETCDF4")
                    stack.callback(self._close)
                    _define(self._file, self.header)
            except (OSError, RuntimeError) as problem:
                raise UnwritableOutput(self.path, str(problem)) from problem
            self._stack = stack.pop_all()
        return self

    def write(self, lead_minutes: float, rain_rate: NDArray[np.float32]) -> None:
        """The next lead time: (ny, nx) or, for an ensemble, (member, ny, nx) in mm/h; NaN = no data."""
        members, shape = self.header.members, self.header.grid.shape
        wanted = shape if members is None else (members, *shape)
        if rain_rate.shape != wanted:
            raise ValueError(f"a lead time of shape {rain_rate.shape}, the file holds {wanted}")
        if not lead_minutes > self._last:
            raise ValueError(f"lead time {lead_minutes:g} min after {self._last:g} min")
        valid = self.header.reference_time + timedelta(minutes=float(lead_minutes))
        try:
            with NETCDF_LOCK:
                variables, at = self._file.variables, self._count
                variables["lead_time"][at] = float(lead_minutes)
                variables["time"][at] = seconds(valid)
                if members is None:
                    variables["rain_rate"][at] = rain_rate
                else:
                    variables["rain_rate"][:, at] = rain_rate
        except (OSError, RuntimeError) as problem:
            raise UnwritableOutput(self.path, str(problem)) from problem
        self._count, self._last = at + 1, float(lead_minutes)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, trace)

    def _close(self) -> None:
        """A failure here (disk full) must reach whole_file, so that the file is not put in its place."""
        with NETCDF_LOCK:
            if self._file is not None and self._file.isopen():
                try:
                    self._file.close()
                except RuntimeError as problem:
                    raise UnwritableOutput(self.path, str(problem)) from problem


def _define(file: Any, header: ForecastHeader) -> None:
    """Dimensions, coordinates and attributes; everything but the lead times themselves."""
    ny, nx = header.grid.shape
    file.createDimension("lead_time", None)
    file.createDimension("y", ny)
    file.createDimension("x", nx)
    if header.members is not None:
        file.createDimension("member", header.members)
        member = variable(file, "member", "i4", ("member",), standard_name="realization", units="1",
                          long_name="ensemble member")
        member[:] = np.arange(header.members)
    file.setncatts(_global_attributes(header))
    _define_times(file, header)
    placed = define_place(file, header.grid)
    _define_rain_rate(file, header, placed)


def _global_attributes(header: ForecastHeader) -> dict[str, Any]:
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return {
        "Conventions": "CF-1.10", "title": header.title or f"{header.forecaster} forecast",
        "source": header.source or "radar", "institution": "not stated",
        "references": "Stormdeck forecast file, docs/contract",
        "history": f"{now} {header.history or f'stormdeck {__version__}'}",
        "comment": "Synthetic storm, not an observation." if header.synthetic else "Precipitation nowcast.",
        "forecaster": header.forecaster, "deblurrer": header.deblurrer, "downscaler": header.downscaler,
        "weights_sha256": header.weights_sha256, "zr_a": float(header.zr.a), "zr_b": float(header.zr.b),
        "step_minutes": float(header.step_minutes), "synthetic": "true" if header.synthetic else "false",
        "stormdeck_version": __version__,
    }


def _define_times(file: Any, header: ForecastHeader) -> None:
    variable(file, "lead_time", "f8", ("lead_time",), standard_name="forecast_period", units="minutes",
             long_name="time since the last observation")
    variable(file, "time", "f8", ("lead_time",), standard_name="time", units=EPOCH, calendar="standard",
             long_name="valid time (UTC)")
    reference = variable(file, "forecast_reference_time", "f8", (), standard_name="forecast_reference_time",
                         units=EPOCH, calendar="standard", long_name="time of the last observation (UTC)")
    reference[...] = seconds(header.reference_time)


def _define_rain_rate(file: Any, header: ForecastHeader, placed: list[str]) -> None:
    ny, nx = header.grid.shape
    ensemble = header.members is not None
    dimensions = (*(("member",) if ensemble else ()), "lead_time", "y", "x")
    chunks = (*((1,) if ensemble else ()), 1, min(ny, _CHUNK), min(nx, _CHUNK))
    rate = file.createVariable("rain_rate", "f4", dimensions, fill_value=np.float32(np.nan), zlib=True, complevel=1,
                               shuffle=True, chunksizes=chunks)
    rate.setncatts({"standard_name": "rainfall_rate", "long_name": "rain rate", "units": "mm h-1",
                    "coordinates": " ".join(["time", "forecast_reference_time", *placed])})
    if header.grid.projection is not None:
        rate.grid_mapping = "crs"
