"""Sequences in the moving frame: every cell holds what a parcel of air shows that stands there at the reference time.

Cut like other sequences, so that packs, augmentation and training need not know. Earlier and later frames are looked
up along ROVER's motion without interpolation between cells, so that no value is made that was not measured.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.cancel import CancelToken
from engine.forecasters.protocol import Context, Inputs, Options
from engine.radar.sequence import Field, RadarSequence, stack_rain_rate

if TYPE_CHECKING:
    from engine.training.packs import Candidate, PackSettings

ABSENT = -1
"""Stands for a frame that the archive does not have; it is all no data."""
_STAND_IN = timedelta(minutes=1.01)
"""A frame so near the wanted time is taken for it, moved by its own time."""
_LEAST_LEADS = 4


def moving_candidates(sequence: RadarSequence, settings: PackSettings, archive: int = 0) -> list[Candidate]:
    """Every ``stride``-th frame that has all its inputs and at least four later frames at the wanted step."""
    from engine.training.packs import Candidate

    step = timedelta(minutes=settings.step_minutes or sequence.step_minutes or 0.0)
    found, inputs = [], settings.moving
    least = min(settings.length, inputs + _LEAST_LEADS)
    for index in range(0, len(sequence), settings.step_frames):
        at = sequence.frames[index].time
        run = [_near(sequence, at + step * place) for place in range(1 - inputs, settings.length - inputs + 1)]
        if ABSENT in run[:inputs] or len(run) - run.count(ABSENT) < least:
            continue
        if sequence.filled.isdisjoint(run):
            last = max(run)
            found.append(Candidate(archive, tuple(run), sequence.frames[run[0]].time, sequence.frames[last].time))
    return found


def _near(sequence: RadarSequence, time: datetime) -> int:
    place = bisect_left(sequence.times, time)
    around = [index for index in (place - 1, place) if 0 <= index < len(sequence)]
    nearest = min(around, key=lambda index: abs(sequence.times[index] - time))
    return nearest if abs(sequence.times[nearest] - time) <= _STAND_IN else ABSENT


def moved(sequence: RadarSequence, run: Candidate, settings: PackSettings, token: CancelToken) -> list[Field]:
    """The frames of a run (ny, nx) in mm/h in the moving frame of its reference time; where a parcel is beyond the
    data there is no data."""
    from engine.forecasters.rover import RoverNonlinear

    count = settings.moving
    inputs = Inputs(stack_rain_rate(sequence, run.indices[:count]),
                    tuple(sequence.times[index] for index in run.indices[:count]),
                    settings.step_minutes or float(sequence.step_minutes or 0), sequence.grid, sequence.zr)
    motion = RoverNonlinear().motion(inputs, Options(len(run.indices) - count), Context(token))
    at = inputs.reference_time
    fields: list[Field] = []
    for place, index in enumerate(run.indices):
        token.check()
        if index == ABSENT:
            fields.append(np.full(sequence.grid.shape, np.nan, np.float32))
            continue
        minutes = (sequence.times[index] - at).total_seconds() / 60
        frame = inputs.frames[place] if place < count else sequence.rain_rate(index)
        if minutes:
            shift = next(motion.walk([abs(minutes)], token, forward=minutes > 0))
            frame = _looked_up(frame, shift.numpy(), motion.flow.stride)
        fields.append(np.asarray(frame, np.float32))
    return fields


def _looked_up(frame: Field, shift: NDArray[np.float32], stride: int) -> Field:
    """The value of the nearest cell to each place; NaN beyond the grid."""
    import torch

    from engine.forecasters.optical_flow import enlarge

    ny, nx = frame.shape
    cells = enlarge(torch.from_numpy(shift), stride, (ny, nx)).numpy()
    rows = np.rint(np.arange(ny, dtype=np.float32)[:, None] + cells[1]).astype(np.int32)
    columns = np.rint(np.arange(nx, dtype=np.float32)[None, :] + cells[0]).astype(np.int32)
    beyond = (rows < 0) | (rows >= ny) | (columns < 0) | (columns >= nx)
    found: Field = frame[rows.clip(0, ny - 1), columns.clip(0, nx - 1)]
    found[beyond] = np.nan
    return found
