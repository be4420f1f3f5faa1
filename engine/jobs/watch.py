"""Follow a folder: forecast at each new frame, score earlier forecasts as their observations come."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from engine.archives import open_archive
from engine.archives.watching import State, state_of
from engine.cancel import CancelToken
from engine.errors import NotEnoughInput, UnreadableInput, UnwritableOutput, WrongUsage
from engine.jobs import forecast, weights
from engine.jobs.events import Event, Finished, Told, Warned
from engine.jobs.forecast import ForecastRequest
from engine.jobs.info import iso
from engine.jobs.rolling import (
    HOURS,
    LEAD_LIMIT,
    Scorer,
    data_folder,
    file_name,
    forecast_files,
    identity_of,
    rolling_thresholds,
    store_path,
)
from engine.jobs.scope import Scope
from engine.radar.gridding import PolarOptions
from engine.radar.scaling import RAIN_CLASSES
from engine.radar.sequence import RadarSequence
from engine.verification.rolling import RollingScores

NAP_S = 0.1
SCORED_FILES = 500
"""The newest forecast files of the folder that are looked through for lead times to score."""


@dataclass(frozen=True)
class WatchRequest:
    """paths: what is followed. output: the folder for forecast files; one in the user's data folder where None.
    every_s: seconds between two looks. frames: stop after so many new frames; go on for ever where None."""

    paths: tuple[Path, ...]
    forecasters: tuple[str, ...]
    output: Path | None = None
    inputs: int = 5
    lead_times: int = 20
    device: str = "auto"
    seed: int = 0
    thresholds: tuple[float, ...] = RAIN_CLASSES
    every_s: float = 10.0
    frames: int | None = None
    options: PolarOptions | None = None


@dataclass
class _Followed:
    """What is known of the folder. told: messages that need no repeating."""

    output: Path
    state: State | None = None
    newest: datetime | None = None
    new_frames: int = 0
    forecasts: list[str] = field(default_factory=list)
    scored: int = 0
    scorer: Scorer | None = None
    archive: str = ""
    told: set[str] = field(default_factory=set)


def run(request: WatchRequest, scope: Scope) -> Iterator[Event]:
    """Yields Told for each forecast and each round of scores; Finished where a number of frames was wished.

    Raises WrongUsage, NoWeights, UnreadableInput (no such folder), UnwritableOutput, Cancelled.
    """
    _check(request)
    store = RollingScores(store_path())
    followed = _Followed(request.output or data_folder() / "forecasts")
    try:
        followed.output.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise UnwritableOutput(followed.output, problem.strerror or str(problem)) from problem
    while True:
        yield from _look(request, followed, store, scope)
        if request.frames is not None and followed.new_frames >= request.frames:
            break
        _sleep(request.every_s, scope.token)
    yield Finished({"frames": followed.new_frames, "forecasts": followed.forecasts, "scored": followed.scored,
                    "scores": _scores(followed, store, request.thresholds[0])})


def _check(request: WatchRequest) -> None:
    if not request.forecasters:
        raise WrongUsage("Name at least one forecaster.")
    for name in request.forecasters:
        weights.forecaster(name)
    for path in request.paths:
        if not path.exists():
            raise UnreadableInput(path, "there is no such file or folder")
        if request.output is not None and path.is_dir() and request.output.resolve().is_relative_to(path.resolve()):
            raise WrongUsage("Forecast files must not be written into the folder that is followed.")


def _look(request: WatchRequest, followed: _Followed, store: RollingScores, scope: Scope) -> Iterator[Event]:
    """One look at the folder and what follows from it."""
    scope.token.check()
    state = state_of(request.paths)
    if state == followed.state:
        return
    try:
        sequence = open_archive(request.paths, token=scope.token, options=request.options)
    except UnreadableInput as problem:
        followed.state = state
        yield from _once(followed, f"{problem}. Waiting for frames.")
        return
    followed.state = state
    if followed.newest is not None and sequence.times[-1] <= followed.newest:
        return
    followed.new_frames += 1 if followed.newest is None else sum(t > followed.newest for t in sequence.times)
    followed.newest = sequence.times[-1]
    yield from _score(request, followed, store, sequence, scope)
    for name in request.forecasters:
        yield from _forecast(request, followed, sequence, name, scope)


def _score(request: WatchRequest, followed: _Followed, store: RollingScores, sequence: RadarSequence,
           scope: Scope) -> Iterator[Event]:
    if followed.scorer is None:
        followed.archive = identity_of(request.paths, sequence)
        followed.scorer = Scorer(store, followed.archive, rolling_thresholds(request.thresholds))
    scorer, count = followed.scorer, 0
    for path in forecast_files(followed.output)[-SCORED_FILES:]:
        if not scorer.is_done(path, sequence):
            count += scorer.score(path, sequence, scope)
    followed.scored += count
    while store.messages:
        yield Warned(store.messages.pop(0))
    if count:
        told = ", ".join(f"{s['forecaster']} {s['csi']:.2f} (n={s['n']})" if s["csi"] is not None else
                         f"{s['forecaster']} - (n={s['n']})" for s in _scores(followed, store, request.thresholds[0]))
        yield Told(f"{sequence.times[-1]:%H:%M} UTC: {count} lead times scored; CSI {request.thresholds[0]:g} mm/h, "
                   f"last {HOURS:g} h: {told}")


def _scores(followed: _Followed, store: RollingScores, threshold: float) -> list[dict[str, object]]:
    if followed.newest is None:
        return []
    return [{"forecaster": score.forecaster, "csi": score.csi, "n": score.count}
            for score in store.recent(followed.archive, threshold, followed.newest, HOURS, LEAD_LIMIT)]


def _forecast(request: WatchRequest, followed: _Followed, sequence: RadarSequence, name: str,
              scope: Scope) -> Iterator[Event]:
    """A forecast file from the newest frame, whole or not at all; what is missing for it is told once."""
    reference = sequence.times[-1]
    output = followed.output / file_name(reference, name)
    wish = ForecastRequest(sequence=sequence, forecaster=name, index=len(sequence) - 1, inputs=request.inputs,
                           lead_times=request.lead_times, device=request.device, seed=request.seed, output=output)
    try:
        for event in forecast.run(wish, scope):
            if isinstance(event, Warned):
                yield from _once(followed, event.text)
            elif isinstance(event, Finished):
                followed.forecasts.append(str(output))
                yield Told(f"{iso(reference)} {name}: {len(event.result['lead_times_min'])} lead times in "
                           f"{event.result['seconds']:.1f} s, {output.name}")
    except (NotEnoughInput, UnreadableInput) as problem:
        yield from _once(followed, f"{name}: {problem}")


def _once(followed: _Followed, text: str) -> Iterator[Event]:
    if text not in followed.told:
        followed.told.add(text)
        yield Warned(text)


def _sleep(seconds: float, token: CancelToken) -> None:
    """In naps, so that it ends soon after the token was asked to."""
    until = time.monotonic() + seconds
    while (rest := until - time.monotonic()) > 0:
        token.check()
        time.sleep(min(rest, NAP_S))
    token.check()
