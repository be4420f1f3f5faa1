"""What a downscaling network is taught: from coarse frames, every second one of a pack, to all of them as they are.

FC-ZSM paper, section "Dataset Preprocessing": two frames of half the cells and half the steps in, three whole frames
out. The paper does not say how its coarse frames were made; here they are means over 2 x 2 cells of rain rate, which is
what an archive with coarser cells measures.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import torch
from torch import Tensor

from engine.downscalers.fields import block_means
from engine.downscalers.flow_interpolation import AlongMotion
from engine.downscalers.protocol import Factors, Frame, Series
from engine.errors import NotEnoughInput, WrongUsage
from engine.forecasters.protocol import Context
from engine.radar.changing_fields import RAIN_RATE, WORDS, as_shown
from engine.radar.grid import Grid
from engine.radar.scaling import PIXEL_DBZ_MIN, PIXEL_DBZ_RANGE, unit_dbz, unit_pixel_of_code
from engine.radar.sequence import Field
from engine.radar.units import ZR
from engine.training.preparation import Example, Preparation, Sample
from engine.training.recipe import DataPart

FACTORS = Factors(2, 2, 2)
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)


class Downscaling(Preparation):
    """Inputs: ``data.inputs`` coarse frames, (T, 1, H, W), and with fixed fields those on the same grid, (F, H, W).
    Targets: (2 T - 1, 1, 2 H, 2 W). All as (dBZ - least) / (most - least), kept within [0, 1]; no data as 0.
    least, most: dBZ. Echo below ``least`` becomes none, as the paper filters what is below 15 dBZ and scales to
    [15, 70]. guided: among the inputs, in order of time, are coarse frames in between, carried along the motion.
    margin: fine cells at each side of a piece, a multiple of 2, that the motion is sought in and that are cut then.
    changing: names of the fields that change with time and are shown beside the reflectivity, in the network's order
    (:mod:`engine.radar.changing_fields`): of the rain itself, from the pack, or from ``fixed_files`` where ``fixed``
    names them too. NotEnoughInput where one is in none of them."""

    def __init__(self, data: DataPart, least: float = PIXEL_DBZ_MIN, most: float = PIXEL_DBZ_MIN + PIXEL_DBZ_RANGE,
                 guided: bool = False, margin: int = 0, changing: Sequence[str] = ()) -> None:
        super().__init__(data)
        if margin < 0 or margin % 2 or (data.crop and 2 * margin >= data.crop):
            raise WrongUsage("The margin is an even number of cells, less than half of the crop.")
        if data.inputs < 2 or data.leads != data.inputs - 1:
            raise WrongUsage("Downscaling is shown at least 2 frames and has to find those in between: one lead less "
                             "than inputs.")
        if data.resize:
            raise WrongUsage("Downscaling makes its own coarse frames; it takes no resize.")
        if not most > least:
            raise WrongUsage(f"The scale ends above where it begins, not {least:g} to {most:g} dBZ.")
        if not set(changing) <= set(WORDS):
            raise WrongUsage(f"Beside the reflectivity there are {', '.join(WORDS)}, not {', '.join(changing)}.")
        self.dbz, self.guided, self.margin, self.changing = (least, most), guided, margin, tuple(changing)

    def prepare(self, sample: Sample, draw: np.random.Generator) -> Example:
        rain = rain_rate_of_codes(sample)
        if rain.shape[1] % 2 or rain.shape[2] % 2:
            raise WrongUsage(f"Frames of {rain.shape[1]} x {rain.shape[2]} cells cannot be halved; take an even crop.")
        coarse = np.stack([block_means(frame, FACTORS) for frame in rain[::2]])
        if self.guided:
            coarse = with_carried(coarse, 2 * sample.step_minutes, sample.zr)
        channels = [np.nan_to_num(self._scaled(coarse)),
                    *(as_shown(name, self._beside(name, sample, coarse)) for name in self.changing)]
        shown = torch.from_numpy(np.stack([self._inner(channel, self.margin // 2) for channel in channels], axis=1))
        targets = torch.from_numpy(self._inner(self._scaled(rain), self.margin))[:, None]
        return Example((shown, *self._below(sample)), targets.nan_to_num(0.0), ~torch.isnan(targets))

    def _below(self, sample: Sample) -> tuple[Tensor, ...]:
        """The fixed fields that the network is shown as such."""
        if sample.fixed is None:
            return ()
        kept = [number for number, name in enumerate(self.data.fixed) if name not in self.changing]
        return (torch.from_numpy(self._inner(halved(sample.fixed[kept]), self.margin // 2)),) if kept else ()

    def _beside(self, name: str, sample: Sample, coarse: Field) -> Field:
        """(T, ny, nx) on the coarse grid in the field's unit; for a frame in between what held before it."""
        if name == RAIN_RATE:
            return coarse
        if name in sample.beside:
            known = halved(sample.beside[name][::2])
            return known[[number // (2 if self.guided else 1) for number in range(len(coarse))]]
        if name in self.data.fixed and sample.fixed is not None:
            return np.repeat(halved(sample.fixed[[self.data.fixed.index(name)]]), len(coarse), axis=0)
        raise NotEnoughInput(
            f"This network reads {WORDS[name]}, which neither the pack nor a file gives.",
            advice=f"Cut the pack from MeteoNet's new reflectivity with --beside {name}, or name {name} among the "
                   "recipe's fixed fields and a file with it among fixed_files.")

    def _scaled(self, rain_rate: Field) -> Field:
        return unit_dbz(rain_rate, ZR(*self.data.zr), *self.dbz)

    @staticmethod
    def _inner(fields: Field, margin: int) -> Field:
        high, wide = fields.shape[1:]
        return np.ascontiguousarray(fields[:, margin:high - margin, margin:wide - margin])

    def unit(self, rain_rate: float) -> float:
        return float(self._scaled(np.array([rain_rate], np.float32))[0])

    def forecast(self, taught: object) -> Tensor | None:
        """Validation goes by the loss, over all frames."""
        return None


def with_carried(frames: Field, step_minutes: float, zr: ZR) -> Field:
    """(T, ny, nx) mm/h, one step apart, to (2 T - 1, ny, nx): between two of them what the motion makes of both."""
    grid = Grid.regular(left=0, top=0, dx=1000, dy=1000, nx=frames.shape[2], ny=frames.shape[1])
    carrying = AlongMotion(Series(grid, zr, step_minutes), Context())
    series = [Frame(_ANY_TIME + timedelta(minutes=step_minutes * number), frame)
              for number, frame in enumerate(frames)]
    found = [frames[0]]
    for earlier, later in itertools.pairwise(series):
        found += [*carrying.between(earlier, later, (0.5,)), later.rain_rate]
    return np.stack(found)


def halved(fields: Field) -> Field:
    """(F, ny, nx) to half as many cells along both axes, means."""
    return np.stack([block_means(field, FACTORS) for field in fields])


def rain_rate_of_codes(sample: Sample) -> Field:
    """(T, ny, nx) in mm/h; NaN = no data."""
    table = unit_pixel_of_code(np.arange(np.iinfo(sample.codes.dtype).max + 1, dtype=sample.codes.dtype))
    rain = sample.zr.rain_rate(table * np.float32(PIXEL_DBZ_RANGE) + np.float32(PIXEL_DBZ_MIN))
    rain[0] = 0.0
    return np.asarray(rain.take(sample.codes), np.float32)
