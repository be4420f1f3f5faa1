"""The benchmark protocol over whole archives: the same sequences for everyone, pooled counts, resumable.

A forecast's pixels without a value (inflow from outside the domain) are scored as no rain, as the benchmark's own
reference does, so that everyone is scored on the same pixels; ``coverage`` tells how many had a value.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine import catalogue, device
from engine.archives import open_archive
from engine.cancel import CancelToken
from engine.errors import NotEnoughInput, WrongUsage
from engine.export.tables import as_csv, as_latex, as_markdown
from engine.export.whole import whole_file
from engine.forecasters.protocol import Context, Forecaster, Inputs, LeadFrame, Options
from engine.jobs import weights
from engine.jobs.events import Event, Finished, Warned
from engine.jobs.scope import Scope
from engine.jobs.verify import check_thresholds, scored_field
from engine.radar.scaling import RAIN_CLASSES, RainBins
from engine.radar.sequence import RadarSequence, stack_rain_rate
from engine.verification.counts import tally_pair
from engine.verification.ledger import Entry, Ledger
from engine.verification.protocol import OnlineModel, Setting, Trial, trials, truth_mask
from engine.verification.table import ScoreTable

PROTOCOLS = ("offline", "online")
WRITERS = {".csv": as_csv, ".md": as_markdown, ".tex": as_latex}


@dataclass(frozen=True)
class BenchmarkRequest:
    """archives: each a tuple of paths. protocol: offline or online (section 5.2 of the benchmark paper).
    small_values: leave out the truth's pixels 1 to 70 (HKO-7's noise filter). paper_outputs: score the one-step
    predictions of the input frames too, as the DB-RNN and FFL papers do. work: the file that keeps results between
    runs; a temporary one if None. limit: at most this many sequences of each archive. tables: files
    (.csv, .md, .tex) to write besides."""

    archives: tuple[tuple[Path, ...], ...]
    forecasters: tuple[str, ...]
    protocol: str = "offline"
    inputs: int = 5
    lead_times: int = 20
    every: int = 5
    thresholds: tuple[float, ...] = RAIN_CLASSES
    small_values: bool = False
    paper_outputs: bool = False
    device: str = "auto"
    seed: int = 0
    work: Path | None = None
    limit: int | None = None
    tables: tuple[Path, ...] = ()

    @property
    def setting(self) -> Setting:
        return Setting(self.inputs, self.lead_times, self.every)


def run(request: BenchmarkRequest, scope: Scope) -> Iterator[Event]:
    """Yields Warned for what could not be used, then Finished with scores per forecaster, pooled over archives and
    per archive.

    Raises WrongUsage, UnreadableInput, NotEnoughInput (no archive holds a sequence), NoWeights, Cancelled; what was
    done before stays in ``work``.
    """
    bins = check_thresholds(request.thresholds)
    _check(request)
    with ExitStack() as stack:
        work = request.work or Path(stack.enter_context(tempfile.TemporaryDirectory())) / "benchmark.sqlite"
        ledger = Ledger(work, bins.edges)
        names: list[str] = []
        for paths in request.archives:
            name, found = _one_archive(paths, request, ledger, bins, scope)
            if found:
                names.append(name)
            else:
                yield Warned(f"{name}: too short for {request.inputs} inputs and {request.lead_times} lead times.")
        if not names:
            raise NotEnoughInput("No archive holds a gapless sequence of "
                                 f"{request.inputs} + {request.lead_times} frames.")
        answer = document(request, ledger, names)
        for path in request.tables:
            _write_table(path, answer)
        yield Finished(answer)


def _write_table(path: Path, found: dict[str, Any]) -> None:
    with whole_file(path) as beside:
        beside.write_text(WRITERS[path.suffix.lower()](found))


def _check(request: BenchmarkRequest) -> None:
    if request.protocol not in PROTOCOLS:
        raise WrongUsage(f"There is no protocol called '{request.protocol}'. Known: {', '.join(PROTOCOLS)}.")
    if not request.forecasters or len(set(request.forecasters)) != len(request.forecasters):
        raise WrongUsage("Name each forecaster once, and at least one.")
    for name in request.forecasters:
        catalogue.row("forecaster", name)
    strange = [path for path in request.tables if path.suffix.lower() not in WRITERS]
    if strange:
        raise WrongUsage(f"{strange[0]}: tables are written as {', '.join(WRITERS)}.")
    if request.protocol == "online" and request.every > request.inputs:
        raise WrongUsage("Online, segments may not be longer than the inputs: choose a smaller --every.")


def _one_archive(paths: tuple[Path, ...], request: BenchmarkRequest, ledger: Ledger, bins: RainBins,
                 scope: Scope) -> tuple[str, int]:
    sequence = open_archive(paths, token=scope.token)
    plan = list(trials(sequence, request.setting))[: request.limit]
    name = _identity(paths, sequence)
    if not ledger.agree_on(_plan(request)):
        raise WrongUsage(f"{ledger.path} holds the results of another benchmark.",
                         advice="Name another --work file, or delete this one.")
    for forecaster in request.forecasters:
        done = ledger.done(name, forecaster)
        todo = [number for number in range(len(plan)) if number not in done]
        tell = _teller(scope, name, forecaster, len(plan))
        work = _Work(sequence, plan, forecaster, request, bins)
        for number, entries in work.results(todo, scope.token, tell):
            ledger.enter(name, forecaster, number, entries)
    return name, len(plan)


def _teller(scope: Scope, name: str, forecaster: str, total: int) -> Callable[[int], None]:
    def tell(number: int) -> None:
        scope.progress((number + 1) / max(total, 1), f"{name}: {forecaster}, sequence {number + 1} of {total}")

    return tell


@dataclass
class _Work:
    """One forecaster on one archive."""

    sequence: RadarSequence
    plan: list[Trial]
    forecaster: str
    request: BenchmarkRequest
    bins: RainBins

    def results(self, todo: list[int], token: CancelToken,
                tell: Callable[[int], None]) -> Iterator[tuple[int, list[Entry]]]:
        """(trial number, its lead times) for each trial still to do."""
        if not todo:
            return
        model: Forecaster = weights.forecaster(self.forecaster)
        context = Context(token, device=device.choose(self.request.device))
        learner = model if self.request.protocol == "online" and isinstance(model, OnlineModel) else None
        wanted = set(todo)
        for number, trial in enumerate(self.plan):
            token.check()
            if learner is not None:  # a learner must see every segment, those already scored too
                learner.store(stack_rain_rate(self.sequence, trial.fresh), trial.new_episode)
                learner.update()
            if number in wanted:
                tell(number)
                yield number, list(self._entries(model, trial, context))

    def _entries(self, model: Forecaster, trial: Trial, context: Context) -> Iterator[Entry]:
        if self.request.paper_outputs:
            for count in range(max(1, model.min_inputs), len(trial.frames)):
                lead = count - len(trial.frames)  # negative: an input frame
                for frame in self._forecast(model, trial.frames[:count], 1, context):
                    yield self._compared(frame, trial.frames[count], lead, context.token)
        for lead, frame in enumerate(self._forecast(model, trial.frames, self.request.lead_times, context)):
            yield self._compared(frame, trial.truth[lead], lead, context.token)

    def _forecast(self, model: Forecaster, frames: tuple[int, ...], leads: int,
                  context: Context) -> Iterator[LeadFrame]:
        minutes = self.sequence.step_minutes
        assert minutes is not None
        inputs = Inputs(stack_rain_rate(self.sequence, frames), tuple(self.sequence.times[i] for i in frames),
                        minutes, self.sequence.grid, self.sequence.zr)
        return model.run(inputs, Options(leads, seed=self.request.seed), context)

    def _compared(self, frame: LeadFrame, index: int, lead: int, token: CancelToken) -> Entry:
        truth = self.sequence.rain_rate(index)
        valid = truth_mask(truth, self.sequence.zr, small_values=self.request.small_values)
        rain = scored_field(frame.rain_rate)
        known = np.isfinite(rain)
        whole = np.where(known, rain, np.float32(0.0))
        tally = tally_pair(truth, whole, zr=self.sequence.zr, bins=self.bins, valid=valid, check=token.check)
        return Entry(lead, tally, int((known & valid).sum()))


def document(request: BenchmarkRequest, ledger: Ledger, names: list[str]) -> dict[str, Any]:
    """Scores of every forecaster over all archives together, and archive by archive."""
    return {
        "protocol": request.protocol, "inputs": request.inputs, "lead_times": request.lead_times,
        "every": request.every, "thresholds_mm_h": list(request.thresholds),
        "outputs": "all (paper switch of the DB-RNN and FFL papers)" if request.paper_outputs else "lead times only",
        "masks": "truth" + (" and small values" if request.small_values else ""),
        "archives": names,
        "forecasters": {name: _scores(request, ledger, names, name) for name in request.forecasters},
        "by_archive": {archive: {name: _scores(request, ledger, [archive], name) for name in request.forecasters}
                       for archive in names},
    }


def _scores(request: BenchmarkRequest, ledger: Ledger, archives: list[str], forecaster: str) -> dict[str, Any]:
    """The ``verify`` document with lead times as step numbers from 1 (archives may differ in step)."""
    table = ScoreTable(request.thresholds, range(1, request.lead_times + 1))
    covered = pixels = 0
    for archive in archives:
        for entry in ledger.entries(archive, forecaster):
            table.add(entry.lead + 1, entry.tally)
            covered, pixels = covered + entry.covered, pixels + entry.tally.pixels
    scores = table.to_json()
    scores["lead_steps"] = [int(lead) for lead in scores.pop("lead_times_min")]
    scores["missing_lead_steps"] = [int(lead) for lead in scores.pop("missing_leads_min")]
    scores["sequences"] = max(scores["frames"], default=0)
    scores["coverage"] = covered / pixels if pixels else None
    return scores


def _identity(paths: tuple[Path, ...], sequence: RadarSequence) -> str:
    first = sequence.frames[0].time
    return f"{sequence.layout.format} {first:%Y-%m-%d %H:%M} ({Path(paths[0]).name})"


def _plan(request: BenchmarkRequest) -> str:
    """What must be equal for results to be pooled; more forecasters and archives may join later."""
    same = replace(request, archives=(), forecasters=(), work=None, limit=None, tables=(), device="auto")
    words = {name: getattr(same, name) for name in same.__dataclass_fields__}
    return json.dumps(words, sort_keys=True, default=str)
