"""torch.compile and half precision: the same forecast, and a word where there is no compiler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.forecasters.neural import NeuralForecaster
from engine.forecasters.protocol import Context, LeadFrame, Options
from engine.networks import compiling
from engine.networks.configuration import Configuration, build
from engine.networks.recurrent import Recurrent
from engine.networks.rollout import asking
from tests.engine.test_neural import inputs_of, weight_file

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # torch uses what it advises against
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
SMALL = {
    "ms-convlstm": Configuration("recurrent", "convlstm", "multi-scale", 8, inputs=3, leads=3),
    "ms-predrnn": Configuration("recurrent", "predrnn", "multi-scale", 8, inputs=3, leads=3),
    "ms-trajgru": Configuration("recurrent", "trajgru", "multi-scale", 8, {"links": 3}, inputs=3, leads=3),
}


def forecast(file: Path, told: list[str], device: str = "cpu", **more: Any) -> list[LeadFrame]:
    context = Context(progress=lambda fraction, text: told.append(text), device=device)
    return list(NeuralForecaster(file, **more).run(inputs_of(), Options(3), context))


def compare(found: list[LeadFrame], wanted: list[LeadFrame], share: float) -> None:
    assert len(found) == len(wanted) == 3
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one.rain_rate, other.rain_rate, rtol=share, atol=share)


def test_without_a_compiler_the_run_says_so_and_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*given: Any, **more: Any) -> Any:
        raise RuntimeError("no compiler found\nand more")

    monkeypatch.setattr(torch, "compile", fails)
    told: list[str] = []
    file = weight_file(tmp_path)
    compare(forecast(file, told, compile=True), forecast(file, []), 0.0)
    assert any("without being compiled" in text and text.endswith("(no compiler found)") for text in told)


def test_the_network_is_as_before_after_the_block() -> None:
    network = build(SMALL["ms-trajgru"])
    assert isinstance(network, Recurrent)
    with compiling.compiled(network) as whole:
        assert whole == list(network.cells)
        assert all("forward" in vars(cell) for cell in whole)
        asked: list[int] = []
        with asking(network, lambda: asked.append(1), whole):
            assert all(cell._forward_pre_hooks for cell in whole)
            assert not network.cells[0].features._forward_pre_hooks
    assert not any("forward" in vars(cell) for cell in whole)


def test_what_is_no_recurrent_network_is_compiled_as_one() -> None:
    plain = torch.nn.Conv2d(1, 1, 1)
    assert compiling.parts(plain) == [plain]


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_compiled_for_the_cpu_it_is_the_same(tmp_path: Path, name: str) -> None:
    if reason := compiling.refusal("cpu"):
        pytest.skip(f"torch cannot compile here: {reason}")
    told: list[str] = []
    file = weight_file(tmp_path, SMALL[name], name)
    compare(forecast(file, told, compile=True), forecast(file, []), 1e-4)
    assert not any("without being compiled" in text for text in told)


@CUDA
@pytest.mark.parametrize("name", SMALL)
def test_cuda_is_the_cpu_to_rounding_in_half_precision_to_a_dbz(tmp_path: Path, name: str) -> None:
    file = weight_file(tmp_path, SMALL[name], name)
    wanted = forecast(file, [])
    compare(forecast(file, [], "cuda"), wanted, 1e-3)
    for one, other in zip(forecast(file, [], "cuda", half=True), wanted, strict=True):
        dbz = [10 * np.log10(200 * np.maximum(frame.rain_rate, 0.04) ** 1.6) for frame in (one, other)]
        assert np.abs(dbz[0] - dbz[1]).max() < 1.0


@CUDA
@pytest.mark.slow
@pytest.mark.parametrize("half", [False, True])
def test_compiled_for_cuda_it_is_the_same(tmp_path: Path, half: bool) -> None:
    if reason := compiling.refusal("cuda"):
        pytest.skip(f"torch cannot compile here: {reason}")
    file = weight_file(tmp_path, SMALL["ms-convlstm"])
    compare(
        forecast(file, [], "cuda", compile=True, half=half),
        forecast(file, [], "cuda", half=half),
        0.1 if half else 1e-3,
    )
