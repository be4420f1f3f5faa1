"""What a training run is told: a small TOML file, read into frozen dataclasses. A key that is not known is refused by
its name, and so is a value of the wrong kind."""

from __future__ import annotations

import difflib
import json
import tomllib
import types
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from engine.errors import UnreadableInput, WrongUsage

Made = TypeVar("Made")


@dataclass(frozen=True)
class ModelPart:
    """name: of the zoo. The rest changes its configuration: topology, hidden channels, input and forecast frames it is
    built for, options of its cell, of each level's cell or of its architecture. start_from: a weight file to begin
    with. freeze: beginnings of the names of parameters that are not trained."""

    name: str
    topology: str = ""
    hidden: int = 0
    inputs: int = 0
    leads: int = 0
    cell_options: dict[str, Any] = field(default_factory=dict)
    levels: tuple[dict[str, Any], ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    start_from: str = ""
    freeze: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataPart:
    """source: packs, or moving-mnist, which needs none. inputs and leads: frames shown and to predict. every: 2 takes
    every second frame. crop: side of a random piece in cells, 0 for none. resize: (rows, columns) after that, none if
    empty. zr: the Z-R pair of the network's unit. rain_bias: from 0, all sequences alike, to 1, by the share of
    cells from ``rain_threshold`` mm/h. workers: processes that read ahead. epoch: sequences of an epoch where the
    source has no end. digits: a folder with the MNIST files, for moving-mnist. preparation: a name of
    :mod:`engine.training.preparation`, with its options. fixed: names of fields that do not change with time and are
    shown as well (:mod:`engine.radar.ground`), fixed_files: where those that coasts do not tell are read from."""

    source: Literal["packs", "moving-mnist"] = "packs"
    packs: tuple[str, ...] = ()
    inputs: int = 5
    leads: int = 5
    every: int = 1
    crop: int = 0
    resize: tuple[int, ...] = ()
    zr: tuple[float, float] = (200.0, 1.6)
    rain_bias: float = 0.0
    rain_threshold: float = 2.0
    workers: int = 0
    epoch: int = 10_000
    digits: str = ""
    preparation: str = "unit-pixels"
    preparation_options: dict[str, Any] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    fixed_files: tuple[str, ...] = ()


@dataclass(frozen=True)
class AugmentPart:
    """flips: mirror images. turns: quarter turns, half turns where a frame is not square. intensity: the echo is
    raised or lowered by up to this many dB, the whole sequence alike."""

    flips: bool = False
    turns: bool = False
    intensity: float = 0.0


@dataclass(frozen=True)
class TermPart:
    """name: of :mod:`engine.losses.registry`, or adversarial. weight goes linearly to ``to`` over ``epochs``.
    readout: of the network, from 0 or from the end. pixels: empty for the loss's own convention. thresholds: mm/h, of
    exceedance; weights: of them, equal if none are given."""

    name: str
    weight: float = 1.0
    to: float | None = None
    epochs: float = 0.0
    readout: int = -1
    pixels: Literal["", "sum", "mean"] = ""
    thresholds: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()


@dataclass(frozen=True)
class DiscriminatorPart:
    """name: a size of :mod:`engine.networks.discriminators`, or dgmr or strpm, with its options. lr: of its own Adam.
    logits: it gives logits instead of probabilities. game: hinge for one that gives scores for clips. steps: of its own
    for each of the network's."""

    name: str
    lr: float = 3e-4
    betas: tuple[float, float] = (0.9, 0.999)
    logits: bool = False
    game: Literal["entropy", "hinge"] = "entropy"
    steps: int = 1
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LossPart:
    """over: all m + n - 1 outputs of a recurrent network, or forecast frames only. focal_k: of the focal frame loss
    around every term, none if absent. scale: on the sum of all terms. scheduled_sampling: true frames are shown
    instead of the network's own with a share that falls from 1 to 0 over the run."""

    terms: tuple[TermPart, ...] = (TermPart("mae"), TermPart("mse"))
    over: Literal["all", "forecast"] = "all"
    scale: float = 1.0
    focal_k: float | None = None
    focal_epsilon: float = 0.01
    scheduled_sampling: bool = False
    discriminator: DiscriminatorPart | None = None


@dataclass(frozen=True)
class OptimiserPart:
    """hypergradient: step of AdamHD's learning rate. clip: largest norm of the gradient, 0 for none. warm_up: steps.
    shape: of the learning rate after that, down to ``floor`` at the end (cosine) or times ``decay`` every
    ``decay_every`` steps. ema: share of the old weights in their running average, 0 for none."""

    name: Literal["adam", "adamw", "adamhd", "adagrad"] = "adam"
    lr: float = 3e-4
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    hypergradient: float = 1e-8
    clip: float = 0.0
    warm_up: int = 0
    shape: Literal["constant", "cosine", "steps"] = "constant"
    floor: float = 0.0
    decay: float = 0.7
    decay_every: int = 20_000
    ema: float = 0.0


@dataclass(frozen=True)
class RunPart:
    """epochs or steps: how long; an epoch shows as many sequences as there are. batch: sequences of one step, over
    all processes, done in ``accumulate`` parts. precision: half kinds on CUDA only. recompute: saves memory by
    computing the forward pass again on the way back. validate_every, save_every: steps; 0 for each epoch. keep:
    checkpoints besides the best. patience: validations without a better B-MSE + B-MAE until the run ends, 0 for
    never. validation: sequences at most, 0 for all."""

    epochs: float = 0.0
    steps: int = 0
    batch: int = 4
    accumulate: int = 1
    seed: int = 0
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    recompute: bool = False
    validate_every: int = 0
    save_every: int = 0
    keep: int = 2
    patience: int = 0
    validation: int = 64


@dataclass(frozen=True)
class Recipe:
    """about: where its figures come from, and which of them the paper does not print."""

    model: ModelPart
    about: str = ""
    name: str = ""
    data: DataPart = field(default_factory=DataPart)
    augment: AugmentPart = field(default_factory=AugmentPart)
    loss: LossPart = field(default_factory=LossPart)
    optimiser: OptimiserPart = field(default_factory=OptimiserPart)
    run: RunPart = field(default_factory=RunPart)

    def __post_init__(self) -> None:
        run, data = self.run, self.data
        if (run.epochs > 0) == (run.steps > 0):
            raise WrongUsage("A recipe says for how many epochs or for how many steps to train, one of the two.")
        if run.batch < 1 or run.accumulate < 1 or run.batch % run.accumulate:
            raise WrongUsage(f"A batch of {run.batch} cannot be done in {run.accumulate} equal parts.")
        if min(data.inputs, data.leads, data.every) < 1 or len(data.resize) not in (0, 2):
            raise WrongUsage("Inputs, leads and every are at least 1; resize is two numbers or none.")
        if not (0 <= data.rain_bias <= 1 and 0 <= self.optimiser.ema < 1 and run.seed >= 0 and run.keep >= 1):
            raise WrongUsage("rain_bias lies in [0, 1], ema in [0, 1), the seed is not negative, keep at least 1.")
        if not self.loss.terms:
            raise WrongUsage("A recipe needs at least one term of loss.")
        judged = any(term.name in ("adversarial", "features") for term in self.loss.terms)
        if judged and self.loss.discriminator is None:
            raise WrongUsage("An adversarial loss needs [loss.discriminator].")

    @property
    def title(self) -> str:
        """Under which its weights are written."""
        return self.name or self.model.name

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @property
    def frames(self) -> int:
        """Frames of a sequence as the archive counts them."""
        return (self.data.inputs + self.data.leads - 1) * self.data.every + 1


def read_recipe(path: Path) -> Recipe:
    """A TOML file, or the JSON that a run keeps of its own. Raises UnreadableInput where it is neither, WrongUsage
    where it says something else than it may."""
    try:
        text = path.read_text(encoding="utf-8")
        return recipe_of(_spoken(json.loads(text)) if path.suffix == ".json" else tomllib.loads(text))
    except (OSError, ValueError) as problem:
        raise UnreadableInput(path, str(problem), tried="a training recipe") from problem


def _spoken(table: Any) -> Any:
    """Without what is None: a recipe does not say it."""
    if isinstance(table, dict):
        return {key: _spoken(value) for key, value in table.items() if value is not None}
    return [_spoken(value) for value in table] if isinstance(table, list) else table


def recipe_of(table: dict[str, Any]) -> Recipe:
    """Raises WrongUsage with the key it is about."""
    return _made(Recipe, table, "")


def _made(kind: type[Made], table: Any, where: str) -> Made:
    if not isinstance(table, dict):
        raise WrongUsage(f"Recipe: {where.rstrip('.') or 'it'} is a table of keys, not {table!r}.")
    hints, known = get_type_hints(kind), {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known)}."
            raise WrongUsage(f"Recipe: there is no key '{where}{key}'; {hint}")
    missing = [name for name, f in known.items()
               if name not in table and f.default is MISSING and f.default_factory is MISSING]
    if missing:
        raise WrongUsage(f"Recipe: '{where}{missing[0]}' is missing.")
    return kind(**{key: _value(hints[key], value, where + key) for key, value in table.items()})


def _value(kind: Any, value: Any, where: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _value(next(option for option in inner if option is not type(None)), value, where)
    if is_dataclass(kind) and isinstance(kind, type):
        return _made(kind, value, where + ".")
    if origin is tuple and isinstance(value, list) and (inner[-1] is Ellipsis or len(inner) == len(value)):
        items = [inner[0]] * len(value) if inner[-1] is Ellipsis else list(inner)
        return tuple(_value(item, one, f"{where}[{i}]") for i, (item, one) in enumerate(zip(items, value, strict=True)))
    if origin is dict and isinstance(value, dict):
        return {key: tuple(one) if isinstance(one, list) else one for key, one in value.items()}
    if _fits(kind, value):
        return float(value) if kind is float else value
    raise WrongUsage(f"Recipe: '{where}' is {_words(kind)}, not {value!r}.")


def _fits(kind: Any, value: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if isinstance(value, bool) or kind is bool:
        return kind is bool and isinstance(value, bool)
    if kind is float:
        return isinstance(value, int | float) and abs(value) < float("inf")
    return isinstance(kind, type) and isinstance(value, kind)


def _words(kind: Any) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return "one of " + ", ".join(repr(option) for option in inner if option != "")
    if origin is tuple:
        return f"a list of {'any length' if inner[-1] is Ellipsis else len(inner)}"
    return {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}.get(kind, "a table")
