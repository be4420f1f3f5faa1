"""The engine's errors: one family, each kind with the exit code of the public contract.

Every message is a sentence for the user; it names the file, the model or the times it is about.
``advice`` says what to do next and is what the window offers beside the message.
"""

from __future__ import annotations

from pathlib import Path


class StormdeckError(Exception):
    """Base of every error that the engine raises on purpose."""

    exit_code = 1
    advice = ""

    def __init__(self, message: str, *, advice: str | None = None) -> None:
        super().__init__(message)
        if advice is not None:
            self.advice = advice


class WrongUsage(StormdeckError):
    """The request itself makes no sense (unknown name, contradicting options)."""

    exit_code = 2


class UnreadableInput(StormdeckError):
    """A file or folder cannot be read as a radar archive."""

    exit_code = 3
    advice = "Choose another file or folder."

    def __init__(self, path: Path | str, reason: str, *, tried: str = "", advice: str | None = None) -> None:
        self.path = str(path)
        self.reason = reason
        self.tried = tried
        as_what = f" as {tried}" if tried else ""
        super().__init__(f"Cannot read {self.path}{as_what}: {reason}", advice=advice)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_unreadable, (self.path, self.reason, self.tried, self.advice))


def _rebuild_unreadable(path: str, reason: str, tried: str, advice: str) -> UnreadableInput:
    return UnreadableInput(path, reason, tried=tried, advice=advice)


class Undescribed(UnreadableInput):
    """A folder of pictures of which nothing says what they mean; ``path`` is the folder."""

    advice = "Describe the images: what a pixel is worth, when and where they were taken."

    def __reduce__(self) -> tuple[object, ...]:
        return (Undescribed, (self.path, self.reason))


class UnwritableOutput(StormdeckError):
    """A file cannot be written: no such folder, no permission, disk full."""

    advice = "Choose another folder or free some space."

    def __init__(self, path: Path | str, reason: str, *, advice: str | None = None) -> None:
        self.path = str(path)
        self.reason = reason
        super().__init__(f"Cannot write {self.path}: {reason}", advice=advice)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_unwritable, (self.path, self.reason, self.advice))


def _rebuild_unwritable(path: str, reason: str, advice: str) -> UnwritableOutput:
    return UnwritableOutput(path, reason, advice=advice)


class NotEnoughInput(StormdeckError):
    """The archive is readable but lacks what the request needs (frames, an even step, a grid)."""

    exit_code = 4
    advice = "Choose another reference time."


class NoWeights(StormdeckError):
    """A model was asked for that has no trained weights."""

    exit_code = 5
    advice = "Train the model or choose one that has weights."


class Diverged(StormdeckError):
    """Training has come to numbers that are not finite; the last good checkpoint stays."""


class Cancelled(StormdeckError):
    """The user stopped the job."""

    exit_code = 6

    def __init__(self, message: str = "Cancelled.") -> None:
        super().__init__(message)
