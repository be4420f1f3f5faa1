"""A network learns from the newest frames of a live archive, in the background of forecasts (benchmark paper, section
5.2 and appendix D.3): after each new segment one step on the last 25 frames, taken back where it makes the newest
forecast worse. The weight file is never written."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine import catalogue, device
from engine.errors import NotEnoughInput, WrongUsage
from engine.forecasters.neural import NeuralForecaster
from engine.forecasters.protocol import Context
from engine.jobs import weights
from engine.jobs.events import Event, Finished
from engine.jobs.online import OnlineForecaster
from engine.jobs.scope import Scope
from engine.radar.grid import Grid
from engine.radar.packed import rows_of, unpacked
from engine.radar.sequence import RadarSequence

if TYPE_CHECKING:
    from engine.training.online import Outcome

SEGMENT = 5
"""New frames after which it learns, as in the benchmark."""
FRAMES = 25
"""What it learns from: the paper's."""
LARGEST = 1024
"""Of larger domains only a part this wide and high is looked at, about the most echo of the newest frame."""


@dataclass(frozen=True)
class LearnRequest:
    """learner: what an earlier job of this forecaster and archive gave, None for the first. since: frames after this
    time are new; all are old in the first job."""

    sequence: RadarSequence
    forecaster: str
    learner: Learner | None = None
    device: str = "auto"


@dataclass(frozen=True)
class Learned(Event):
    """network: with what was learnt, to hand to forecasts; None as long as nothing was. learned, rolled_back: steps
    kept and taken back so far. waiting: new frames until the next step. outcome: of a step that was taken just now.
    note: why it does not learn now."""

    forecaster: str
    learner: Learner
    network: Any
    learned: int
    rolled_back: int
    waiting: int
    outcome: Outcome | None = None
    note: str = ""


@dataclass
class Learner:
    """Belongs to the job that runs; between jobs nobody touches it. newest: the last frame that was taken in."""

    online: OnlineForecaster | None = None
    newest: datetime | None = None
    network: Any = None
    part: tuple[slice, slice] | None = None
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def learned(self) -> int:
        return sum(outcome.kept for outcome in self.outcomes)


def run(request: LearnRequest, scope: Scope) -> Iterator[Event]:
    """Yields Learned once. Raises WrongUsage for a forecaster that is no such network, NoWeights, UnreadableInput,
    Cancelled, which leaves the learner as it was."""
    if not can_learn(request.forecaster):
        title = catalogue.row("forecaster", request.forecaster).title
        raise WrongUsage(f"{title} does not learn from new frames; networks that see frames as they are do.")
    learner, sequence = request.learner or Learner(), request.sequence
    if learner.newest is None:
        learner.newest = sequence.times[-1]
    fresh = sum(time > learner.newest for time in sequence.times)
    outcome, note = None, ""
    if fresh >= SEGMENT:
        try:
            outcome = _step(request, learner, min(fresh, FRAMES - SEGMENT), scope)
        except NotEnoughInput as problem:
            note = str(problem)
        fresh = 0 if not note else fresh
    yield Learned(request.forecaster, learner, learner.network, learner.learned,
                  len(learner.outcomes) - learner.learned, max(0, SEGMENT - fresh), outcome, note)
    yield Finished({"learned": learner.learned, "rolled_back": len(learner.outcomes) - learner.learned})


def can_learn(name: str) -> bool:
    """Networks that see frames as they are; one in the moving frame would need its motion first."""
    return catalogue.load("forecaster", name) is NeuralForecaster


def _step(request: LearnRequest, learner: Learner, fresh: int, scope: Scope) -> Outcome | None:
    sequence = request.sequence
    indices = sequence.inputs_ending_at(len(sequence) - 1, FRAMES)
    scope.progress(None, "learning from new frames")
    online = learner.online or _online(request, learner, scope)
    context = Context(scope.token, scope.progress, device.choose(request.device))
    online.context, online.learner.token = context, scope.token
    fresh = min(fresh, online.learner.wish.leads)
    frames = _frames(sequence, indices, learner.part, scope)
    online.store(frames[:-fresh], new_episode=True)
    online.store(frames[-fresh:], new_episode=False)
    before = len(online.outcomes)
    online.update()
    learner.online, learner.newest = online, sequence.times[-1]
    if len(online.outcomes) == before:
        raise NotEnoughInput("The domain is smaller than the pieces that this network learns from.")
    outcome = online.outcomes[-1]
    learner.outcomes.append(outcome)
    if outcome.kept:
        learner.network = copy.deepcopy(online.learner.network)
    return outcome


def _online(request: LearnRequest, learner: Learner, scope: Scope) -> OnlineForecaster:
    """With the weights of the file, and for large domains the part of them that is looked at."""
    from engine.training.online import OnlineWish

    sequence = request.sequence
    assert sequence.step_minutes is not None  # 25 frames were found
    forecaster = weights.forecaster(request.forecaster)
    assert isinstance(forecaster, NeuralForecaster)
    learner.part = _part(sequence)
    grid = sequence.grid if learner.part is None else _cut(sequence.grid, learner.part)
    leads = FRAMES - forecaster.min_inputs
    return OnlineForecaster(forecaster, grid, sequence.step_minutes, sequence.zr,
                            Context(scope.token, scope.progress, device.choose(request.device)), leads,
                            OnlineWish(inputs=forecaster.min_inputs, leads=leads))


def _part(sequence: RadarSequence) -> tuple[slice, slice] | None:
    from engine.training.online import fullest

    shape = sequence.grid.shape
    if max(shape) <= LARGEST:
        return None
    high, wide = (min(side, LARGEST) for side in shape)
    newest = np.nan_to_num(unpacked(sequence.packed_rain_rate(len(sequence) - 1)))
    row, column = fullest(newest, high, wide, stride=64)
    return slice(row, row + high), slice(column, column + wide)


def _cut(grid: Grid, part: tuple[slice, slice]) -> Grid:
    return replace(grid, x=grid.x[part[1]], y=grid.y[part[0]])


def _frames(sequence: RadarSequence, indices: tuple[int, ...], part: tuple[slice, slice] | None, scope: Scope
            ) -> NDArray[np.float32]:
    """(T, ny, nx) mm/h."""
    frames = []
    for index in indices:
        scope.token.check()
        field = sequence.packed_rain_rate(index)
        frames.append(unpacked(field) if part is None else rows_of(field, part[0])[:, part[1]])
    return np.stack(frames)
