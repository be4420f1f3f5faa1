"""What a weight file tells about itself, read without torch and without its tensors (for lists of models)."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import UnreadableInput

MOST_HEADER_BYTES = 16 << 20


@dataclass(frozen=True)
class Summary:
    """trained_on: the card's words about the data. numbers: how many the tensors hold together."""

    name: str
    trained_on: str
    step_minutes: float
    pixel_km: float
    format: str
    numbers: int


def peek(path: Path) -> Summary:
    """Raises UnreadableInput for anything that is not a weight file with a description inside."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= MOST_HEADER_BYTES:
                raise UnreadableInput(path, "not a safetensors file", tried="weights")
            described = json.loads(file.read(length))
    except OSError as problem:
        raise UnreadableInput(path, problem.strerror or str(problem), tried="weights") from problem
    except ValueError as problem:
        raise UnreadableInput(path, "not a safetensors file", tried="weights") from problem
    try:
        tensors = [entry["shape"] for name, entry in described.items() if name != "__metadata__"]
        return _summary(described["__metadata__"], sum(math.prod(shape) for shape in tensors))
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise UnreadableInput(path, "a safetensors file without a description", tried="weights") from problem


def _summary(metadata: dict[str, Any], numbers: int) -> Summary:
    header = json.loads(metadata["header"])
    return Summary(str(header["name"]), str(header["card"]["data"]), float(header["step_minutes"]),
                   float(header["pixel_km"]), str(metadata["format"]), numbers)
