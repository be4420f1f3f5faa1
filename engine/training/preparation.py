"""From a sequence of a pack to what a network is taught: inputs, targets, and which pixels count.

A recipe names its preparation. A network that learns something else than the next frames in pixels brings its own: a
subclass of :class:`Preparation` and a line in :data:`PREPARATIONS`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from engine.errors import WrongUsage
from engine.networks.read_out import ReadOut
from engine.networks.recurrent import Recurrent
from engine.networks.rollout import lead_frames
from engine.networks.staged import Staged
from engine.radar.scaling import PIXEL_DBZ_MIN, PIXEL_DBZ_RANGE, unit_pixel, unit_pixel_of_code
from engine.radar.units import ZR
from engine.training.packs import Codes
from engine.training.read_out import best_read_out
from engine.training.recipe import DataPart

PREPARATIONS = {
    "unit-pixels": "engine.training.preparation:UnitPixels",
    "moving-frame": "engine.training.moving_frame:MovingFrame",
    "noising": "engine.training.noising:Noising",
    "sharpening": "engine.training.sharpening:Sharpening",
    "drawn-clips": "engine.training.generating:DrawnClips",
    "residual-diffusion": "engine.training.generating:ResidualDiffusion",
    "cascade": "engine.training.generating:Cascade",
    "drawn-frames": "engine.training.generating:DrawnFrames",
    "downscaling": "engine.training.downscaling:Downscaling",
}


@dataclass(frozen=True)
class Sample:
    """codes: (T, ny, nx) of :func:`engine.radar.scaling.code_of_dbz`, cut and augmented. zr: the archive's. fixed:
    (F, ny, nx) fields that do not change with time, cut and augmented alike; None where none are wished. beside: those
    that do, (T, ny, nx) each, by name, in their own unit, NaN = no data."""

    codes: Codes
    zr: ZR
    step_minutes: float
    pixel_km: float
    fixed: NDArray[np.float32] | None = None
    beside: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    def planes(self) -> NDArray[np.float32] | None:
        """(N, ny, nx): all fields that lie on the map as the codes do, to be mirrored and turned with them."""
        parts = [*([] if self.fixed is None else [self.fixed]), *self.beside.values()]
        return np.concatenate(parts) if parts else None

    def placed(self, codes: Codes, planes: NDArray[np.float32] | None) -> Sample:
        """The same with other codes and all that :meth:`planes` gave."""
        if planes is None:
            return replace(self, codes=codes)
        first = 0 if self.fixed is None else len(self.fixed)
        rest = planes[first:].reshape(len(self.beside), -1, *planes.shape[1:]) if self.beside else ()
        return replace(self, codes=codes, fixed=None if self.fixed is None else planes[:first],
                       beside=dict(zip(self.beside, rest, strict=True)))


class Example(NamedTuple):
    """inputs: what the network is given, whatever it needs. targets, valid: (T, 1, H, W), finite numbers in the
    network's unit, and where they were measured. In a batch each has an axis B in front."""

    inputs: tuple[Tensor, ...]
    targets: Tensor
    valid: Tensor


@dataclass(frozen=True)
class Teaching:
    """How a batch is run. over: "all" outputs or "forecast" frames. share_true: how often a true frame is shown in
    place of the network's own; draw: decides when."""

    over: str = "all"
    share_true: float = 0.0
    draw: torch.Generator | None = None


class Taught(NamedTuple):
    """readouts: each (B, T, C, H, W), in the order of the network; truth and valid: (B, T, 1, H, W) beside them."""

    readouts: list[Tensor]
    truth: Tensor
    valid: Tensor


class Preparation:
    """``prepare`` runs in the reading process, the rest where the network is. May be sent to other processes. dbz: 0
    and 1 of the unit.

    As it stands: the network is called with the inputs and gives the targets. Options of the recipe
    (``preparation_options``) arrive as keywords of the subclass, after ``data``.
    """

    dbz: tuple[float, float] = (PIXEL_DBZ_MIN, PIXEL_DBZ_MIN + PIXEL_DBZ_RANGE)

    def __init__(self, data: DataPart) -> None:
        self.data = data

    def prepare(self, sample: Sample, draw: np.random.Generator) -> Example:
        """draw: random numbers of this sample, the same whenever the run is repeated."""
        raise NotImplementedError

    def unit(self, rain_rate: float) -> float:
        """mm/h in the unit of the targets; grows with the rain rate."""
        raise NotImplementedError

    def taught(self, network: nn.Module, batch: Example, teaching: Teaching) -> Taught:
        """Runs the network on a batch."""
        return Taught([network(*batch.inputs)], batch.targets, batch.valid)

    def forecast(self, taught: Taught) -> Tensor | None:
        """What is scored: (B, T, 1, H, W) in the unit of the targets; None where the read-outs are something else."""
        return taught.readouts[-1]

    def settle(self, network: nn.Module, batches: Iterator[Example]) -> ReadOut | None:
        """Sets what is chosen, not learned, once the weights are; batches: of the validation. Returns how forecasts
        are to be read; None, as it stands, for as they are."""
        return None

    def persistence(self, batch: Example) -> Tensor | None:
        """The last frame seen, (B, 1, 1, H, W) in the unit of the targets, to compare with; None where there is
        none."""
        return None


class UnitPixels(Preparation):
    """Frames as pixel/255 of the law of :func:`engine.radar.scaling.unit_pixel` for the recipe's Z-R pair; no data
    goes in as no echo. Targets are all frames but the first, so that recurrent networks learn every step."""

    def prepare(self, sample: Sample, draw: np.random.Generator) -> Example:
        frames = torch.from_numpy(unit_table(sample.codes.dtype, sample.zr, ZR(*self.data.zr)).take(sample.codes))
        frames = frames[:, None]
        valid = ~torch.isnan(frames)
        frames = frames.nan_to_num(0.0)
        if self.data.resize:
            frames, valid = resized(frames, valid, (self.data.resize[0], self.data.resize[1]))
        return Example((frames[:self.data.inputs],), frames[1:], valid[1:])

    def unit(self, rain_rate: float) -> float:
        return float(unit_pixel(np.array([rain_rate]), ZR(*self.data.zr))[0])

    def taught(self, network: nn.Module, batch: Example, teaching: Teaching) -> Taught:
        frames, leads = batch.inputs[0], self.data.leads
        if isinstance(network, Recurrent | Staged):
            readouts = _recurrent(network, batch, leads, teaching)
        else:
            readouts = [torch.stack(list(lead_frames(network, frames, leads))[:leads], dim=1)]
        kept = readouts[0].shape[1] if teaching.over == "all" else leads
        return Taught([readout[:, -kept:] for readout in readouts], batch.targets[:, -kept:], batch.valid[:, -kept:])

    def settle(self, network: nn.Module, batches: Iterator[Example]) -> ReadOut | None:
        network = network.requires_grad_(False)
        lessons = (self.taught(network, batch, Teaching(over="forecast")) for batch in batches)
        return best_read_out(((lesson.readouts[-1], lesson.truth, lesson.valid) for lesson in lessons), self.unit)

    def persistence(self, batch: Example) -> Tensor | None:
        return batch.inputs[0][:, -1:]


def _recurrent(network: Recurrent | Staged, batch: Example, leads: int, teaching: Teaching) -> list[Tensor]:
    if isinstance(network, Staged):
        return [torch.stack(readout, dim=1) for readout in zip(*network.steps(batch.inputs[0], leads), strict=True)]
    teacher = None
    if teaching.share_true > 0 and leads > 1:
        true = batch.targets[:, -leads:-1]
        shown = torch.rand(true.shape[:2], generator=teaching.draw) < teaching.share_true
        teacher = true.masked_fill(~shown.to(true.device)[:, :, None, None, None], torch.nan)
    steps = list(network.steps(batch.inputs[0], leads, teacher))
    return [torch.stack(readout, dim=1) for readout in zip(*steps, strict=True)]


def unit_table(kind: np.dtype[Any], archive: ZR, network: ZR) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The unit pixel of every code: through the archive's Z-R pair to rain rate, through the network's to pixels."""
    codes = np.arange(np.iinfo(kind).max + 1, dtype=kind)
    unit = unit_pixel_of_code(codes)
    if (archive.a, archive.b) != (network.a, network.b):
        unit = unit_pixel(archive.rain_rate(unit * np.float32(PIXEL_DBZ_RANGE) + np.float32(PIXEL_DBZ_MIN)), network)
        unit[0] = 0.0
    return unit


def resized(frames: Tensor, valid: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """(T, 1, H, W) to another size: area means to smaller, bilinear to larger; valid where at least half of the
    pixels were."""
    area = size[0] <= frames.shape[-2] and size[1] <= frames.shape[-1]

    def scaled(field: Tensor) -> Tensor:
        return F.interpolate(field, size, mode="area") if area else F.interpolate(field, size, mode="bilinear",
                                                                                 align_corners=False)

    share = scaled(valid.to(frames.dtype))
    return scaled(frames) / share.clamp(min=1e-6), share >= 0.5


def preparation(data: DataPart) -> Preparation:
    """Raises WrongUsage for a name that is not in :data:`PREPARATIONS` or options it does not take."""
    if data.preparation not in PREPARATIONS:
        raise WrongUsage(f"There is no preparation called '{data.preparation}'. Known: {', '.join(PREPARATIONS)}.")
    module, _, attribute = PREPARATIONS[data.preparation].partition(":")
    maker = getattr(importlib.import_module(module), attribute)
    try:
        made: Preparation = maker(data, **data.preparation_options)
    except TypeError as problem:
        raise WrongUsage(f"The preparation '{data.preparation}' does not take these options: {problem}.") from problem
    return made
