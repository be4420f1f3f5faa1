"""Weight files: one safetensors file that holds the tensors, the network's configuration, what its numbers mean,
and a card that says where it comes from and how good it is. Nothing in it is ever executed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from engine.errors import UnreadableInput
from engine.networks.configuration import Configuration, build
from engine.networks.read_out import ReadOut

FORMAT = "stormdeck-weights-1"
MAX_BYTES = 4 << 30


@dataclass(frozen=True)
class Card:
    """What a weight file tells about itself. scores: forecaster -> score -> list by lead time, on data that was
    not trained on. data: archives and periods. seeds: every random seed in use."""

    data: str = ""
    hours: float = 0.0
    steps: int = 0
    loss: str = ""
    seeds: tuple[int, ...] = ()
    scores: dict[str, Any] = field(default_factory=dict)
    weaknesses: str = ""
    note: str = ""


@dataclass(frozen=True)
class Header:
    """name: the public model name. step_minutes, pixel_km: of the training data. zr_a, zr_b: the pair by which
    rain rate becomes the dBZ of the pixel law (engine.radar.scaling.unit_pixel), the network's unit; dbz_least,
    dbz_most: its 0 and 1. read_out: how the values of a forecast are read, None for as they are."""

    name: str
    configuration: Configuration
    step_minutes: float
    pixel_km: float
    zr_a: float = 200.0
    zr_b: float = 1.6
    card: Card = field(default_factory=Card)
    sha256: str = ""
    dbz_least: float = -10.0
    dbz_most: float = 60.0
    read_out: ReadOut | None = None


def save(path: Path, network: nn.Module, header: Header) -> None:
    """Writes the file whole or not at all."""
    from safetensors.torch import save_file

    words = asdict(header)
    words.pop("sha256")
    words["configuration"] = json.loads(header.configuration.to_json())
    tensors = {name: value.detach().contiguous().cpu() for name, value in network.state_dict().items()}
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.touch()
        rights = beside.stat().st_mode  # those of any new file; the library's are for its owner alone
        save_file(tensors, beside, metadata={"format": FORMAT, "header": json.dumps(words)})
        beside.chmod(rights)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def read_header(path: Path) -> Header:
    """Without the tensors. Raises UnreadableInput for anything that is not one of our weight files."""
    with _opened(path) as file:
        words = _words(path, file.metadata() or {})
    return _header(path, words, fingerprint(path))


def load(path: Path) -> tuple[nn.Module, Header]:
    """The network in evaluation mode, on the CPU. Raises UnreadableInput where the tensors do not fit it."""
    header = read_header(path)
    network = build(header.configuration)
    with _opened(path) as file:
        tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    _check_fit(path, network.state_dict(), tensors)
    network.load_state_dict(tensors)
    return network.eval(), header


def fingerprint(path: Path) -> str:
    """SHA-256 of the file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        if path.stat().st_size > MAX_BYTES:
            raise UnreadableInput(path, "far larger than any weight file", tried="weights")
        with safe_open(path, framework="pt") as file:
            yield file
    except OSError as problem:
        raise UnreadableInput(path, problem.strerror or str(problem), tried="weights") from problem
    except SafetensorError as problem:
        raise UnreadableInput(path, f"not a safetensors file ({problem})", tried="weights",
                              advice="Only safetensors files are loaded; pickles can run code.") from problem


def _words(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    if metadata.get("format") != FORMAT:
        raise UnreadableInput(path, "a safetensors file, but not one of Stormdeck's (no configuration inside)",
                              tried="weights")
    try:
        words = json.loads(metadata["header"])
    except (KeyError, ValueError) as problem:
        raise UnreadableInput(path, "its description is damaged", tried="weights") from problem
    if not isinstance(words, dict):
        raise UnreadableInput(path, "its description is damaged", tried="weights")
    return words


def _read_out(words: dict[str, Any] | None) -> ReadOut | None:
    return None if words is None else ReadOut(tuple(words["units"]), tuple(map(tuple, words["levels"])))


def _header(path: Path, words: dict[str, Any], sha256: str) -> Header:
    try:
        card = dict(words.pop("card"))
        card["seeds"] = tuple(card.get("seeds", ()))
        configuration = Configuration.from_json(json.dumps(words.pop("configuration")))
        read_out = _read_out(words.pop("read_out", None))
        return Header(configuration=configuration, card=Card(**card), sha256=sha256, read_out=read_out, **words)
    except (KeyError, TypeError, ValueError) as problem:
        raise UnreadableInput(path, f"its description does not fit this version ({problem})",
                              tried="weights") from problem


def _check_fit(path: Path, expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    missing, extra = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if missing or extra:
        raise UnreadableInput(path, f"its tensors are not those of its configuration (missing {missing[:3]}, "
                                    f"unknown {extra[:3]})", tried="weights")
    for name, tensor in found.items():
        if tensor.shape != expected[name].shape:
            raise UnreadableInput(path, f"'{name}' is {tuple(tensor.shape)}, the configuration makes "
                                        f"{tuple(expected[name].shape)}", tried="weights")
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise UnreadableInput(path, f"'{name}' holds values that are not finite", tried="weights")
