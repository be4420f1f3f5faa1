"""Rolling verification: forecasts wait as files for their observations and are scored as these come.

Only what was forecast before its observation was there is entered, so that the scores are those of real forecasts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from engine.archives.index import cache_folder
from engine.errors import StormdeckError
from engine.jobs.events import Event, Finished, Warned
from engine.jobs.scope import Scope
from engine.radar.packed import AnyField, unpacked
from engine.radar.scaling import RAIN_CLASSES, RainBins, rain_bins
from engine.radar.sequence import RadarSequence
from engine.verification.rolling import Entry, Key, RecentScore, RollingScores

if TYPE_CHECKING:
    from engine.archives.forecast_file import Forecast

DATA_VARIABLE = "STORMDECK_DATA"
HOURS = 3.0
"""The last hours whose scores are shown."""
LEAD_LIMIT = 60.0
"""Lead times beyond this (minutes) are kept, but not part of what is shown."""
GIVEN_UP = timedelta(hours=6)
"""How long after its time an observation may still come."""
MOST_FILES, MOST_BYTES = 400, 1 << 30


def data_folder() -> Path:
    """Where scores and waiting forecasts are kept: what ``STORMDECK_DATA`` names, else the user's data folder."""
    named = os.environ.get(DATA_VARIABLE)
    if named:
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_data_dir("stormdeck", appauthor=False))


def free_path(part: str, name: str, suffix: str = "") -> Path:
    """``name-1``, or with the next number, in that part of the data folder: where nothing is yet."""
    home, number = data_folder() / part, 1
    while (home / f"{name}-{number}{suffix}").exists():
        number += 1
    return home / f"{name}-{number}{suffix}"


def store_path() -> Path:
    return data_folder() / "rolling.sqlite"


def identity_of(paths: Sequence[Path], sequence: RadarSequence) -> str:
    """An archive's name in the scores: where its files lie and what they hold."""
    return f"{cache_folder(paths).name}/{sequence.layout.variable}"


def waiting_folder(paths: Sequence[Path]) -> Path:
    """Where the window's forecasts of an archive wait for their observations."""
    return data_folder() / "waiting" / cache_folder(paths).name


def file_name(reference: datetime, forecaster: str) -> str:
    return f"{reference:%Y%m%dT%H%M%SZ}-{forecaster}.nc"


def forecast_files(folder: Path) -> list[Path]:
    """In order of reference time; not those that are still being written."""
    return sorted(path for path in folder.glob("*Z-*.nc") if not path.name.startswith("."))


# -- keeping

@dataclass(frozen=True)
class KeepRequest:
    """A forecast that the window made. frames: (lead minutes, valid time, rain rate). paths: of the archive."""

    paths: tuple[Path, ...]
    sequence: RadarSequence
    forecaster: str
    reference: datetime
    inputs: int
    frames: tuple[tuple[float, datetime, AnyField], ...]


def keep(request: KeepRequest, scope: Scope) -> Iterator[Event]:
    """Writes the lead times that nothing was observed of yet; Finished says how many. Raises UnwritableOutput."""
    from engine.export.forecast_file import ForecastWriter
    from engine.jobs.forecast import header_for
    from engine.jobs.weights import describe

    newest = request.sequence.times[-1]
    frames = [frame for frame in request.frames if frame[1] > newest]
    if frames:
        folder = waiting_folder(request.paths)
        folder.mkdir(parents=True, exist_ok=True)
        sha256 = str((describe(request.forecaster) or {}).get("sha256", ""))
        header = header_for(request.sequence, request.forecaster, request.reference, request.inputs, sha256=sha256)
        with ForecastWriter(folder / file_name(request.reference, request.forecaster), header) as writer:
            for lead, _, rain_rate in frames:
                scope.token.check()
                writer.write(lead, unpacked(rain_rate))
        _bound(folder)
    yield Finished({"kept": len(frames)})


def _bound(folder: Path) -> None:
    """The oldest forecasts go when there are too many."""
    total = 0
    for number, file in enumerate(reversed(forecast_files(folder))):
        with suppress(OSError):
            total += file.stat().st_size
            if number >= MOST_FILES or total > MOST_BYTES:
                file.unlink()


# -- scoring

@dataclass(frozen=True)
class RollingRequest:
    """Scores what waits for an archive and tells the last hours' scores. threshold: the one that is told, mm/h."""

    paths: tuple[Path, ...]
    sequence: RadarSequence
    threshold: float = RAIN_CLASSES[0]
    thresholds: tuple[float, ...] = RAIN_CLASSES


@dataclass(frozen=True)
class RecentReady(Event):
    """scores: of every forecaster that was scored in the last ``hours`` before the newest observation."""

    threshold: float
    hours: float
    scores: tuple[RecentScore, ...]


def run(request: RollingRequest, scope: Scope) -> Iterator[Event]:
    """Yields RecentReady; Finished says how many lead times were scored. Forecasts with nothing left to wait for are
    removed. Raises UnwritableOutput."""
    store, archive = RollingScores(store_path()), identity_of(request.paths, request.sequence)
    scorer = Scorer(store, archive, rolling_thresholds(request.thresholds))
    scored = 0
    for path in forecast_files(waiting_folder(request.paths)):
        scope.token.check()
        scored += scorer.score(path, request.sequence, scope)
        if scorer.is_done(path, request.sequence):
            with suppress(OSError):
                path.unlink()
    newest = request.sequence.times[-1]
    yield RecentReady(request.threshold, HOURS, store.recent(archive, request.threshold, newest, HOURS, LEAD_LIMIT))
    for message in store.messages:
        yield Warned(message)
    yield Finished({"scored": scored})


def rolling_thresholds(wished: Sequence[float]) -> tuple[float, ...]:
    """The classes and what is wished besides; the wished ones alone where they lie too close to a class."""
    every = tuple(sorted({*RAIN_CLASSES, *(float(t) for t in wished)}))
    try:
        rain_bins(every)
    except ValueError:
        return tuple(sorted(float(t) for t in wished))
    return every


class Scorer:
    """Compares forecast files with an archive, each lead time once."""

    def __init__(self, store: RollingScores, archive: str, thresholds: tuple[float, ...]) -> None:
        self._store, self._archive, self._thresholds = store, archive, thresholds
        self._known = set(store.known(archive))
        self._open: dict[Path, Forecast | None] = {}

    def score(self, path: Path, sequence: RadarSequence, scope: Scope) -> int:
        """Enters the lead times of a file that were observed since; returns how many. A file that cannot be read or
        lies on another grid counts as none. Raises UnwritableOutput."""
        forecast = self._forecast(path)
        if forecast is None or not forecast.header.grid.same_as(sequence.grid):
            return 0
        observed = sequence if forecast.header.zr == sequence.zr else sequence.with_zr(forecast.header.zr)
        bins = rain_bins(self._thresholds)
        entries = []
        for index, (key, valid) in enumerate(self._keys(forecast)):
            scope.token.check()
            if key not in self._known and valid > forecast.header.reference_time:
                entry = self._entry(forecast, index, key, valid, observed, bins)
                entries += [entry] if entry is not None else []
        if entries:
            self._store.enter(entries)
            self._known.update(entry.key for entry in entries)
        return len(entries)

    def is_done(self, path: Path, sequence: RadarSequence) -> bool:
        """Whether nothing more will come of a file."""
        forecast, newest = self._forecast(path), sequence.times[-1]
        return forecast is None or all(key in self._known or newest - valid > GIVEN_UP
                                       for key, valid in self._keys(forecast))

    def _entry(self, forecast: Forecast, index: int, key: Key, valid: datetime, observed: RadarSequence,
               bins: RainBins) -> Entry | None:
        from engine.jobs.verify import scored_field
        from engine.verification.counts import tally_pair

        try:
            truth = observed.rain_rate_at(valid)
        except StormdeckError:  # it is still being written
            return None
        if truth is None:
            return None
        tally = tally_pair(truth, scored_field(forecast.frame(index)), zr=observed.zr, bins=bins)
        return Entry(key, valid, tally, self._thresholds)

    def _keys(self, forecast: Forecast) -> list[tuple[Key, datetime]]:
        header = forecast.header
        return [(Key(self._archive, header.forecaster, header.weights_sha256, header.reference_time, lead), valid)
                for lead, valid in zip(forecast.lead_minutes, forecast.valid_times, strict=True)]

    def _forecast(self, path: Path) -> Forecast | None:
        from engine.archives.forecast_file import read_forecast

        if path not in self._open:
            try:
                self._open[path] = read_forecast(path)
            except StormdeckError:
                self._open[path] = None
        return self._open[path]
