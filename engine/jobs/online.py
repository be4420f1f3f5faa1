"""A network's forecaster that learns from every new segment, for the benchmark's online setting and live archives.
What it learns stays in memory; the weight file is never written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.forecasters.neural import NeuralForecaster
from engine.forecasters.protocol import Context, Inputs, LeadFrame, Options
from engine.radar.grid import Grid
from engine.radar.resampling import Resampler
from engine.radar.scaling import unit_pixel
from engine.radar.sequence import Field
from engine.radar.units import ZR

if TYPE_CHECKING:
    from engine.training.online import OnlineLearner, OnlineWish, Outcome


@dataclass
class OnlineForecaster:
    """forecaster: with the weights to begin with. grid, step_minutes, zr: of the archive. context: the token that is
    asked while it learns, and the device. outcomes: of each step so far."""

    forecaster: NeuralForecaster
    grid: Grid
    step_minutes: float
    zr: ZR
    context: Context
    leads: int = 20
    wish: OnlineWish | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    min_inputs: int = field(init=False)
    _learner: OnlineLearner | None = None
    _shown: list[Field] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.min_inputs = self.forecaster.min_inputs

    def store(self, frames: NDArray[np.float32], new_episode: bool) -> None:
        """The newest frames (T, ny, nx) mm/h; with ``new_episode`` what was stored before is forgotten."""
        self._shown = [*([] if new_episode else self._shown), *frames][-self.min_inputs:]
        header = self.forecaster.header
        pair = ZR(header.zr_a, header.zr_b)
        self.learner.store(np.stack([unit_pixel(self._to_network(frame), pair) for frame in frames]), new_episode)

    def update(self) -> None:
        """Learns from what is stored, if that suffices."""
        outcome = self.learner.update()
        if outcome is not None:
            self.outcomes.append(outcome)

    def predict(self) -> Iterator[Field]:
        """From the newest frames; yields as many lead times as are learnt."""
        inputs = self._inputs(np.stack(self._shown[-self.min_inputs:]))
        for lead in self.run(inputs, Options(self.leads), self.context):
            yield lead.rain_rate

    def run(self, inputs: Inputs, options: Options, context: Context) -> Iterator[LeadFrame]:
        """As the forecaster does, with what was learnt."""
        yield from replace(self.forecaster, network=self.learner.network).run(inputs, options, context)

    @property
    def learner(self) -> OnlineLearner:
        """Made at the first call: the weights are loaded, a copy will learn."""
        if self._learner is None:
            from engine.losses.balanced import CLASS_EDGES_MM_H
            from engine.networks.weights import load
            from engine.training.online import OnlineLearner, OnlineWish

            network, header = load(self.forecaster.weights)
            edges = unit_pixel(np.array(CLASS_EDGES_MM_H), ZR(header.zr_a, header.zr_b))
            wish = self.wish or OnlineWish(inputs=self.min_inputs, leads=self.leads)
            self._learner = OnlineLearner(network, tuple(float(edge) for edge in edges), wish,
                                          device=self.context.device, token=self.context.token)
        return self._learner

    def _to_network(self, frame: Field) -> Field:
        """On the grid on which the network runs."""
        target = self.forecaster.working_grid(self._inputs(frame[None]))
        if target is self.grid:
            return frame
        larger = all(b > a for a, b in zip(self.grid.pixel_km, target.pixel_km, strict=True))
        return Resampler(self.grid, target, "mean" if larger else "bilinear")(frame)

    def _inputs(self, frames: NDArray[np.float32]) -> Inputs:
        never = datetime(1970, 1, 1, tzinfo=UTC)  # a network does not look at the clock
        return Inputs(frames, (never,) * len(frames), self.step_minutes, self.grid, self.zr)
