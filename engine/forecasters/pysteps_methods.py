"""S-PROG and ANVIL as pysteps has them, to compare with (the extra ``compare``).

Motion is pysteps' Lucas-Kanade field of the last three frames, everything else its default. Cells without data go in
as no rain: both methods take whole fields only. What comes from beyond the grid, and what had no data, has none.

S-PROG: Seed, J. Appl. Meteor. 42 (2003). ANVIL: Pulkkinen et al., J. Hydrometeorol. 21 (2020).
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import NotEnoughInput, WrongUsage
from engine.forecasters.protocol import Context, Inputs, LeadFrame, Options

RAIN_MM_H = 0.1
"""Where rain begins for pysteps, and what it writes for none: 10 log10 of it, minus 5."""
_NONE_DB, _RAIN_DB = -15.0, -10.0
_MOTION_FRAMES = 3
Field = NDArray[np.float64]


class _Pysteps:
    """What both have in common."""

    min_inputs = 3

    def run(self, inputs: Inputs, options: Options, context: Context) -> Iterator[LeadFrame]:
        """Yields all lead times at the end: pysteps gives them together, and cannot be stopped before.

        Raises WrongUsage where pysteps is not installed, NotEnoughInput, Cancelled."""
        if len(inputs.frames) < self.min_inputs:
            raise NotEnoughInput(f"pysteps needs {self.min_inputs} frames; {len(inputs.frames)} were given.")
        frames = np.nan_to_num(np.stack([np.asarray(frame) for frame in inputs.frames[-self.min_inputs:]]))
        context.progress(0.0, "pysteps")
        with _quietly() as pysteps:
            velocity = pysteps.motion.get_method("LK")(_decibels(frames[-_MOTION_FRAMES:]))
            context.token.check()
            forecast = self._forecast(pysteps, frames.astype(np.float64), velocity, options.lead_times)
        context.token.check()
        unknown = np.isnan(inputs.frames[-1])
        for lead, rain_rate in enumerate(forecast, start=1):
            frame = np.maximum(rain_rate, 0.0).astype(np.float32)
            frame[unknown] = np.nan
            yield LeadFrame(lead * inputs.step_minutes, frame)

    def _forecast(self, pysteps: Any, frames: Field, velocity: Field, leads: int) -> Field:
        """(leads, ny, nx) mm/h, NaN from beyond the grid."""
        raise NotImplementedError


class SProg(_Pysteps):
    """Spectral prognosis: scales are forgotten the sooner the smaller they are."""

    def _forecast(self, pysteps: Any, frames: Field, velocity: Field, leads: int) -> Field:
        if not (frames >= RAIN_MM_H).any():
            return np.zeros((leads, *frames.shape[1:]))
        method = pysteps.nowcasts.get_method("sprog")
        decibels: Field = method(_decibels(frames), velocity, leads, precip_thr=_RAIN_DB)
        rain: Field = np.where(decibels >= _RAIN_DB, 10.0 ** (decibels / 10.0), decibels * 0.0)
        return rain


class Anvil(_Pysteps):
    """Autoregressive in each scale, growth and decay included; on rain rates, as no liquid is measured here."""

    min_inputs = 4

    def _forecast(self, pysteps: Any, frames: Field, velocity: Field, leads: int) -> Field:
        if not (frames >= RAIN_MM_H).any():
            return np.zeros((leads, *frames.shape[1:]))
        forecast: Field = pysteps.nowcasts.get_method("anvil")(frames, velocity, leads, ar_window_radius=50)
        return forecast


def _decibels(rain_rate: Field | NDArray[np.float32]) -> Field:
    """10 log10 of mm/h, as pysteps takes it."""
    rainy = rain_rate >= RAIN_MM_H
    return np.where(rainy, 10.0 * np.log10(np.where(rainy, rain_rate, 1.0)), _NONE_DB).astype(np.float64)


@contextlib.contextmanager
def _quietly() -> Iterator[Any]:
    """pysteps with its main parts; it prints as it works. Raises WrongUsage where it is not installed."""
    with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        try:
            import pysteps  # type: ignore[import-untyped]
            import pysteps.motion  # type: ignore[import-untyped]
            import pysteps.nowcasts  # type: ignore[import-untyped]
        except ImportError as problem:
            raise WrongUsage("pysteps is not installed.", advice='Install it: pip install "stormdeck[compare]"') \
                from problem
        yield pysteps
