"""Run a forecast: inputs from an archive, frames lead time by lead time, scores where the truth is known."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from engine import __version__, device
from engine.archives import open_archive
from engine.cancel import CancelToken
from engine.deblurrers.protocol import Options as SharpenOptions
from engine.downscalers.protocol import Factors
from engine.downscalers.protocol import Options as RefineOptions
from engine.errors import NotEnoughInput, WrongUsage
from engine.export.forecast_file import ForecastHeader, ForecastWriter
from engine.forecasters.neural import NeuralForecaster
from engine.forecasters.protocol import Context, Forecaster, Inputs, LeadFrame, Options
from engine.jobs import weights
from engine.jobs.downscale import Refining
from engine.jobs.events import Event, Finished, FrameReady, ScoreReady, Warned
from engine.jobs.info import iso
from engine.jobs.scope import Scope
from engine.jobs.sharpening import Sharpening
from engine.jobs.verify import scored_field
from engine.radar.gridding import PolarOptions
from engine.radar.packed import AnyField, PackedField, unpacked
from engine.radar.packed import packed as compacted
from engine.radar.scaling import RAIN_CLASSES, RainBins, rain_bins
from engine.radar.sequence import Field, RadarSequence, stack_packed, stack_rain_rate
from engine.radar.units import ZR
from engine.verification.counts import Tally, tally_pair

MAX_LEAD_TIMES = 240

OUT_OF_TRAINING = "NOT AS TRAINED"
"""What a forecast wears whose network runs on other pixels or steps than it was trained on."""


@dataclass(frozen=True)
class ForecastRequest:
    """Either an open ``sequence`` or ``paths``. ``at`` or ``index`` name the reference time; the last frame if
    neither does. ``output``: a forecast file to write. ``score``: compare each lead time with the archive.
    ``compact``: large frames come packed (:mod:`engine.radar.packed`), for callers that keep them all. ``before``:
    sharpened frames come with what they were before.
    ``refine``, ``conserve``: what the downscaler makes of a frame (:mod:`engine.downscalers.protocol`).
    ``elevation``: GeoTIFF, NetCDF or GRIB files with fixed fields that it may read. ``network``: with weights that were
    learnt online, to run instead of the file's."""

    sequence: RadarSequence | None = None
    paths: tuple[Path, ...] = ()
    forecaster: str = "persistence"
    at: datetime | None = None
    index: int | None = None
    inputs: int = 5
    lead_times: int = 20
    members: int = 1
    deblurrer: str | None = None
    downscaler: str | None = None
    device: str = "auto"
    seed: int = 0
    output: Path | None = None
    thresholds: tuple[float, ...] = RAIN_CLASSES
    score: bool = False
    options: PolarOptions | None = None
    compact: bool = False
    before: bool = False
    refine: tuple[int, int, int] = (2, 2, 2)
    conserve: bool = False
    elevation: tuple[Path, ...] = ()
    network: Any = None


def run(request: ForecastRequest, scope: Scope) -> Iterator[Event]:
    """Yields FrameReady (and ScoreReady) per lead time, then Finished with the contract's document.

    Raises UnreadableInput, NotEnoughInput, NoWeights, WrongUsage, Cancelled; then no output file is left.
    """
    began = time.perf_counter()
    _check(request)
    forecaster, sharpening = made(request), Sharpening.wished(request.deblurrer)
    refining = Refining.wished(request.downscaler, RefineOptions(Factors(*request.refine), request.conserve,
                                                                   request.seed), request.elevation)
    sequence = request.sequence or open_archive(request.paths, token=scope.token, report=scope.progress,
                                                options=request.options)
    yield from _complaints(request, sequence)
    refining = replace(refining, archive=sequence) if refining is not None else None
    needed = inputs_for(forecaster, sequence, request)
    inputs = gather(sequence, request, needed, scope, getattr(forecaster, "reads_packed", False))
    notes = getattr(forecaster, "notes", None)
    for note in notes(inputs) if notes else ():
        yield Warned(note, mark=OUT_OF_TRAINING)
    for note in sharpening.notes(inputs) if sharpening else ():
        yield Warned(note, mark=OUT_OF_TRAINING, kind="deblurrer")
    place = device.choose(request.device)
    context = Context(scope.token, scope.progress, place)
    frames = forecaster.run(inputs, Options(request.lead_times, request.members, request.seed), context)
    if sharpening is not None:
        frames = sharpening.run(frames, inputs, SharpenOptions(request.seed, request.members), context)
    if refining is not None:
        frames = refining.run(frames, inputs, request.members, context)
    leads: list[float] = []
    sha256 = " ".join(filter(None, (str(getattr(forecaster, "weights_sha256", "")),
                                    sharpening.weights_sha256 if sharpening is not None else "",
                                    refining.weights_sha256 if refining is not None else "")))
    for event in _deliver(frames, sequence, inputs, request, scope, sha256, refining):
        scope.token.check()
        if isinstance(event, FrameReady):
            leads.append(event.lead_minutes)
        yield event
    yield from sharpening.complaints() if sharpening is not None else ()
    yield Finished({
        "output": str(request.output) if request.output else None,
        "forecaster": request.forecaster,
        "deblurrer": request.deblurrer,
        "downscaler": request.downscaler,
        "reference_time": iso(inputs.reference_time),
        "lead_times_min": leads,
        "seconds": round(time.perf_counter() - began, 3),
        "device": place,
        "peak_rss_mb": peak_rss_mb(),
    })


def made(request: ForecastRequest) -> Forecaster:
    """The forecaster of a request, with what was learnt online. Raises WrongUsage, NoWeights."""
    forecaster = weights.forecaster(request.forecaster)
    if request.network is None:
        return forecaster
    if not isinstance(forecaster, NeuralForecaster):
        raise WrongUsage(f"{request.forecaster} runs no other weights than its own.")
    return replace(forecaster, network=request.network)


def inputs_for(forecaster: Forecaster, sequence: RadarSequence, request: ForecastRequest) -> int:
    """How many frames a forecaster needs; where it has a wish for this step and the archive can fulfil it, that."""
    wish = getattr(forecaster, "wanted_inputs", None)
    if wish is None or sequence.step_minutes is None:
        return forecaster.min_inputs
    wanted = int(wish(sequence.step_minutes))
    try:
        sequence.inputs_ending_at(reference_index(sequence, request.at, request.index), wanted)
    except NotEnoughInput:
        return forecaster.min_inputs
    return wanted


def gather(sequence: RadarSequence, request: ForecastRequest, needed: int, scope: Scope,
           packed: bool = False) -> Inputs:
    """The input frames of a request, checked for gaps. packed: large frames may come as a PackedStack.

    Raises NotEnoughInput if frames are missing, no frame lies at the wished time, or the grid is unusable.
    """
    count = max(request.inputs, needed)
    last = reference_index(sequence, request.at, request.index)
    indices = sequence.inputs_ending_at(last, count)
    if sequence.step_minutes is None:
        raise NotEnoughInput(f"{sequence.name}: one frame has no time step; a forecast needs at least two frames.")
    scope.progress(None, "decoding the input frames")
    frames = (stack_packed if packed else stack_rain_rate)(sequence, indices)
    times = tuple(sequence.frames[i].time for i in indices)
    return Inputs(frames, times, sequence.step_minutes, sequence.grid, sequence.zr)


def reference_index(sequence: RadarSequence, at: datetime | None, index: int | None) -> int:
    """The frame that a request means; negative indices count from the end."""
    if at is not None and index is not None:
        raise WrongUsage("Name the reference time either by its time or by its index, not by both.")
    if at is not None:
        found = sequence.index_exactly_at(at)
        if found is None:
            first, last = sequence.frames[0].time, sequence.frames[-1].time
            raise NotEnoughInput(f"{sequence.name}: no frame at {at:%Y-%m-%d %H:%M} UTC; the archive runs from "
                                 f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}.")
        return found
    if index is None:
        return len(sequence) - 1
    if not -len(sequence) <= index < len(sequence):
        raise NotEnoughInput(f"{sequence.name}: no frame {index}; there are {len(sequence)} frames.")
    return index % len(sequence)


def _check(request: ForecastRequest) -> None:
    if not 1 <= request.lead_times <= MAX_LEAD_TIMES:
        raise WrongUsage(f"The number of lead times must lie between 1 and {MAX_LEAD_TIMES}.")
    if request.inputs < 1 or request.members < 1:
        raise WrongUsage("A forecast needs at least one input frame and one member.")


def _complaints(request: ForecastRequest, sequence: RadarSequence) -> Iterator[Event]:
    if request.sequence is None:
        for file in sequence.skipped:
            yield Warned(f"skipped {file.path}: {file.reason}")


def _deliver(frames: Iterator[LeadFrame], sequence: RadarSequence, inputs: Inputs,
             request: ForecastRequest, scope: Scope, sha256: str, refining: Refining | None) -> Iterator[Event]:
    """The frames as events, written to the output file on their way."""
    if request.output is None:
        yield from _events(frames, sequence, inputs, request, scope, refining)
        return
    told = header(sequence, inputs, request, sha256)
    with ForecastWriter(request.output, told if refining is None else refining.header(told)) as writer:
        for event in _events(frames, sequence, inputs, request, scope, refining):
            if isinstance(event, FrameReady):
                writer.write(event.lead_minutes, unpacked(event.rain_rate))
            yield event


def _events(frames: Iterator[LeadFrame], sequence: RadarSequence, inputs: Inputs,
            request: ForecastRequest, scope: Scope, refining: Refining | None) -> Iterator[Event]:
    numbers = itertools.count()
    grid = None if refining is None else refining.grid(sequence.grid)
    for frame in frames:  # enumerate would hold on to the frame before
        index = next(numbers)
        frame.rain_rate.flags.writeable = False
        valid = inputs.reference_time + timedelta(minutes=frame.lead_minutes)
        keep = compacted if request.compact else unpacked
        if refining is None:
            before = keep(frame.before) if request.before and frame.before is not None else None
            yield FrameReady(index, frame.lead_minutes, valid, keep(frame.rain_rate), before=before,
                             kernel=frame.kernel)
            scored = frame
        else:
            scored = refining.as_measured(frame)
            yield FrameReady(index, frame.lead_minutes, valid, keep(frame.rain_rate), grid, keep(scored.rain_rate))
        if request.score:
            yield from score_lead(index, scored, valid, sequence, request.thresholds, scope.token)
        del frame, scored  # the next one is made in its place


def score_lead(index: int, frame: LeadFrame, valid: datetime, sequence: RadarSequence,
               thresholds: tuple[float, ...], token: CancelToken) -> Iterator[ScoreReady]:
    """The comparison with the observation, if there is one. An ensemble is scored by its mean."""
    truth = sequence.packed_rain_rate_at(valid)
    if truth is None:
        return
    tally = _tally(truth, scored_field(frame.rain_rate), sequence.zr, rain_bins(thresholds), token)
    yield ScoreReady(index, frame.lead_minutes, tally)


def _tally(truth: AnyField, predicted: Field, zr: ZR, bins: RainBins, token: CancelToken) -> Tally:
    """A packed observation is compared strip by strip, without ever being an array."""
    if not isinstance(truth, PackedField):
        return tally_pair(truth, predicted, zr=zr, bins=bins, check=token.check)
    total = Tally.empty(bins)
    for rows in truth.strips():
        total += tally_pair(truth.unpack(rows), predicted[rows], zr=zr, bins=bins, check=token.check)
    return replace(total, frames=int(total.pixels > 0))


def header(sequence: RadarSequence, inputs: Inputs, request: ForecastRequest, sha256: str = "") -> ForecastHeader:
    """What the forecast file of a request says about its origin."""
    return header_for(sequence, request.forecaster, inputs.reference_time, len(inputs.frames),
                      deblurrer=request.deblurrer or "", downscaler=request.downscaler or "", sha256=sha256,
                      members=request.members)


def header_for(sequence: RadarSequence, forecaster: str, reference_time: datetime, inputs: int, *,
               deblurrer: str = "", downscaler: str = "", sha256: str = "", members: int = 1) -> ForecastHeader:
    """The same for a forecast that is there already, as one that a window shows. inputs: number of input frames."""
    return ForecastHeader(
        grid=sequence.grid, zr=sequence.zr, reference_time=reference_time,
        step_minutes=sequence.step_minutes or 0.0, forecaster=forecaster, deblurrer=deblurrer, downscaler=downscaler,
        weights_sha256=sha256, title=f"{forecaster} forecast from {sequence.name}",
        source=sequence.layout.source or sequence.layout.format, synthetic=sequence.layout.synthetic,
        history=f"stormdeck {__version__}: {forecaster}, {inputs} input frames"
        + (f", sharpened by {deblurrer}" if deblurrer else ""),
        members=members if members > 1 else None)


def peak_rss_mb() -> float | None:
    """Peak resident memory of this process in MB; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024), 1)
