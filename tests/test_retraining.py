"""``make weights``: every weight file that ships can be made again from what the plan names."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from engine.training.recipe import read_recipe
from tests.source_tree import ROOT


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "packaging"))
    return importlib.import_module("retrain_weights")


def test_every_weight_file_that_ships_has_a_plan(plan: ModuleType) -> None:
    shipped = {file.stem for file in (ROOT / "resources" / "weights").glob("*.safetensors")}
    assert shipped
    assert shipped <= {network.name for network in plan.NETWORKS}


def test_plans_name_recipes_of_their_network_and_begin_with_what_is_made_before(plan: ModuleType) -> None:
    made: set[str] = set()
    for network in plan.NETWORKS:
        for name in network.recipes:
            recipe = read_recipe(ROOT / "resources" / "recipes" / f"{name}.toml")
            assert recipe.model.name == network.name
        assert not network.begins or network.begins in made
        made.add(network.name)
        assert len({wish.name for wish in network.packs}) == len(network.packs)
        assert {wish.archive.split("/")[0] for wish in network.packs} <= {"knmi", "fmi-pgm", "mrms"}


def test_a_network_goes_through_its_recipes_and_begins_with_the_one_before(
        plan: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def engine(*words: object) -> None:
        asked.append(tuple(map(str, words)))
        if words[0] == "train":
            run = Path(str(words[words.index("-o") + 1]))
            run.mkdir()
            (run / f"{words[1]}.safetensors").touch()

    monkeypatch.setattr(plan, "engine", engine)
    network = plan.Network("db-convlstm", (), ("db-convlstm-small", "small"), begins="ms-convlstm")
    target = plan.trained(network, [tmp_path / "a.h5"], tmp_path)
    assert target == tmp_path / "db-convlstm.safetensors"
    begun = [words[words.index("--start-from") + 1] for words in asked if "--start-from" in words]
    assert begun == [str(tmp_path / "ms-convlstm.safetensors"),
                     str(tmp_path / "db-convlstm-small" / "db-convlstm-small.safetensors")]
    assert asked[-1] == ("promote", str(tmp_path / "small"), "--checkpoint", "last", "-o", str(target))
