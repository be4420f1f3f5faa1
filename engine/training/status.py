"""What a run's folder says about the run itself: how it stands, who trains, why it ended; and what it is asked to do.

``status.json`` is written by the training process, ``request`` by whoever wants it to pause or stop. Nothing here
loads torch.
"""

from __future__ import annotations

import json
import logging
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import TracebackType

from engine.cancel import CancelToken
from engine.errors import Cancelled, StormdeckError, WrongUsage
from engine.training.lock import RunLock, is_trained_in, remove

log = logging.getLogger(__name__)

STATUS_FILE, REQUEST_FILE, LOG_FILE = "status.json", "request", "train.log"
STARTING, RUNNING, PAUSED, STOPPED, DONE, FAILED, DIED = (
    "starting", "running", "paused", "stopped", "done", "failed", "died")
PAUSE, STOP = "pause", "stop"
UNDER_WAY = (STARTING, RUNNING)
WRITE_S = 0.5
"""Steps are told no more often than this."""
ASK_S = 0.2


@dataclass(frozen=True)
class Status:
    """state: one of this module's; DIED is never written but found, where nobody trains although a run is under way.
    started: seconds since 1970, another number each time the run goes on. folder: where the process was started, to
    which relative paths refer. asked: what it was asked to do and has not done yet."""

    state: str
    title: str = ""
    step: int = 0
    steps: int = 0
    epoch: float = 0.0
    pid: int = 0
    device: str = ""
    started: float = 0.0
    updated: float = 0.0
    reason: str = ""
    advice: str = ""
    weights: str = ""
    folder: str = ""
    asked: str = ""


def read_status(folder: Path) -> Status | None:
    """How the run in a folder stands; None where nothing is said."""
    try:
        words = json.loads((folder / STATUS_FILE).read_text(encoding="utf-8"))
        known = {field.name for field in fields(Status)}
        status = Status(**{key: value for key, value in words.items() if key in known})
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    if status.state in UNDER_WAY and not is_trained_in(folder):
        return replace(status, state=DIED, reason=f"The process ended without a word after step {status.step}: it was "
                       "killed, ran out of memory, or the machine stopped.", asked="")
    return replace(status, asked=asked(folder)) if status.state in UNDER_WAY else status


def asked(folder: Path) -> str:
    """PAUSE, STOP or nothing."""
    try:
        word = (folder / REQUEST_FILE).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return word if word in (PAUSE, STOP) else ""


def ask(folder: Path, wish: str) -> None:
    """Asks the run in a folder to pause or to stop. Raises OSError."""
    beside = folder / f".{REQUEST_FILE}.{os.getpid()}"
    beside.write_text(wish, encoding="utf-8")
    os.replace(beside, folder / REQUEST_FILE)


class AskedToken(CancelToken):
    """The token of a run: cancelled with the outer one, or where the folder holds a request. ``wish``: which."""

    def __init__(self, outer: CancelToken, folder: Path) -> None:
        super().__init__()
        self._outer, self._folder, self._looked = outer, folder, 0.0
        self.wish = ""

    def check(self) -> None:
        self._outer.check()
        now = time.monotonic()
        if now - self._looked >= ASK_S:
            self._looked = now
            self.wish = self.wish or asked(self._folder)
        if self.wish:
            self.cancel()
        super().check()


class Desk:
    """``with Desk(folder, title, device) as desk``: holds the run's lock and keeps its status. What ends the block
    is written down: a run that was cancelled is paused, or stopped where that was asked for; an error is its reason.

    Raises WrongUsage where another process trains in the folder. A folder that was made for nothing goes again."""

    def __init__(self, folder: Path, title: str, device: str, made: bool = False) -> None:
        self.folder, self._made = folder, made
        self._lock = RunLock(folder)
        self._status = Status(STARTING, title, pid=os.getpid(), device=device, folder=os.getcwd())
        self._written = 0.0

    def __enter__(self) -> Desk:
        if not self._lock.take():
            raise WrongUsage(f"Another process trains in {self.folder}.", advice="Wait for it, or name another folder.")
        self._answer_requests()
        self._say(replace(self._status, started=time.time()))
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._answer_requests()
        if problem is None:
            self._say(replace(self._status, state=DONE if self._status.state == RUNNING else self._status.state))
        elif isinstance(problem, Cancelled | GeneratorExit):
            self._say(replace(self._status, state=PAUSED))
        else:
            advice = problem.advice if isinstance(problem, StormdeckError) else "The log has the details."
            self._say(replace(self._status, state=FAILED, reason=str(problem) or type(problem).__name__, advice=advice))
        self._lock.give_back()
        if problem is not None and self._made and self._status.step == 0:
            self._leave_nothing()

    def token(self, outer: CancelToken) -> AskedToken:
        return AskedToken(outer, self.folder)

    def step(self, step: int, steps: int, epoch: float) -> None:
        """Tells how far the run is, if that was not told just now."""
        first = self._status.state != RUNNING
        self._status = replace(self._status, state=RUNNING, step=step, steps=steps, epoch=round(epoch, 4))
        if first or time.monotonic() - self._written >= WRITE_S or step == steps:
            self._say(self._status)

    def ended(self, state: str, weights: str) -> None:
        """DONE or STOPPED, with the weight file that came of it."""
        self._say(replace(self._status, state=state, weights=weights))

    def _say(self, status: Status) -> None:
        """A status that cannot be written ends nothing."""
        self._status = replace(status, updated=time.time())
        self._written = time.monotonic()
        text = json.dumps(asdict(self._status))
        beside = self.folder / f".{STATUS_FILE}.{os.getpid()}"
        try:
            beside.write_text(text, encoding="utf-8")
            os.replace(beside, self.folder / STATUS_FILE)
        except OSError as problem:
            log.warning("%s: %s", self.folder / STATUS_FILE, problem)
            self._say_in_place(text)
            with suppress(OSError):
                beside.unlink()

    def _say_in_place(self, text: str) -> None:
        """Over the older words, which needs no room on a full disk."""
        with suppress(OSError), (self.folder / STATUS_FILE).open("r+", encoding="utf-8") as file:
            room = len(file.read())
            file.seek(0)
            file.write(text.ljust(room))
            file.truncate()

    def _answer_requests(self) -> None:
        with suppress(OSError):
            (self.folder / REQUEST_FILE).unlink()

    def _leave_nothing(self) -> None:
        remove(self.folder)
        with suppress(OSError):
            (self.folder / STATUS_FILE).unlink()
        with suppress(OSError):
            self.folder.rmdir()
