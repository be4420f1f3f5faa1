"""torch.compile for what a network runs at every step: worth it on a GPU and for many frames; the first takes minutes.

A compiler has to be there: Triton (comes with torch for CUDA on Linux) or, for the CPU, a C++ compiler.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from engine.networks.encoder_forecaster import EncoderForecaster
from engine.networks.recurrent import Recurrent


def refusal(device: str) -> str | None:
    """Why torch cannot compile for the device here, in a line; None where it can. Compiles something small."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch uses what it advises against itself
            torch.compile(_something_small, dynamic=False)(torch.ones(8, device=device))
    except Exception as problem:  # noqa: BLE001 - compilers, linkers and their drivers fail in ways of their own
        return next(iter(str(problem).strip().splitlines()), type(problem).__name__)
    return None


def _something_small(x: Tensor) -> Tensor:
    return torch.sigmoid(x) * 2.0 - 1.0


def parts(network: nn.Module) -> list[nn.Module]:
    """What is compiled: every cell of the recurrent networks within, or else the network itself."""
    found: list[nn.Module] = []
    for module in network.modules():
        if isinstance(module, Recurrent):
            found += module.cells
        elif isinstance(module, EncoderForecaster):
            found += [*module.encoder, *module.forecaster]
    return found or [network]


@contextmanager
def compiled(network: nn.Module) -> Iterator[list[nn.Module]]:
    """Within the block :func:`parts` of the network, which are handed out, run compiled; weights stay the same."""
    whole = parts(network)
    for part in whole:
        part.__dict__["forward"] = torch.compile(part.forward, dynamic=False)
    try:
        yield whole
    finally:
        for part in whole:
            del part.__dict__["forward"]
