"""Runs a job in the terminal: progress and words on stderr, the answer on stdout, errors as exit codes."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from engine import catalogue, device
from engine.cancel import CancelToken
from engine.errors import Cancelled, StormdeckError
from engine.jobs.events import Event, Finished, Progress, SampleShown, Told, TrainingStep, TrainingValidated, Warned
from engine.jobs.scope import Scope

STEP_INTERVAL_S = 30.0
Printer = Callable[[dict[str, Any]], None]


class Terminal:
    """Where a job's events go: a progress bar where stderr is a terminal, plain lines otherwise."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        self.console = Console(stderr=True, highlight=False)
        self._bar = Bar(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=self.console,
                        transient=True, disable=not self.console.is_terminal)
        self._task = self._bar.add_task("", total=None)
        self._told = float("-inf")

    def __enter__(self) -> Terminal:
        self._bar.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._bar.stop()

    def _show_step(self, event: TrainingStep) -> None:
        """Where there is no bar to watch, a line now and then."""
        now = time.monotonic()
        if not self.console.is_terminal and (now - self._told >= STEP_INTERVAL_S or event.step == event.steps):
            self._told = now
            figures = ", ".join(f"{name} {value:.4g}" for name, value in event.values.items())
            self.console.print(f"step {event.step} of {event.steps}, epoch {event.epoch:.2f}: {_plain(figures)}",
                               soft_wrap=True)

    def show(self, event: Event) -> None:
        if isinstance(event, Progress):
            self._bar.update(self._task, description=event.text, total=None if event.fraction is None else 1.0,
                             completed=event.fraction or 0.0)
        elif isinstance(event, TrainingStep):
            self._show_step(event)
        elif isinstance(event, TrainingValidated):
            self.console.print(f"step {event.step}: {_plain(_validation(event.scores))}{', the best' * event.better}",
                               soft_wrap=True)
        elif isinstance(event, SampleShown) and self.console.is_terminal:
            self.console.print(_plain(_sketch(event)), soft_wrap=True)
        elif isinstance(event, Told):
            self.console.print(_plain(event.text))
        elif isinstance(event, Warned):
            self.console.print(f"[yellow]warning:[/] {_plain(event.text)}")


def run_job(kind: str, request: Any) -> dict[str, Any]:
    """Runs a job of the catalogue to its end in this thread; Ctrl+C cancels it.

    Raises StormdeckError of the kind that says what went wrong.
    """
    device.calm_threads()
    token = CancelToken()
    previous = signal.signal(signal.SIGINT, _canceller(token))
    result: dict[str, Any] = {}
    try:
        with token.takes_charge(), Terminal() as terminal:
            for event in catalogue.load("job", kind)(request, Scope(token, terminal.show)):
                token.check()
                terminal.show(event)
                if isinstance(event, Finished):
                    result = event.result
    finally:
        signal.signal(signal.SIGINT, previous)
    return result


def _validation(scores: dict[str, Any]) -> str:
    """A line: the loss, and of each forecaster the balanced errors and the mean CSI at each threshold."""
    parts = [f"validation loss {scores['loss']:.4g}"]
    for name, found in scores.items():
        if isinstance(found, dict):
            csi = " ".join("-" if value is None else f"{value:.3f}" for value in found["csi_mean"])
            parts.append(f"{name} B-MSE {found['b_mse']:.4g} B-MAE {found['b_mae']:.4g} CSI {csi}")
    return "; ".join(parts)


def _sketch(event: SampleShown) -> str:
    """The last lead time of a sample, observed and forecast side by side, a sign for some pixels each."""
    fields = (event.observed[-1], event.forecast[-1])
    across = max(1, fields[0].shape[1] // 36)
    columns = 1 + (fields[0].shape[1] - 1) // across
    rows = ["".join(_sign(float(value)) for value in row[::across]) for field in fields for row in field[::2 * across]]
    half = len(rows) // 2
    head = f"{'observed':<{columns}}   forecast"
    return "\n".join((head, *(f"{left}   {right}" for left, right in zip(rows[:half], rows[half:], strict=True))))


def _sign(pixel: float) -> str:
    """pixel: in [0, 1]; '?' for no data."""
    if pixel != pixel:  # noqa: PLR0124 - NaN is not itself
        return "?"
    return " .:-=+*#%@"[min(9, max(0, int(pixel * 12)))]


def _canceller(token: CancelToken) -> Callable[[int, FrameType | None], None]:
    def cancel(number: int, frame: FrameType | None) -> None:
        token.cancel()

    return cancel


def answer(kind: str, request: Any, as_json: bool, printer: Printer) -> int:
    """Runs a job, prints its answer, returns the exit code."""
    try:
        result = run_job(kind, request)
    except Cancelled as stop:
        complain(stop)
        return stop.exit_code
    except StormdeckError as error:
        complain(error)
        return error.exit_code
    if not result:  # one of several processes that leaves the answer to the first
        return 0
    if as_json:
        sys.stdout.write(json.dumps(result.get("models", result), allow_nan=False) + "\n")
    else:
        printer(result)
    return 0


def complain(error: StormdeckError) -> None:
    """One line on stderr, and what to do about it."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"[red]error:[/] {_plain(str(error))}")
    if error.advice:
        console.print(_plain(error.advice))


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
