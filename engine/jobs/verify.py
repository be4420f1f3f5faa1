"""Score forecast files against what was observed, pooled over all of them per lead time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.archives import open_archive
from engine.archives.outlines import read_region
from engine.downscalers.fields import block_means
from engine.downscalers.protocol import Factors, finer_by
from engine.errors import NotEnoughInput, WrongUsage
from engine.jobs.events import Event, Finished, ScoreReady, Warned
from engine.jobs.info import iso
from engine.jobs.scope import Scope
from engine.jobs.verify_fields import FieldScores
from engine.jobs.verify_members import MemberScores
from engine.radar.gridding import PolarOptions
from engine.radar.region import Region
from engine.radar.scaling import RAIN_CLASSES, RainBins, rain_bins
from engine.radar.sequence import Field, RadarSequence
from engine.verification.counts import tally_pair
from engine.verification.pooling import pool_pair
from engine.verification.table import ScoreTable, of_one_frame

if TYPE_CHECKING:
    from engine.archives.forecast_file import Forecast


@dataclass(frozen=True)
class VerifyRequest:
    """forecasts: forecast files. against: the archive that was observed. thresholds: mm/h, rising.
    pool: maxima over windows of pool x pool pixels are compared instead of pixels. options: how polar data become
    maps. region: only its cells are compared; a file of outlines or a region, of the whole grid where None.
    fields: also what looks at whole frames, per frame too: similarity, objects, neighbourhoods, spectra."""

    forecasts: tuple[Path, ...]
    against: tuple[Path, ...]
    thresholds: tuple[float, ...] = RAIN_CLASSES
    pool: int = 1
    options: PolarOptions | None = None
    region: Region | Path | None = None
    fields: bool = False


def run(request: VerifyRequest, scope: Scope) -> Iterator[Event]:
    """Yields ScoreReady after every comparison, with the tally of its lead time over the forecasts so far (the
    newest of a lead time is the whole), then Finished with the contract's document.

    The forecasts' Z-R pair is used for the observation too, so that both sides mean the same. An ensemble is
    scored by its mean, which has data where every member has.

    Raises WrongUsage, UnreadableInput, NotEnoughInput (grids differ, no lead time was observed, the region lies
    beside the grid), Cancelled.
    """
    bins = check_thresholds(request.thresholds)
    _check(request)
    region = read_region(request.region) if isinstance(request.region, Path) else request.region
    forecasts = list(_open(request.forecasts, scope))
    observed = open_archive(request.against, token=scope.token,
                            report=lambda fraction, text: scope.progress(None, text),
                            options=request.options)
    _check_fit(forecasts, observed)
    observed = _with_zr_of(forecasts, observed)
    table = ScoreTable(request.thresholds, (lead for f in forecasts for lead in f.lead_minutes), pool=request.pool)
    mask = None if region is None else mask_on(region, observed)
    yield from _complaints(forecasts, observed)
    whole = FieldScores(request.thresholds, observed.grid.pixel_km, observed.zr, scope.token.check)
    members = MemberScores(request.thresholds, scope.token.check)
    yield from _compare(forecasts, observed, table, bins, scope, mask, whole if request.fields else None, members)
    document = _document(table, forecasts, observed) | {"region": describe(region, mask)}
    document["ensemble"] = members.to_json(table.lead_minutes)
    if len(document["missing_leads_min"]) == len(table.lead_minutes):
        raise NotEnoughInput(_nothing_observed(forecasts, observed),
                             advice="Choose the archive that holds the hours after the reference time.")
    if request.fields:
        document["fields"] = whole.to_json(table.lead_minutes)
    if document["missing_leads_min"]:
        missing = ", ".join(f"{lead:g}" for lead in document["missing_leads_min"])
        yield Warned(f"Nothing was observed at lead times {missing} min; their scores are empty.")
    yield Finished(document)


def check_thresholds(thresholds: Sequence[float]) -> RainBins:
    """The bins that hold these thresholds. Raises WrongUsage unless they are positive and rise."""
    values = tuple(float(t) for t in thresholds)
    rising = all(b > a for a, b in itertools.pairwise(values))
    if not values or not rising or not all(math.isfinite(t) and t > 0 for t in values):
        given = ", ".join(f"{t:g}" for t in values) or "none given"
        raise WrongUsage(f"Thresholds must be positive and rise: {given}.")
    try:
        return rain_bins(values)
    except ValueError as problem:
        raise WrongUsage(f"These thresholds cannot be counted together: {problem}.") from problem


def mask_on(region: Region, observed: RadarSequence) -> NDArray[np.bool_]:
    """(ny, nx) cells of a region. Raises NotEnoughInput where there are none, or nothing says where the grid lies."""
    try:
        mask = region.mask(observed.grid)
    except ValueError as problem:
        raise NotEnoughInput(f"{observed.name}: {problem}", advice="Choose an archive that has a projection.") \
            from problem
    if not mask.any():
        raise NotEnoughInput(f"The region {region.name or region.kind} holds no cell of {observed.name}.",
                             advice="Choose a region that lies on the archive's map.")
    return mask


def describe(region: Region | None, mask: NDArray[np.bool_] | None) -> dict[str, Any] | None:
    """A region as the documents tell it; None for the whole grid."""
    if region is None or mask is None:
        return None
    return {"kind": region.kind, "name": region.name, "cells": int(np.count_nonzero(mask)),
            "share": float(np.count_nonzero(mask) / mask.size)}


def _check(request: VerifyRequest) -> None:
    if not request.forecasts or not request.against:
        raise WrongUsage("Verification needs at least one forecast file and an observed archive.")
    if request.pool < 1:
        raise WrongUsage(f"A pooling window holds at least one pixel, not {request.pool}.")


def _open(paths: Sequence[Path], scope: Scope) -> Iterator[Forecast]:
    from engine.archives.forecast_file import read_forecast

    for path in paths:
        scope.token.check()
        yield read_forecast(Path(path))


def _check_fit(forecasts: Sequence[Forecast], observed: RadarSequence) -> None:
    for forecast in forecasts:
        if finer_by(forecast.header.grid, observed.grid) is None:
            here, there = forecast.header.grid.shape, observed.grid.shape
            raise NotEnoughInput(
                f"The forecast {forecast.path.name} (grid {here[0]} x {here[1]}) and the archive {observed.name} "
                f"(grid {there[0]} x {there[1]}) do not lie on the same grid.",
                advice="Choose the archive that the forecast was made from.")


def _with_zr_of(forecasts: Sequence[Forecast], observed: RadarSequence) -> RadarSequence:
    pairs = {forecast.header.zr for forecast in forecasts}
    if len(pairs) > 1:
        raise WrongUsage("The forecasts were made with different Z-R pairs and cannot be pooled: "
                         + "; ".join(sorted(str(pair) for pair in pairs)) + ".")
    zr = pairs.pop()
    return observed if zr == observed.zr else observed.with_zr(zr)


def _complaints(forecasts: Sequence[Forecast], observed: RadarSequence) -> Iterator[Event]:
    for file in observed.skipped:
        yield Warned(f"skipped {file.path}: {file.reason}")
    names = sorted({forecast.header.forecaster for forecast in forecasts})
    if len(names) > 1:
        yield Warned(f"The scores mix several forecasters: {', '.join(names)}.")


def _compare(forecasts: Sequence[Forecast], observed: RadarSequence, table: ScoreTable, bins: RainBins,
             scope: Scope, mask: NDArray[np.bool_] | None, whole: FieldScores | None,
             members: MemberScores) -> Iterator[ScoreReady]:
    total, done = sum(len(f.lead_minutes) for f in forecasts), 0
    for forecast in forecasts:
        for index, (lead, valid) in enumerate(zip(forecast.lead_minutes, forecast.valid_times, strict=True)):
            scope.progress(done / total, f"scoring {valid:%Y-%m-%d %H:%M} UTC, {lead:g} min ahead")
            done += 1
            truth = observed.rain_rate_at(valid)
            if truth is None:
                continue
            factors, frame = finer_by(forecast.header.grid, observed.grid), forecast.frame(index)
            if frame.ndim == 3:
                members.add(lead, truth, np.stack([as_measured(one, factors) for one in frame]), mask)
            predicted = as_measured(scored_field(frame), factors)
            if table.pool > 1:
                truth, predicted = pool_pair(truth, predicted, table.pool, mask)
            used = mask if table.pool == 1 else None
            tally = tally_pair(truth, predicted, zr=observed.zr, bins=bins, valid=used, check=scope.token.check)
            table.add(lead, tally)
            if whole is not None:
                told = {"forecast": forecast.path.name, "valid_time": iso(valid)}
                whole.add(lead, truth, predicted, used, told | of_one_frame(tally, table.thresholds))
            yield ScoreReady(index, lead, table.at(lead))
    scope.progress(1.0, "scored")


def scored_field(rain_rate: Any) -> Field:
    """The field (ny, nx) by which a forecast is scored: an ensemble's mean, NaN where a member has no data."""
    return np.asarray(rain_rate if rain_rate.ndim == 2 else rain_rate.mean(axis=0), np.float32)


def as_measured(rain_rate: Field, factors: Factors | None) -> Field:
    """A downscaled forecast is scored by the means over what lies in one of the archive's cells."""
    finer = factors is not None and (factors.y, factors.x) != (1, 1)
    return block_means(rain_rate, factors) if finer and factors else rain_rate


def _document(table: ScoreTable, forecasts: Sequence[Forecast], observed: RadarSequence) -> dict[str, Any]:
    return table.to_json() | {
        "forecasts": len(forecasts),
        "forecasters": sorted({forecast.header.forecaster for forecast in forecasts}),
        "against": observed.name,
        "zr": {"a": observed.zr.a, "b": observed.zr.b},
    }


def _nothing_observed(forecasts: Sequence[Forecast], observed: RadarSequence) -> str:
    times = [time for forecast in forecasts for time in forecast.valid_times]
    if not times:
        return "The forecast files hold no lead time."
    first, last = observed.times[0], observed.times[-1]
    compared = any(observed.index_exactly_at(time) is not None for time in times)
    what = "shares no valid pixel with the forecasts" if compared else "holds no frame at their valid times"
    return (f"{observed.name} ({first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC) {what} "
            f"({min(times):%Y-%m-%d %H:%M} to {max(times):%Y-%m-%d %H:%M} UTC).")
