"""The networks as downscalers: two frames in, three frames on a grid of twice as many cells out, tile by tile.

Frames go in as pixel/255 of the pixel law, no data as no rain. What comes out is kept at or above nought, below
:data:`MOST` times the largest rain rate around, and without data where there is none (docs/downscaling.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.downscalers.fields import bounded, conserved, mixed
from engine.downscalers.protocol import Factors, Frame, Options, Series
from engine.errors import NotEnoughInput, WrongUsage
from engine.forecasters.protocol import Context
from engine.forecasters.tiles import cut
from engine.networks.weighted import Weighted
from engine.radar.scaling import rain_rate_of_pixel, unit_pixel
from engine.radar.sequence import Field
from engine.radar.units import ZR

if TYPE_CHECKING:
    from torch import nn

    from engine.networks.weights import Header

MOST = 1.5
"""Times the largest value among a cell and its neighbours in both frames: the bound on new maxima."""
SIDE, OVERLAP = 160, 32
"""Cells of a tile along each axis at most, and those that neighbours share."""
TRAINED = Factors(2, 2, 2)


@dataclass
class NeuralDownscaler(Weighted):
    """weights: a file of :mod:`engine.networks.weights`."""

    weights: Path
    draws: bool = False

    def start(self, series: Series, options: Options, context: Context) -> PairByPair:
        """Raises WrongUsage for other factors, NotEnoughInput where the network reads fields that are not there."""
        from engine.networks.weights import load

        if options.factors != TRAINED:
            raise WrongUsage(f"{self.header.name} refines by {TRAINED}, not by {options.factors}.")
        lacking = lacking_fields(self.header)
        if lacking:
            raise NotEnoughInput(f"{self.header.name} reads {' and '.join(lacking)}, which this archive does not give.",
                                 advice="Choose zsm, which reads rain alone.")
        network = load(self.weights)[0].to(context.device)
        return PairByPair(network, ZR(self.header.zr_a, self.header.zr_b), options, context)


def lacking_fields(header: Header) -> tuple[str, ...]:
    """What a network reads beside the rain; no archive hands such fields to a downscaler so far."""
    options = header.configuration.options
    dynamic = ("the precipitation rate", "the height of measurement") if options.get("dynamic", 1) != 1 else ()
    return (*dynamic, *(("elevation", "a land-sea mask") if options.get("static", 0) else ()))


class PairByPair:
    """A :class:`~engine.downscalers.protocol.Refinement`: the first pair gives three frames, each further one two."""

    def __init__(self, network: nn.Module, zr: ZR, options: Options, context: Context) -> None:
        self.network, self.zr, self.options, self.context = network, zr, options, context
        self.before: Frame | None = None
        self.begun = False

    def push(self, frame: Frame) -> Iterator[Frame]:
        before, self.before = self.before, frame
        if before is None:
            return
        both = np.stack((before.rain_rate, frame.rain_rate))
        fine = rain_rate_of_pixel(self._run(np.nan_to_num(unit_pixel(both, self.zr))), self.zr)
        between = mixed(before.rain_rate, frame.rain_rate, 0.5)
        times = (before.time, before.time + (frame.time - before.time) / 2, frame.time)
        coarse = (before.rain_rate, between, frame.rain_rate)
        around = np.fmax(before.rain_rate, frame.rain_rate)
        for number, (time, own) in enumerate(zip(times, coarse, strict=True)):
            if number or not self.begun:
                self.context.token.check()
                yield Frame(time, self._kept(fine[number], own, around if number == 1 else own))
        self.begun = True

    def _kept(self, fine: Field, own: Field, around: Field) -> Field:
        factors = self.options.factors
        limit = np.where(np.isnan(own), np.float32(np.nan), np.nan_to_num(around)).astype(np.float32)
        kept = bounded(fine, limit, factors, MOST)
        return conserved(kept, own, factors, self.context.token.check) if self.options.conserve else kept

    def _run(self, units: Field) -> Field:
        """(2, ny, nx) in [0, 1] to (3, 2 ny, 2 nx) in [0, 1]."""
        import torch

        fine = np.zeros((3, 2 * units.shape[1], 2 * units.shape[2]), np.float32)
        for tile in cut((units.shape[1], units.shape[2]), (SIDE, SIDE), OVERLAP, 4):
            self.context.token.check()
            rows, columns = tile.place
            part = torch.from_numpy(np.ascontiguousarray(units[:, rows, columns]))[None, :, None]
            with torch.inference_mode():
                made = self.network(part.to(self.context.device))[0, :, 0].cpu().numpy()
            weights = tile.weights.repeat(2, axis=0).repeat(2, axis=1)
            fine[:, 2 * rows.start:2 * rows.stop, 2 * columns.start:2 * columns.stop] += weights * made
        return np.clip(fine, 0.0, 1.0)
