"""What a network has learnt online becomes a weight file of its own; the file that it began with is never written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import resources
from engine.errors import UnwritableOutput, WrongUsage
from engine.export.whole import whole_file
from engine.jobs.events import Event, Finished, Started
from engine.jobs.learn import Learner
from engine.jobs.scope import Scope

SUFFIX = ".safetensors"
NOTE = ("Learnt online: {steps} kept, {back} taken back, each on the last frames of {archive} up to "
        "{until:%Y-%m-%d %H:%M} UTC. Not scored since.")


@dataclass(frozen=True)
class KeepLearntRequest:
    """learner: as the job learn gave it; network: with what was learnt. learned, rolled_back: steps kept and taken
    back. archive: its name; until: the newest frame that was learnt from. output: ends in .safetensors."""

    learner: Learner
    network: Any
    learned: int
    rolled_back: int
    archive: str
    until: datetime
    output: Path


def run(request: KeepLearntRequest, scope: Scope) -> Iterator[Event]:
    """Finished.result: weights, model, learned. Raises WrongUsage where nothing was learnt, where the output is the
    file that the network began with, or lies in the program's own folder; UnwritableOutput."""
    from engine.networks import weights

    yield Started()
    online = request.learner.online
    if online is None or request.network is None:
        raise WrongUsage("Nothing was learnt yet that could be kept.")
    output = request.output if request.output.suffix == SUFFIX else Path(f"{request.output}{SUFFIX}")
    _check(output, online.forecaster.weights)
    scope.token.check()
    before = online.forecaster.header
    note = NOTE.format(steps=_steps(request.learned), back=request.rolled_back, archive=request.archive,
                       until=request.until)
    card = replace(before.card, steps=before.card.steps + request.learned, scores={},
                   data=f"{before.card.data}; then online on {request.archive}",
                   note=f"{before.card.note} {note}".strip())
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise UnwritableOutput(output, problem.strerror or str(problem)) from problem
    with whole_file(output) as part:
        weights.save(part, request.network, replace(before, card=card))
    yield Finished({"weights": str(output), "model": before.name, "learned": request.learned})


def _check(output: Path, began_with: Path) -> None:
    """Weights that were there before stay as they are."""
    if output.resolve() == began_with.resolve():
        raise WrongUsage(f"{output} is what the network began with; it stays as it is.",
                         advice="Choose another name.")
    try:
        shipped = resources.path("weights").resolve()
    except FileNotFoundError:
        return
    if shipped in output.resolve().parents:
        raise WrongUsage(f"{shipped} holds the program's own weights.", advice="Choose another folder.")


def _steps(count: int) -> str:
    return "one step" if count == 1 else f"{count} steps"
