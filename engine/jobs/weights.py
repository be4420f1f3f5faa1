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


def find(name: str) -> Path | None:
    """The weight file of a model, ``NAME.safetensors``; None where there is none."""
    return next((file for folder in folders() if (file := folder / f"{name}.safetensors").is_file()), None)


def forecaster(name: str) -> Forecaster:
    """The forecaster of that name, with its weights if it needs some. Raises WrongUsage, NoWeights."""
    row = catalogue.row("forecaster", name)
    maker = catalogue.load("forecaster", name)
    made: Forecaster = maker(required(row)) if row.parameters else maker()
    return made


def required(row: catalogue.Row) -> Path:
    """Raises NoWeights where the model of a row has none."""
    found = find(row.name)
    if found is None:
        raise NoWeights(f"{row.title} has no weights: there is no {row.name}.safetensors.",
                        advice=f"Train it, or put the file into {user_folder()}.")
    return found


def describe(name: str) -> dict[str, Any] | None:
    """The contract's ``weights`` of a model: file, sha256, trained_on, step_minutes, pixel_km; None without a file
    that can be read."""
    file = find(name)
    if file is None:
        return None
    from engine.networks.weight_header import peek

    try:
        told, status = peek(file), file.stat()
    except (UnreadableInput, OSError) as problem:
        log.warning("weights of %s: %s", name, problem)
        return None
    return {"file": str(file), "sha256": _fingerprint(file, status.st_size, status.st_mtime_ns),
            "trained_on": told.trained_on, "step_minutes": told.step_minutes, "pixel_km": told.pixel_km}


@lru_cache(maxsize=64)
def _fingerprint(file: Path, size: int, changed: int) -> str:
    """Once for each state of a file: some are hundreds of megabytes."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
