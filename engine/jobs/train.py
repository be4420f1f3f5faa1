"""Train a network by a recipe; go on with a run that was stopped or killed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import resources
from engine import device
from engine.errors import Cancelled, UnwritableOutput, WrongUsage
from engine.jobs.events import Event, Finished, SampleShown, Started, TrainingStep, TrainingValidated, Warned
from engine.jobs.scope import Scope
from engine.jobs.training_list import remember
from engine.training.status import DONE, STOP, STOPPED, AskedToken, Desk

if TYPE_CHECKING:
    from engine.networks.read_out import ReadOut
    from engine.training.data import Share
    from engine.training.kept_samples import Samples
    from engine.training.loop import Training
    from engine.training.preparation import Preparation
    from engine.training.recipe import Recipe
    from engine.training.source import Source
    from engine.training.start import Data
    from engine.training.told import Told

CURVES_FILE = "curves.jsonl"


@dataclass(frozen=True)
class TrainRequest:
    """recipe: a file, the name of one that ships, or the folder of a run that has its own. packs: instead of the
    recipe's. output: the run's folder, beside the recipe's name in the current one if None. start_from: a weight file
    to begin with. steps, seed, workers: instead of the recipe's."""

    recipe: str
    packs: tuple[Path, ...] = ()
    output: Path | None = None
    resume: bool = False
    device: str = "auto"
    start_from: Path | None = None
    steps: int | None = None
    seed: int | None = None
    workers: int | None = None


def shipped() -> dict[str, Path]:
    """The recipes that come with the program, by name."""
    return {file.stem: file for file in sorted(resources.path("recipes").glob("*.toml"))}


def recipe_file(wish: str) -> Path:
    """Raises WrongUsage where there is neither such a file or run nor such a recipe."""
    from engine.training.start import RECIPE_FILE

    path = Path(wish)
    if (path / RECIPE_FILE).is_file():
        return path / RECIPE_FILE
    if path.suffix in (".toml", ".json") or path.exists():
        return path
    known = shipped()
    if wish not in known:
        raise WrongUsage(f"There is no recipe '{wish}'. Known: {', '.join(known)}; or name a file that ends in .toml.")
    return known[wish]


def run(request: TrainRequest, scope: Scope) -> Iterator[Event]:
    """Yields TrainingStep, TrainingValidated, SampleShown, Warned; Finished.result: output, recipe, weights, steps,
    epochs, best, scores, sampling, device, seconds.

    Raises UnreadableInput, WrongUsage, NotEnoughInput, Diverged, UnwritableOutput, Cancelled; a run that was cancelled
    goes on where it stopped with ``resume``. What :mod:`engine.training.status` asks for is done: to pause is to be
    cancelled, to stop is to end here with the weights that there are.
    """
    yield Started()
    from engine.training.share import joined

    recipe = told(request)
    folder = folder_of(request, recipe)
    with joined(device.choose(request.device)) as (share, chosen):
        made = _claimed(folder, recipe, request.resume, writes=share.rank == 0)
        if share.rank:
            yield from _trained(request, recipe, folder, share, chosen, scope, None)
            return
        with Desk(folder, recipe.title, chosen, made) as desk:
            remember(folder)
            yield from _trained(request, recipe, folder, share, chosen, scope, desk)


def folder_of(request: TrainRequest, recipe: Recipe) -> Path:
    """A run that is named itself goes on in its own folder."""
    named = Path(request.recipe)
    return request.output or (named if named.is_dir() else Path(f"{recipe.title}-run"))


def _claimed(folder: Path, recipe: Recipe, resume: bool, writes: bool) -> bool:
    """Whether the folder was made for this run. Raises WrongUsage, NotEnoughInput, UnwritableOutput."""
    from engine.training.start import claim

    new = not folder.exists()
    try:
        claim(folder, recipe, resume=resume, writes=False)
    except OSError as problem:
        raise UnwritableOutput(folder, problem.strerror or str(problem)) from problem
    return new and writes


def _trained(request: TrainRequest, recipe: Recipe, folder: Path, share: Share, chosen: str, scope: Scope,
             desk: Desk | None) -> Iterator[Event]:
    """desk: of the first of several processes."""
    from engine.training.board import Board
    from engine.training.kept_samples import Samples
    from engine.training.start import data, run_of

    scope.progress(0.0, "reading the packs")
    found = data(recipe)
    token = desk.token(scope.token) if desk is not None else scope.token
    training = run_of(recipe, found, folder, device=chosen, share=share, token=token, resume=request.resume)
    step, writes = training.progress.step, desk is not None
    if desk is not None:
        desk.step(step, training.steps, training.order.epoch(step))
    samples = Samples(folder, training.preparation, recipe.data.leads) if writes else None
    state = DONE
    with Curves(folder, step, writes) as curves, Board(folder / "tensorboard", step, writes) as board:
        if board.note:
            yield Warned(board.note)
        try:
            for told_now in training.run():
                curves.add(told_now)
                board.add(told_now)
                _keep(told_now, samples, desk)
                yield from _events(told_now, scope)
        except Cancelled:
            if not isinstance(token, AskedToken) or token.wish != STOP:
                raise
            state = STOPPED
    if desk is None:
        yield Finished({})
        return
    result = _result(training, found, folder, chosen)
    desk.ended(state, result["weights"])
    yield Finished({**result, "stopped": state == STOPPED})


def _keep(said: Told, samples: Samples | None, desk: Desk | None) -> None:
    """For those who watch."""
    from engine.training.told import SampleForecast, StepDone

    if isinstance(said, StepDone) and desk is not None:
        desk.step(said.step, said.steps, said.epoch)
    elif isinstance(said, SampleForecast) and samples is not None:
        samples.add(said)


def told(request: TrainRequest) -> Recipe:
    """The recipe with what the request changes."""
    from engine.training.recipe import read_recipe

    recipe = read_recipe(recipe_file(request.recipe))
    if request.packs:
        recipe = replace(recipe, data=replace(recipe.data, packs=tuple(map(str, request.packs))))
    if request.workers is not None:
        recipe = replace(recipe, data=replace(recipe.data, workers=request.workers))
    if request.start_from is not None:
        recipe = replace(recipe, model=replace(recipe.model, start_from=str(request.start_from)))
    if request.seed is not None:
        recipe = replace(recipe, run=replace(recipe.run, seed=request.seed))
    if request.steps is not None:
        recipe = replace(recipe, run=replace(recipe.run, steps=request.steps, epochs=0.0))
    return recipe


class Curves:
    """The figures of every step and validation, a line of JSON each. What lies after the step that a run goes on from
    is dropped."""

    def __init__(self, folder: Path, step: int, writes: bool) -> None:
        self.path, self._writes = folder / CURVES_FILE, writes
        if writes:
            kept = [line for line in read_curves(self.path) if line["step"] <= step]
            self.path.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")

    def __enter__(self) -> Curves:
        self._file = self.path.open("a", encoding="utf-8") if self._writes else None
        return self

    def __exit__(self, *problem: object) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()

    def add(self, said: Told) -> None:
        line = _line(said)
        if line is None or self._file is None:
            return
        try:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
        except OSError as problem:
            raise UnwritableOutput(self.path, problem.strerror or str(problem),
                                   advice="Free some space and go on with --resume.") from problem


def read_curves(path: Path) -> list[dict[str, Any]]:
    """Lines of a run's curves; one that was cut off by a kill is left out."""
    lines: list[dict[str, Any]] = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                continue
    return lines


def _line(said: Told) -> dict[str, Any] | None:
    from engine.training.told import StepDone, Validated

    if isinstance(said, StepDone):
        return {"step": said.step, "epoch": said.epoch, **said.values}
    if isinstance(said, Validated):
        return {"step": said.step, "validation": said.scores, "better": said.better}
    return None


def _events(said: Told, scope: Scope) -> Iterator[Event]:
    from engine.training.told import Note, SampleForecast, StepDone, Validated

    if isinstance(said, StepDone):
        scope.progress(said.step / said.steps, f"step {said.step} of {said.steps}, epoch {said.epoch:.2f}, "
                       f"loss {said.values['loss']:.4g}")
        yield TrainingStep(said.step, said.steps, said.epoch, said.values)
    elif isinstance(said, Validated):
        yield TrainingValidated(said.step, said.scores, said.better)
    elif isinstance(said, SampleForecast):
        yield SampleShown(said.step, said.observed, said.forecast)
    elif isinstance(said, Note):
        yield Warned(said.text)


def settled(network: Any, recipe: Recipe, check: Source, preparation: Preparation) -> ReadOut | None:
    """What is chosen from the validation, not learned."""
    from engine.training.data import Share, fixed_batches

    if not len(check):
        return None
    return preparation.settle(network, fixed_batches(check, recipe, preparation, Share()))


def _result(training: Training, found: Data, folder: Path, chosen: str) -> dict[str, Any]:
    from engine.training import checkpoint
    from engine.training.publish import publish

    recipe, progress = training.recipe, training.progress
    best = folder / checkpoint.BEST
    source = best if best.is_file() else checkpoint.step_file(folder, progress.step)
    weights = folder / f"{recipe.title}.safetensors"
    header = publish(source, weights, recipe, found.learn.about(),
                     settle=partial(settled, recipe=recipe, check=found.check, preparation=training.preparation))
    return {"output": str(folder), "model": recipe.model.name, "weights": str(weights), "steps": progress.step,
            "epochs": round(training.order.epoch(progress.step), 3), "best_step": header.card.steps,
            "scores": header.card.scores, "sampling": found.sampling, "device": chosen}
