"""Every cell in every wiring: shapes, gradients, batches, what is fed back, and the cost that the paper prints."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.networks.cell import Place
from engine.networks.configuration import CELLS, build, cell_class
from engine.networks.encoder_forecaster import BRIEF, HKO7, MOVING_MNIST, EncoderForecaster, filtered
from engine.networks.flops import multiply_accumulates
from engine.networks.recurrent import Recurrent
from engine.networks.topologies import TOPOLOGIES
from engine.networks.zoo import ZOO

HIDDEN = 8
OPTIONS: dict[str, dict[str, Any]] = {"preciplstm": {"window": 4}, "trajgru": {"links": 2, "structure": (4, 3)}}
LADDERS = {"moving-mnist": replace(MOVING_MNIST, hidden=(8, 12, 12), first=4),
           "hko7": replace(HKO7, hidden=(8, 12, 16), first=4), "brief": replace(BRIEF.of_width(8), first=4)}
GRIDS = {"stacked": (8, 12), "multi-scale": (16, 24), "deblurring": (16, 24), "moving-mnist": (16, 24),
         "hko7": (60, 120), "brief": (32, 48)}
WIRINGS = [(cell, topology) for topology in TOPOLOGIES for cell in CELLS if cell != "convgru"] \
    + [("convgru", "multi-scale")] + [(cell, ladder) for ladder in LADDERS for cell in CELLS]


def make(cell: str, wiring: str, seed: int = 1) -> nn.Module:
    torch.manual_seed(seed)
    options, maker = OPTIONS.get(cell, {}), cell_class(cell)
    if wiring in LADDERS:
        return EncoderForecaster(LADDERS[wiring], lambda level, inputs, hidden, place: maker(
            inputs, hidden, place, **options)).eval()
    return Recurrent(TOPOLOGIES[wiring], lambda inputs, hidden, place: maker(inputs, hidden, place, **options),
                     HIDDEN).eval()


def frames_for(wiring: str, batch: int, count: int = 3) -> Tensor:
    torch.manual_seed(2)
    return torch.rand(batch, count, 1, *GRIDS[wiring])


def idle(key: str, network: nn.Module) -> bool:
    """idle: only there for the published count. motion: without use in a layer that is read out."""
    return ".idle." in key or (".motion." in key and network.get_submodule(key.partition(".motion.")[0]).last)


@pytest.mark.parametrize(("cell", "wiring"), WIRINGS)
def test_forward_and_backward(cell: str, wiring: str) -> None:
    network = make(cell, wiring)
    found = network(frames_for(wiring, 2), 2)
    leading = (2, 2) if wiring in LADDERS else (2, 2 if wiring == "deblurring" else 1, 4)
    assert found.shape == (*leading, 1, *GRIDS[wiring])
    assert torch.isfinite(found).all()
    (found ** 2).sum().backward()
    without = [key for key, weight in network.named_parameters() if weight.grad is None and not idle(key, network)]
    assert not without


@pytest.mark.parametrize(("cell", "wiring"), WIRINGS)
def test_a_batch_is_its_samples(cell: str, wiring: str) -> None:
    network, frames = make(cell, wiring), frames_for(wiring, 4, 2)
    with torch.inference_mode():
        together = network(frames, 2)
        for sample in (0, 3):
            torch.testing.assert_close(network(frames[sample:sample + 1], 2)[0], together[sample],
                                       atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(("cell", "wiring"), WIRINGS)
def test_inference_computes_what_training_does(cell: str, wiring: str) -> None:
    """Its own ways through cells and wiring: the embedding within the first convolutions, one pass for all gates."""
    network, frames = make(cell, wiring), frames_for(wiring, 2)
    with torch.no_grad():
        for key, weight in network.named_parameters():
            weight.copy_(torch.randn_like(weight) * (1.0 if "embeddings" in key else 0.15))
    taught = network(frames, 2).detach()
    with torch.inference_mode():
        torch.testing.assert_close(network(frames, 2), taught, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("wiring", [*TOPOLOGIES, *LADDERS])
def test_another_grid(wiring: str) -> None:
    network = make("predrnn", wiring)
    multiple = network.grid_multiple
    for shape in ((2 * multiple, multiple), (multiple * 3, multiple * 2)):
        assert network(torch.rand(1, 2, 1, *shape), 1).shape[-2:] == shape


@pytest.mark.parametrize("wiring", ["multi-scale", "moving-mnist", "hko7"])
def test_motion_needs_a_grid_that_halves_once_more(wiring: str) -> None:
    network = make("motionrnn", wiring)
    assert network.grid_multiple == 2 * make("mim", wiring).grid_multiple
    side = network.grid_multiple
    assert network(torch.rand(1, 2, 1, side, side), 1).shape[-1] == side


def test_the_deblurred_frame_is_fed_back() -> None:
    """DB-RNN paper, equation 6: what follows the inputs sees the second read-out."""
    network, frames = make("convlstm", "deblurring"), frames_for("deblurring", 1)
    with torch.inference_mode():
        free = list(network.steps(frames, 3))
        seen = torch.stack([free[2][1], free[3][1]], dim=1)
        told = list(network.steps(frames, 3, seen))
        other = list(network.steps(frames, 3, torch.stack([free[2][0], free[3][0]], dim=1)))
    for a, b in zip(free, told, strict=True):
        torch.testing.assert_close(a[1], b[1])
    assert not torch.allclose(free[-1][1], other[-1][1])


def test_teaching_gives_frames_to_see_where_there_are_some() -> None:
    """All frames at once or as teacher is the same; NaN means the network's own output."""
    network = make("predrnn", "multi-scale")
    frames, more = frames_for("multi-scale", 1), torch.rand(1, 2, 1, *GRIDS["multi-scale"])
    with torch.inference_mode():
        whole = list(network.steps(torch.cat((frames, more), dim=1), 1))
        taught = list(network.steps(frames, 3, more))
        untaught = list(network.steps(frames, 3, torch.full_like(more, torch.nan)))
        free = list(network.steps(frames, 3))
    torch.testing.assert_close(whole[-1][0], taught[-1][0])
    torch.testing.assert_close(free[-1][0], untaught[-1][0])
    assert not torch.allclose(free[-1][0], taught[-1][0])


@pytest.mark.parametrize(("cell", "wiring"), WIRINGS)
def test_a_forecast_goes_on_as_long_as_is_wished(cell: str, wiring: str) -> None:
    """Whatever number of lead times is asked for, the first ones are the same."""
    network, frames = make(cell, wiring), frames_for(wiring, 1)
    with torch.inference_mode():
        short, long = network(frames, 2), network(frames, 9)
    along = 1 if wiring in LADDERS else 2
    assert long.shape[along] == short.shape[along] + 7
    assert torch.isfinite(long).all()
    torch.testing.assert_close(long.narrow(along, 0, short.shape[along]), short)


def test_the_memory_runs_through_both_modules_and_on_to_the_next_step() -> None:
    seen: list[Tensor | None] = []

    class Spy(nn.Module):
        uses_memory = True

        def __init__(self, inputs: int, hidden: int, place: Place) -> None:
            super().__init__()

        def start(self, like: Tensor) -> None:
            return None

        def forward(self, flow: Any, state: None) -> Any:
            seen.append(flow.memory)
            memory = torch.zeros_like(flow.hidden) if flow.memory is None else flow.memory
            return flow._replace(memory=memory + 1), None, None

    network = Recurrent(TOPOLOGIES["deblurring"], Spy, 2)
    list(network.steps(torch.zeros(1, 2, 1, 8, 8), 1))
    assert seen[0] is None
    assert [float(memory.mean()) for memory in seen[1:]] == pytest.approx(range(1, 24))


def test_dynamic_filters_are_a_weighted_mean_of_neighbours() -> None:
    frame = torch.rand(2, 1, 4, 5)
    weights = torch.randn(2, 9, 4, 5)
    share = torch.softmax(weights, 1)
    found = filtered(frame, weights, 3)
    for row, column in ((0, 0), (2, 3)):
        wanted = sum(share[:, 3 * a + b, row, column] * frame[:, 0, row + a - 1, column + b - 1]
                     for a in range(3) for b in range(3) if 0 <= row + a - 1 < 4 and 0 <= column + b - 1 < 5)
        torch.testing.assert_close(found[:, 0, row, column], wanted)


@pytest.mark.parametrize(("name", "printed"), [
    ("ms-convlstm", 25_169_356_800), ("db-convlstm", 50_338_713_600),
    ("ms-predrnn", 51_024_384_000), ("db-predrnn", 102_048_768_000),
    ("ms-mim", 80_205_312_000), ("db-mim", 160_410_624_000),
    ("ms-predrnn++", 68.24e9), ("ms-preciplstm", 99.80e9), ("ms-lstm", 107.38e9),
])
def test_cost_as_the_paper_prints_it(name: str, printed: float) -> None:
    """DB-RNN paper, Table V: 25.2, 50.3, 51.0, 102.0, 80.2 and 160.4 G; 5 + 5 - 1 steps of 160 x 160."""
    with torch.device("meta"):
        found = multiply_accumulates(build(ZOO[name].configuration), inputs=5, leads=5, shape=(160, 160))
    if isinstance(printed, int):
        assert found == printed
    else:
        assert found == pytest.approx(printed, abs=0.006e9)
