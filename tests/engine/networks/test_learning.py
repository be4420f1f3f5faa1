"""Every network learns one short sequence by heart, and what was saved forecasts the same to the bit.

Small configurations of every kind; the networks of the papers differ from them in numbers of channels only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.networks.configuration import Configuration, build
from engine.networks.encoder_forecaster import EncoderForecaster
from engine.networks.recurrent import Recurrent
from engine.networks.rollout import lead_frames
from engine.networks.staged import Staged
from engine.networks.weights import Header, load, save

CELLS = ("convlstm", "convgru", "trajgru", "predrnn", "predrnn++", "mim", "motionrnn", "preciplstm", "ms-lstm")
OPTIONS: dict[str, dict[str, Any]] = {"preciplstm": {"window": 4}, "trajgru": {"links": 2, "structure": (8, 3)}}
SMALL = {
    **{f"{topology} {cell}": Configuration("recurrent", cell, topology, 12, OPTIONS.get(cell, {}), inputs=3, leads=2)
       for topology in ("stacked", "multi-scale", "deblurring") for cell in CELLS},
    **{f"staged {cell}": Configuration("staged", cell, "multi-scale", 12, OPTIONS.get(cell, {}), inputs=3, leads=2)
       for cell in CELLS},
    **{f"encoder-forecaster {cell}": Configuration("encoder-forecaster", cell, "moving-mnist", inputs=3, leads=2,
                                                   cell_options=OPTIONS.get(cell, {}))
       for cell in ("convgru", "trajgru", "convlstm")},
    "dfn": Configuration("encoder-forecaster", "convgru", "moving-mnist", inputs=3, leads=2,
                         options={"local_filter": 5}),
    **{translator: Configuration("simvp", inputs=3, leads=3, options={
        "translator": translator, "spatial": 8, "temporal": 16, "depth": 2})
       for translator in ("gsta", "tau", "incepu")},
    "earthformer": Configuration("earthformer", inputs=3, leads=2, options={
        "grid": (24, 24), "stages": (8, 16), "shrink": (2, 2), "drop": 0.0}),
    "lpt-qpn": Configuration("lpt-qpn", inputs=3, leads=2, options={
        "width": 8, "blocks": (1, 1, 1), "heads": (1, 2, 4), "refinements": 1}),
    "cnn2d": Configuration("chain", topology="cnn2d-mnist", inputs=10, leads=10, options={"base": 4}),
    "cnn3d": Configuration("chain", topology="cnn3d-mnist", inputs=10, leads=10, options={"base": 8}),
}
QUICK = ("multi-scale convlstm", "stacked trajgru")


def moving_blob(count: int, side: int = 24) -> Tensor:
    """(1, T, 1, side, side): a soft blob that moves a pixel per frame."""
    axis = torch.arange(side, dtype=torch.float32)
    return torch.stack([torch.exp(-((axis[:, None] - 8 - 0.5 * k) ** 2 + (axis[None, :] - 6 - k) ** 2) / 12)
                        for k in range(count)])[None, :, None]


def outputs(network: nn.Module, frames: Tensor, leads: int) -> Tensor:
    """All that is trained, (B, leads, 1, H, W) or with the read-outs joined."""
    if isinstance(network, Recurrent | Staged):
        return network(frames, leads)[:, :, frames.shape[1] - 1:].flatten(1, 2)
    if isinstance(network, EncoderForecaster):
        return network(frames, leads)
    found: Tensor = network(frames, leads)
    return found


def learn(network: nn.Module, frames: Tensor, truth: Tensor, steps: int) -> tuple[float, float]:
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(steps):
        found = outputs(network, frames, truth.shape[1])
        wanted = truth.repeat(1, found.shape[1] // truth.shape[1], 1, 1, 1)
        loss = (found - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
        if losses[-1] < losses[0] / 12:
            break
    return losses[0], losses[-1]


def teach(tmp_path: Path, name: str) -> None:
    wish = SMALL[name]
    torch.manual_seed(5)
    network = build(wish)
    side = 32 if wish.architecture == "chain" else 24
    sequence = moving_blob(wish.inputs + wish.leads, side)
    frames, truth = sequence[:, :wish.inputs], sequence[:, wish.inputs:]
    first, last = learn(network.train(), frames, truth, 300)
    assert last < first / 10
    network.eval()
    save(tmp_path / "a.safetensors", network, Header("test", wish, 5.0, 1.0))
    again, header = load(tmp_path / "a.safetensors")
    assert header.configuration == wish
    with torch.inference_mode():
        for one, other in zip(lead_frames(network, frames, 4), lead_frames(again, frames, 4), strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("name", QUICK)
def test_it_learns_one_sequence_and_repeats_its_forecast(tmp_path: Path, name: str) -> None:
    teach(tmp_path, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SMALL if name not in QUICK])
def test_every_network_does(tmp_path: Path, name: str) -> None:
    teach(tmp_path, name)
