"""Means over a domain that is seen tile by tile, against the same layers on all of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from engine.networks.simvp import SimVP
from engine.networks.whole_domain import EnoughSeen, OverDomain, Pool, WholeCosines, WholeGroupNorm, WholeMean, pooled

HALVES = (slice(0, 12), slice(12, 20))


def shares(columns: slice) -> Tensor:
    return torch.full((16, columns.stop - columns.start), 1 / (16 * 20))


def in_halves(run: Callable[[slice], Tensor], pool: Pool) -> tuple[list[Tensor], int]:
    """What a network gives of the halves of a domain, and in how many rounds."""
    rounds, again, found = 0, True, []
    while again:
        rounds, found = rounds + 1, []
        for columns in HALVES:
            try:
                with pool.tile(shares(columns)):
                    found.append(run(columns))
            except EnoughSeen:
                continue
        again = pool.put_together()
    return found, rounds


def test_a_group_norm_is_that_of_the_whole() -> None:
    torch.manual_seed(0)
    whole = torch.randn(2, 6, 16, 20) * 3 + torch.linspace(0, 5, 20)
    plain, ours = nn.GroupNorm(3, 6), WholeGroupNorm(3, 6)
    nn.init.normal_(plain.weight)
    nn.init.normal_(plain.bias)
    ours.load_state_dict(plain.state_dict())
    assert torch.equal(ours(whole), plain(whole))
    with pooled(ours) as pool:
        assert pool is not None
        found, rounds = in_halves(lambda columns: ours(whole[..., columns]), pool)
    assert rounds == 2
    torch.testing.assert_close(torch.cat(found, dim=-1), plain(whole))
    assert ours.pool is None


def test_a_mean_and_cosines_are_those_of_the_whole() -> None:
    torch.manual_seed(0)
    field, query, key = torch.rand(2, 4, 16, 20), torch.randn(2, 3, 4, 16, 20), torch.randn(2, 3, 4, 16, 20)
    mean, alike = WholeMean(), WholeCosines()
    assert torch.equal(mean(field), field.mean(dim=(2, 3)))
    by_hand = torch.stack([torch.stack([torch.cosine_similarity(query[:, :, i].flatten(2), key[:, :, j].flatten(2),
                                                                dim=-1) for j in range(4)], dim=-1)
                           for i in range(4)], dim=-2)
    torch.testing.assert_close(alike(query, key), by_hand)
    with pooled(nn.ModuleList([mean])) as pool:
        assert pool is not None
        found, _ = in_halves(lambda columns: mean(field[..., columns]), pool)
    assert all(torch.allclose(one, field.mean(dim=(2, 3))) for one in found)
    with pooled(nn.ModuleList([alike])) as pool:
        assert pool is not None
        found, _ = in_halves(lambda columns: alike(query[..., columns], key[..., columns]), pool)
    assert all(torch.allclose(one, by_hand, atol=1e-6) for one in found)


def test_shares_of_coarser_grids_are_means() -> None:
    """A layer on half the grid, of a tile whose last columns count nothing (padding, or left to a neighbour)."""
    pool, layer = Pool(), WholeMean()
    layer.pool = pool
    field = torch.rand(1, 1, 8, 10)
    given = torch.ones(16, 20)
    given[:, 14:] = 0.0
    with pytest.raises(EnoughSeen), pool.tile(given):
        layer(field)
    assert pool.put_together()
    with pool.tile(given):
        assert float(layer(field)) == pytest.approx(float(field[..., :7].mean()), rel=1e-6)


@pytest.mark.parametrize(("translator", "layers"), [("gsta", 8), ("tau", 10), ("incepu", 12)])
def test_as_many_rounds_as_layers_that_depend_on_each_other(translator: str, layers: int) -> None:
    """Eight group norms of the coder, two squeezes, or four blocks of four norms side by side."""
    network = SimVP(2, translator, spatial=4, temporal=16, depth=2).eval()
    frames = torch.rand(1, 2, 1, 16, 20)
    with torch.no_grad(), pooled(network) as pool:
        assert pool is not None
        _, rounds = in_halves(lambda columns: network(frames[..., columns], 2), pool)
    assert rounds == layers + 1
    assert not any(layer.pool for layer in network.modules() if isinstance(layer, OverDomain))


def test_a_network_without_such_layers_has_no_pool() -> None:
    with pooled(nn.Conv2d(1, 1, 3)) as pool:
        assert pool is None
