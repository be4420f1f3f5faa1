"""The moving frame: fields as somebody sees them who is carried along with the rain.

Cell (i, j) of the moving frame is the parcel that stands at (i, j) at the reference time. Earlier and later frames
are read where that parcel was or will be, by the motion of :mod:`engine.forecasters.rover`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.cancel import CancelToken
from engine.forecasters.advection import Inflow, Source, Steering, carried, paths
from engine.forecasters.optical_flow import Flow

Field = NDArray[np.float32]


@dataclass(frozen=True)
class Motion:
    """flow, steering: in cells per archive step of ``step_minutes``."""

    flow: Flow
    steering: Steering | None
    step_minutes: float

    def walk(self, minutes: Sequence[float], token: CancelToken, *, forward: bool = False) -> Iterator[Tensor]:
        """(2, h, w) for each of ``minutes`` (rising): from a place to where its parcel was so many minutes before, or
        will be so many minutes after. Between whole steps the displacement is interpolated."""
        flow, steering = (self.flow, self.steering) if not forward else self._turned()
        last = max(1, math.ceil(minutes[-1] / self.step_minutes - 1e-6))
        steps = [torch.zeros_like(flow.values)]
        for step in paths(flow, steering, last):
            token.check()
            steps.append(step)
        for minute in minutes:
            place = minute / self.step_minutes
            low = min(int(place + 1e-9), last - 1)
            yield torch.lerp(steps[low], steps[low + 1], place - low)

    def _turned(self) -> tuple[Flow, Steering | None]:
        turned = replace(self.flow, values=-self.flow.values)
        steering = self.steering
        return turned, steering and replace(steering, flow=replace(steering.flow, values=-steering.flow.values))


def past(frames: Field, ages: Sequence[float], wanted: Sequence[float], motion: Motion,
         token: CancelToken) -> Iterator[Field]:
    """The fields (ny, nx) mm/h as they were ``wanted`` minutes before the reference time, in the moving frame.

    frames: (T, ny, nx), oldest first; ages: minutes before the reference time, falling to 0. Between two frames the
    moved ones are mixed; before the oldest, the oldest stands in.
    """
    moved: dict[int, Field] = {}

    def seen(index: int) -> Field:
        if index not in moved:
            frame = np.array(frames[index], np.float32)
            if ages[index] > 0:
                shift = next(motion.walk([ages[index]], token))
                frame = carried(Source(frame, shift.device, Inflow.NO_DATA, token), motion.flow, shift, token)
            moved[index] = frame
        return moved[index]

    for age in wanted:
        older, newer, share = _between(ages, age)
        yield seen(newer) if share <= 0 else seen(older) if share >= 1 else _mixed(seen(newer), seen(older), share)
        for index in [index for index in moved if index < older]:
            del moved[index]


def _between(ages: Sequence[float], age: float) -> tuple[int, int, float]:
    """The frames around an age and the share of the older; a frame within a minute of it is taken as it is."""
    nearest = int(np.argmin([abs(one - age) for one in ages]))
    if abs(ages[nearest] - age) <= 1.0 or age >= ages[0]:
        return nearest, nearest, 0.0
    for index, (old, new) in enumerate(pairwise(ages)):
        if old >= age >= new:
            return index, index + 1, (age - new) / (old - new)
    return nearest, nearest, 0.0


def _mixed(first: Field, second: Field, share: float) -> Field:
    mixed = first * np.float32(1 - share) + second * np.float32(share)
    return np.where(np.isnan(mixed), np.where(np.isnan(first), second, first), mixed).astype(np.float32)


def back_to_the_map(fields: Iterator[Field], minutes: Sequence[float], motion: Motion, token: CancelToken, *,
                    device: torch.device) -> Iterator[Field]:
    """Fields of the moving frame (ny, nx), one for each of ``minutes`` after the reference time, at their places on
    the map then. Where a parcel comes from beyond the data there is no data."""
    for field, shift in zip(fields, motion.walk(minutes, token), strict=True):
        yield carried(Source(field, device, Inflow.NO_DATA, token), motion.flow, shift, token)
