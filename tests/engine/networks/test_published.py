"""The list of models against the tables of the papers, typed once more by hand, and against the networks themselves."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from engine.commands import cli
from engine.networks.configuration import build
from engine.networks.discriminators import SIZES
from engine.networks.flops import multiply_accumulates
from engine.networks.published import COSTS, DISCRIMINATORS, PUBLISHED
from engine.networks.zoo import ZOO

PAGE = Path(__file__).parents[3] / "docs" / "models.md"

# name: exact count, what the paper prints (millions), whether the exact count rounds to that
TABLE: dict[str, tuple[int, str | None, bool | None]] = {
    "convgru-mnist-k3d2": (2_604_817, "2.84", False), "convgru-mnist-k5": (4_767_505, "4.77", True),
    "convgru-mnist-k7": (8_011_537, "8.01", True), "trajgru-mnist-l5": (2_842_157, "2.60", False),
    "trajgru-mnist-l9": (3_421_277, "3.42", True), "trajgru-mnist-l13": (4_000_397, "4.00", True),
    "trajgru-mnist-l17": (4_579_517, "4.77", False), "dfn-mnist": (4_825_648, "4.83", True),
    "cnn3d-mnist": (32_522_561, "32.52", True), "cnn2d-mnist": (29_073_880, "29.06", False),
    "convgru": (13_649_081, None, None), "trajgru": (12_150_053, None, None),
    "convlstm": (12_229_881, None, None), "convlstm-mnist": (3_324_593, None, None),
    "cnn2d": (57_386_062, None, None), "cnn3d": (66_422_569, None, None),
    "stacked-convlstm": (886_465, "0.89", True), "stacked-trajgru": (1_057_213, "1.06", True),
    "stacked-predrnn": (1_797_505, "1.80", True), "stacked-mim": (3_680_833, "3.68", True),
    "stacked-motionrnn": (3_780_370, "3.78", True),
    "ms-convlstm": (250_057, "0.25", True), "db-convlstm": (500_114, "0.50", True),
    "ms-predrnn": (507_097, "0.51", True), "db-predrnn": (1_014_194, "1.01", True),
    "ms-mim": (986_233, "0.99", True), "db-mim": (1_972_466, "1.99", False),
    "ms-trajgru": (286_465, None, None), "db-trajgru": (572_930, None, None),
    "ms-motionrnn": (1_073_287, None, None), "db-motionrnn": (2_146_574, None, None),
    "ms-preciplstm": (993_097, None, None), "db-preciplstm": (1_986_194, "2.2", False),
    "ms-lstm": (1_067_257, "1.1", True), "earthformer": (7_171_933, "7.2", True),
    "earthformer-sevir": (8_659_677, "7.6", False), "simvp": (40_241_665, "38.9", False),
    "tau": (38_425_281, None, None), "lpt-qpn": (4_636_747, "4.6", True),
}
REFERENCE_ALLOCATION = {"ms-predrnn++": (685_753, 789_913), "db-predrnn++": (1_371_506, 1_579_826)}
OTHERS = {  # other readings of the same networks
    "convgru": 12_780_409, "trajgru": 11_178_981, "cnn2d-mnist": 59_061_250, "cnn3d-mnist": 66_081_921,
    "simvp": 46_769_665, "tau": 44_656_001, "earthformer": 8_646_493, "earthformer-sevir": 7_185_117,
    "ms-mim": 1_038_313, "ms-motionrnn": 1_021_207,
}
TABLE_V = {"ms-convlstm": (25_169_356_800, "25.2"), "db-convlstm": (50_338_713_600, "50.3"),
           "ms-predrnn": (51_024_384_000, "51.0"), "db-predrnn": (102_048_768_000, "102.0"),
           "ms-mim": (80_205_312_000, "80.2"), "db-mim": (160_410_624_000, "160.4")}


@lru_cache(maxsize=1)
def listed() -> dict[str, dict[str, Any]]:
    """By ``stormdeck-engine models --json``."""
    answer = CliRunner().invoke(cli, ["models", "--json"])
    assert answer.exit_code == 0
    return {model["name"]: model for model in json.loads(answer.stdout)}


@pytest.mark.parametrize("name", TABLE)
def test_count_and_printed_figure(name: str) -> None:
    count, printed, agrees = TABLE[name]
    model = listed()[name]
    assert model["parameters"] == count
    assert model["printed"] == (None if printed is None else f"{printed} M")
    assert model["agrees"] is agrees
    if printed is not None:
        digits = len(printed.partition(".")[2])
        assert (f"{count / 1e6:.{digits}f}" == printed) is agrees
    if agrees is False:
        assert model["note"], "where a print is wrong the list says what is known about it"


@pytest.mark.parametrize("name", REFERENCE_ALLOCATION)
def test_the_reference_allocates_more(name: str) -> None:
    assert (listed()[name]["parameters"], listed()[name]["other_counts"]["as the reference allocates"]) \
        == REFERENCE_ALLOCATION[name]


@pytest.mark.parametrize("name", OTHERS)
def test_other_readings(name: str) -> None:
    assert OTHERS[name] in listed()[name]["other_counts"].values()


@pytest.mark.parametrize("name", TABLE_V)
def test_table_5(name: str) -> None:
    macs, printed = TABLE_V[name]
    assert listed()[name]["macs"] == macs
    assert listed()[name]["macs_printed"] == f"{printed} G"
    assert f"{macs / 1e9:.1f}" == printed


@pytest.mark.parametrize("name", COSTS)
def test_costs_are_those_of_the_networks(name: str) -> None:
    with torch.device("meta"):
        assert multiply_accumulates(build(ZOO[name].configuration), 5, 5, (160, 160)) == COSTS[name].macs


def test_discriminators_go_with_the_deblurring_networks() -> None:
    assert {f"db-{cell}": size.parameters for cell, size in SIZES.items()} == DISCRIMINATORS
    assert [listed()[f"db-{cell}"]["discriminator_parameters"] for cell in ("convlstm", "predrnn", "mim")] \
        == [11_701, 16_873, 26_881]
    assert listed()["ms-mim"]["discriminator_parameters"] is None


def test_methods_have_nothing_printed() -> None:
    assert listed()["persistence"]["printed"] is None
    assert listed()["rover-linear"]["paper"] is None


def test_all_of_the_papers_networks_are_told_about() -> None:
    """Networks that stand in no paper have entries of their own, or none."""
    assert set(PUBLISHED) <= set(ZOO)
    assert set(COSTS) == {name for name in PUBLISHED if name.startswith(("ms-", "db-"))}
    assert not {*TABLE, *REFERENCE_ALLOCATION} - set(PUBLISHED)


def test_the_page_says_the_same() -> None:
    """The table of counts in docs/models.md, row by row."""
    rows = {}
    for line in PAGE.read_text().splitlines():
        found = re.match(r"\| `([^`]+)` \| ([\d ]+) \| ([^|]*) \|", line)
        if found:
            rows[found[1]] = (int(found[2].replace(" ", "")), found[3].strip())
    for name, entry in PUBLISHED.items():
        assert rows[name] == (ZOO[name].parameters, entry.printed or "–"), name


def test_the_list_needs_no_torch() -> None:
    code = "import sys, engine.networks.published; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True
                          ).stdout.strip() == "False"
