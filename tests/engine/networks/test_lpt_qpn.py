"""LPT-QPN's pieces against loops over channels and pixels, its count summed by hand, its borders."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.networks.configuration import parameter_count
from engine.networks.lpt_qpn import LPTQPN, GatedFeed, SquaredAttention, SquashedNorm
from engine.networks.rollout import lead_frames


def small(inputs: int = 3, leads: int = 4) -> LPTQPN:
    torch.manual_seed(1)
    return LPTQPN(inputs, leads, width=4, blocks=(1, 1, 2), heads=(1, 2, 4), refinements=1)


def mixed(x: Tensor, enter: Tensor, mix: Tensor) -> Tensor:
    """1x1 over the channels, then each channel with its own 3x3; x: (C, H, W)."""
    wide = torch.einsum("oc,chw->ohw", enter[:, :, 0, 0], x)
    framed = F.pad(wide, (1, 1, 1, 1))
    rows, columns = x.shape[1:]
    out = torch.zeros_like(wide)
    for channel in range(wide.shape[0]):
        for a in range(3):
            for b in range(3):
                out[channel] += mix[channel, 0, a, b] * framed[channel, a:a + rows, b:b + columns]
    return out


def test_attention_by_loops_over_channels() -> None:
    torch.manual_seed(2)
    module = SquaredAttention(6, 2)
    state = {key: torch.randn_like(value) for key, value in module.state_dict().items()}
    module.load_state_dict(state)
    x = torch.randn(2, 6, 4, 5)
    with torch.no_grad():
        found = module(x)
    for sample in range(2):
        query, key, value = mixed(x[sample], state["enter.weight"], state["mix.weight"]).chunk(3)
        out = torch.zeros(6, 4, 5)
        for head in range(2):
            for c in range(3 * head, 3 * head + 3):
                for d in range(3 * head, 3 * head + 3):
                    cosine = float((query[c] * key[d]).sum() / (query[c].norm() * key[d].norm()))
                    out[c] += value[d] / (1 + math.exp(-cosine * float(state["sharpness"][head])))
        wanted = torch.einsum("oc,chw->ohw", state["leave.weight"][:, :, 0, 0], out)
        torch.testing.assert_close(found[sample], wanted, atol=1e-5, rtol=1e-5)


def test_feed_and_norm_by_hand() -> None:
    torch.manual_seed(3)
    feed, norm = GatedFeed(4), SquashedNorm(4)
    assert feed.leave.weight.shape[1] == 10  # the whole part of 2.66 * 4
    x = torch.randn(1, 4, 3, 5)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 2.0, 0.5, -1.0]))
        wide = mixed(x[0], feed.enter.weight, feed.mix.weight)
        gated = 0.5 * wide[:10] * (1 + torch.erf(wide[:10] / math.sqrt(2))) / (1 + torch.exp(-wide[10:]))
        wanted = torch.einsum("oc,chw->ohw", feed.leave.weight[:, :, 0, 0], gated)
        torch.testing.assert_close(feed(x)[0], wanted, atol=1e-5, rtol=1e-5)
        pixel = x[0, :, 1, 2].double()
        brought = (pixel - pixel.mean()) / torch.sqrt(pixel.var(unbiased=False) + 1e-5) * norm.weight
        torch.testing.assert_close(norm(x)[0, :, 1, 2].double(), 1 / (1 + torch.exp(-brought)), atol=1e-6, rtol=1e-6)


def block(width: int, heads: int) -> int:
    """Parameters of a block: norms, sharpness, attention (1x1, depthwise, 1x1), feed (1x1, depthwise, 1x1)."""
    inner = int(2.66 * width)
    return 2 * width + heads + 3 * width**2 + 27 * width + width**2 + 2 * width * inner + 18 * inner + inner * width


def test_the_count_by_hand() -> None:
    descent = 4 * block(20, 1) + 6 * block(40, 2) + 6 * block(80, 4) + 8 * block(160, 8)
    ascent = 6 * block(80, 4) + 6 * block(40, 2) + (4 + 2) * block(40, 1)
    downs = 9 * (20 * 10 + 40 * 20 + 80 * 40)
    ups = 9 * (160 * 320 + 80 * 160 + 40 * 80)
    joins = 160 * 80 + 80 * 40
    ends = 9 * 5 * 20 + 9 * 40 * 20 + 9 * 20 * 20 + 20 + 1
    physics = 4 * (9 * 20 + 1 + 1)
    total = descent + ascent + downs + ups + joins + ends + physics
    assert total == parameter_count(LPTQPN()) == 4_636_747
    assert f"{total / 1e6:.1f}" == "4.6"  # DB-RNN paper, Table VII


def test_shapes_longer_forecasts_and_batches() -> None:
    network = small().eval()
    frames = torch.rand(4, 3, 1, 16, 24)
    with torch.inference_mode():
        together = network(frames, 4)
        assert together.shape == (4, 4, 1, 16, 24)
        torch.testing.assert_close(network(frames[2:3], 2)[0], together[2, :2], atol=1e-5, rtol=1e-5)
        assert len(list(lead_frames(network, frames, 10))) == 10
        assert network.coefficients(together).shape == (4,)
    assert network.grid_multiple == 4
    assert LPTQPN().grid_multiple == 8


def test_the_last_frame_is_where_the_forecast_starts() -> None:
    """With a head of zeros all lead times come from the last frame alone."""
    network = small()
    torch.nn.init.zeros_(network.head.weight)
    frames = torch.rand(1, 3, 1, 8, 8)
    other = frames.clone()
    other[:, :-1] = torch.rand(1, 2, 1, 8, 8)
    torch.testing.assert_close(network(frames, 4), network(other, 4))


def test_every_weight_learns() -> None:
    network = small()
    forecast = network(torch.rand(2, 3, 1, 8, 16), 4)
    ((forecast**2).sum() + (network.coefficients(forecast.detach()) + 1).square().sum()).backward()
    assert not [key for key, weight in network.named_parameters() if weight.grad is None]


def test_gradients_are_right() -> None:
    torch.manual_seed(4)
    network = LPTQPN(2, 2, width=2, blocks=(1, 1), heads=(1, 2), refinements=1).double()
    frames = torch.rand(1, 2, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda given: network(given, 2), (frames,), atol=1e-6)


