"""A small pack of moving rain, and recipes for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from engine.training.packs import PackSettings, PackWriter, assigned, candidates, cut_out
from engine.training.recipe import Recipe, recipe_of
from tests.engine.sequences import sequence


def rain(index: int) -> np.ndarray:
    """(24, 24) mm/h: a shower that goes east, a weaker one that goes south, one cell without data."""
    y, x = np.mgrid[:24, :24].astype(np.float32)
    field = 20 * np.exp(-((x - 3 - index % 16) ** 2 + (y - 8) ** 2) / 8)
    field += 4 * np.exp(-((x - 16) ** 2 + (y - 2 - index % 20) ** 2) / 12)
    field[field < 0.1] = 0
    field[0, 0] = np.nan
    return field.astype(np.float32)


def write_pack(path: Path, frames: int = 80, length: int = 5) -> Path:
    archive = sequence(rain, frames)
    settings = PackSettings(length=length, stride=2, split=(0.7, 0.3, 0.0))
    runs = assigned(candidates(archive, settings), settings, archive.step)
    with PackWriter(path, [archive], settings) as writer:
        for run, split in runs:
            for cut in cut_out(archive, run, settings):
                writer.add(run, split, cut)
    return path


def recipe(pack: Path | None = None, **changes: dict[str, Any]) -> Recipe:
    """A tiny MS-ConvLSTM, 3 frames to 2. changes: tables of the recipe to update."""
    table: dict[str, Any] = {
        "model": {"name": "ms-convlstm", "hidden": 2},
        "data": {"inputs": 3, "leads": 2, "crop": 16, "packs": [str(pack)] if pack else []},
        "augment": {"flips": True, "turns": True, "intensity": 1.0},
        "loss": {"terms": [{"name": "b-mse"}, {"name": "b-mae"}], "scale": 1e-3},
        "run": {"steps": 6, "batch": 4, "validate_every": 4, "save_every": 2},
    }
    for name, changed in changes.items():
        table[name] = {**table.get(name, {}), **changed}
    return recipe_of(table)


def as_toml(wish: Recipe) -> str:
    """The tests' recipes as a file."""
    loss = ", ".join(f'{{name = "{term.name}"}}' for term in wish.loss.terms)
    packs = ", ".join(f"'{pack}'" for pack in wish.data.packs)
    run = wish.run
    return (f'[model]\nname = "{wish.model.name}"\nhidden = {wish.model.hidden}\n'
            f"[data]\ninputs = {wish.data.inputs}\nleads = {wish.data.leads}\ncrop = {wish.data.crop}\n"
            f"packs = [{packs}]\n[augment]\nflips = true\nturns = true\nintensity = 1.0\n"
            f"[loss]\nterms = [{loss}]\nscale = {wish.loss.scale}\n[run]\nsteps = {run.steps}\nbatch = {run.batch}\n"
            f"validate_every = {run.validate_every}\nsave_every = {run.save_every}\n")
