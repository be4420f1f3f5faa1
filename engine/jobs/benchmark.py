"""The benchmark protocol over whole archives: the same sequences for everyone, pooled counts, resumable.

A forecast's pixels without a value (inflow from outside the domain) are scored as no rain, as the benchmark's own
reference does, so that everyone is scored on the same pixels; ``coverage`` tells how many had a value.

The work falls into pieces (:mod:`engine.jobs.benchmark_units`). They are worked off here one after the other, or by
a cluster in any order; only this job writes what comes back, and it adds up in the order of the sequences.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from engine import catalogue
from engine.errors import NotEnoughInput, WrongUsage
from engine.export.tables import as_csv, as_latex, as_markdown
from engine.export.whole import whole_file
from engine.jobs import cluster
from engine.jobs.benchmark_units import Entrant, Result, Rules, Unit, Workplace, entrants, learns, opened
from engine.jobs.convert import Changes
from engine.jobs.events import Event, Finished, Warned
from engine.jobs.scope import Scope
from engine.jobs.verify import check_thresholds
from engine.radar.gridding import PolarOptions
from engine.radar.scaling import RAIN_CLASSES
from engine.radar.sequence import RadarSequence
from engine.verification.agreement import between_scores
from engine.verification.ledger import Ledger
from engine.verification.protocol import Setting
from engine.verification.seeds import over_seeds
from engine.verification.table import ScoreTable

PROTOCOLS = ("offline", "online")


def _as_json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, allow_nan=False, indent=1) + "\n"


WRITERS = {".csv": as_csv, ".md": as_markdown, ".tex": as_latex, ".json": _as_json}


@dataclass(frozen=True)
class BenchmarkRequest:
    """archives: each a tuple of paths. protocol: offline or online (section 5.2 of the benchmark paper).
    small_values: leave out the truth's pixels 1 to 70 (HKO-7's noise filter). paper_outputs: score the one-step
    predictions of the input frames too, as the DB-RNN and FFL papers do. seeds: forecasters that draw random numbers
    or have weights of several seeds run once with each. changes: what is done to each archive first, masks included.
    work: the file that keeps results between runs; a temporary one if None. limit: at most this many sequences of
    each archive. tables: files (.csv, .md, .tex, .json) to write besides. workers: processes of this machine that
    share the work, none for this one alone; or scheduler: the address of a Dask cluster that does. options: how
    polar data become maps."""

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
    seeds: tuple[int, ...] = (0,)
    changes: Changes = field(default_factory=Changes)
    work: Path | None = None
    limit: int | None = None
    tables: tuple[Path, ...] = ()
    workers: int | None = None
    scheduler: str | None = None
    options: PolarOptions | None = None

    @property
    def rules(self) -> Rules:
        return Rules(Setting(self.inputs, self.lead_times, self.every), self.protocol == "online", self.thresholds,
                     self.small_values, self.paper_outputs, self.device, self.changes, self.limit, self.options)


@dataclass(frozen=True)
class _Archive:
    """trials: the number of its sequences."""

    paths: tuple[Path, ...]
    name: str
    trials: int


def run(request: BenchmarkRequest, scope: Scope) -> Iterator[Event]:
    """Yields Warned for what could not be used, then Finished with scores per forecaster, pooled over archives and
    per archive.

    Raises WrongUsage (also where Dask is missing or no scheduler answers), UnreadableInput, NotEnoughInput (no
    archive holds a sequence), NoWeights, Cancelled; what was done before stays in ``work``.
    """
    bins = check_thresholds(request.thresholds)
    _check(request)
    everyone = {name: entrants(name, request.seeds) for name in request.forecasters}
    with ExitStack() as stack:
        work = request.work or Path(stack.enter_context(tempfile.TemporaryDirectory())) / "benchmark.sqlite"
        ledger = Ledger(work, bins.edges)
        if not ledger.agree_on(_plan(request)):
            raise WrongUsage(f"{work} holds the results of another benchmark.",
                             advice="Name another --work file, or delete this one.")
        found = [_survey(paths, request, scope) for paths in request.archives]
        yield from (Warned(f"{archive.name}: too short for {request.inputs} inputs and {request.lead_times} "
                           "lead times.") for archive in found if not archive.trials)
        archives = [archive for archive in found if archive.trials]
        if not archives:
            raise NotEnoughInput("No archive holds a gapless sequence of "
                                 f"{request.inputs} + {request.lead_times} frames.")
        _work_off(list(_units(archives, everyone, ledger, request)), request, ledger, scope)
        answer = document(request, ledger, archives, everyone)
        for path in request.tables:
            _write_table(path, answer)
        yield Finished(answer)


def _write_table(path: Path, found: dict[str, Any]) -> None:
    with whole_file(path) as beside:
        beside.write_text(WRITERS[path.suffix.lower()](found), encoding="utf-8")


def _check(request: BenchmarkRequest) -> None:
    if request.protocol not in PROTOCOLS:
        raise WrongUsage(f"There is no protocol called '{request.protocol}'. Known: {', '.join(PROTOCOLS)}.")
    if not request.forecasters or len(set(request.forecasters)) != len(request.forecasters):
        raise WrongUsage("Name each forecaster once, and at least one.")
    if not request.seeds or len(set(request.seeds)) != len(request.seeds):
        raise WrongUsage("Name each seed once, and at least one.")
    for name in request.forecasters:
        catalogue.row("forecaster", name)
    strange = [path for path in request.tables if path.suffix.lower() not in WRITERS]
    if strange:
        raise WrongUsage(f"{strange[0]}: tables are written as {', '.join(WRITERS)}.")
    if request.protocol == "online" and request.every > request.inputs:
        raise WrongUsage("Online, segments may not be longer than the inputs: choose a smaller --every.")
    if request.workers is not None and request.scheduler is not None:
        raise WrongUsage("Name either --workers or --scheduler, not both.",
                         advice="A cluster of its own knows how many workers it has.")


def _survey(paths: tuple[Path, ...], request: BenchmarkRequest, scope: Scope) -> _Archive:
    scope.progress(None, f"opening {paths[0].name}")
    sequence, plan = opened(paths, request.rules, scope.token)
    return _Archive(paths, _identity(paths, sequence), len(plan))


def _units(archives: Sequence[_Archive], everyone: Mapping[str, tuple[Entrant, ...]], ledger: Ledger,
           request: BenchmarkRequest) -> Iterator[Unit]:
    """What is not in the ledger yet, archive by archive: each sequence by itself, an online learner's all in one."""
    for archive in archives:
        for name, seeded in everyone.items():
            whole = request.protocol == "online" and learns(name)
            for entrant in seeded:
                done = ledger.done(archive.name, entrant.key)
                todo = tuple(number for number in range(archive.trials) if number not in done)
                for trials in ([todo] if whole and todo else [(number,) for number in todo]):
                    yield Unit(archive.name, archive.paths, archive.trials, entrant, trials, request.rules)


def _work_off(units: list[Unit], request: BenchmarkRequest, ledger: Ledger, scope: Scope) -> None:
    total = sum(len(unit.trials) for unit in units)
    if not total:
        return
    scope.progress(0.0, f"{total} sequences to go")
    for done, (unit, (number, rows)) in enumerate(_results(units, request, scope), start=1):
        ledger.enter(unit.name, unit.entrant.key, number, rows)
        scope.progress(done / total, f"{unit.name}: {unit.entrant.name}, {done} of {total}")


def _results(units: list[Unit], request: BenchmarkRequest, scope: Scope) -> Iterator[tuple[Unit, Result]]:
    if request.workers is None and request.scheduler is None:
        workplace = Workplace(scope.token)
        for unit in units:
            for result in workplace.results(unit):
                yield unit, result
    else:
        crew = cluster.Crew(request.workers or 1, request.scheduler)
        for unit, results in cluster.share_out(units, crew, scope.token):
            for result in results:
                yield unit, result


def document(request: BenchmarkRequest, ledger: Ledger, archives: Sequence[_Archive],
             everyone: Mapping[str, tuple[Entrant, ...]]) -> dict[str, Any]:
    """Scores of every forecaster over all archives together, and archive by archive; how well the scores agree over
    all forecasters and seeds."""
    found = {name: _scores(request, ledger, archives, seeded) for name, seeded in everyone.items()}
    each = [one["mean"] for scores in found.values() for one in scores.get("by_seed", {"": scores}).values()]
    return {
        "protocol": request.protocol, "inputs": request.inputs, "lead_times": request.lead_times,
        "every": request.every, "thresholds_mm_h": list(request.thresholds), "seeds": list(request.seeds),
        "outputs": "all (paper switch of the DB-RNN and FFL papers)" if request.paper_outputs else "lead times only",
        "masks": "truth" + (" and small values" if request.small_values else "")
        + (" and static" if request.changes.mask is not None else ""),
        "changes": {name: str(value) for name, value in asdict(request.changes).items() if value not in (None, False)},
        "archives": [archive.name for archive in archives],
        "forecasters": found, "kendall_tau": between_scores(each, request.thresholds),
        "by_archive": {archive.name: {name: _scores(request, ledger, [archive], seeded)
                                 for name, seeded in everyone.items()} for archive in archives},
    }


def _scores(request: BenchmarkRequest, ledger: Ledger, archives: Sequence[_Archive],
            seeded: tuple[Entrant, ...]) -> dict[str, Any]:
    return over_seeds({entrant.seed: _scores_of_one(request, ledger, archives, entrant) for entrant in seeded})


def _scores_of_one(request: BenchmarkRequest, ledger: Ledger, archives: Sequence[_Archive],
                   entrant: Entrant) -> dict[str, Any]:
    """The ``verify`` document with lead times as step numbers from 1 (archives may differ in step)."""
    table = ScoreTable(request.thresholds, range(1, request.lead_times + 1))
    covered = pixels = 0
    for archive in archives:
        for entry in ledger.entries(archive.name, entrant.key, archive.trials):
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
    """What must be equal for results to be pooled; more forecasters, seeds and archives may join later."""
    same = replace(request.rules, device="auto", limit=None)
    return json.dumps(asdict(same), sort_keys=True, default=str)
