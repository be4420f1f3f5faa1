"""Every recurrent cell against its equations written out, and the pieces that cells share against brute force."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.networks import gathering
from engine.networks.cell import Flow, Place, warp
from engine.networks.cells.convgru import ConvGRU
from engine.networks.cells.preciplstm import LocalAttention
from engine.networks.cells.trajgru import TrajGRU
from engine.networks.configuration import CELLS, cell_class
from tests.engine.networks.literal import LITERAL, slow_attention, slow_warp

HIDDEN = 8
OPTIONS: dict[str, dict[str, Any]] = {"preciplstm": {"window": 4}, "trajgru": {"links": 3, "structure": (4, 5)}}
IDLE = ("idle.",)
"""Weights that are there for the published count only."""


SECOND = Place(1)


def make(name: str, place: Place = SECOND, inputs: int = HIDDEN, hidden: int = HIDDEN, **more: Any) -> nn.Module:
    """Weights three times as large as a fresh network's, flows that move by about a pixel."""
    torch.manual_seed(3)
    cell = cell_class(name)(inputs, hidden, place, **{**OPTIONS.get(name, {}), **more})
    with torch.no_grad():
        for key, weight in cell.named_parameters():
            weight.copy_(torch.randn_like(weight) * (0.3 if "flows" in key else 0.15))
    return cell


def run(step: Any, cell: nn.Module, frames: list[Tensor], memories: list[Tensor]) -> list[Tensor]:
    state, out = cell.start(frames[0]), []
    for x, m in zip(frames, memories, strict=True):
        h, memory, state = step(x, m, x * 0.7, state)
        out += [h, memory]
    return out


def fast(cell: nn.Module) -> Any:
    def step(x: Tensor, m: Tensor, plain: Tensor, state: Any) -> Any:
        flow, state, _ = cell(Flow(x, m, plain), state)
        return flow.hidden, flow.memory, state
    return step


def sequence(batch: int = 2, steps: int = 3, height: int = 6, width: int = 8, channels: int = HIDDEN) -> list[Tensor]:
    torch.manual_seed(4)
    return [torch.randn(batch, channels, height, width) for _ in range(steps)]


@pytest.mark.parametrize("place", [Place(0), Place(1), Place(2, last=True)], ids=["first", "second", "last"])
@pytest.mark.parametrize("name", CELLS)
def test_a_cell_computes_what_its_equations_say(name: str, place: Place) -> None:
    cell, frames, memories = make(name, place), sequence(), sequence()
    for way in (torch.enable_grad, torch.no_grad, torch.inference_mode):  # inference goes other ways than training
        with way():
            found = run(fast(cell), cell, frames, memories)
        with torch.no_grad():
            wanted = run(LITERAL[name](cell), cell, frames, memories)
        for a, b in zip(found, wanted, strict=True):
            torch.testing.assert_close(a.detach(), b, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["convgru", "trajgru"])
def test_a_gru_without_input_has_no_input_weights(name: str) -> None:
    cell = make(name, inputs=0)
    assert cell.from_input is None
    state = torch.randn(2, HIDDEN, 6, 8)
    wanted = LITERAL[name](cell)(None, None, None, state)[0]
    torch.testing.assert_close(cell(Flow(None), state)[0].hidden, wanted, atol=1e-5, rtol=1e-5)


def test_trajgru_with_zero_flow_is_the_convgru_it_reduces_to() -> None:
    """All links then see the state itself, so that a ConvGRU with a 1 x 1 state kernel and the sum of the links'
    weights does the same. Fresh weights have zero flow."""
    cell = TrajGRU(HIDDEN, HIDDEN, Place(), links=5)
    plain = ConvGRU(HIDDEN, HIDDEN, Place(), kernel=1)
    with torch.no_grad():
        plain.from_input.load_state_dict(cell.from_input.state_dict())
        plain.from_state.weight.copy_(cell.from_state.weight.reshape(3 * HIDDEN, 5, HIDDEN, 1, 1).sum(1))
        plain.from_state.bias.copy_(cell.from_state.bias)
    one, other = cell.start(sequence()[0]), plain.start(sequence()[0])
    for frame in sequence():
        one, other = cell(Flow(frame), one)[1], plain(Flow(frame), other)[1]
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_warp_is_equation_5() -> None:
    torch.manual_seed(0)
    field, shift = torch.randn(2, 3, 7, 5), torch.randn(2, 2, 7, 5) * 3
    shift[0, :, 0, 0] = torch.tensor([40.0, -3.5])
    torch.testing.assert_close(warp(field, shift), slow_warp(field, shift), atol=1e-5, rtol=1e-5)


def test_warp_looks_to_the_right_and_down() -> None:
    field = torch.arange(12.0).reshape(1, 1, 3, 4)
    shift = torch.zeros(1, 2, 3, 4)
    shift[:, 0] = 1.0
    assert warp(field, shift)[0, 0, 1].tolist() == pytest.approx([5, 6, 7, 0], abs=1e-4)
    assert warp(field, shift.flip(1))[0, 0, :, 0].tolist() == pytest.approx([4, 8, 0], abs=1e-4)


@pytest.mark.parametrize("samples", [1, 40, 1 << 16])
def test_all_links_at_once_are_the_links_one_by_one(samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strips of rows of any height, over the samples of a batch, shifts that point far outside and no number."""
    monkeypatch.setattr(gathering, "_SAMPLES", samples)
    torch.manual_seed(0)
    field, shifts, join = torch.randn(3, 4, 7, 5), torch.randn(3, 6, 7, 5) * 3, nn.Conv2d(12, 2, 1)
    shifts[0, :2, 0, 0] = torch.tensor([40.0, -3.5])
    shifts[1, 2:4, 3, 3] = torch.tensor([-1e30, 1e30])
    with torch.inference_mode():
        found = gathering.gathered(field, shifts, join)
        wanted = join(torch.cat([slow_warp(field, pair) for pair in shifts.chunk(3, dim=1)], dim=1))
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
        shifts[2, 1, 4, 4] = torch.nan
        again = gathering.gathered(field, shifts, join)
    assert torch.isnan(again[2, :, 4, 4]).all()
    assert torch.isnan(again).sum() == 2


@pytest.mark.parametrize("shape", [(480, 480), (5, 1), (1, 1)])
def test_a_warp_with_zero_flow_is_the_identity(shape: tuple[int, int]) -> None:
    field = torch.rand(1, 2, *shape)
    torch.testing.assert_close(warp(field, torch.zeros(1, 2, *shape)), field, atol=2e-4, rtol=0)


def test_a_warp_of_half_precision_keeps_the_places_of_the_pixels() -> None:
    field = torch.rand(1, 2, 8, 480)
    half = warp(field.bfloat16(), torch.zeros(1, 2, 8, 480, dtype=torch.bfloat16))
    torch.testing.assert_close(half.float(), field, atol=0.01, rtol=0)


@pytest.mark.parametrize("window", [1, 4, 5, 20])
def test_local_attention_by_brute_force(window: int) -> None:
    torch.manual_seed(1)
    attention = LocalAttention(3, window)
    x = torch.randn(2, 3, 5, 6) * 2
    torch.testing.assert_close(attention(x), slow_attention(attention, x), atol=1e-5, rtol=1e-5)


def test_local_attention_goes_on_from_block_to_block() -> None:
    torch.manual_seed(1)
    attention = LocalAttention(2, 4)
    x = torch.randn(1, 2, 3, 70)
    torch.testing.assert_close(attention(x), slow_attention(attention, x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", CELLS)
def test_a_sample_does_not_see_its_neighbour(name: str) -> None:
    cell, frames, memories = make(name), sequence(), sequence()
    before = run(fast(cell), cell, frames, memories)
    changed = [torch.stack((frame[0], frame[1] + 1)) for frame in frames]
    after = run(fast(cell), cell, changed, memories)
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(a[0], b[0], atol=1e-6, rtol=1e-6)
    assert not torch.allclose(before[-2][1], after[-2][1])


@pytest.mark.parametrize("place", [Place(0), Place(1), Place(2, last=True)], ids=["first", "second", "last"])
@pytest.mark.parametrize("name", CELLS)
def test_every_weight_learns_but_the_idle_ones(name: str, place: Place) -> None:
    """Idle are the pieces that published counts include, and MotionGRU in a layer that is read out."""
    cell = make(name, place)
    out = run(fast(cell), cell, sequence(), sequence())
    sum((part ** 2).sum() for part in out if part is not None).backward()
    idle = {key for key, weight in cell.named_parameters() if weight.grad is None or not weight.grad.any()}
    allowed = (*IDLE, "block.idle.", *(("motion.",) if place.last else ()))
    assert not {key for key in idle if not key.startswith(allowed)}


@pytest.mark.parametrize("name", CELLS)
def test_gradients_are_right(name: str) -> None:
    hidden = 4 if name == "motionrnn" else 2
    more = {"preciplstm": {"window": 2}, "trajgru": {"links": 2, "structure": (2, 3)}}.get(name, {})
    cell = make(name, inputs=hidden, hidden=hidden, **more).double()
    x, m = (torch.randn(1, hidden, 4, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))

    def two_steps(x: Tensor, m: Tensor) -> Tensor:
        return torch.stack(run(fast(cell), cell, [x, x * 0.5], [m, m])[0::2])

    assert torch.autograd.gradcheck(two_steps, (x, m), atol=1e-6)
