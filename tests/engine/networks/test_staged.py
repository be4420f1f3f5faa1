"""Forecasting first, deblurring after it: what each of the two networks sees, and that either stands alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.networks.configuration import Configuration, build, parameter_count
from engine.networks.flops import multiply_accumulates
from engine.networks.recurrent import Recurrent
from engine.networks.rollout import lead_frames, state_bytes
from engine.networks.staged import SequenceDeblurrer, Staged
from engine.networks.weights import Header, load, save
from engine.networks.zoo import ZOO

CELLS = ("convlstm", "trajgru", "predrnn", "predrnn++", "mim", "motionrnn", "preciplstm")
OPTIONS: dict[str, dict[str, Any]] = {"preciplstm": {"window": 4}, "trajgru": {"links": 2, "structure": (4, 3)}}


def small(cell: str = "predrnn", architecture: str = "staged") -> Configuration:
    return Configuration(architecture, cell, "multi-scale", 8, OPTIONS.get(cell, {}), inputs=3, leads=2)


def made(cell: str = "predrnn") -> Staged:
    torch.manual_seed(4)
    network = build(small(cell)).eval()
    assert isinstance(network, Staged)
    return network


def frames(batch: int = 1, count: int = 3) -> Tensor:
    torch.manual_seed(5)
    return torch.rand(batch, count, 1, 16, 24)


@pytest.mark.parametrize("cell", CELLS)
def test_the_deblurring_network_sees_what_the_forecasting_network_put_out(cell: str) -> None:
    """Figure 3 a: the first network runs as it would alone; the second is given its outputs, one after the other."""
    network, given = made(cell), frames(2)
    with torch.inference_mode():
        both = network(given, 2)
        alone = network.forecasting(given, 2)[:, 0]
        torch.testing.assert_close(both[:, 0], alone)
        state, memory, sharp = network.deblurring.network.start(given[:, 0]), None, []
        for step in range(alone.shape[1]):
            read, state, memory = network.deblurring.network.step(alone[:, step], state, memory)
            sharp.append(read[-1])
        torch.testing.assert_close(both[:, 1], torch.stack(sharp, dim=1))
        shown = torch.stack(list(lead_frames(network, given, 2)), dim=1)
        torch.testing.assert_close(shown, both[:, 1, -2:])


@pytest.mark.parametrize("cell", CELLS)
def test_all_of_it_learns_and_the_two_stages_apart(cell: str) -> None:
    network, given = made(cell), frames()
    idle = ("idle.", ".motion.")
    blurred = network.forecasting(given, 2).detach()[:, 0]
    (network.deblurring(blurred) ** 2).sum().backward()
    assert all(weight.grad is None for weight in network.forecasting.parameters())
    without = [key for key, weight in network.deblurring.named_parameters() if weight.grad is None]
    assert not [key for key in without if not any(word in key for word in idle)]
    (network(given, 2)[:, 0] ** 2).sum().backward()
    without = [key for key, weight in network.forecasting.named_parameters() if weight.grad is None]
    assert not [key for key in without if not any(word in key for word in idle)]


def test_a_forecast_goes_on_and_comes_frame_by_frame() -> None:
    network, given = made(), frames()
    with torch.inference_mode():
        short = list(lead_frames(network, given, 2))
        coming = lead_frames(network, given, 9)
        for frame in short:
            torch.testing.assert_close(next(coming), frame)
        assert sum(1 for _ in coming) == 7


def test_a_batch_is_its_samples() -> None:
    network, given = made("mim"), frames(4)
    with torch.inference_mode():
        together = network(given, 2)
        for sample in (0, 3):
            torch.testing.assert_close(network(given[sample:sample + 1], 2)[0], together[sample], atol=2e-5, rtol=1e-4)


def test_a_deblurrer_takes_anybodys_sequence_and_stands_in_a_weight_file_of_its_own(tmp_path: Path) -> None:
    torch.manual_seed(6)
    wish = small(architecture="sequence-deblurrer")
    deblurrer = build(wish).eval()
    assert isinstance(deblurrer, SequenceDeblurrer)
    sequence = frames(2, 7)
    file = tmp_path / "db-module.safetensors"
    save(file, deblurrer, Header("db-module", wish, 5.0, 1.0))
    again, _ = load(file)
    with torch.inference_mode():
        sharp = deblurrer(sequence)
        assert sharp.shape == sequence.shape
        assert torch.equal(sharp, again(sequence))
        torch.testing.assert_close(deblurrer(sequence[:, :4]), sharp[:, :4])  # only what came before
        changed = sequence.clone()
        changed[:, 0] = 1 - changed[:, 0]
        assert not torch.allclose(deblurrer(changed)[:, -1], sharp[:, -1])  # but all of that


def test_the_second_stage_of_a_trained_network_is_such_a_deblurrer() -> None:
    network = made()
    alone = build(small(architecture="sequence-deblurrer"))
    alone.load_state_dict(network.deblurring.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(alone.eval()(frames()), network.deblurring(frames()))


@pytest.mark.parametrize("cell", CELLS)
def test_it_costs_and_weighs_twice_the_multi_scale_network(cell: str) -> None:
    with torch.device("meta"):
        staged, single = build(ZOO[f"ms-{cell}-s"].configuration), build(ZOO[f"ms-{cell}"].configuration)
        assert parameter_count(staged) == 2 * parameter_count(single) == ZOO[f"ms-{cell}-s"].parameters
        one, two = (multiply_accumulates(network, 5, 5, (160, 160)) for network in (single, staged))
    assert two == 2 * one


def test_what_it_keeps_between_two_frames_is_counted() -> None:
    network = made()
    assert isinstance(network.forecasting, Recurrent)
    assert state_bytes(network) == pytest.approx(2 * state_bytes(network.forecasting))
