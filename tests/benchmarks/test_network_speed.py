"""Networks against plain versions of themselves with one convolution per gate, step by step, in one run.

Processor time, the best of a few rounds that take turns, so that another program on the machine slows both alike.
Run this file on its own: threads that spin while they wait count as work, and whether they do is settled before torch
is imported (the package of the benchmarks does so).
Memory is the peak of what torch asks for, from its profiler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.networks.configuration import build
from engine.networks.recurrent import Recurrent, resample
from engine.networks.zoo import ZOO
from tests.benchmarks.measure import best_of, cpu_seconds
from tests.engine.networks.literal import LITERAL, TrajGRU, sampled_warp

pytestmark = pytest.mark.slow
SIDE, STEPS, ROUNDS = 160, 2, 4


class Plain:
    """The multi-scale network of section III-B, cell by cell as the papers write it."""

    def __init__(self, network: Recurrent, name: str) -> None:
        self.network = network
        self.cells = [
            TrajGRU(cell, sampled_warp) if name == "trajgru" else LITERAL[name](cell) for cell in network.cells
        ]

    def __call__(self, frames: Tensor) -> Tensor:
        network, memory, uses_memory = self.network, None, self.network.cells[0].uses_memory
        states, readout = network.start(frames[:, 0]), frames[:, 0]
        for step in range(frames.shape[1]):
            outputs: list[Tensor] = []
            plain, scale, new = network.embeddings[0](frames[:, step]), 0, []
            for layer, cell, state in zip(network.layers, self.cells, states, strict=True):
                plain = resample(plain, scale, layer.scale)
                if uses_memory:
                    memory = torch.zeros_like(plain) if memory is None else resample(memory, scale, layer.scale)
                hidden = plain
                for skip in layer.skips:
                    hidden = hidden + outputs[skip]
                plain, memory, fresh = cell(hidden, memory, plain, state)
                scale = layer.scale
                outputs.append(plain)
                new.append(fresh)
            states, readout = new, network.heads[0](plain)
        return readout


def moving(network: Recurrent) -> None:
    """Flows of some pixels that differ from place to place: those of a fresh TrajGRU are all zero."""
    with torch.no_grad():
        for key, weight in network.named_parameters():
            if ".flows." in key:
                weight.copy_(torch.randn_like(weight) * 0.5)


def peak_bytes(work: Callable[[], Any]) -> int:
    """The largest sum of what torch holds at a time beyond what it held before."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        work()
    held = most = 0
    for event in sorted(
        (e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"), key=lambda e: e.start_ns()
    ):
        held += event.nbytes()
        most = max(most, held)
    return most


@pytest.fixture
def two_cores() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("name", "ratio"), [("convlstm", 1.3), ("predrnn", 1.3), ("trajgru", 1.5)])
def test_faster_than_a_convolution_per_gate(two_cores: None, name: str, ratio: float) -> None:
    torch.manual_seed(0)
    network = build(ZOO[f"ms-{name}"].configuration).eval()
    assert isinstance(network, Recurrent)
    moving(network)
    plain, frames = Plain(network, name), torch.rand(1, STEPS, 1, SIDE, SIDE)

    def fused() -> Tensor:
        return network(frames, 1)[0, 0, -1]

    def per_gate() -> Tensor:
        return plain(frames)[0]

    with torch.inference_mode():
        torch.testing.assert_close(fused(), per_gate(), atol=1e-4, rtol=1e-4)
        best = best_of(ROUNDS, {"fused": fused, "per gate": per_gate})
        memory = peak_bytes(fused), peak_bytes(per_gate)
    faster = best["per gate"] / best["fused"]
    print(f"ms-{name}: {faster:.2f} times faster, {memory[0] / 1e6:.1f} MB against {memory[1] / 1e6:.1f} MB")  # noqa: T201
    assert faster >= ratio
    assert memory[0] <= memory[1]


def test_twenty_lead_times_of_the_small_network(
    two_cores: None, record_property: Callable[[str, object], None]
) -> None:
    """MS-ConvLSTM, 5 frames to 20 at 160 x 160: under 4 s on two cores that are free; processor time here."""
    network, frames = build(ZOO["ms-convlstm"].configuration).eval(), torch.rand(1, 5, 1, SIDE, SIDE)
    with torch.inference_mode():
        network(frames[:, :1], 1)
        seconds = cpu_seconds(lambda: network(frames, 20))
    record_property("processor_seconds", seconds)
    print(f"ms-convlstm 5 to 20: {seconds:.2f} s of processor time")  # noqa: T201
    assert seconds < 2 * 4.0
