"""What a deblurring network is taught: the frames of a forecast, whoever made it, beside those that came (DB-RNN paper,
section V-G, with any forecaster in the place of the network trained before)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine import catalogue
from engine.errors import NoWeights
from engine.forecasters.protocol import Context, Forecaster, Inputs, Options
from engine.radar.grid import Grid
from engine.radar.scaling import rain_rate_of_pixel, unit_pixel
from engine.radar.units import ZR
from engine.training.preparation import Example, Preparation, Sample, Taught, Teaching, unit_table
from engine.training.recipe import DataPart


class Sharpening(Preparation):
    """Inputs: the last observed frame and the forecast from the frames up to it, (1 + leads, 1, H, W) in [0, 1].
    Targets: the frames that came, (leads, 1, H, W). forecaster: of the catalogue; weights: its file, if it needs one.
    """

    def __init__(self, data: DataPart, forecaster: str, weights: str = "") -> None:
        super().__init__(data)
        self.name, self.weights = forecaster, weights

    @cached_property
    def forecaster(self) -> Forecaster:
        row = catalogue.row("forecaster", self.name)
        if row.parameters and not self.weights:
            raise NoWeights(f"{row.title} needs weights.", advice="Name its file: preparation_options.weights.")
        made: Forecaster = catalogue.load("forecaster", self.name)(*([Path(self.weights)] if row.parameters else []))
        return made

    def prepare(self, sample: Sample, draw: np.random.Generator) -> Example:
        zr, seen = ZR(*self.data.zr), self.data.inputs
        unit = unit_table(sample.codes.dtype, sample.zr, zr).take(sample.codes)
        blurry = [unit_pixel(frame, zr) for frame in self._forecast(rain_rate_of_pixel(unit[:seen], zr), sample, zr)]
        truth = torch.from_numpy(unit[seen:])[:, None]
        frames = np.nan_to_num(np.stack([unit[seen - 1], *blurry]).astype(np.float32))
        return Example((torch.from_numpy(frames)[:, None],), truth.nan_to_num(0.0), ~torch.isnan(truth))

    def _forecast(self, rates: NDArray[np.float32], sample: Sample, zr: ZR) -> list[NDArray[np.float32]]:
        ny, nx = rates.shape[1:]
        cell, start = sample.pixel_km * 1000.0, datetime(2000, 1, 1, tzinfo=UTC)
        step = sample.step_minutes * self.data.every
        times = tuple(start + timedelta(minutes=step * number) for number in range(len(rates)))
        inputs = Inputs(rates, times, step, Grid.regular(left=0.0, top=ny * cell, dx=cell, dy=cell, nx=nx, ny=ny), zr)
        return [frame.rain_rate for frame in self.forecaster.run(inputs, Options(self.data.leads), Context())]

    def unit(self, rain_rate: float) -> float:
        return float(unit_pixel(np.array([rain_rate]), ZR(*self.data.zr))[0])

    def taught(self, network: nn.Module, batch: Example, teaching: Teaching) -> Taught:
        """The observed frame only warms the network's states."""
        return Taught([network(batch.inputs[0])[:, 1:]], batch.targets, batch.valid)

    def persistence(self, batch: Example) -> Tensor | None:
        return batch.inputs[0][:, :1]
