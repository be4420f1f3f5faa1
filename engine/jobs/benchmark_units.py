"""The pieces a benchmark falls into, and how one of them is worked off: an archive, a forecaster, some sequences.

What a piece yields does not depend on who works it off, on what was done before, or on how many work: torch computes
on one thread, and an online learner gets all its segments in one piece.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from engine import catalogue, device
from engine.cancel import CancelToken
from engine.errors import NoWeights
from engine.forecasters.neural import NeuralForecaster
from engine.forecasters.protocol import Context, Forecaster, Inputs, LeadFrame, Options
from engine.jobs import weights
from engine.jobs.convert import Changes
from engine.jobs.convert import opened as archive_opened
from engine.jobs.online import OnlineForecaster
from engine.jobs.verify import scored_field
from engine.radar.gridding import PolarOptions
from engine.radar.scaling import RAIN_CLASSES, rain_bins
from engine.radar.sequence import RadarSequence, stack_rain_rate
from engine.verification.counts import tally_pair
from engine.verification.ledger import Entry, Row, stored
from engine.verification.protocol import OnlineModel, Setting, Trial, trials, truth_mask


@dataclass(frozen=True)
class Rules:
    """What all pieces of a benchmark share; see :class:`engine.jobs.benchmark.BenchmarkRequest`. limit: at most so
    many sequences of each archive. options: how polar data become maps."""

    setting: Setting = field(default_factory=Setting)
    online: bool = False
    thresholds: tuple[float, ...] = RAIN_CLASSES
    small_values: bool = False
    paper_outputs: bool = False
    device: str = "cpu"
    changes: Changes = field(default_factory=Changes)
    limit: int | None = None
    options: PolarOptions | None = None


@dataclass(frozen=True)
class Entrant:
    """A forecaster with a seed. weights: the fingerprint of its weight file, empty for one that needs none."""

    name: str
    seed: int = 0
    weights: str = ""

    @property
    def key(self) -> str:
        """Under which its results are kept: new weights of the same name are another entrant."""
        return f"{self.name} seed {self.seed}" + (f" weights {self.weights[:16]}" if self.weights else "")


@dataclass(frozen=True)
class Unit:
    """name: of the archive. sequences: how many it holds. trials: numbers of those to be scored, rising."""

    name: str
    paths: tuple[Path, ...]
    sequences: int
    entrant: Entrant
    trials: tuple[int, ...]
    rules: Rules


Result = tuple[int, tuple[Row, ...]]
"""The number of a sequence and its lead times."""


def entrants(name: str, seeds: tuple[int, ...]) -> tuple[Entrant, ...]:
    """The forecaster with each seed, once where seeds make no difference: neither random numbers nor weight files of
    their own. Raises WrongUsage, NoWeights."""
    row = catalogue.row("forecaster", name)
    files = {seed: weights.required(row, seed) if row.parameters else None for seed in seeds}
    found = [Entrant(name, seed, "" if file is None else weights.fingerprint(file)) for seed, file in files.items()]
    if getattr(catalogue.load("forecaster", name), "draws", False):
        return tuple(found)
    return tuple({entrant.weights: entrant for entrant in reversed(found)}.values())[::-1]


def learns(name: str) -> bool:
    """Whether a forecaster learns from what it was shown before, in the online setting."""
    maker = catalogue.load("forecaster", name)
    return maker is NeuralForecaster or (isinstance(maker, type) and issubclass(maker, OnlineModel))


def opened(paths: tuple[Path, ...], rules: Rules, token: CancelToken) -> tuple[RadarSequence, list[Trial]]:
    """An archive as the benchmark sees it, and its sequences. Raises UnreadableInput, WrongUsage, Cancelled."""
    sequence = archive_opened(paths, rules.changes, rules.options, token)
    return sequence, list(trials(sequence, rules.setting))[: rules.limit]


@dataclass
class Workplace:
    """Where pieces are worked off, one after the other; keeps the archive and the forecaster of the last one."""

    token: CancelToken = field(default_factory=CancelToken)
    _archive: tuple[object, RadarSequence, list[Trial]] | None = None
    _forecaster: tuple[Entrant, Forecaster] | None = None

    def results(self, unit: Unit) -> Iterator[Result]:
        """In order of the sequences. Raises UnreadableInput, NoWeights, NotEnoughInput, Cancelled."""
        sequence, plan = self._opened(unit)
        learner = unit.rules.online and learns(unit.entrant.name)
        context = Context(self.token, device=device.choose(unit.rules.device))
        model = self._made(unit.entrant, fresh=learner)
        if learner and isinstance(model, NeuralForecaster):
            assert sequence.step_minutes is not None
            setting = unit.rules.setting
            model = OnlineForecaster(model, sequence.grid, sequence.step_minutes, sequence.zr, context, setting.leads)
        piece = _Piece(sequence, model, unit, context)
        with device.one_thread():
            yield from piece.online(plan) if learner else piece.offline(plan)

    def _opened(self, unit: Unit) -> tuple[RadarSequence, list[Trial]]:
        key = (unit.name, unit.paths, unit.sequences, unit.rules)
        if self._archive is None or self._archive[0] != key:
            self._archive = (key, *opened(unit.paths, unit.rules, self.token))
        return self._archive[1:]

    def _made(self, entrant: Entrant, fresh: bool) -> Forecaster:
        """fresh: one that has learnt nothing yet."""
        if fresh or self._forecaster is None or self._forecaster[0] != entrant:
            self._forecaster = (entrant, weights.forecaster(entrant.name, entrant.seed))
            _check_weights(entrant)
        return self._forecaster[1]


def work_off(unit: Unit) -> list[Result]:
    """All results of a piece, in whatever process and thread this is called."""
    device.calm_threads()
    return list(_workplace(os.getpid(), threading.get_ident()).results(unit))


@lru_cache(maxsize=4)
def _workplace(process: int, thread: int) -> Workplace:
    return Workplace()


def _check_weights(entrant: Entrant) -> None:
    file = weights.find(entrant.name, entrant.seed) if entrant.weights else None
    if file is not None and weights.fingerprint(file) != entrant.weights:
        raise NoWeights(f"The weights of {entrant.name} are others here than where the benchmark was started.",
                        advice="Give all workers the same weight files.")


@dataclass
class _Piece:
    sequence: RadarSequence
    model: Forecaster
    unit: Unit
    context: Context

    def offline(self, plan: list[Trial]) -> Iterator[Result]:
        """Each sequence by itself."""
        for number in self.unit.trials:
            self.context.token.check()
            yield number, self._scored(plan[number])

    def online(self, plan: list[Trial]) -> Iterator[Result]:
        """A learner sees every segment in order, those that are scored already too."""
        assert isinstance(self.model, OnlineModel)
        wanted = set(self.unit.trials)
        for number, trial in enumerate(plan):
            self.context.token.check()
            self.model.store(stack_rain_rate(self.sequence, trial.fresh), trial.new_episode)
            self.model.update()
            if number in wanted:
                yield number, self._scored(trial)

    def _scored(self, trial: Trial) -> tuple[Row, ...]:
        return tuple(stored(entry) for entry in self._entries(trial))

    def _entries(self, trial: Trial) -> Iterator[Entry]:
        if self.unit.rules.paper_outputs:
            for count in range(max(1, self.model.min_inputs), len(trial.frames)):
                lead = count - len(trial.frames)  # negative: an input frame
                for frame in self._forecast(trial.frames[:count], 1):
                    yield self._compared(frame, trial.frames[count], lead)
        for lead, frame in enumerate(self._forecast(trial.frames, self.unit.rules.setting.leads)):
            yield self._compared(frame, trial.truth[lead], lead)

    def _forecast(self, frames: tuple[int, ...], leads: int) -> Iterator[LeadFrame]:
        minutes = self.sequence.step_minutes
        assert minutes is not None
        inputs = Inputs(stack_rain_rate(self.sequence, frames), tuple(self.sequence.times[i] for i in frames),
                        minutes, self.sequence.grid, self.sequence.zr)
        return self.model.run(inputs, Options(leads, seed=self.unit.entrant.seed), self.context)

    def _compared(self, frame: LeadFrame, index: int, lead: int) -> Entry:
        truth, rules = self.sequence.rain_rate(index), self.unit.rules
        valid = truth_mask(truth, self.sequence.zr, small_values=rules.small_values)
        rain = scored_field(frame.rain_rate)
        known = np.isfinite(rain)
        whole = np.where(known, rain, np.float32(0.0))
        tally = tally_pair(truth, whole, zr=self.sequence.zr, bins=rain_bins(rules.thresholds), valid=valid,
                           check=self.context.token.check)
        return Entry(lead, tally, int((known & valid).sum()))
