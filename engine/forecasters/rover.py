"""ROVER: variational optical flow between the last frames, then advection of the last frame.

Woo and Wong 2017, "Operational application of optical flow techniques to radar-based rainfall nowcasting";
the benchmark paper's ROVER baselines (section 5.3, appendix D.4). docs/rover.md tells where we differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from engine.errors import NotEnoughInput
from engine.forecasters.protocol import Context, Inputs, LeadFrame, Options
from engine.radar.scaling import PIXEL_DBZ_MIN, PIXEL_DBZ_RANGE, rain_rate_of_pixel, unit_pixel
from engine.radar.units import ZR

if TYPE_CHECKING:
    from engine.forecasters.advection import Inflow, Steering
    from engine.forecasters.moving_frame import Motion
    from engine.forecasters.optical_flow import Flow, FlowSettings

_CENTRE_DBZ, _WIDTH_DBZ = 33.0, 4.0
_NOISE_PIXEL = 71
"""The reference program drops pixels below this one (9.5 dBZ)."""
_FLOW_SHARE = 0.4
"""Share of a run that the flow takes, for the progress bar."""


class Transform(Enum):
    """How rain rate becomes the grey levels between which motion is sought."""

    LINEAR = "linear"
    NONLINEAR = "nonlinear"

    def grey(self, rain_rate: NDArray[np.float32], zr: ZR) -> NDArray[np.float32]:
        """mm/h to 0..255, NaN stays NaN. LINEAR: the pixel law, linear in dBZ from -10 to 60. NONLINEAR:
        arctan((dBZ - 33) / 4), rescaled (Woo and Wong 2017, equation 1)."""
        unit = unit_pixel(rain_rate, zr)
        return (unit if self is Transform.LINEAR else _stretch(unit)) * np.float32(255.0)

    def rain_rate(self, grey: NDArray[np.float32], zr: ZR) -> NDArray[np.float32]:
        """The way back: 0..255 to mm/h; a grey level of 0 is no rain."""
        unit = np.asarray(grey, np.float32) / np.float32(255.0)
        return rain_rate_of_pixel(unit if self is Transform.LINEAR else _unstretch(unit), zr)


def _arctan_range() -> tuple[np.float32, np.float32]:
    low, high = np.arctan((PIXEL_DBZ_MIN + np.array([0.0, PIXEL_DBZ_RANGE]) - _CENTRE_DBZ) / _WIDTH_DBZ)
    return np.float32(low), np.float32(high)


def _stretch(unit: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = _arctan_range()
    dbz = unit * np.float32(PIXEL_DBZ_RANGE) + np.float32(PIXEL_DBZ_MIN)
    stretched = np.arctan((dbz - np.float32(_CENTRE_DBZ)) / np.float32(_WIDTH_DBZ))
    return np.asarray((stretched - low) / (high - low), np.float32)


def _unstretch(unit: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = _arctan_range()
    dbz = np.tan(np.clip(unit, 0.0, 1.0) * (high - low) + low) * np.float32(_WIDTH_DBZ) + np.float32(_CENTRE_DBZ)
    pixel = (dbz - np.float32(PIXEL_DBZ_MIN)) / np.float32(PIXEL_DBZ_RANGE)
    return np.where(unit <= 0, np.float32(0.0), pixel).astype(np.float32)


@dataclass(frozen=True)
class SteeringSettings:
    """The flow that carries long lead times, seen over the whole input window at once and much smoother. Detail
    of the motion is known from a window of ``window`` steps; after ``begins`` windows it starts to give way and
    after ``ends`` it is gone. docs/rover.md has the scores with and without."""

    window: int = 4
    begins: float = 2.25
    ends: float = 3.5
    sigma: float = 20.0
    alpha: float = 20_000.0
    stride: int = 8


@dataclass(frozen=True)
class RoverSettings:
    """flow: an engine.forecasters.optical_flow.FlowSettings, None for its defaults. inflow: what comes in from
    where nothing was measured, None for no data. steering: None leaves every lead time to the detailed flow."""

    flow: FlowSettings | None = None
    inflow: Inflow | None = None
    steering: SteeringSettings | None = field(default_factory=SteeringSettings)


@dataclass(frozen=True)
class Rover:
    """Flow in the transformed frames, the last rain-rate frame advected with one interpolation."""

    transform: Transform
    settings: RoverSettings = field(default_factory=RoverSettings)
    min_inputs: int = 2
    reads_packed: ClassVar[bool] = True

    def run(self, inputs: Inputs, options: Options, context: Context) -> Iterator[LeadFrame]:
        from engine.forecasters.advection import Inflow, advect

        motion = self.motion(inputs, options, context)
        fields = advect(inputs.frames[-1], motion.flow, options.lead_times, context.token,
                        inflow=self.settings.inflow or Inflow.NO_DATA, steering=motion.steering)
        yield from _leads(fields, inputs, options, context)

    def motion(self, inputs: Inputs, options: Options, context: Context) -> Motion:
        """All motion that a forecast needs. Raises NotEnoughInput, Cancelled."""
        from engine.forecasters.moving_frame import Motion

        flow = self.flow(inputs, context)
        return Motion(flow, self._steering(flow, inputs, options, context), inputs.step_minutes)

    def flow(self, inputs: Inputs, context: Context) -> Flow:
        """The steady motion of the last frames, in cells per step. Raises NotEnoughInput, Cancelled."""
        from engine.forecasters.optical_flow import FlowSettings, estimate_flow

        _require(inputs, self.min_inputs)
        context.progress(0.0, "finding motion")
        return estimate_flow(
            inputs.frames, lambda rates: self.transform.grey(rates, inputs.zr),
            self.settings.flow or FlowSettings(), context.token, device=context.device,
            progress=lambda fraction: context.progress(_FLOW_SHARE * fraction, "finding motion"))


    def _steering(self, flow: Flow, inputs: Inputs, options: Options, context: Context) -> Steering | None:
        """The slow flow, where there are frames to see it in and lead times that need it. It is sought in dBZ by both
        transforms: the whole pattern is to be followed, weak rain included."""
        from engine.forecasters.advection import Steering
        from engine.forecasters.optical_flow import FlowSettings, estimate_flow, with_stride

        wish = self.settings.steering
        window = min(wish.window, len(inputs.frames) - 1) if wish else 0
        if wish is None or window < 2 or options.lead_times <= wish.begins * window:
            return None
        base = self.settings.flow or FlowSettings()
        apart = estimate_flow(
            inputs.frames[[-1 - window, -1]], lambda rates: Transform.LINEAR.grey(rates, inputs.zr),
            replace(base, pairs=1, sigma=wish.sigma, alpha=wish.alpha, stride=wish.stride), context.token,
            device=context.device)
        slow = replace(apart, values=apart.values / window)
        return Steering(with_stride(slow, flow.stride), wish.begins * window, wish.ends * window)


@dataclass(frozen=True)
class RoverEulerian:
    """The benchmark paper's reference program: the last two frames only, noise taken out, grey levels rounded to
    whole numbers, and the transformed frame itself warped again and again, nought coming in from outside."""

    transform: Transform
    min_inputs: int = 2
    reads_packed: ClassVar[bool] = True

    def run(self, inputs: Inputs, options: Options, context: Context) -> Iterator[LeadFrame]:
        from engine.forecasters.advection import warp_repeatedly
        from engine.forecasters.optical_flow import FlowSettings, estimate_flow

        _require(inputs, self.min_inputs)
        context.progress(0.0, "finding motion")
        flow = estimate_flow(inputs.frames, lambda rates: np.round(self._grey(rates, inputs.zr)),
                             FlowSettings(pairs=1, stride=1), context.token, device=context.device,
                             progress=lambda fraction: context.progress(_FLOW_SHARE * fraction, "finding motion"))
        warped = warp_repeatedly(self._grey(inputs.frames[-1], inputs.zr), flow, options.lead_times, context.token)
        fields = (self.transform.rain_rate(grey, inputs.zr) for grey in warped)
        yield from _leads(fields, inputs, options, context)

    def _grey(self, rain_rate: NDArray[np.float32], zr: ZR) -> NDArray[np.float32]:
        """Grey levels; below the noise limit and where there is no data 0, as the reference's mask has it."""
        kept = unit_pixel(rain_rate, zr) >= np.float32(_NOISE_PIXEL / 255.0)
        return self.transform.grey(np.where(kept, rain_rate, np.float32(0.0)), zr)


def _require(inputs: Inputs, count: int) -> None:
    if len(inputs.frames) < count:
        raise NotEnoughInput(f"Optical flow needs {count} frames; {len(inputs.frames)} were given.")


def _leads(fields: Iterator[NDArray[np.float32]], inputs: Inputs, options: Options,
           context: Context) -> Iterator[LeadFrame]:
    for lead, rain_rate in enumerate(fields, start=1):
        context.progress(_FLOW_SHARE + (1.0 - _FLOW_SHARE) * lead / options.lead_times, "moving the last frame")
        yield LeadFrame(lead * inputs.step_minutes, rain_rate)


class RoverLinear(Rover):
    """``rover-linear``: flow between frames in dBZ."""

    def __init__(self, settings: RoverSettings | None = None) -> None:
        super().__init__(Transform.LINEAR, settings or RoverSettings())


class RoverNonlinear(Rover):
    """``rover-nonlinear``: flow between frames after the arctangent of reflectivity."""

    def __init__(self, settings: RoverSettings | None = None) -> None:
        super().__init__(Transform.NONLINEAR, settings or RoverSettings())


class RoverLinearEulerian(RoverEulerian):
    """``rover-linear-eulerian``"""

    def __init__(self) -> None:
        super().__init__(Transform.LINEAR)


class RoverNonlinearEulerian(RoverEulerian):
    """``rover-nonlinear-eulerian``"""

    def __init__(self) -> None:
        super().__init__(Transform.NONLINEAR)
