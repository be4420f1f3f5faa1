"""What a run keeps on disk so that it can go on: whole files, the last few and the best, never a pickle that runs
code."""

from __future__ import annotations

import logging
import os
import pickle
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from engine.errors import NotEnoughInput, UnreadableInput, UnwritableOutput

log = logging.getLogger(__name__)
BEST = "best.checkpoint"
_NAME = re.compile(r"step-(\d{9})\.checkpoint")
FORMAT = "stormdeck-checkpoint-1"
_DAMAGED = (OSError, RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError,
            pickle.UnpicklingError)


def save(path: Path, content: dict[str, Any]) -> None:
    """Writes the file whole or leaves the older one as it was. content: tensors, numbers, text, lists and tables of
    these. Raises UnwritableOutput."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            torch.save({"format": FORMAT, **content}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except (OSError, RuntimeError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise UnwritableOutput(path, reason, advice="Free some space and go on with --resume: the checkpoint before "
                                                    "this one is whole.") from problem
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def load(path: Path) -> dict[str, Any]:
    """On the CPU. Raises UnreadableInput for anything else than a whole checkpoint."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGED as problem:
        raise UnreadableInput(path, f"damaged or no checkpoint ({problem})"[:300], tried="a checkpoint") from problem
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UnreadableInput(path, "no checkpoint of this version", tried="a checkpoint")
    return content


def step_file(folder: Path, step: int) -> Path:
    return folder / f"step-{step:09d}.checkpoint"


def steps_kept(folder: Path) -> list[tuple[int, Path]]:
    """Steps and their files, oldest first."""
    named = ((_NAME.fullmatch(file.name), file) for file in folder.glob("step-*.checkpoint"))
    return sorted((int(match[1]), file) for match, file in named if match)


def newest(folder: Path) -> dict[str, Any]:
    """The newest checkpoint that can be read; damaged ones are passed over with a warning. Raises NotEnoughInput
    where there is none."""
    for _, file in reversed(steps_kept(folder)):
        try:
            return load(file)
        except UnreadableInput as problem:
            log.warning("%s", problem)
    raise NotEnoughInput(f"{folder} holds no checkpoint to go on from.", advice="Start without --resume.")


def thin_out(folder: Path, keep: int) -> None:
    """Only the last ``keep`` stay, and the best."""
    for _, file in steps_kept(folder)[:-keep]:
        with suppress(OSError):
            file.unlink()
