"""Look at training runs: how they stand, their curves so far, their checkpoints and sample forecasts.

Runs are processes of their own; all that is known of them is what lies in their folders. Curves are read from where the
last look ended, so that a look costs what is new. Nothing here loads torch.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.jobs.events import Event, Finished
from engine.jobs.scope import Scope
from engine.jobs.training_list import remembered
from engine.training import kept_samples
from engine.training.status import (
    DIED,
    DONE,
    FAILED,
    LOG_FILE,
    PAUSE,
    PAUSED,
    RUNNING,
    STARTING,
    STOP,
    STOPPED,
    Status,
    read_status,
)

__all__ = ["DIED", "DONE", "FAILED", "PAUSE", "PAUSED", "RUNNING", "STARTING", "STOP", "STOPPED", "Status"]

CURVES_FILE, RECIPE_FILE, BEST = "curves.jsonl", "recipe.json", "best.checkpoint"
COLUMNS = ("loss", "learning_rate", "sequences_per_second")
MOST_POINTS = 120
CHUNK_BYTES = 1 << 20
LOG_BYTES = 4000
STARTING_S = 60.0
"""A folder that holds nothing yet but the log of its process is given so long."""


@dataclass(frozen=True)
class Known:
    """What was read of a run's curves. started: of the status then; offset: into the file. table: (steps, 1 + COLUMNS)
    float64, the step first."""

    started: float = -1.0
    offset: int = 0
    table: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 1 + len(COLUMNS))))
    validations: tuple[Validation, ...] = ()


@dataclass(frozen=True)
class Score:
    """Of the network or of persistence. csi: means over lead times by threshold, None where nothing was to be hit."""

    csi: tuple[float | None, ...]
    b_mse: float
    b_mae: float


@dataclass(frozen=True)
class Validation:
    """scores: by forecaster. better: than any before."""

    step: int
    loss: float
    thresholds: tuple[float, ...]
    scores: Mapping[str, Score]
    better: bool


@dataclass(frozen=True)
class Curve:
    """Means over as many stretches of steps as a curve has points."""

    steps: tuple[float, ...] = ()
    values: tuple[float, ...] = ()


@dataclass(frozen=True)
class RunView:
    """A run as it lies in its folder. curves: by the names of COLUMNS, and steps_per_second. latest: the last step's
    figures. samples: steps of sample forecasts. checkpoints: steps that it can go on from; best: whether there are best
    weights. weights: the file that came of it. recipe: what it was asked for, as read."""

    folder: Path
    status: Status
    model: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    latest: Mapping[str, float] = field(default_factory=dict)
    validations: tuple[Validation, ...] = ()
    samples: tuple[int, ...] = ()
    checkpoints: tuple[int, ...] = ()
    best: bool = False
    weights: Path | None = None
    known: Known = field(default_factory=Known)

    @property
    def title(self) -> str:
        return self.status.title or str(self.recipe.get("name") or self.model or self.folder.name)

    @property
    def can_go_on(self) -> bool:
        return bool(self.checkpoints)

    @property
    def minutes_left(self) -> float | None:
        rate = self.latest.get("steps_per_second")
        left = self.status.steps - self.status.step
        return left / rate / 60 if rate and left > 0 else None


@dataclass(frozen=True)
class LookRequest:
    """known: what the last look saw, by folder. more: folders beside those that are remembered."""

    known: Mapping[Path, Known] = field(default_factory=dict)
    more: tuple[Path, ...] = ()


@dataclass(frozen=True)
class RunsSeen(Event):
    """All runs that there are, those begun last first."""

    runs: tuple[RunView, ...]


def run(request: LookRequest, scope: Scope) -> Iterator[Event]:
    """Yields RunsSeen."""
    folders = dict.fromkeys((*remembered(), *request.more))
    seen = []
    for folder in folders:
        scope.token.check()
        seen.append(view(folder, request.known.get(folder, Known())))
    yield RunsSeen(tuple(seen))
    yield Finished({"runs": len(seen)})


def view(folder: Path, known: Known) -> RunView:
    """What lies in a folder; one that holds no run says so as its reason."""
    recipe = _recipe(folder)
    checkpoints = _checkpoints(folder)
    status = read_status(folder) or _guessed(folder, recipe, checkpoints)
    if known.started != status.started:
        known = Known(status.started)
    known = _read_on(folder / CURVES_FILE, known)
    if not status.step and len(known.table):
        status = _with_step(status, int(known.table[-1, 0]), recipe)
    batch = float((recipe.get("run") or {}).get("batch") or 1)
    model = str((recipe.get("model") or {}).get("name") or "")
    weights = folder / f"{recipe.get('name') or model}.safetensors"
    return RunView(folder, status, model, recipe, _curves(known.table, batch), _latest(known.table, batch),
                   known.validations, tuple(kept_samples.files(folder)), checkpoints, (folder / BEST).is_file(),
                   weights if weights.is_file() else None, known)


def _recipe(folder: Path) -> dict[str, Any]:
    try:
        words = json.loads((folder / RECIPE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return words if isinstance(words, dict) else {}


def _checkpoints(folder: Path) -> tuple[int, ...]:
    names = (file.stem.removeprefix("step-") for file in folder.glob("step-*.checkpoint"))
    return tuple(sorted(int(name) for name in names if name.isdigit()))


def _guessed(folder: Path, recipe: Mapping[str, Any], checkpoints: tuple[int, ...]) -> Status:
    """Of a run that says nothing about itself: one of an older version, or one that never came so far."""
    steps = int((recipe.get("run") or {}).get("steps") or 0)
    title = str(recipe.get("name") or (recipe.get("model") or {}).get("name") or folder.name)
    if checkpoints:
        whole = steps and checkpoints[-1] >= steps
        return Status(DONE if whole else PAUSED, title, checkpoints[-1], steps)
    told, age = _last_words(folder)
    if told:
        return Status(FAILED, title, steps=steps, reason=told)
    if age is not None and age < STARTING_S:
        return Status(STARTING, title, steps=steps)
    return Status(FAILED, title, steps=steps, reason="The process ended before it began to train." if age is not None
                  else "No training run lies in this folder.")


def _last_words(folder: Path) -> tuple[str, float | None]:
    """The error that a process has left in its log, and the log's age in seconds; None without one."""
    log = folder / LOG_FILE
    try:
        age = time.time() - log.stat().st_mtime
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LOG_BYTES))
            lines = file.read().decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return "", None
    wrong = [number for number, line in enumerate(lines) if line.startswith(("error:", "Error:", "Traceback"))]
    if not wrong:
        return "", age
    words = lines[wrong[-1]:]
    return (words[-1] if words[0].startswith("Traceback") else " ".join(words).removeprefix("error: ")), age


def _with_step(status: Status, step: int, recipe: Mapping[str, Any]) -> Status:
    return replace(status, step=step, steps=status.steps or int((recipe.get("run") or {}).get("steps") or 0))


def _read_on(path: Path, known: Known) -> Known:
    """With the lines that are whole now and were not before."""
    rows: list[list[float]] = []
    validations = list(known.validations)
    offset = known.offset
    try:
        if path.stat().st_size < offset:  # begun anew
            return _read_on(path, Known(known.started))
        with path.open("rb") as file:
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                offset += len(line)
                _take(line, rows, validations)
    except OSError:
        return known
    table = np.concatenate([known.table, np.array(rows, np.float64)]) if rows else known.table
    return Known(known.started, offset, table, tuple(validations))


def _take(line: bytes, rows: list[list[float]], validations: list[Validation]) -> None:
    """A line that is no curve is passed over."""
    try:
        words = json.loads(line)
        if "validation" in words:
            validations.append(_validation(words))
        else:
            rows.append([float(words["step"]), *(float(words.get(name, np.nan)) for name in COLUMNS)])
    except (ValueError, KeyError, TypeError, AttributeError):
        return


def _validation(words: Mapping[str, Any]) -> Validation:
    found = words["validation"]
    scores = {name: Score(tuple(score["csi_mean"]), float(score["b_mse"]), float(score["b_mae"]))
              for name, score in found.items() if isinstance(score, dict)}
    thresholds = next((tuple(score["thresholds_mm_h"]) for score in found.values() if isinstance(score, dict)), ())
    return Validation(int(words["step"]), float(found["loss"]), thresholds, scores, bool(words.get("better")))


def _curves(table: NDArray[np.float64], batch: float) -> dict[str, Curve]:
    if not len(table):
        return {}
    edges = np.unique(np.linspace(0, len(table), min(MOST_POINTS, len(table)) + 1).round().astype(int))
    counts = np.diff(edges)
    means = np.add.reduceat(table, edges[:-1]) / counts[:, None]
    steps = tuple(means[:, 0].tolist())
    curves = {name: Curve(steps, tuple(means[:, column].tolist())) for column, name in enumerate(COLUMNS, start=1)}
    rates = curves["sequences_per_second"].values
    return {**curves, "steps_per_second": Curve(steps, tuple(rate / batch for rate in rates))}


def _latest(table: NDArray[np.float64], batch: float) -> dict[str, float]:
    """Of the last step; its pace over the last few."""
    if not len(table):
        return {}
    pace = float(np.median(table[-10:, 1 + COLUMNS.index("sequences_per_second")]))
    return {**dict(zip(COLUMNS, table[-1, 1:].tolist(), strict=True)), "steps_per_second": pace / batch}
