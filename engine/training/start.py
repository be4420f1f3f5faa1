"""From a recipe to a run that can begin: network, discriminator, data, all from the recipe's seed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from engine.cancel import CancelToken
from engine.errors import NotEnoughInput, UnwritableOutput, WrongUsage
from engine.networks.configuration import Configuration, build
from engine.networks.downscaling_zoo import DOWNSCALING
from engine.networks.zoo import ZOO
from engine.radar.units import ZR
from engine.training.data import Share
from engine.training.ground import Ground
from engine.training.loop import Training
from engine.training.moving_mnist import MovingMNIST, digits_for
from engine.training.preparation import preparation
from engine.training.recipe import DiscriminatorPart, ModelPart, Recipe, read_recipe
from engine.training.sampling import Order, rain_chances, report
from engine.training.share import check
from engine.training.source import PackSource, Source, open_packs, rain_shares

RECIPE_FILE, SAMPLING_FILE = "recipe.json", "sampling.json"
STILL = ("noising", "downscaling")
"""Preparations for which packs go together whatever storms move per step."""


def configuration(wish: ModelPart) -> Configuration:
    """Of the zoo's network of that name, with what the recipe changes. Raises WrongUsage."""
    known = {**ZOO, **DOWNSCALING}
    if wish.name not in known:
        raise WrongUsage(f"There is no network called '{wish.name}' to train. Known: {', '.join(known)}.")
    base = known[wish.name].configuration
    return replace(base, topology=wish.topology or base.topology, hidden=wish.hidden or base.hidden,
                   levels=wish.levels or base.levels, inputs=wish.inputs or base.inputs,
                   leads=wish.leads or base.leads, cell_options={**base.cell_options, **wish.cell_options},
                   options={**base.options, **wish.options})


def fresh_network(recipe: Recipe) -> nn.Module:
    """With weights drawn from the seed, or those of ``start_from``. Raises UnreadableInput, WrongUsage."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.run.seed)
        network = build(configuration(recipe.model))
    if recipe.model.freeze and not recipe.model.start_from:
        raise WrongUsage("Parameters are frozen, but there are no weights to start from.",
                         advice="Name a weight file with --start-from, or in the recipe.")
    if recipe.model.start_from:
        from engine.networks.weights import load

        start(network, load(Path(recipe.model.start_from))[0])
    return network


def start(network: nn.Module, given: nn.Module) -> None:
    """Takes over weights of the same names and shapes, or those of a network that is a part of this one (a staged
    network begins with a forecasting network). Raises WrongUsage where nothing fits."""
    own = network.state_dict()
    for prefix in ("", "forecasting."):
        found = {prefix + name: value for name, value in given.state_dict().items()
                 if prefix + name in own and own[prefix + name].shape == value.shape}
        if found:
            network.load_state_dict({**own, **found})
            return
    raise WrongUsage("The weights to start from are of another network.")


OWN = "own"
"""The critic that is a part of the network itself, and goes into its weight file."""


def fresh_discriminator(recipe: Recipe, network: nn.Module | None = None) -> nn.Module | None:
    """The one that belongs to a cell, for any grid, or another by its name. network: whose own critic may be meant.
    Raises WrongUsage for a name that there is none of."""
    wish = recipe.loss.discriminator
    if wish is None:
        return None
    if wish.name == OWN:
        critic = getattr(network if network is not None else fresh_network(recipe), "critic", None)
        if not isinstance(critic, nn.Module):
            raise WrongUsage(f"The network '{recipe.model.name}' has no critic of its own.")
        return critic
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.run.seed + 1)
        return _discriminator(wish)


def _discriminator(wish: DiscriminatorPart) -> nn.Module:
    from engine.networks.discriminators import SIZES, for_cell
    from engine.networks.generative_rivals import RIVALS

    if wish.name in SIZES:
        return for_cell(wish.name, any_grid=True)
    if wish.name not in RIVALS:
        raise WrongUsage(f"There is no discriminator '{wish.name}'. Known: {', '.join((*SIZES, *RIVALS))}.")
    try:
        return RIVALS[wish.name](**wish.options)
    except TypeError as problem:
        raise WrongUsage(f"The discriminator '{wish.name}' does not take these options: {problem}.") from problem


@dataclass(frozen=True)
class Data:
    """learn, check: the splits to train and to validate on. sampling: what :func:`engine.training.sampling.report`
    says."""

    learn: Source
    check: Source
    order: Order
    sampling: dict[str, Any]


def data(recipe: Recipe) -> Data:
    """Raises UnreadableInput, NotEnoughInput where there is nothing to train on."""
    learn, validate = sources(recipe)
    if len(learn) == 0:
        raise NotEnoughInput("There is no sequence to train on in these packs.", advice="Change the packs' split.")
    wish, chances = recipe.data, None
    if wish.rain_bias > 0:
        chances = rain_chances(rain_shares(learn, wish.rain_threshold), wish.rain_bias)
    order = Order(len(learn), recipe.run.batch, recipe.run.seed, chances, endless=getattr(learn, "endless", False))
    return Data(learn, validate, order, report(chances, len(learn)))


def sources(recipe: Recipe) -> tuple[Source, Source]:
    """What is trained on and what is validated on. Raises UnreadableInput."""
    if recipe.data.source == "moving-mnist":
        return _moving_mnist(recipe, "train"), _moving_mnist(recipe, "validation")
    packs = open_packs(recipe.data.packs, recipe.frames, motion=recipe.data.preparation not in STILL)
    ground = Ground.wished(recipe.data)
    return PackSource(packs, "train", ground), PackSource(packs, "validation", ground)


def _moving_mnist(recipe: Recipe, split: str) -> MovingMNIST:
    wish = recipe.data
    digits, origin = digits_for(wish.digits, split, recipe.run.seed)
    learns = split == "train"
    return MovingMNIST(digits, origin, wish.epoch if learns else max(1, wish.epoch // 10), recipe.frames,
                       ZR(*wish.zr), 2 * recipe.run.seed + (0 if learns else 1), endless=learns)


def run_of(recipe: Recipe, found: Data, folder: Path, *, device: str = "cpu", share: Share | None = None,
           token: CancelToken | None = None, resume: bool = False) -> Training:
    """Ready to go. Raises WrongUsage where the folder holds another run, NotEnoughInput where there is nothing to go
    on from."""
    share = share or Share()
    check(share, recipe.run.batch, recipe.run.accumulate)
    try:
        claim(folder, recipe, resume=resume, writes=share.rank == 0)
        if share.rank == 0:
            (folder / SAMPLING_FILE).write_text(json.dumps(found.sampling) + "\n", encoding="utf-8")
    except OSError as problem:
        raise UnwritableOutput(folder, problem.strerror or str(problem)) from problem
    network = fresh_network(recipe)
    made = Training(recipe, network, preparation(recipe.data), found.learn, found.check, found.order, folder,
                    device=device, share=share, discriminator=fresh_discriminator(recipe, network), token=token)
    if resume:
        made.resume()
    return made


def claim(folder: Path, recipe: Recipe, *, resume: bool, writes: bool = True) -> None:
    """Makes the run's folder, or sees to it that the one that is there is this run's."""
    from engine.training.checkpoint import steps_kept

    file = folder / RECIPE_FILE
    if not resume:
        if folder.is_dir() and steps_kept(folder):
            raise WrongUsage(f"{folder} holds a run already.", advice="Go on with --resume, or name another folder.")
        folder.mkdir(parents=True, exist_ok=True)
        if writes:
            file.write_text(recipe.to_json() + "\n", encoding="utf-8")
    elif not folder.is_dir():
        raise NotEnoughInput(f"There is no checkpoint to go on from: there is no folder {folder}.",
                             advice="Start without --resume.")
    elif file.is_file() and _essence(asdict(read_recipe(file))) != _essence(asdict(recipe)):
        raise WrongUsage(f"{folder} holds a run of another recipe.", advice="Name another folder.")


_MAY_CHANGE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "run": lambda part: [part.pop(key, None) for key in ("epochs", "steps", "keep", "patience", "save_every")],
    "data": lambda part: [part.pop(key, None) for key in ("workers", "packs")],
}


def _essence(words: dict[str, Any]) -> dict[str, Any]:
    """A recipe without what may change when a run goes on: its length, where packs lie, how they are read."""
    words = json.loads(json.dumps(words))
    for key, take_out in _MAY_CHANGE.items():
        take_out(words[key])
    words.pop("about", None)
    return dict(words)
