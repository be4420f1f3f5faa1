"""Between two frames along their motion: both are carried to the time in between and mixed by their distance to it.

The motion is ROVER's (:mod:`engine.forecasters.rover`), sought anew between every two frames, so that what turns and
accelerates over many frames is followed; between two of them it is held to be steady.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from engine.downscalers.fields import mixed
from engine.downscalers.interpolation import Bilinear, TwoSteps
from engine.downscalers.protocol import Frame, Options, Series
from engine.forecasters.protocol import Context, Inputs
from engine.forecasters.protocol import Options as ForecastOptions
from engine.radar.sequence import Field

if TYPE_CHECKING:
    import torch

    from engine.forecasters.moving_frame import Motion


class AlongMotion:
    """In time: what is nearer counts more, each at the place to which the motion has carried it."""

    def __init__(self, series: Series, context: Context) -> None:
        self.series, self.context = series, context

    def between(self, earlier: Frame, later: Frame, shares: tuple[float, ...]) -> Iterator[Field]:
        motion = self._motion(earlier, later)
        step, token = self.series.step_minutes, self.context.token
        there = list(motion.walk([share * step for share in shares], token))
        back = list(motion.walk([(1 - share) * step for share in reversed(shares)], token, forward=True))
        for share, before, after in zip(shares, there, reversed(back), strict=True):
            still = mixed(earlier.rain_rate, later.rain_rate, share)
            moving = mixed(self._carried(earlier, motion, before), self._carried(later, motion, after), share)
            kept = np.where(np.isnan(moving), still, moving)
            yield np.where(np.isnan(still), np.float32(np.nan), kept).astype(np.float32, copy=False)

    def _motion(self, earlier: Frame, later: Frame) -> Motion:
        from engine.forecasters.rover import RoverNonlinear

        pair = Inputs(np.stack((earlier.rain_rate, later.rain_rate)), (earlier.time, later.time),
                      self.series.step_minutes, self.series.grid, self.series.zr)
        quiet = Context(self.context.token, device=self.context.device)
        return RoverNonlinear().motion(pair, ForecastOptions(lead_times=1), quiet)

    def _carried(self, frame: Frame, motion: Motion, shift: torch.Tensor) -> Field:
        from engine.forecasters.advection import Inflow, Source, carried

        source = Source(frame.rain_rate, shift.device, Inflow.NO_DATA, self.context.token)
        return carried(source, motion.flow, shift, self.context.token)


class FlowInterpolation:
    """``flow-interpolation``: along the motion in time, bilinear in space."""

    draws = False

    def start(self, series: Series, options: Options, context: Context) -> TwoSteps:
        return TwoSteps(AlongMotion(series, context), Bilinear(options, context), options, context)
