"""Recipes: what they may say, and that every one that ships can be built as it stands."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.errors import StormdeckError, UnreadableInput, WrongUsage
from engine.jobs.train import TrainRequest, recipe_file, shipped, told
from engine.losses.db_rnn import db_rnn
from engine.networks.configuration import build
from engine.networks.downscaling_zoo import DOWNSCALING
from engine.networks.zoo import ZOO
from engine.training.optimisers import optimiser
from engine.training.preparation import preparation
from engine.training.recipe import read_recipe, recipe_of
from engine.training.start import configuration, fresh_discriminator
from engine.training.teacher import total_loss

SHIPPED = shipped()
MINIMAL: dict[str, Any] = {"model": {"name": "ms-convlstm"}, "run": {"steps": 5}}


@pytest.mark.parametrize("name", list(SHIPPED))
def test_every_recipe_parses_and_builds_its_model(name: str) -> None:
    recipe = read_recipe(SHIPPED[name])
    assert recipe.about
    wish = configuration(recipe.model)
    with torch.device("meta"):
        network = build(wish)
    prepared = preparation(recipe.data)
    total = total_loss(recipe.loss, prepared)
    assert total.adversarial == (fresh_discriminator(recipe) is not None)
    optimiser(recipe.optimiser, list(network.parameters()))
    if wish.architecture != "recurrent":
        assert wish.inputs == recipe.data.inputs
    if wish.architecture in ("chain", "earthformer", "lpt-qpn"):
        assert wish.leads == recipe.data.leads
    if wish.architecture == "simvp":  # may learn from its own forecast, as many frames at a time as it is built for
        assert recipe.data.leads % wish.leads == 0
    assert recipe.loss.over == ("all" if wish.architecture in ("recurrent", "staged") else "forecast")


def test_every_network_of_the_papers_has_a_recipe() -> None:
    trained_elsewhere = {"lagrangian-unet"}
    assert (set(ZOO) | set(DOWNSCALING)) - trained_elsewhere <= set(SHIPPED)


@pytest.mark.parametrize("epoch", [0.0, 7.3, 20.0, 50.0])
def test_the_recipes_of_db_rnn_say_the_papers_total_loss(epoch: float) -> None:
    recipe = read_recipe(SHIPPED["db-predrnn"])
    said, printed = total_loss(recipe.loss, preparation(recipe.data)), db_rnn()
    assert [(type(t.loss), t.readout, t.weight.at(epoch)) for t in said.terms] == [
        (type(t.loss), t.readout, t.weight.at(epoch)) for t in printed.terms]
    assert said.scale == printed.scale


def test_printed_settings_of_three_papers() -> None:
    benchmark, focal, deblurred = (read_recipe(SHIPPED[name]) for name in ("trajgru", "stacked-mim", "db-preciplstm"))
    assert (benchmark.optimiser.lr, benchmark.optimiser.betas[0], benchmark.run.batch) == (1e-4, 0.5, 4)
    assert (focal.loss.focal_k, focal.loss.focal_epsilon, focal.loss.scale) == (2.0, 0.01, 1e-3)
    assert (focal.optimiser.name, focal.optimiser.lr, focal.run.epochs, focal.data.resize) == (
        "adamhd", 5e-4, 30.0, (120, 120))
    assert (deblurred.optimiser.lr, deblurred.run.batch, deblurred.run.epochs, deblurred.data.every) == (
        3e-4, 4, 50.0, 2)


@pytest.mark.parametrize(("table", "words"), [
    ({**MINIMAL, "modle": {}}, "no key 'modle'; did you mean 'model'"),
    ({**MINIMAL, "run": {"steps": 5, "bach": 4}}, "no key 'run.bach'; did you mean 'batch'"),
    ({**MINIMAL, "loss": {"terms": [{"name": "mse", "wieght": 2}]}}, r"loss.terms\[0\].wieght"),
    ({"run": {"steps": 5}}, "'model' is missing"),
    ({**MINIMAL, "run": {"steps": 5.5}}, "'run.steps' is a whole number"),
    ({**MINIMAL, "run": {"steps": True}}, "'run.steps' is a whole number"),
    ({**MINIMAL, "augment": {"flips": 1}}, "'augment.flips' is true or false"),
    ({**MINIMAL, "run": {"steps": 5, "precision": "half"}}, "one of 'float32'"),
    ({**MINIMAL, "optimiser": {"betas": [0.9]}}, "a list of 2"),
    ({**MINIMAL, "optimiser": {"lr": float("nan")}}, "'optimiser.lr' is a number"),
    ({**MINIMAL, "model": "ms-convlstm"}, "model is a table"),
    ({**MINIMAL, "run": {}}, "epochs or for how many steps"),
    ({**MINIMAL, "run": {"steps": 5, "epochs": 1}}, "one of the two"),
    ({**MINIMAL, "run": {"steps": 5, "batch": 4, "accumulate": 3}}, "3 equal parts"),
    ({**MINIMAL, "loss": {"terms": [{"name": "adversarial"}]}}, "discriminator"),
    ({**MINIMAL, "loss": {"terms": []}}, "at least one"),
    ({**MINIMAL, "data": {"resize": [4]}}, "two numbers"),
])
def test_what_a_recipe_may_not_say_is_refused_by_name(table: dict[str, Any], words: str) -> None:
    with pytest.raises(WrongUsage, match=words):
        recipe_of(table)


def test_numbers_of_the_right_kind() -> None:
    recipe = recipe_of({**MINIMAL, "optimiser": {"lr": 1, "clip": 2}, "data": {"zr": [200, 1.6]}})
    assert isinstance(recipe.optimiser.lr, float)
    assert recipe.data.zr == (200.0, 1.6)
    assert recipe.loss.focal_k is None


def test_files_that_are_no_recipe(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("[model\n")
    for path in (broken, tmp_path / "none.toml"):
        with pytest.raises(UnreadableInput):
            read_recipe(path)
    with pytest.raises(WrongUsage, match="no recipe 'smal'"):
        recipe_file("smal")


def test_unknown_names_inside_are_refused() -> None:
    for change, words in (({"model": {"name": "ms-convlsmt"}}, "ms-convlsmt"),
                          ({"model": {"name": "ms-convlstm", "cell_options": {"kernel": "big"}}}, "cannot be built")):
        with pytest.raises(StormdeckError, match=words):
            build(configuration(recipe_of({**MINIMAL, **change}).model))
    with pytest.raises(WrongUsage, match="preparation called 'x'"):
        preparation(recipe_of({**MINIMAL, "data": {"preparation": "x"}}).data)
    with pytest.raises(WrongUsage, match="does not take"):
        preparation(recipe_of({**MINIMAL, "data": {"preparation_options": {"x": 1}}}).data)
    adamhd = recipe_of({**MINIMAL, "optimiser": {"name": "adamhd", "warm_up": 5}})
    with pytest.raises(WrongUsage, match="AdamHD"):
        optimiser(adamhd.optimiser, [torch.nn.Parameter(torch.zeros(1))])


def test_the_request_changes_the_recipe(tmp_path: Path) -> None:
    wish = told(TrainRequest("small", packs=(tmp_path / "a.h5",), steps=7, workers=3))
    assert wish.data.packs == (str(tmp_path / "a.h5"),)
    assert (wish.run.steps, wish.data.workers) == (7, 3)
    assert told(TrainRequest("db-mim", steps=7)).run.epochs == 0


def test_recipes_are_toml_without_surprises() -> None:
    for file in SHIPPED.values():
        assert tomllib.loads(file.read_text(encoding="utf-8"))["model"]["name"] in {**ZOO, **DOWNSCALING}
