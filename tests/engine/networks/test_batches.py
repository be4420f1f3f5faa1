"""A forecast does not depend on what else is in the batch, nor, up to rounding, on the device."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from engine.networks.configuration import build
from engine.networks.rollout import lead_frames
from tests.engine.networks.test_learning import SMALL


def network_for(name: str) -> tuple[nn.Module, Tensor]:
    """A network with fresh weights, and four sequences for it."""
    wish = SMALL[name]
    torch.manual_seed(3)
    side = 32 if wish.architecture == "chain" else 24
    return build(wish).eval(), torch.rand(4, wish.inputs, 1, side, side)


def forecast(network: nn.Module, frames: Tensor, leads: int = 3) -> Tensor:
    with torch.inference_mode():
        return torch.stack(list(lead_frames(network, frames, leads)), dim=1)


@pytest.mark.parametrize("name", SMALL)
def test_four_together_are_four_alone(name: str) -> None:
    network, frames = network_for(name)
    together = forecast(network, frames)
    for sample in (0, 3):
        torch.testing.assert_close(forecast(network, frames[sample:sample + 1])[0], together[sample],
                                   atol=2e-5, rtol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("name", SMALL)
def test_the_gpu_agrees_with_the_cpu(name: str) -> None:
    network, frames = network_for(name)
    exact = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        here, there = forecast(network, frames), forecast(network.cuda(), frames.cuda()).cpu()
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = exact
    torch.testing.assert_close(there, here, atol=1e-3, rtol=1e-3)
