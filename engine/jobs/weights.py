"""Where the weights of a model are, and a forecaster made with them."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import resources
from engine import catalogue
from engine.deblurrers.protocol import Deblurrer
from engine.downscalers.protocol import Downscaler
from engine.errors import NoWeights, UnreadableInput
from engine.forecasters.protocol import Forecaster

log = logging.getLogger(__name__)
VARIABLE = "STORMDECK_WEIGHTS"


def folders() -> Iterator[Path]:
    """Where weights are looked for, in this order: the folder that the environment variable ``STORMDECK_WEIGHTS``
    names, the user's own folder, the program's."""
    named = os.environ.get(VARIABLE)
    if named:
        yield Path(named)
    yield user_folder()
    try:
        yield resources.path("weights")
    except FileNotFoundError:
        return


def user_folder() -> Path:
    """Where training leaves weights unless it is told otherwise."""
    import platformdirs

    return Path(platformdirs.user_data_dir("stormdeck", appauthor=False)) / "weights"


def find(name: str, seed: int | None = None) -> Path | None:
    """The weight file of a model: ``NAME-seedS.safetensors`` if it was trained with several seeds and this one is
    wished, else ``NAME.safetensors``; None where there is none."""
    wished = [] if seed is None else [f"{name}-seed{seed}.safetensors"]
    return next((file for title in (*wished, f"{name}.safetensors") for folder in folders()
                 if (file := folder / title).is_file()), None)


def forecaster(name: str, seed: int | None = None) -> Forecaster:
    """The forecaster of that name, with its weights if it needs some. Raises WrongUsage, NoWeights."""
    made: Forecaster = _made("forecaster", name, seed)
    return made


def deblurrer(name: str) -> Deblurrer:
    """The deblurrer of that name, with its weights if it needs some. Raises WrongUsage, NoWeights."""
    made: Deblurrer = _made("deblurrer", name)
    return made


def downscaler(name: str) -> Downscaler:
    """The downscaler of that name, with its weights if it needs some. Raises WrongUsage, NoWeights."""
    made: Downscaler = _made("downscaler", name)
    return made


def _made(kind: str, name: str, seed: int | None = None) -> Any:
    row = catalogue.row(kind, name)
    files = (required(row, seed),) if row.parameters else ()
    return catalogue.load(kind, name)(*files)


def required(row: catalogue.Row, seed: int | None = None) -> Path:
    """Raises NoWeights where the model of a row has none."""
    found = find(row.name, seed)
    if found is None:
        raise NoWeights(f"{row.title} has no weights: there is no {row.name}.safetensors.",
                        advice=f"Train it, or put the file into {user_folder()}.")
    return found


def describe(name: str) -> dict[str, Any] | None:
    """The contract's ``weights`` of a model: file, sha256, trained_on, step_minutes, pixel_km, and ``numbers``: how
    many the file holds, as a network may be smaller than its paper's. None without a file that can be read."""
    file = find(name)
    if file is None:
        return None
    from engine.networks.weight_header import peek

    try:
        told, status = peek(file), file.stat()
    except (UnreadableInput, OSError) as problem:
        log.warning("weights of %s: %s", name, problem)
        return None
    return {"file": str(file), "sha256": _fingerprint_of(file, status.st_size, status.st_mtime_ns),
            "trained_on": told.trained_on, "step_minutes": told.step_minutes, "pixel_km": told.pixel_km,
            "numbers": told.numbers}


def fingerprint(file: Path) -> str:
    """SHA-256 of a weight file."""
    status = file.stat()
    return _fingerprint_of(file, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _fingerprint_of(file: Path, size: int, changed: int) -> str:
    """Once for each state of a file: some are hundreds of megabytes."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
