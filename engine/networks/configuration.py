"""What a network is, in a few words that fit into its weight file, and the way from those words to a module.

A configuration holds text and numbers only; :func:`build` imports what it names. Adding a cell is one file and
one line in :data:`CELLS`; a cell then works in every wiring.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import nn

from engine.errors import WrongUsage
from engine.networks.cell import Place
from engine.networks.topologies import TOPOLOGIES

if TYPE_CHECKING:
    from engine.networks.recurrent import Recurrent

Option = int | float | str | bool | None | tuple[int | None, ...]

CELLS = {
    "convlstm": "engine.networks.cells.convlstm:ConvLSTM",
    "convgru": "engine.networks.cells.convgru:ConvGRU",
    "trajgru": "engine.networks.cells.trajgru:TrajGRU",
    "predrnn": "engine.networks.cells.predrnn:STLSTM",
    "predrnn++": "engine.networks.cells.predrnn_pp:CausalLSTM",
    "mim": "engine.networks.cells.mim:MIM",
    "motionrnn": "engine.networks.cells.motionrnn:MotionRNN",
    "preciplstm": "engine.networks.cells.preciplstm:PrecipLSTM",
    "ms-lstm": "engine.networks.cells.mslstm:MSLSTM",
}


@dataclass(frozen=True)
class Configuration:
    """architecture: a key of :data:`ARCHITECTURES`. cell, topology, hidden: for the recurrent ones.
    cell_options: keywords of the cell. levels: one dict of cell keywords per level of an encoder-forecaster,
    finest first. options: keywords of the architecture. inputs, leads: what it was made for (frames)."""

    architecture: str
    cell: str = ""
    topology: str = ""
    hidden: int = 0
    cell_options: dict[str, Option] = field(default_factory=dict)
    levels: tuple[dict[str, Option], ...] = ()
    options: dict[str, Option] = field(default_factory=dict)
    inputs: int = 5
    leads: int = 20

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Configuration:
        """Raises ValueError for anything that is not a configuration."""
        raw = json.loads(text)
        if not isinstance(raw, dict) or set(raw) - set(cls.__dataclass_fields__):
            raise ValueError("not a network configuration")
        raw = {key: _thawed(value) for key, value in raw.items()}
        return cls(**raw)


def build(configuration: Configuration) -> nn.Module:
    """The network with fresh weights. Raises WrongUsage for names or options that do not exist."""
    maker = ARCHITECTURES.get(configuration.architecture)
    if maker is None:
        raise WrongUsage(f"There is no architecture called '{configuration.architecture}'.")
    try:
        return maker(configuration)
    except (TypeError, KeyError, ValueError) as problem:
        raise WrongUsage(f"This network configuration cannot be built: {problem}.") from problem


def parameter_count(network: nn.Module) -> int:
    """Elements of all trainable tensors, idle ones included."""
    return sum(parameter.numel() for parameter in network.parameters())


def cell_class(name: str) -> Callable[..., nn.Module]:
    """Raises WrongUsage for an unknown cell."""
    if name not in CELLS:
        raise WrongUsage(f"There is no cell called '{name}'. Known: {', '.join(CELLS)}.")
    return _named(CELLS[name])


def _named(target: str) -> Callable[..., nn.Module]:
    module, _, attribute = target.partition(":")
    found: Callable[..., nn.Module] = getattr(importlib.import_module(module), attribute)
    return found


def _recurrent(wish: Configuration) -> Recurrent:
    from engine.networks.recurrent import Recurrent

    return Recurrent(TOPOLOGIES[wish.topology], partial(cell_class(wish.cell), **wish.cell_options), wish.hidden)


def _staged(wish: Configuration) -> nn.Module:
    from engine.networks.staged import SequenceDeblurrer, Staged

    return Staged(_recurrent(wish), SequenceDeblurrer(_recurrent(wish)))


def _sequence_deblurrer(wish: Configuration) -> nn.Module:
    from engine.networks.staged import SequenceDeblurrer

    return SequenceDeblurrer(_recurrent(wish))


def _encoder_forecaster(wish: Configuration) -> nn.Module:
    from engine.networks import encoder_forecaster as wiring

    ladder = {"moving-mnist": wiring.MOVING_MNIST, "hko7": wiring.HKO7, "brief": wiring.BRIEF}[wish.topology]
    ladder = ladder.of_width(wish.hidden) if wish.hidden else ladder
    cell = cell_class(wish.cell)

    def make(level: int, inputs: int, hidden: int, place: Place) -> nn.Module:
        own = wish.levels[level] if wish.levels else {}
        return cell(inputs, hidden, place, **{**wish.cell_options, **own})

    return wiring.EncoderForecaster(ladder, make, **wish.options)  # type: ignore[arg-type]


def _chain(wish: Configuration) -> nn.Module:
    from engine.networks import cnn

    makers: dict[str, Callable[..., nn.Module]] = {
        "cnn2d-mnist": cnn.cnn2d_mnist, "cnn3d-mnist": cnn.cnn3d_mnist, "cnn2d-hko7": cnn.cnn2d_hko7,
        "cnn3d-hko7": cnn.cnn3d_hko7}
    return makers[wish.topology](**wish.options)


def _plain(target: str, *leading: str) -> Callable[[Configuration], nn.Module]:
    """A class that takes these fields of the configuration, and its options as keywords."""

    def make(wish: Configuration) -> nn.Module:
        return _named(target)(*(getattr(wish, name) for name in leading), **wish.options)

    return make


_FRAMES = "inputs", "leads"
ARCHITECTURES: dict[str, Callable[[Configuration], nn.Module]] = {
    "recurrent": _recurrent,
    "staged": _staged,
    "sequence-deblurrer": _sequence_deblurrer,
    "encoder-forecaster": _encoder_forecaster,
    "chain": _chain,
    "dgmr": _plain("engine.networks.dgmr:DGMR", *_FRAMES),
    "diffcast": _plain("engine.networks.diffcast:DiffCast", *_FRAMES),
    "cascast": _plain("engine.networks.cascast:CasCast", *_FRAMES),
    "strpm": _plain("engine.networks.strpm:STRPM"),
    "frame-gan": _plain("engine.networks.frame_gan:FrameGAN"),
    "diffusion-unet": _plain("engine.networks.diffusion_unet:DiffusionUNet"),
    "simvp": _plain("engine.networks.simvp:SimVP", "inputs"),
    "earthformer": _plain("engine.networks.earthformer:Earthformer", *_FRAMES),
    "lagrangian-unet": _plain("engine.networks.lagrangian_unet:LagrangianUNet", *_FRAMES),
    "lpt-qpn": _plain("engine.networks.lpt_qpn:LPTQPN", *_FRAMES),
    "zsm": _plain("engine.networks.zsm:ZoomingSlowMo"),
    "planar-unet": _plain("engine.networks.downscaling_unets:PlanarUNet", "inputs"),
    "space-time-unet": _plain("engine.networks.downscaling_unets:SpaceTimeUNet"),
}


def _thawed(value: Any) -> Any:
    """JSON's lists back to tuples."""
    if isinstance(value, list):
        return tuple(_thawed(item) for item in value)
    if isinstance(value, dict):
        return {key: _thawed(item) for key, item in value.items()}
    return value
