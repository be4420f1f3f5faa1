"""The discriminators of the DB-RNN paper: counts, the numbers of Tables I and II, gradients, other sizes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.networks.configuration import parameter_count
from engine.networks.discriminators import Discriminator, Size, for_cell
from engine.networks.zoo import ZOO

TABLES = [("convlstm", 11_701, 500), ("trajgru", 11_701, 500), ("predrnn", 16_873, 800), ("predrnn++", 16_873, 800),
          ("mim", 26_881, 800), ("motionrnn", 26_881, 800), ("preciplstm", 26_881, 800)]


@pytest.mark.parametrize(("cell", "count", "flat"), TABLES)
def test_the_numbers_of_tables_1_and_2(cell: str, count: int, flat: int) -> None:
    network = for_cell(cell)
    assert parameter_count(network) == count
    linear = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    assert next(layer.in_features for layer in linear) == flat
    assert linear[-1].out_features == 1
    assert network(torch.rand(2, 1, 160, 160)).shape == (2, 1)


def test_every_deblurring_network_has_one() -> None:
    assert {name.removeprefix("db-") for name in ZOO if name.startswith("db-")} == {cell for cell, _, _ in TABLES}


def written_out(network: Discriminator, frame: Tensor) -> Tensor:
    """The table, layer by layer."""
    state = network.state_dict()
    x = frame
    for place, pool in ((0, 4), (3, 4), (6, 2)):
        x = F.conv2d(x, state[f"features.{place}.weight"], state[f"features.{place}.bias"], padding=1)
        x = torch.maximum(x, 0.01 * x)
        high, wide = x.shape[-2] // pool, x.shape[-1] // pool
        x = x.reshape(*x.shape[:2], high, pool, wide, pool).amax(dim=(3, 5))
    x = x.reshape(x.shape[0], -1) @ state["judge.1.weight"].T + state["judge.1.bias"]
    x = torch.maximum(x, 0.01 * x) @ state["judge.3.weight"].T + state["judge.3.bias"]
    return 1 / (1 + torch.exp(-x))


@pytest.mark.parametrize("cell", ["convlstm", "predrnn", "mim"])
def test_it_computes_what_the_table_says(cell: str) -> None:
    torch.manual_seed(1)
    frames = torch.rand(2, 1, 160, 160)
    for any_grid in (False, True):
        network = for_cell(cell, any_grid).eval()
        with torch.no_grad():
            torch.testing.assert_close(network(frames), written_out(network, frames), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", [(32, 32), (96, 200), (480, 480)])
def test_other_sizes_only_where_they_are_asked_for(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="160 x 160"):
        for_cell("predrnn")(torch.rand(1, 1, *shape))
    asked = for_cell("predrnn", any_grid=True)
    assert parameter_count(asked) == 16_873
    found = asked(torch.rand(3, 1, *shape))
    assert found.shape == (3, 1)
    assert ((found > 0) & (found < 1)).all()


def test_gradients_are_right() -> None:
    torch.manual_seed(2)
    network = Discriminator(Size((2, 2, 3), 4, 0), any_grid=True).double()
    frames = torch.randn(2, 1, 32, 32, dtype=torch.float64)
    weights = [weight.detach().requires_grad_() for weight in network.parameters()]
    names = [name for name, _ in network.named_parameters()]

    def judged(*given: Tensor) -> Tensor:
        return torch.func.functional_call(network, dict(zip(names, given, strict=True)), (frames,))

    assert torch.autograd.gradcheck(judged, tuple(weights), atol=1e-6)


def test_it_learns_to_tell_one_from_the_other() -> None:
    torch.manual_seed(3)
    network = for_cell("convlstm", any_grid=True)
    sharp, soft = (torch.rand(8, 1, 64, 64) > 0.7).float(), torch.full((8, 1, 64, 64), 0.3)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(80):
        loss = F.binary_cross_entropy(network(sharp), torch.ones(8, 1)) \
            + F.binary_cross_entropy(network(soft), torch.zeros(8, 1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 10
