"""A sequence as CF-1.10 NetCDF-4, written frame by frame, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from engine.errors import UnwritableOutput
from engine.export.cf import (
    FILLED_ATTRIBUTES,
    TIME_ATTRIBUTES,
    define_place,
    field_attributes,
    field_name,
    seconds,
    sequence_attributes,
    variable,
)
from engine.export.whole import whole_file
from engine.radar.netcdf_lock import NETCDF_LOCK
from engine.radar.sequence import RadarSequence

_CHUNK = 512
Check = Callable[[float, str], None]


def write_cf(path: Path | str, sequence: RadarSequence, history: str = "",
             check: Check = lambda fraction, text: None) -> None:
    """Native values (mm/h or dBZ), float32, NaN = no data; filled frames are marked in ``interpolated``.

    check: told how far it is before each frame; may raise, then nothing is left. No more than one frame is held
    beside the sequence's own cache. Raises UnwritableOutput, UnreadableInput.
    """
    with whole_file(path) as part:
        file: Any = None
        try:
            with NETCDF_LOCK:
                file = netCDF4.Dataset(str(part.resolve()), "w", format="NETCDF4")
                _define(file, sequence, history)
            for index in range(len(sequence)):
                check(index / len(sequence), f"writing {sequence.frames[index].time:%Y-%m-%d %H:%M}")
                values = sequence.native(index)
                with NETCDF_LOCK:
                    file.variables[field_name(sequence.layout)][index] = values
        except RuntimeError as problem:
            raise UnwritableOutput(path, str(problem)) from problem
        finally:
            _close(path, file)


def _close(path: Path | str, file: Any) -> None:
    """A failure here (disk full) must reach whole_file, so that the file is not put in its place."""
    try:
        with NETCDF_LOCK:
            if file is not None:
                file.close()
    except RuntimeError as problem:
        raise UnwritableOutput(path, str(problem)) from problem


def _define(file: Any, sequence: RadarSequence, history: str) -> None:
    ny, nx = sequence.grid.shape
    file.createDimension("time", len(sequence))
    file.createDimension("y", ny)
    file.createDimension("x", nx)
    file.setncatts(sequence_attributes(sequence, history))
    variable(file, "time", "f8", ("time",), **TIME_ATTRIBUTES)[:] = [seconds(time) for time in sequence.times]
    placed = define_place(file, sequence.grid)
    if sequence.filled:
        marks = np.isin(np.arange(len(sequence)), list(sequence.filled))
        variable(file, "interpolated", "i1", ("time",), **FILLED_ATTRIBUTES)[:] = marks.astype(np.int8)
    values = file.createVariable(field_name(sequence.layout), "f4", ("time", "y", "x"), fill_value=np.float32(np.nan),
                                 zlib=True, complevel=1, shuffle=True,
                                 chunksizes=(1, min(ny, _CHUNK), min(nx, _CHUNK)))
    values.setncatts(field_attributes(sequence.layout) | ({"coordinates": " ".join(placed)} if placed else {}))
