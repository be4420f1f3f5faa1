"""Make a checkpoint of a training run the weights that forecasts use."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from engine import catalogue
from engine.errors import UnreadableInput, UnwritableOutput, WrongUsage
from engine.jobs.events import Event, Finished, Started
from engine.jobs.models import KINDS as MODEL_KINDS
from engine.jobs.scope import Scope
from engine.jobs.train import settled
from engine.jobs.weights import user_folder

CHOICES = ("best", "last")


@dataclass(frozen=True)
class PromoteRequest:
    """run: the folder of a training run. checkpoint: "best" by its validations, or "last". output: the weight file;
    the user's own folder of weights if None. weaknesses: a sentence for the card."""

    run: Path
    checkpoint: str = "best"
    output: Path | None = None
    weaknesses: str = ""


def run(request: PromoteRequest, scope: Scope) -> Iterator[Event]:
    """Finished.result: weights, model, used_as, step, scores, older (weights that
    were used before, set aside). Raises UnreadableInput, NotEnoughInput, WrongUsage."""
    from engine.training.preparation import preparation
    from engine.training.publish import publish
    from engine.training.recipe import read_recipe
    from engine.training.start import RECIPE_FILE, sources

    yield Started()
    try:
        recipe = read_recipe(request.run / RECIPE_FILE)
    except UnreadableInput as problem:
        raise UnreadableInput(request.run, "no training run lies there", tried="a training run") from problem
    source = checkpoint_file(request)
    scope.progress(None, "reading the packs")
    learn, check = sources(recipe)
    model = usable_name(recipe.title, recipe.model.name)
    target = request.output or user_folder() / f"{model}.safetensors"
    target.parent.mkdir(parents=True, exist_ok=True)
    older = _set_aside(target) if request.output is None else None
    settle = partial(settled, recipe=recipe, check=check, preparation=preparation(recipe.data))
    header = publish(source, target, recipe, learn.about(), request.weaknesses, settle, model)
    yield Finished({"weights": str(target), "model": recipe.title, "used_as": model, "step": header.card.steps,
                    "scores": header.card.scores, "older": None if older is None else str(older)})


def _set_aside(target: Path) -> Path | None:
    """A copy of the weights that were used so far, of which the newest one is kept. Raises UnwritableOutput."""
    if not target.is_file():
        return None
    older = target.with_suffix(".before")
    try:
        shutil.copyfile(target, older)
    except OSError as problem:
        raise UnwritableOutput(older, problem.strerror or str(problem)) from problem
    return older


def usable_name(title: str, model: str) -> str:
    """Under which forecasts look for the weights: a recipe may give a smaller or larger network of a model a title of
    its own that no list has; its file says how it is built, so that it serves as the model itself."""
    known = {row.name for kind in MODEL_KINDS for row in catalogue.rows(kind)}
    return title if title in known or model not in known else model


def checkpoint_file(request: PromoteRequest) -> Path:
    """Raises WrongUsage where the run has no such checkpoint."""
    from engine.training.checkpoint import BEST, steps_kept

    kept = steps_kept(request.run)
    best = request.run / BEST
    if request.checkpoint == "best" and best.is_file():
        return best
    if not kept:
        raise WrongUsage(f"{request.run} has no checkpoint yet.")
    return kept[-1][1]
