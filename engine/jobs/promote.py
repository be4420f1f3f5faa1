"""Make a checkpoint of a training run the weights that forecasts use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from engine.errors import UnreadableInput, WrongUsage
from engine.jobs.events import Event, Finished, Started
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
    """Finished.result: weights, model, step, scores. Raises UnreadableInput, NotEnoughInput, WrongUsage."""
    from engine.training.preparation import preparation
    from engine.training.publish import publish
    from engine.training.recipe import recipe_of
    from engine.training.start import RECIPE_FILE, data

    yield Started()
    try:
        recipe = recipe_of(_spoken(json.loads((request.run / RECIPE_FILE).read_text(encoding="utf-8"))))
    except (OSError, ValueError) as problem:
        raise UnreadableInput(request.run, "no training run lies there", tried="a training run") from problem
    source = checkpoint_file(request)
    scope.progress(None, "reading the packs")
    found = data(recipe)
    target = request.output or user_folder() / f"{recipe.title}.safetensors"
    target.parent.mkdir(parents=True, exist_ok=True)
    settle = partial(settled, recipe=recipe, check=found.check, preparation=preparation(recipe.data))
    header = publish(source, target, recipe, found.learn.about(), request.weaknesses, settle)
    yield Finished({"weights": str(target), "model": recipe.title, "step": header.card.steps,
                    "scores": header.card.scores})


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


def _spoken(table: Any) -> Any:
    """Without what is None: a recipe does not say it."""
    if isinstance(table, dict):
        return {key: _spoken(value) for key, value in table.items() if value is not None}
    return [_spoken(value) for value in table] if isinstance(table, list) else table
