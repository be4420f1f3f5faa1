"""Earthformer's attention against loops over queries and keys, and the whole network at toy size."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from engine.networks.cuboid_attention import AxialAttention, CrossAttention
from engine.networks.earthformer import Earthformer, Merge

WIDTH, HEADS = 8, 2


def small(frames_in: int = 3, frames_out: int = 2, separate: bool = False, vectors: int = 2) -> Earthformer:
    torch.manual_seed(1)
    return Earthformer(frames_in, frames_out, (20, 24), (8, 16), (3, 2), vectors, separate, drop=0.0)


def attend(query: Tensor, keys: list[Tensor], values: list[Tensor], bias: list[Tensor]) -> Tensor:
    """One query, head by head: softmax(q k / sqrt(c) + bias) v."""
    size, out = WIDTH // HEADS, []
    for head in range(HEADS):
        own = slice(head * size, (head + 1) * size)
        logits = torch.stack([query[own] @ key[own] / size**0.5 + b[head] for key, b in zip(keys, bias, strict=True)])
        out.append(torch.softmax(logits, 0) @ torch.stack([value[own] for value in values]))
    return torch.cat(out)


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("axis", [1, 2, 3])
def test_axial_attention_by_loops(axis: int, separate: bool) -> None:
    torch.manual_seed(2)
    shape = (2, 3, 4)
    layer = AxialAttention(WIDTH, HEADS, axis, shape[axis - 1], True, separate, 0.0).requires_grad_(False)
    layer.bias.normal_()
    x, vectors = torch.randn(1, *shape, WIDTH), torch.randn(1, 2, WIDTH)
    found, moved = layer(x, vectors)
    seen, told = layer.norm(x)[0], layer.vector_norm(vectors)[0]
    q, k, v = layer.qkv(seen).chunk(3, -1)
    if separate:
        across = layer.across
        lq, (gk, gv) = across.local_query(seen), across.vector_key_value(told).chunk(2, -1)
        gq, lk, lv = across.vector_query(told), across.local_key(seen), across.local_value(seen)
        oq, ok, ov = across.among(told).chunk(3, -1)
    else:
        gq, gk, gv = layer.across.vectors(told).chunk(3, -1)
        lq, lk, lv, oq, ok, ov = q, k, v, gq, gk, gv
    places = list(itertools.product(*map(range, shape)))
    for place in places:
        line = [tuple(n if a == axis - 1 else place[a] for a in range(3)) for n in range(shape[axis - 1])]
        near = [layer.bias[place[axis - 1] - n + shape[axis - 1] - 1] for n in range(shape[axis - 1])]
        size, parts = WIDTH // HEADS, []
        for head in range(HEADS):
            own = slice(head * size, (head + 1) * size)
            logits = [q[place][own] @ k[p][own] / size**0.5 + b[head] for p, b in zip(line, near, strict=True)]
            logits += [lq[place][own] @ gk[n][own] / size**0.5 for n in range(2)]
            values = [v[p][own] for p in line] + [gv[n][own] for n in range(2)]
            parts.append(torch.softmax(torch.stack(logits), 0) @ torch.stack(values))
        torch.testing.assert_close(found[0][place], layer.leave(torch.cat(parts)), atol=1e-5, rtol=1e-5)
    for n in range(2):
        size, parts = WIDTH // HEADS, []
        for head in range(HEADS):
            own = slice(head * size, (head + 1) * size)
            logits = [gq[n][own] @ lk[p][own] / size**0.5 for p in places]
            logits += [oq[n][own] @ ok[m][own] / size**0.5 for m in range(2)]
            parts.append(torch.softmax(torch.stack(logits), 0)
                         @ torch.stack([lv[p][own] for p in places] + [ov[m][own] for m in range(2)]))
        torch.testing.assert_close(moved[0, n], layer.vector_leave(torch.cat(parts)), atol=1e-5, rtol=1e-5)


def test_cross_attention_by_loops() -> None:
    torch.manual_seed(2)
    layer = CrossAttention(WIDTH, HEADS, 6, 0.0).requires_grad_(False)
    layer.bias.normal_()
    x, encoded = torch.randn(1, 2, 2, 3, WIDTH), torch.randn(1, 4, 2, 3, WIDTH)
    found = layer(x, encoded)
    query, (key, value) = layer.query(layer.norm(x)), layer.key_value(encoded).chunk(2, -1)
    for t, row, column in itertools.product(range(2), range(2), range(3)):
        keys, values = list(key[0, :, row, column]), list(value[0, :, row, column])
        out = attend(query[0, t, row, column], keys, values, [layer.bias[t - s + 5] for s in range(4)])
        wanted = layer.feed(x[0, t, row, column] + layer.leave(out))
        torch.testing.assert_close(found[0, t, row, column], wanted, atol=1e-5, rtol=1e-5)


def test_merging_takes_neighbours_row_by_row_and_zeros_beyond_the_grid() -> None:
    merge = Merge(1, 9, 3)
    merge.norm, merge.reduce = torch.nn.Identity(), torch.nn.Identity()
    x = torch.arange(20.0).reshape(1, 1, 4, 5, 1)
    found = merge(x)
    assert found.shape == (1, 1, 2, 2, 9)
    assert found[0, 0, 0, 0].tolist() == [0, 1, 2, 5, 6, 7, 10, 11, 12]
    assert found[0, 0, 1, 1].tolist() == [18, 19, 0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("separate", [False, True])
def test_shapes_and_gradients(separate: bool) -> None:
    """The last global vectors are asked by nobody: what makes them is idle."""
    network = small(separate=separate)
    found = network(torch.rand(2, 3, 1, 20, 24), 9)
    assert found.shape == (2, 2, 1, 20, 24)
    (found ** 2).sum().backward()
    idle = {key for key, weight in network.named_parameters() if weight.grad is None}
    makers = ["across.local_key", "across.local_value", "across.vector_query", "across.among"] if separate else []
    assert {key.rsplit(".", 1)[0] for key in idle} == {
        f"coarse.attentions.2.{name}" for name in ["vector_leave", *makers]}


def test_a_batch_is_its_samples() -> None:
    network = small().eval()
    frames = torch.rand(4, 3, 1, 20, 24)
    torch.testing.assert_close(network(frames, 2)[2:3], network(frames[2:3], 2), atol=1e-5, rtol=1e-4)


def test_another_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="20, 24"):
        small()(torch.rand(1, 3, 1, 24, 24), 2)
