"""A weight file from a published PyTorch checkpoint of the same architecture, its tensors renamed.

Nothing in the checkpoint is executed. What it was trained on it does not say; the caller does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import catalogue
from engine.errors import WrongUsage
from engine.export.whole import whole_file
from engine.jobs.events import Event, Finished, Started, Warned
from engine.jobs.scope import Scope

if TYPE_CHECKING:
    from engine.networks.configuration import Configuration

SOURCES = {"simvp": "openstl-simvp", "tau": "openstl-simvp", "earthformer": "earthformer",
           "earthformer-sevir": "earthformer"}
"""Models whose checkpoints are published, and by whose names of tensors."""
UNIT = "Frames are given to it as (dBZ + 10) / 70 of the Z-R pair; trained on another unit it forecasts wrongly."


@dataclass(frozen=True)
class ImportRequest:
    """model: a key of :data:`SOURCES`. output: the weight file. step_minutes, pixel_km, zr_a, zr_b, trained_on: of the
    data it was trained on."""

    checkpoint: Path
    model: str
    output: Path
    step_minutes: float
    pixel_km: float
    trained_on: str
    zr_a: float = 200.0
    zr_b: float = 1.6


def run(request: ImportRequest, scope: Scope) -> Iterator[Event]:
    """Finished.result: output, model, parameters, inputs, leads.

    Raises WrongUsage for a model that nobody publishes, UnreadableInput where the checkpoint is none or does not fit,
    UnwritableOutput.
    """
    from engine.networks.configuration import build, parameter_count
    from engine.networks.importing import import_into, read_checkpoint
    from engine.networks.weights import Card, Header, save

    yield Started()
    if request.model not in SOURCES:
        catalogue.row("forecaster", request.model)
        raise WrongUsage(f"No checkpoints of '{request.model}' can be imported. Known: {', '.join(SOURCES)}.")
    tensors = read_checkpoint(request.checkpoint)
    wish = configuration(request.model, tensors)
    network = build(wish)
    import_into(network, tensors, SOURCES[request.model])
    card = Card(request.trained_on, weaknesses=UNIT, note=f"Imported from {request.checkpoint.name}.")
    header = Header(request.model, wish, request.step_minutes, request.pixel_km, request.zr_a, request.zr_b, card)
    scope.token.check()
    with whole_file(request.output) as part:
        save(part, network, header)
    yield Warned(UNIT)
    yield Finished({"output": str(request.output), "model": request.model, "parameters": parameter_count(network),
                    "inputs": wish.inputs, "leads": wish.leads})


def configuration(model: str, tensors: dict[str, Any]) -> Configuration:
    """The model's own; SimVP and TAU in the size that the checkpoint has."""
    from engine.networks.zoo import ZOO

    wish = ZOO[model].configuration
    if SOURCES[model] != "openstl-simvp":
        return wish
    try:
        return _simvp(wish, tensors)
    except (KeyError, ZeroDivisionError):
        return wish  # not a checkpoint of it; filling the network says in which tensors


def _simvp(wish: Configuration, tensors: dict[str, Any]) -> Configuration:
    """Raises KeyError where the names are not those of OpenSTL's SimVP."""
    spatial = int(tensors["enc.enc.0.conv.conv.weight"].shape[0])
    depth = len({name.split(".")[2] for name in tensors if name.startswith("hid.enc.")})
    if "hid.dec.0.conv1.weight" in tensors:
        translator, first = "incepu", tensors["hid.enc.0.conv1.weight"]
        temporal, channels = 2 * int(first.shape[0]), int(first.shape[1])
    else:
        translator = "tau" if any(".spatial_gating_unit.fc." in name for name in tensors) else "gsta"
        temporal, channels = (int(size) for size in tensors["hid.enc.0.reduction.weight"].shape[:2])
    frames = channels // spatial
    return replace(wish, inputs=frames, leads=frames, options={
        "translator": translator, "spatial": spatial, "temporal": temporal, "depth": depth})
