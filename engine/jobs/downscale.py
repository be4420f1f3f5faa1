"""The downscaler behind a forecaster, as the forecast job uses it.

The observation at the reference time is the first frame of the series, so that there are times between it and the
first lead time. Scores compare what was measured: the means over the finer cells that lie in one of the archive's,
at the given lead times; in between nothing was measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import resources
from engine.downscalers.fields import block_means
from engine.downscalers.protocol import Downscaler, Factors, Frame, Options, Refinement, Series, refined_grid
from engine.errors import NotEnoughInput, StormdeckError
from engine.export.forecast_file import ForecastHeader
from engine.forecasters.protocol import Context, Inputs, LeadFrame
from engine.jobs import weights
from engine.radar.changing_fields import WORDS
from engine.radar.grid import Grid
from engine.radar.ground import brought, fixed_fields
from engine.radar.sequence import Field, RadarSequence
from engine.radar.static_fields import ELEVATION, LAND_SEA, StaticField

WHERE_FROM = ("MeteoNet's files of the new reflectivity hold it; for any other archive give a NetCDF file with a "
              "variable measurement_height in metres with --elevation.")


@dataclass(frozen=True)
class Refining:
    """options: seed included; members are counted here. elevation: files with fields that it may read. archive: whose
    frames are forecast; what lies beside them may be read as well, files before it."""

    name: str
    downscaler: Downscaler
    options: Options
    elevation: tuple[Path, ...] = ()
    archive: RadarSequence | None = None

    @classmethod
    def wished(cls, name: str | None, options: Options, elevation: tuple[Path, ...] = ()) -> Refining | None:
        """None where none is wished. Raises WrongUsage for a name that does not exist, NoWeights."""
        return cls(name, weights.downscaler(name), options, elevation) if name else None

    @property
    def weights_sha256(self) -> str:
        """Empty where there are no weights."""
        return str(getattr(self.downscaler, "weights_sha256", ""))

    @property
    def factors(self) -> Factors:
        return self.options.factors

    def grid(self, grid: Grid) -> Grid:
        """Raises WrongUsage where there would be absurdly many cells."""
        return refined_grid(grid, self.factors)

    def header(self, header: ForecastHeader) -> ForecastHeader:
        """With the finer grid and step, and a word about it in the history."""
        return replace(header, grid=self.grid(header.grid), step_minutes=header.step_minutes / self.factors.t,
                       history=f"{header.history}, {self.factors} by {self.name}"
                               + (", block means kept" if self.options.conserve else ""))

    def run(self, frames: Iterator[LeadFrame], inputs: Inputs, members: int, context: Context) -> Iterator[LeadFrame]:
        """The lead times, k_t for each. A single forecast becomes ``members`` where the downscaler draws."""
        refinements: list[Refinement] | None = None
        series = Series(inputs.grid, inputs.zr, inputs.step_minutes, partial(self.ground, inputs.grid),
                        partial(self.changing, inputs))
        for frame in frames:
            fields = self._fields(frame.rain_rate, members)
            if refinements is None:
                refinements = [self.downscaler.start(series, replace(self.options, member=member), context)
                               for member in range(len(fields))]
                first = Frame(inputs.reference_time, np.asarray(inputs.frames[-1], np.float32))
                for refinement in refinements:
                    list(refinement.push(first))
            valid = inputs.reference_time + timedelta(minutes=frame.lead_minutes)
            single = frame.rain_rate.ndim == 2 and len(fields) == 1
            yield from _leads(refinements, [Frame(valid, field) for field in fields], inputs, single)

    def ground(self, grid: Grid, names: tuple[str, ...]) -> Field:
        """The fixed fields of these names. Raises NotEnoughInput where one is not there, UnreadableInput."""
        return fixed_fields(names, grid, (*self._given, *self._own_ground(names)), resources.base_map())

    def _own_ground(self, names: tuple[str, ...]) -> tuple[StaticField, ...]:
        """What lies beside the archive, where no file gives it. Coasts do for the land-sea mask where it cannot be
        read for want of a library."""
        from engine.archives import beside

        wanted = ({ELEVATION, LAND_SEA} & set(names)) - {field.name for field in self._given}
        if self.archive is None or not wanted:
            return ()
        try:
            return beside.ground(self.archive)
        except StormdeckError:
            if ELEVATION in wanted:
                raise
            return ()

    def changing(self, inputs: Inputs, names: tuple[str, ...], time: datetime) -> Field:
        """(F, ny, nx), each in its own unit. What was measured at the reference time holds for all lead times, what a
        file gives for all times. Raises NotEnoughInput where one is not there, UnreadableInput."""
        return np.stack([self._changing(inputs, name, min(time, inputs.reference_time)) for name in names])

    def _changing(self, inputs: Inputs, name: str, time: datetime) -> Field:
        from engine.archives import beside

        for field in self._given:
            if field.name == name:
                return brought(field, inputs.grid)
        if self.archive is None or name not in self.archive.gives:
            raise NotEnoughInput(f"{WORDS[name]} is not there.".capitalize(), advice=WHERE_FROM)
        return beside.changing_field(self.archive, name, time)

    @cached_property
    def _given(self) -> tuple[StaticField, ...]:
        from engine.archives.ground_files import read_ground

        return tuple(field for file in self.elevation for field in read_ground(file))

    def _fields(self, rain_rate: NDArray[np.float32], members: int) -> list[NDArray[np.float32]]:
        if rain_rate.ndim == 3:
            return list(rain_rate)
        return [rain_rate] * (members if self.downscaler.draws else 1)

    def as_measured(self, frame: LeadFrame) -> LeadFrame:
        """On the archive's grid: means over the cells that lie in one, of each member."""
        rain_rate = frame.rain_rate
        means = block_means(rain_rate, self.factors) if rain_rate.ndim == 2 \
            else np.stack([block_means(member, self.factors) for member in rain_rate])
        means.flags.writeable = False
        return replace(frame, rain_rate=means)


def _leads(refinements: list[Refinement], frames: list[Frame], inputs: Inputs, single: bool) -> Iterator[LeadFrame]:
    """The members side by side. What lies at or before the reference time is known and left out."""
    pushed = [refinement.push(frame) for refinement, frame in zip(refinements, frames, strict=True)]
    for members in zip(*pushed, strict=True):
        minutes = (members[0].time - inputs.reference_time).total_seconds() / 60.0
        if minutes > 0:
            yield LeadFrame(minutes, members[0].rain_rate if single
                            else np.stack([member.rain_rate for member in members]))
