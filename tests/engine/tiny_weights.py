"""Weights of a network small enough to learn within a test."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.networks import weights
from engine.networks.configuration import Configuration, build

WORDS = Configuration("recurrent", "convlstm", "multi-scale", 2, inputs=5, leads=5)


def tiny_weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Writes them as those of ``ms-convlstm`` into a new folder, where forecasts look for weights."""
    folder.mkdir()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = build(WORDS)
    file = folder / "ms-convlstm.safetensors"
    weights.save(file, network, weights.Header("ms-convlstm", WORDS, 5.0, 1.0))
    monkeypatch.setenv("STORMDECK_WEIGHTS", str(folder))
    return file
