"""Parameter counts to the unit: every network of the papers, and the forms of them that the tables print."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from engine.networks import cnn
from engine.networks.cell import Place
from engine.networks.cells.predrnn_pp import GradientHighway
from engine.networks.configuration import Configuration, build, cell_class, parameter_count
from engine.networks.earthformer import Earthformer
from engine.networks.simvp import SimVP
from engine.networks.zoo import ZOO


@pytest.mark.parametrize("name", ZOO)
def test_count_to_the_unit(name: str) -> None:
    with torch.device("meta"):
        assert parameter_count(build(ZOO[name].configuration)) == ZOO[name].parameters


@pytest.mark.parametrize("name", ZOO)
def test_a_configuration_survives_its_text(name: str) -> None:
    wish = ZOO[name].configuration
    assert Configuration.from_json(wish.to_json()) == wish


@pytest.mark.parametrize(("make", "count"), [
    (partial(cnn.cnn2d_mnist, decoder="table"), 59_061_250),
    (partial(cnn.cnn3d_mnist, decoder="table"), 66_081_921),
    (partial(SimVP, 10), 46_769_665),
    (partial(SimVP, 10, "tau"), 44_656_001),
    (partial(SimVP, 10, "incepu"), 57_946_113),
    (partial(SimVP, 5, "incepu"), 55_771_393),
    (partial(Earthformer, separate=True), 8_646_493),
    (partial(Earthformer, 13, 12, (384, 384)), 7_185_117),
    (partial(Earthformer, 13, 12, (384, 384), vectors=0), 6_164_573),
])
def test_other_forms_of_the_specifications(make: partial[torch.nn.Module], count: int) -> None:
    with torch.device("meta"):
        assert parameter_count(make()) == count


@pytest.mark.parametrize(("cell", "hidden", "index", "count"), [
    ("convlstm", 24, 1, 41_664), ("convlstm", 64, 1, 295_424),
    ("predrnn", 24, 1, 84_504), ("predrnn", 64, 1, 599_104),
    ("predrnn++", 24, 0, 110_808), ("predrnn++", 64, 0, 787_008), ("predrnn++", 24, 1, 110_808 + 20_832),
    ("preciplstm", 24, 1, 165_504),
])
def test_cells_alone(cell: str, hidden: int, index: int, count: int) -> None:
    assert parameter_count(cell_class(cell)(hidden, hidden, Place(index))) == count


def test_an_encoder_forecaster_of_lstms_by_hand() -> None:
    """Layer by layer from the tables of the benchmark paper's structure, (inputs, outputs, kernel, bias)."""
    def convolution(inputs: int, outputs: int, kernel: int, bias: bool = True) -> int:
        return inputs * outputs * kernel**2 + bias * outputs

    def lstm(inputs: int, hidden: int) -> int:
        return convolution(hidden, 4 * hidden, 3) + (convolution(inputs, 4 * hidden, 3) if inputs else 0)

    large = (convolution(4, 8, 7) + lstm(8, 64) + convolution(64, 192, 5) + lstm(192, 192) + convolution(192, 192, 3)
             + lstm(192, 192) + lstm(0, 192) + convolution(192, 192, 4, False) + lstm(192, 192)
             + convolution(192, 192, 5, False) + lstm(192, 64)
             + convolution(64, 8, 7, False) + convolution(8, 8, 3) + convolution(8, 1, 1))
    digits = (convolution(4, 16, 3) + lstm(16, 64) + convolution(64, 96, 3) + lstm(96, 96) + convolution(96, 96, 3)
              + lstm(96, 96) + lstm(0, 96) + convolution(96, 96, 4, False) + lstm(96, 96)
              + convolution(96, 96, 4, False) + lstm(96, 64)
              + convolution(64, 16, 3, False) + convolution(16, 16, 3) + convolution(16, 1, 1))
    assert (ZOO["convlstm"].parameters, ZOO["convlstm-mnist"].parameters) == (large, digits)


def test_what_the_reference_of_predrnn_plus_allocates() -> None:
    """A highway in every cell, of which one runs: 789 913. We allocate the one."""
    idle = 5 * parameter_count(GradientHighway(24))
    assert ZOO["ms-predrnn++"].parameters + idle == 789_913


@pytest.mark.parametrize(("name", "topology", "allocation", "count"), [
    ("mim", "multi-scale", "reference", 1_038_313),
    ("mim", "multi-scale", "lean", 897_697),
    ("motionrnn", "multi-scale", "published", 1_021_207),
    ("motionrnn", "deblurring", "published", 2_042_414),
])
def test_allocations_of_mim(name: str, topology: str, allocation: str, count: int) -> None:
    wish = Configuration("recurrent", name, topology, 24, cell_options={"allocation": allocation})
    assert parameter_count(build(wish)) == count


@pytest.mark.parametrize("which", ["multi-scale", "deblurring"])
def test_a_deblurring_network_has_twice_the_weights(which: str) -> None:
    factor = {"multi-scale": 1, "deblurring": 2}[which]
    for cell in ("convlstm", "trajgru", "predrnn", "predrnn++", "mim", "motionrnn", "preciplstm"):
        prefix = {"multi-scale": "ms-", "deblurring": "db-"}[which]
        assert ZOO[prefix + cell].parameters == factor * ZOO["ms-" + cell].parameters
