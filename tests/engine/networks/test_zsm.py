"""Zooming Slow-Mo, FC-ZSM and the U-Nets: counts, shapes, alignment and cell against the papers' formulas."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine import catalogue
from engine.errors import WrongUsage
from engine.networks.configuration import Configuration, build, parameter_count
from engine.networks.downscaling_unets import PlanarUNet, SpaceTimeUNet
from engine.networks.downscaling_zoo import DOWNSCALING
from engine.networks.trilinear import bilinear, trilinear
from engine.networks.zsm import Alignment, DeformableConvLSTM, Direction, Levels, ZoomingSlowMo


def count(**options: int) -> int:
    with torch.device("meta"):
        return parameter_count(ZoomingSlowMo(**options))


def small(**options: Any) -> ZoomingSlowMo:
    torch.manual_seed(0)
    return ZoomingSlowMo(front=1, back=1, channels=8, groups=2, **options).eval()


def test_counts_of_the_published_network() -> None:
    """RGB, four times as large, with 40 and with 10 residual blocks behind: 11.10 million, as its authors print."""
    assert count(dynamic=3, outputs=3, back=40, shuffles=2) == 11_102_771
    assert count(dynamic=3, outputs=3, shuffles=2) == 8_887_091


def test_counts_part_by_part() -> None:
    with torch.device("meta"):
        assert parameter_count(Direction(64, 8)) == 1_112_008
        assert parameter_count(Alignment(64, 8)) == 2_224_016 + 8_256
        assert parameter_count(DeformableConvLSTM(64, 8)) == 5_063_392
        assert parameter_count(Alignment(64, 8, 64)) - parameter_count(Alignment(64, 8)) == 221_184


@pytest.mark.parametrize("name", DOWNSCALING)
def test_counts_of_the_zoo_and_the_catalogue(name: str) -> None:
    entry, row = DOWNSCALING[name], catalogue.row("downscaler", name)
    with torch.device("meta"):
        assert parameter_count(build(entry.configuration)) == entry.parameters
    assert (row.parameters, row.title, row.family) == (entry.parameters, entry.title, entry.family)


def test_the_catalogue_has_no_other_networks() -> None:
    assert {row.name for row in catalogue.rows("downscaler") if row.parameters} == set(DOWNSCALING)
    given = {"zsm": 8_737_073, "fc-zsm-d": 8_738_225, "fc-zsm-s": 9_476_465, "fc-zsm-ds": 9_477_617}
    assert {name: DOWNSCALING[name].parameters for name in given} == given


@pytest.mark.parametrize("grid", [(8, 12), (9, 14)])
@pytest.mark.parametrize("frames", [2, 3])
def test_shapes(grid: tuple[int, int], frames: int) -> None:
    given = torch.rand(2, frames, 3, *grid)
    with torch.inference_mode():
        found = small(dynamic=3, static=2)(given, torch.rand(2, 2, *grid))
    assert found.shape == (2, 2 * frames - 1, 1, 2 * grid[0], 2 * grid[1])


@pytest.mark.parametrize("options", [{"widths": (4, 8, 8)}], ids=["small"])
@pytest.mark.parametrize("architecture", ["planar-unet", "space-time-unet"])
def test_shapes_of_the_u_nets(architecture: str, options: dict[str, tuple[int, ...]]) -> None:
    network = build(Configuration(architecture, inputs=2, leads=3, options=options))  # type: ignore[arg-type]
    with torch.inference_mode():
        assert network(torch.rand(2, 2, 1, 9, 14)).shape == (2, 3, 1, 18, 28)


def test_fixed_fields_are_asked_for() -> None:
    with pytest.raises(ValueError, match="reads 2 fixed fields"):
        small(static=2)(torch.rand(1, 2, 1, 8, 8))
    with pytest.raises(ValueError, match="reads 0 fixed fields"):
        small()(torch.rand(1, 2, 1, 8, 8), torch.rand(1, 2, 8, 8))
    with pytest.raises(WrongUsage, match="cannot be built"):
        build(Configuration("zsm", options={"colour": 3}))


def test_every_weight_is_used() -> None:
    """The first step moves all but what only tells offsets: those start at nought, where what lies before them has
    no effect yet. A second step, with offsets that are not nought, moves all of it."""
    network = small(dynamic=3, static=2).train()
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.weight.abs().max() == 0:
            nn.init.normal_(module.weight, std=0.1)
    network(torch.rand(1, 3, 3, 8, 8), torch.rand(1, 2, 8, 8)).square().sum().backward()
    assert [name for name, value in network.named_parameters() if value.grad is None] == []
    dead = [name for name, value in network.named_parameters()
            if value.grad is not None and value.grad.abs().max() == 0 and name.endswith("weight")]
    assert dead == []


def test_samples_do_not_see_each_other() -> None:
    network, first, other = small(), torch.rand(1, 2, 1, 8, 8), torch.rand(1, 2, 1, 8, 8)
    with torch.inference_mode():
        alone, together = network(first), network(torch.cat((first, other)))
    torch.testing.assert_close(together[:1], alone, rtol=1e-4, atol=1e-6)


def test_fixed_fields_only_tell_where_to_read() -> None:
    """While offsets are nought elevation changes nothing (equation 8); once they follow the features it does, and only
    through the frames in between."""
    network, frames = small(static=2), torch.rand(1, 2, 1, 8, 8)
    with torch.inference_mode():
        one, other = (network(frames, torch.rand(1, 2, 8, 8)) for _ in range(2))
        torch.testing.assert_close(one, other, rtol=0, atol=0)
        for module in network.between.modules():
            if isinstance(module, nn.Conv2d) and module.weight.abs().max() == 0:
                nn.init.normal_(module.weight, std=0.2)
        one, other = (network(frames, torch.rand(1, 2, 8, 8)) for _ in range(2))
    assert (one - other).abs().max() > 0


def test_the_cell_is_a_conv_lstm() -> None:
    """One step from given states against the formula, and sequence reversal: what runs backwards has the same
    weights."""
    torch.manual_seed(2)
    cell = DeformableConvLSTM(4, 2)
    seen, hidden, memory = (torch.randn(1, 4, 4, 4) for _ in range(3))
    gates = F.conv2d(torch.cat((seen, hidden), 1), cell.gates.weight, cell.gates.bias, padding=1)
    take, keep, show, new = gates[:, :4], gates[:, 4:8], gates[:, 8:12], gates[:, 12:]
    expected = torch.sigmoid(keep) * memory + torch.sigmoid(take) * torch.tanh(new)
    found_hidden, found_memory = cell.step(seen, hidden, memory)
    torch.testing.assert_close(found_memory, expected)
    torch.testing.assert_close(found_hidden, torch.sigmoid(show) * torch.tanh(expected))


def test_time_reversed_frames_give_time_reversed_states() -> None:
    """Where the joining convolution treats both directions alike the whole recurrence has no arrow of time."""
    torch.manual_seed(2)
    cell = DeformableConvLSTM(4, 2)
    with torch.no_grad():
        cell.join.weight[:, 4:] = cell.join.weight[:, :4]
        features = [torch.randn(1, 4, 4, 4) for _ in range(3)]
        for one, other in zip(cell(features), cell(features[::-1])[::-1], strict=True):
            torch.testing.assert_close(one, other)


def test_alignment_literally() -> None:
    """Three levels written out with plain convolutions, as offsets start at nought and masks at one half."""
    torch.manual_seed(4)
    direction = Direction(4, 2)
    moved, fixed = (_levels(4) for _ in range(2))
    half = [F.conv2d(moved[level], direction.deform[level].read.weight / 2, direction.deform[level].read.bias,
                     padding=1) for level in range(3)]
    coarse = F.leaky_relu(half[2], 0.1)
    middle = F.leaky_relu(direction.merge[1](torch.cat((half[1], _up(coarse)), 1)), 0.1)
    expected = direction.merge[0](torch.cat((half[0], _up(middle)), 1))
    torch.testing.assert_close(direction(moved, fixed), expected)


def _levels(channels: int) -> Levels:
    return torch.randn(1, channels, 8, 8), torch.randn(1, channels, 4, 4), torch.randn(1, channels, 2, 2)


def _up(values: Tensor) -> Tensor:
    return F.interpolate(values, scale_factor=2, mode="bilinear", align_corners=False)


def test_what_unet3d_starts_from_is_trilinear() -> None:
    frames = torch.tensor([[[[0.0, 4.0]], [[8.0, 8.0]]]])
    found = trilinear(frames)
    assert found[0, :, 0].tolist() == [[0, 1, 3, 4], [4, 4.5, 5.5, 6], [8, 8, 8, 8]]
    assert found.shape == (1, 3, 2, 4)


@pytest.mark.parametrize("name", [name for name in DOWNSCALING if name.endswith("-small")])
def test_small_ones_begin_as_what_they_are_added_to(name: str) -> None:
    """Three coarse frames, the one in between among them, come out bilinear in space; a step of learning would change
    that."""
    network = build(DOWNSCALING[name].configuration)
    frames = torch.rand(1, 3, 1, 9, 14)
    given = (frames, torch.rand(1, 2, 9, 14)) if "fc" in name else (frames,)
    found = network(*given)
    torch.testing.assert_close(found[:, :, 0], bilinear(frames[:, :, 0]))
    found.square().sum().backward()
    assert any(value.grad is not None and bool(value.grad.abs().max() > 0) for value in network.parameters())


def test_added_to_what_is_trilinear() -> None:
    frames = torch.rand(1, 2, 1, 8, 8)
    for network in (small(residual=True), PlanarUNet(2, (4, 8), residual=True), SpaceTimeUNet((4, 8), residual=True)):
        with torch.inference_mode():
            torch.testing.assert_close(network(frames)[:, :, 0], trilinear(frames[:, :, 0]))
    with pytest.raises(ValueError, match="one output"):
        small(residual=True, shuffles=2)
    with pytest.raises(ValueError, match="not 2 fixed fields"):
        ZoomingSlowMo(static=2, fields="elevation")
