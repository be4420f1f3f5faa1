"""A checkpoint as a weight file that forecasts can use, with a card that says where it comes from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from engine.networks import weights
from engine.networks.configuration import build
from engine.networks.read_out import ReadOut
from engine.training import checkpoint
from engine.training.preparation import preparation
from engine.training.recipe import Recipe
from engine.training.source import About
from engine.training.start import configuration
from engine.training.validation import PERSISTENCE


def publish(source: Path, target: Path, recipe: Recipe, about: About, weaknesses: str = "",
            settle: Callable[[nn.Module], ReadOut | None] | None = None, name: str = "") -> weights.Header:
    """Writes the weights of a checkpoint, whole or not at all. about: the data that was trained on. settle: what is
    done to the network before that; it says how the forecasts are read. name: by which users know the network; the
    recipe's title if none is given.

    Raises UnreadableInput where the checkpoint is damaged, NotEnoughInput where it is of another network."""
    content = checkpoint.load(source)
    words = configuration(recipe.model)
    network = build(words)
    kept = content.get("average") or content["network"]
    network.load_state_dict(kept)
    read_out = None if settle is None else settle(network.eval())
    least, most = preparation(recipe.data).dbz
    header = weights.Header(name or recipe.title, words, about.step_minutes, about.pixel_km, *recipe.data.zr,
                            card=card(recipe, content, about, weaknesses), dbz_least=least, dbz_most=most,
                            read_out=read_out)
    weights.save(target, network, header)
    return header


def card(recipe: Recipe, content: dict[str, Any], about: About, weaknesses: str = "") -> weights.Card:
    """What the weight file tells about itself; the scores are those of the validation, which was not trained on."""
    scores = content.get("scores") or (content["history"][-1]["scores"] if content.get("history") else {})
    shown = {name: scores[name] for name in (recipe.title, PERSISTENCE) if name in scores}
    return weights.Card(data=about.words, hours=round(about.hours, 2), steps=int(content["step"]),
                        loss=loss_words(recipe), seeds=(recipe.run.seed,), scores=shown, weaknesses=weaknesses,
                        note=recipe.about)


def loss_words(recipe: Recipe) -> str:
    """The loss in a line, such as ``0.001 (b-mse + b-mae), focal k=2, all outputs``."""
    terms = []
    for term in recipe.loss.terms:
        end = f" to {term.to:g} over {term.epochs:g} epochs" if term.to is not None else ""
        weight = f"{term.weight:g} " if term.weight != 1 or end else ""
        terms.append(f"{weight}{term.name}{end}")
    scale = f"{recipe.loss.scale:g} " if recipe.loss.scale != 1 else ""
    focal = "" if recipe.loss.focal_k is None else f", focal k={recipe.loss.focal_k:g}"
    over = "all outputs" if recipe.loss.over == "all" else "forecast frames"
    return f"{scale}({' + '.join(terms)}){focal}, {over}"
