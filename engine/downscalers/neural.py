"""The networks as downscalers: two frames in, three frames on a grid of twice as many cells out, tile by tile.

Frames go in as dBZ from 0 to 1 of the network's scale, rain at the border of the data carried on a little into no
data, so that the border does not thin it out. What comes out is kept at or above nought,
below :data:`MOST` times the largest rain rate around, and without data where there is none. Below its scale a network
says nothing; there stands what is trilinear, up to where the scale begins (docs/downscaling.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.downscalers.fields import bilinear, bounded, conserved, extended
from engine.downscalers.flow_interpolation import AlongMotion
from engine.downscalers.interpolation import InTime, Linear
from engine.downscalers.protocol import Factors, Frame, Options, Series
from engine.errors import NotEnoughInput, WrongUsage
from engine.forecasters.protocol import Context
from engine.forecasters.tiles import cut
from engine.networks.weighted import Weighted
from engine.radar.changing_fields import RAIN_RATE, USUAL, WORDS, as_shown
from engine.radar.scaling import PIXEL_DBZ_MIN, PIXEL_DBZ_RANGE, rain_rate_of_unit_dbz, unit_dbz
from engine.radar.sequence import Field
from engine.radar.static_fields import ELEVATION, LAND_SEA
from engine.radar.units import ZR

if TYPE_CHECKING:
    from torch import nn

    from engine.networks.weights import Header

MOST = 1.5
"""Times the largest value among a cell and its neighbours in both frames: the bound on new maxima."""
EDGE = 8
"""Cells that rain is carried on beyond the border of the data."""
SIDE, OVERLAP = 160, 32
"""Cells of a tile along each axis at most, and those that neighbours share."""
TRAINED = Factors(2, 2, 2)

Beside = Callable[[Field, datetime], Field]
"""Of a frame's rain rate and time: what its network reads beside the reflectivity, (F, ny, nx) in [0, 1]."""


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
        ground, changing = self._ground(series), self._changing(series)
        network = load(self.weights)[0].to(context.device)
        guided = bool(self.header.configuration.options.get("guided", False))
        in_time: InTime = AlongMotion(series, context) if guided else Linear()
        return PairByPair(network, Scale.of(self.header), options, context, ground, in_time, guided, changing)

    def _ground(self, series: Series) -> Field | None:
        """(F, ny, nx) of the fixed fields that the network reads; None where it reads none."""
        names = fixed_names(self.header)
        if not names:
            return None
        if series.ground is None:
            raise NotEnoughInput(f"{self.header.name} reads {' and '.join(names)}, which this run does not give.",
                                 advice="Choose a network that reads rain alone.")
        return series.ground(names)


    def _changing(self, series: Series) -> Beside | None:
        """What gives the fields that the network reads beside the reflectivity; None where it reads none."""
        names = changing_names(self.header)
        asked = tuple(name for name in names if name != RAIN_RATE)
        if asked and series.changing is None:
            raise NotEnoughInput(f"{self.header.name} reads {' and '.join(WORDS[name] for name in asked)}, which this "
                                 "run does not give.", advice="Choose a network that reads rain alone.")

        def beside(rain_rate: Field, time: datetime) -> Field:
            found = {RAIN_RATE: rain_rate}
            if asked and series.changing is not None:
                found.update(zip(asked, series.changing(asked, time), strict=True))
            return np.stack([as_shown(name, found[name]) for name in names])

        return beside if names else None


def changing_names(header: Header) -> tuple[str, ...]:
    """Of the fields that a network reads beside the reflectivity, in its order
    (:mod:`engine.radar.changing_fields`)."""
    options = header.configuration.options
    usual = "+".join(USUAL) if options.get("dynamic", 1) != 1 else ""
    return tuple(filter(None, str(options.get("changing") or usual).split("+")))


def fixed_names(header: Header) -> tuple[str, ...]:
    """Of the fixed fields that a network reads, in its order (:mod:`engine.radar.ground`)."""
    options = header.configuration.options
    usual = f"{ELEVATION}+{LAND_SEA}" if options.get("static", 0) else ""
    return tuple(filter(None, str(options.get("fields") or usual).split("+")))


@dataclass(frozen=True)
class Scale:
    """A network's unit: dBZ by a Z-R pair, from ``least`` to ``most`` as 0 to 1."""

    zr: ZR
    least: float = PIXEL_DBZ_MIN
    most: float = PIXEL_DBZ_MIN + PIXEL_DBZ_RANGE

    @classmethod
    def of(cls, header: Header) -> Scale:
        return cls(ZR(header.zr_a, header.zr_b), header.dbz_least, header.dbz_most)

    def unit(self, rain_rate: Field) -> Field:
        return unit_dbz(rain_rate, self.zr, self.least, self.most)

    def rain_rate(self, unit: Field) -> Field:
        return rain_rate_of_unit_dbz(unit, self.zr, self.least, self.most)

    @property
    def begins(self) -> np.float32:
        """mm/h; weaker rain is not told from none."""
        return np.float32(self.zr.rain_rate(np.array([self.least]))[0])


class PairByPair:
    """A :class:`~engine.downscalers.protocol.Refinement`: the first pair gives three frames, each further one two."""

    def __init__(self, network: nn.Module, scale: Scale, options: Options, context: Context,
                 ground: Field | None = None, in_time: InTime | None = None, guided: bool = False,
                 changing: Beside | None = None) -> None:
        self.network, self.scale, self.options, self.context, self.ground = network, scale, options, context, ground
        self.in_time, self.guided, self.changing = in_time or Linear(), guided, changing
        self.before: Frame | None = None
        self.begun = False

    def push(self, frame: Frame) -> Iterator[Frame]:
        before, self.before = self.before, frame
        if before is None:
            return
        between = next(self.in_time.between(before, frame, (0.5,)))
        times = (before.time, before.time + (frame.time - before.time) / 2, frame.time)
        coarse = (before.rain_rate, between, frame.rain_rate)
        fine = self.scale.rain_rate(self._run(self._shown(coarse, times)))
        around = np.fmax(before.rain_rate, frame.rain_rate)
        for number, (time, own) in enumerate(zip(times, coarse, strict=True)):
            if number or not self.begun:
                self.context.token.check()
                yield Frame(time, self._kept(fine[number], own, around if number == 1 else own))
        self.begun = True

    def _shown(self, coarse: tuple[Field, ...], times: tuple[datetime, ...]) -> Field:
        """(T, C, ny, nx) in [0, 1]: the reflectivity, then what is read beside it, of the frames that are shown."""
        frames = []
        for number in (0, 1, 2) if self.guided else (0, 2):
            rain = extended(coarse[number], EDGE)
            unit = np.nan_to_num(self.scale.unit(rain))[None]
            frames.append(unit if self.changing is None else np.concatenate((unit, self.changing(rain, times[number]))))
        return np.stack(frames)

    def _kept(self, fine: Field, own: Field, around: Field) -> Field:
        factors = self.options.factors
        limit = np.where(np.isnan(own), np.float32(np.nan), np.nan_to_num(around)).astype(np.float32)
        weak = np.minimum(bilinear(own, factors, self.context.token.check), self.scale.begins)
        kept = bounded(np.where(fine > 0, fine, weak), limit, factors, MOST)
        return conserved(kept, own, factors, self.context.token.check) if self.options.conserve else kept

    def _run(self, units: Field) -> Field:
        """(2, C, ny, nx) in [0, 1], guided (3, C, ny, nx), to (3, 2 ny, 2 nx) in [0, 1]."""
        import torch

        from engine.networks.rollout import asking

        high, wide = units.shape[-2:]
        fine = np.zeros((3, 2 * high, 2 * wide), np.float32)
        for tile in cut((high, wide), (SIDE, SIDE), OVERLAP, 4):
            self.context.token.check()
            rows, columns = tile.place
            given = [units[:, :, rows, columns]]
            if self.ground is not None:
                given.append(self.ground[:, rows, columns])
            shown = [torch.from_numpy(np.ascontiguousarray(part))[None].to(self.context.device) for part in given]
            with torch.inference_mode(), asking(self.network, self.context.token.check):
                made = self.network(*shown)[0, :, 0].cpu().numpy()
            weights = tile.weights.repeat(2, axis=0).repeat(2, axis=1)
            fine[:, 2 * rows.start:2 * rows.stop, 2 * columns.start:2 * columns.stop] += weights * made
        fine.clip(0.0, 1.0, out=fine)
        return fine
