"""The small Zooming Slow-Mo against itself without strips: all that a deformable convolution reads at once.

Processor time of one core, rounds that take turns, so that another program on the machine slows both alike.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from engine.networks import zsm
from engine.networks.configuration import build
from engine.networks.downscaling_zoo import DOWNSCALING
from tests.benchmarks.measure import best_of

SIDE, ROUNDS = 128, 3


@pytest.fixture
def one_core() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def all_at_once(field: Tensor, offsets: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The formula step by step: every place, every reading, then the mixture."""
    batch, channels, height, width = field.shape
    side, taps = weight.shape[2], weight.shape[2] * weight.shape[3]
    groups = mask.shape[1] // taps
    shifts, tap = offsets.reshape(batch * groups, taps, 2, height, width), torch.arange(taps)
    rows = torch.arange(float(height))[:, None] + (tap // side - side // 2)[:, None, None] + shifts[:, :, 0]
    columns = torch.arange(float(width)) + (tap % side - side // 2)[:, None, None] + shifts[:, :, 1]
    places = torch.stack(((2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1), dim=-1)
    read = F.grid_sample(field.reshape(batch * groups, -1, height, width), places.flatten(1, 2), align_corners=False)
    read = read.reshape(batch * groups, -1, taps, height * width) * mask.reshape(batch * groups, 1, taps, -1)
    out = weight.flatten(1) @ read.reshape(batch, channels * taps, height * width)
    return (out if bias is None else out + bias[:, None]).reshape(batch, -1, height, width)


@pytest.mark.slow
def test_strips_are_faster_than_all_at_once(one_core: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tile of 128 x 128 through zsm-small: the same numbers in at most three quarters of the time."""
    torch.manual_seed(0)
    network = build(DOWNSCALING["zsm-small"].configuration).eval()
    for module in network.modules():
        if isinstance(module, zsm.Deformable):
            torch.nn.init.normal_(module.place.weight, std=0.02)  # or every tap stays where it is
    torch.nn.init.normal_(network.get_submodule("last").weight, std=0.1)  # type: ignore[arg-type]
    frames = F.interpolate(torch.rand(3, 1, 16, 16), size=(SIDE, SIDE), mode="bicubic").clamp(0, 1)[None]
    made: dict[str, Tensor] = {}

    def run(name: str) -> None:
        with torch.inference_mode(), monkeypatch.context() as patched:
            if name == "plain":
                patched.setattr("engine.networks.deformable.deformable_convolution", all_at_once)
            made[name] = network(frames)

    run("plain"), run("strips")
    best = best_of(ROUNDS, {"strips": lambda: run("strips"), "plain": lambda: run("plain")})
    ratio = best["strips"] / best["plain"]
    print(f"zsm-small, {SIDE} x {SIDE}, strips over all at once: {ratio:.2f}")  # noqa: T201
    torch.testing.assert_close(made["strips"], made["plain"], rtol=0, atol=1e-6)
    assert ratio < 0.75
