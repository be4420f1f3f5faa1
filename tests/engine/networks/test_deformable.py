"""Deformable convolution against plain convolution, shifted reading, a loop over the formula, and its gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from engine.networks.deformable import Deformable, deformable_convolution

Given = tuple[Tensor, Tensor, Tensor, Tensor]


def fields(channels: int = 4, outputs: int = 3, groups: int = 2, side: int = 6) -> Given:
    """field, offsets of nought, mask of ones, weight; double precision."""
    torch.manual_seed(3)
    field = torch.randn(2, channels, side, side + 1, dtype=torch.float64)
    offsets = torch.zeros(2, 2 * groups * 9, side, side + 1, dtype=torch.float64)
    return field, offsets, torch.ones_like(offsets[:, ::2]), torch.randn(outputs, channels, 3, 3, dtype=torch.float64)


def test_offsets_of_nought_are_a_convolution() -> None:
    field, offsets, mask, weight = fields()
    bias = torch.randn(3, dtype=torch.float64)
    found = deformable_convolution(field, offsets, mask, weight, bias)
    torch.testing.assert_close(found, F.conv2d(field, weight, bias, padding=1), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("down", "right"), [(1, 0), (0, -2), (2, 1), (-7, 3)])
def test_whole_offsets_are_shifted_reading(down: int, right: int) -> None:
    """Every tap reads so many cells away, nought beyond the border: a convolution of the shifted, padded field."""
    field, offsets, mask, weight = fields()
    offsets[:, 0::2], offsets[:, 1::2] = down, right
    wide = F.pad(field, (9, 9, 9, 9))
    shifted = F.conv2d(wide.roll((-down, -right), (2, 3)), weight, padding=1)[:, :, 9:-9, 9:-9]
    torch.testing.assert_close(deformable_convolution(field, offsets, mask, weight, None), shifted, rtol=0, atol=1e-12)


def test_masks_weigh_taps_of_their_group() -> None:
    """With all but the middle tap of the second group silenced a 1 x 1 convolution of its channels is left."""
    field, offsets, mask, weight = fields()
    mask = torch.zeros_like(mask)
    mask[:, 9 + 4] = 0.5
    found = deformable_convolution(field, offsets, mask, weight, None)
    expected = 0.5 * F.conv2d(field[:, 2:], weight[:, 2:, 1:2, 1:2])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_literally_the_formula() -> None:
    field, offsets, mask, weight = fields(side=3)
    torch.manual_seed(5)
    offsets, mask = torch.randn_like(offsets) * 1.7, torch.rand_like(mask)
    found = deformable_convolution(field, offsets, mask, weight, None)
    for b in range(2):
        for i in range(3):
            for j in range(4):
                torch.testing.assert_close(found[b, :, i, j], _literal(field[b], offsets[b], mask[b], weight, i, j),
                                           rtol=0, atol=1e-12)


def _literal(field: Tensor, offsets: Tensor, mask: Tensor, weight: Tensor, i: int, j: int) -> Tensor:
    out = torch.zeros(len(weight), dtype=torch.float64)
    for channel in range(len(field)):
        group = channel // 2
        for tap in range(9):
            number = group * 9 + tap
            y = i + tap // 3 - 1 + float(offsets[2 * number, i, j])
            x = j + tap % 3 - 1 + float(offsets[2 * number + 1, i, j])
            out += weight[:, channel, tap // 3, tap % 3] * mask[number, i, j] * _bilinear(field[channel], y, x)
    return out


def _bilinear(field: Tensor, y: float, x: float) -> float:
    total = 0.0
    for row in range(field.shape[0]):
        for column in range(field.shape[1]):
            total += max(0.0, 1 - abs(y - row)) * max(0.0, 1 - abs(x - column)) * float(field[row, column])
    return total


def test_gradients() -> None:
    """Of the field, the offsets, the mask and the weight, at places away from the kinks of bilinear reading."""
    field, offsets, mask, weight = (tensor[:1] for tensor in fields(channels=2, outputs=1, groups=1, side=2))
    torch.manual_seed(1)
    offsets = (torch.rand_like(offsets) * 0.6 + 0.2 + torch.randint_like(offsets, -2, 2)).requires_grad_()
    mask, field, weight = (tensor.requires_grad_() for tensor in (torch.rand_like(mask), field, weight))
    assert torch.autograd.gradcheck(
        lambda *given: deformable_convolution(*given, None), (field, offsets, mask, weight))


def test_reading_between_cells_by_hand() -> None:
    """The middle tap alone, from the upper left cell: between four cells, between two, half beyond the border (where
    there is nought), on a cell, and far beyond."""
    field = torch.tensor([[[[0.0, 4.0], [8.0, 12.0]]]])
    weight = torch.zeros(1, 1, 3, 3)
    weight[..., 1, 1] = 1.0
    places = {(0.5, 0.5): 6, (0.25, 1): 6, (1, 1.5): 6, (-0.5, 0): 0, (1, 1): 12, (5, 0): 0}
    for (down, right), expected in places.items():
        offsets = torch.zeros(1, 18, 2, 2)
        offsets[:, 8, 0, 0], offsets[:, 9, 0, 0] = down, right
        found = deformable_convolution(field, offsets, torch.ones(1, 9, 2, 2), weight, None)
        torch.testing.assert_close(found[0, 0, 0, 0], torch.tensor(float(expected)))


def test_it_starts_as_half_a_convolution() -> None:
    torch.manual_seed(0)
    layer = Deformable(8, 2)
    field, guide = torch.randn(1, 8, 5, 5), torch.randn(1, 8, 5, 5)
    read = layer.read
    expected = F.conv2d(field, read.weight / 2, read.bias, padding=1)
    torch.testing.assert_close(layer(field, guide), expected)
    assert sum(p.numel() for p in Deformable(64, 8).parameters()) == 36_928 + 124_632
    assert not layer.place.weight.detach().any()
