"""What a downscaling network is taught: from coarse frames, every second one of a pack, to all of them as they are.

FC-ZSM paper, section "Dataset Preprocessing": two frames of half the cells and half the steps in, three whole frames
out. The paper does not say how its coarse frames were made; here they are means over 2 x 2 cells of rain rate, which is
what an archive with coarser cells measures.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from engine.downscalers.fields import block_means
from engine.downscalers.protocol import Factors
from engine.errors import WrongUsage
from engine.radar.scaling import PIXEL_DBZ_MIN, PIXEL_DBZ_RANGE, unit_dbz, unit_pixel_of_code
from engine.radar.sequence import Field
from engine.radar.units import ZR
from engine.training.preparation import Example, Preparation, Sample
from engine.training.recipe import DataPart

FACTORS = Factors(2, 2, 2)


class Downscaling(Preparation):
    """Inputs: ``data.inputs`` coarse frames, (T, 1, H, W), and with fixed fields those on the same grid, (F, H, W).
    Targets: (2 T - 1, 1, 2 H, 2 W). All as (dBZ - least) / (most - least), kept within [0, 1]; no data as 0.
    least, most: dBZ. Echo below ``least`` becomes none, as the paper filters what is below 15 dBZ and scales to
    [15, 70]."""

    def __init__(self, data: DataPart, least: float = PIXEL_DBZ_MIN,
                 most: float = PIXEL_DBZ_MIN + PIXEL_DBZ_RANGE) -> None:
        super().__init__(data)
        if data.inputs < 2 or data.leads != data.inputs - 1:
            raise WrongUsage("Downscaling is shown at least 2 frames and has to find those in between: one lead less "
                             "than inputs.")
        if data.resize:
            raise WrongUsage("Downscaling makes its own coarse frames; it takes no resize.")
        if not most > least:
            raise WrongUsage(f"The scale ends above where it begins, not {least:g} to {most:g} dBZ.")
        self.dbz = least, most

    def prepare(self, sample: Sample, draw: np.random.Generator) -> Example:
        rain = rain_rate_of_codes(sample)
        if rain.shape[1] % 2 or rain.shape[2] % 2:
            raise WrongUsage(f"Frames of {rain.shape[1]} x {rain.shape[2]} cells cannot be halved; take an even crop.")
        coarse = np.stack([block_means(frame, FACTORS) for frame in rain[::2]])
        shown = torch.from_numpy(np.nan_to_num(self._scaled(coarse)))[:, None]
        targets = torch.from_numpy(self._scaled(rain))[:, None]
        below = () if sample.fixed is None else (torch.from_numpy(halved(sample.fixed)),)
        return Example((shown, *below), targets.nan_to_num(0.0), ~torch.isnan(targets))

    def _scaled(self, rain_rate: Field) -> Field:
        return unit_dbz(rain_rate, ZR(*self.data.zr), *self.dbz)

    def unit(self, rain_rate: float) -> float:
        return float(self._scaled(np.array([rain_rate], np.float32))[0])

    def forecast(self, taught: object) -> Tensor | None:
        """Validation goes by the loss, over all frames."""
        return None


def halved(fields: Field) -> Field:
    """(F, ny, nx) to half as many cells along both axes, means."""
    return np.stack([block_means(field, FACTORS) for field in fields])


def rain_rate_of_codes(sample: Sample) -> Field:
    """(T, ny, nx) in mm/h; NaN = no data."""
    table = unit_pixel_of_code(np.arange(np.iinfo(sample.codes.dtype).max + 1, dtype=sample.codes.dtype))
    rain = sample.zr.rain_rate(table * np.float32(PIXEL_DBZ_RANGE) + np.float32(PIXEL_DBZ_MIN))
    rain[0] = 0.0
    return np.asarray(rain.take(sample.codes), np.float32)
