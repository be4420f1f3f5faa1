"""Start training runs as processes of their own, ask them to pause and to stop, and say which recipes there are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import engine
from engine.errors import UnreadableInput, UnwritableOutput, WrongUsage
from engine.jobs.events import Event, Finished
from engine.jobs.scope import Scope
from engine.jobs.training_list import forget, remember
from engine.training.lock import is_trained_in
from engine.training.status import LOG_FILE, PAUSE, STOP, ask, read_status

__all__ = ["ADD", "FORGET", "AskRequest", "RecipeLine", "RecipesRead", "RecipesRequest", "StartRequest", "ask"]

NICENESS = 10
"""Training leaves the processor to whoever looks at maps meanwhile."""
ADD, FORGET = "add", "forget"


@dataclass(frozen=True)
class StartRequest:
    """recipe: a file or the name of one that ships; empty to go on with the run that lies in ``output``. The rest as in
    :class:`engine.jobs.train.TrainRequest`; 0 steps and seed None for the recipe's own."""

    output: Path
    recipe: str = ""
    packs: tuple[Path, ...] = ()
    steps: int = 0
    seed: int | None = None
    device: str = "auto"
    start_from: Path | None = None


def start(request: StartRequest, scope: Scope) -> Iterator[Event]:
    """Begins the process and comes back; Finished.result: pid, folder. Raises WrongUsage, UnwritableOutput."""
    folder = request.output.absolute()
    if is_trained_in(folder):
        raise WrongUsage(f"{folder} is being trained in already.", advice="Wait for it, or name another folder.")
    if request.recipe and any(folder.glob("*.checkpoint")):
        raise WrongUsage(f"{folder} holds a run already.", advice="Name another folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remember(folder)
        pid = _begun(arguments(request, folder), folder / LOG_FILE, _place(request, folder))
    except OSError as problem:
        raise UnwritableOutput(folder, problem.strerror or str(problem)) from problem
    yield Finished({"pid": pid, "folder": str(folder)})


def arguments(request: StartRequest, folder: Path) -> list[str]:
    """The command line of the headless twin."""
    words = ["train", request.recipe or str(folder), "-o", str(folder), "--device", request.device]
    for pack in request.packs:
        words += ["--pack", str(pack.absolute())]
    if request.steps:
        words += ["--steps", str(request.steps)]
    if request.seed is not None:
        words += ["--seed", str(request.seed)]
    if request.start_from is not None:
        words += ["--start-from", str(request.start_from.absolute())]
    return words if request.recipe else [*words, "--resume"]


def program() -> list[str]:
    """What runs the headless twin: this Python, or the program beside this one where both are frozen."""
    if getattr(sys, "frozen", False):
        return [str(Path(sys.executable).with_name("stormdeck-engine" + Path(sys.executable).suffix))]
    return [sys.executable, "-m", "engine"]


def _place(request: StartRequest, folder: Path) -> Path:
    """Where the process begins, for paths in recipes: beside a recipe of one's own, or where the run began before."""
    if request.recipe:
        own = Path(request.recipe)
        return own.absolute().parent if own.is_file() else folder
    status = read_status(folder)
    before = Path(status.folder) if status is not None and status.folder else folder
    return before if before.is_dir() else folder


def _begun(words: list[str], log: Path, place: Path) -> int:
    """A process that outlives this one; what it says goes to the log."""
    path = os.pathsep.join(filter(None, (str(Path(engine.__file__).parents[1]), os.environ.get("PYTHONPATH", ""))))
    environment = {**os.environ, "PYTHONPATH": path}
    with log.open("wb") as out:
        if sys.platform == "win32":
            flags = (subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
                     | subprocess.BELOW_NORMAL_PRIORITY_CLASS)
            child = subprocess.Popen([*program(), *words], stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=place,
                                     env=environment, creationflags=flags)
        else:
            child = subprocess.Popen([*program(), *words], stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=place,
                                     env=environment, start_new_session=True)
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, child.pid, NICENESS)
    child.returncode = 0  # it is not waited for, and need not be: who looks at it reads its folder
    return child.pid


@dataclass(frozen=True)
class AskRequest:
    """wish: "pause", "stop", "add": to the list of runs, or "forget": off it again, while the folder stays."""

    folder: Path
    wish: str


def answer(request: AskRequest, scope: Scope) -> Iterator[Event]:
    """Finished.result is empty. Raises WrongUsage where nobody trains there, UnwritableOutput."""
    if request.wish in (ADD, FORGET):
        (remember if request.wish == ADD else forget)(request.folder)
    elif request.wish not in (PAUSE, STOP):
        raise WrongUsage(f"A run cannot be asked to '{request.wish}'.")
    elif not is_trained_in(request.folder):
        raise WrongUsage(f"Nobody trains in {request.folder}.")
    else:
        try:
            ask(request.folder, request.wish)
        except OSError as problem:
            raise UnwritableOutput(request.folder, problem.strerror or str(problem)) from problem
    yield Finished()


@dataclass(frozen=True)
class RecipesRequest:
    """file: of one's own, told beside those that ship."""

    file: Path | None = None


@dataclass(frozen=True)
class RecipeLine:
    """What a form says about a recipe. wish: what the start is told. wants_packs: it needs some, and names none itself.
    problem: why it cannot be used."""

    wish: str
    title: str
    model: str = ""
    about: str = ""
    length: str = ""
    wants_packs: bool = True
    problem: str = ""


@dataclass(frozen=True)
class RecipesRead(Event):
    recipes: tuple[RecipeLine, ...]


def recipes(request: RecipesRequest, scope: Scope) -> Iterator[Event]:
    """Yields RecipesRead: a file of one's own first, then those that ship."""
    from engine.jobs.train import shipped

    wishes = {name: path for name, path in shipped().items()}
    lines = [] if request.file is None else [_line(str(request.file), request.file)]
    for name, path in wishes.items():
        scope.token.check()
        lines.append(_line(name, path))
    yield RecipesRead(tuple(lines))
    yield Finished({"recipes": len(lines)})


def _line(wish: str, path: Path) -> RecipeLine:
    from engine.training.recipe import read_recipe

    try:
        recipe = read_recipe(path)
    except (UnreadableInput, WrongUsage) as problem:
        return RecipeLine(wish, path.name, problem=str(problem))
    run: Any = recipe.run
    length = f"{run.steps:,} steps" if run.steps else f"{run.epochs:g} epochs"
    data = recipe.data
    words = f"{data.inputs} → {data.leads} frames, batches of {run.batch}, {length}"
    return RecipeLine(wish, path.stem, recipe.model.name, recipe.about, words, data.source == "packs"
                      and not data.packs)
