"""MotionGRU gathers at learned offsets, as a deformable convolution does; where these are zero it is a plain one."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from engine.networks.cells.motionrnn import MotionGRU

HIDDEN, SHAPE = 8, (10, 12)


def at_rest() -> MotionGRU:
    """A unit whose new offsets are zero, so that they stay so when they start so."""
    torch.manual_seed(1)
    unit = MotionGRU(HIDDEN)
    for weight in unit.new.parameters():
        nn.init.zeros_(weight)
    return unit


def test_with_zero_offsets_it_is_a_plain_convolution() -> None:
    """All nine places are then the pixel itself: one 1 x 1 convolution with the nine parts of the merging weights
    summed, each times its mask."""
    unit = at_rest()
    hidden, rest = torch.randn(2, HIDDEN, *SHAPE), torch.zeros(2, 18, SHAPE[0] // 2, SHAPE[1] // 2)
    with torch.no_grad():
        found, motion, trend = unit(hidden, rest, rest)
        assert not motion.any()
        assert not trend.any()
        coarse = F.conv2d(hidden, unit.encode.weight, unit.encode.bias, stride=2)
        mask = torch.sigmoid(F.conv2d(coarse, unit.mask.weight, unit.mask.bias))
        parts = unit.merge.weight[:, :, 0, 0].unflatten(1, (9, -1))
        merged = torch.einsum("bihw,oic,bchw->bohw", mask, parts, coarse) + unit.merge.bias[:, None, None]
        decoded = F.conv_transpose2d(merged, unit.decode.weight, unit.decode.bias, stride=2, padding=1)
        gate = torch.sigmoid(F.conv2d(torch.cat((decoded, hidden), 1), unit.gate.weight, unit.gate.bias))
    torch.testing.assert_close(found, gate * hidden + (1 - gate) * decoded, atol=1e-5, rtol=1e-5)


def test_with_open_masks_the_nine_parts_are_one_kernel() -> None:
    unit = at_rest()
    with torch.no_grad():
        unit.mask.weight.zero_()
        unit.mask.bias.fill_(40.0)  # the logistic function of it is 1
        coarse = torch.randn(1, HIDDEN // 4, 5, 6)
        gathered = unit._gathered(coarse, torch.zeros(1, 18, 5, 6))
        plain = nn.Conv2d(HIDDEN // 4, HIDDEN // 4, 1)
        plain.weight.copy_(unit.merge.weight.unflatten(1, (9, -1)).sum(1))
        plain.bias.copy_(unit.merge.bias)
        torch.testing.assert_close(unit.merge(gathered), plain(coarse), atol=1e-5, rtol=1e-5)


def test_with_offsets_it_is_not() -> None:
    unit = at_rest()
    hidden, moved = torch.randn(1, HIDDEN, *SHAPE), torch.full((1, 18, SHAPE[0] // 2, SHAPE[1] // 2), 1.5)
    with torch.no_grad():
        assert not torch.allclose(unit(hidden, moved, torch.zeros_like(moved))[0],
                                  unit(hidden, torch.zeros_like(moved), torch.zeros_like(moved))[0])
