"""What the comparison of frames tells beyond counts of cells: neighbourhoods, spectra, similarity, pooled counts.

Each request is about one lead time and takes a fraction of a second on a national composite, so that the window can
ask for the lead time on show first and change its mind between two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import WrongUsage
from engine.jobs.events import Event, Finished
from engine.jobs.scope import Scope
from engine.radar.packed import AnyField, unpacked
from engine.radar.scaling import RAIN_CLASSES, rain_bins, unit_pixel
from engine.radar.sequence import Field, RadarSequence
from engine.verification.counts import Tally, tally_pair
from engine.verification.images import gdl, psnr, ssim
from engine.verification.neighbourhood import fraction_table, useful_score
from engine.verification.pooling import pool_pair
from engine.verification.spectrum import Spectrum, effective_resolution_km, power_spectrum

FRACTIONS, SPECTRUM, SIMILARITY, POOLED = "fractions", "spectrum", "similarity", "pooled"

SIDES = (1, 3, 5, 9, 17, 33, 65)
"""Sides of the neighbourhoods in cells."""


@dataclass(frozen=True)
class DiagnoseRequest:
    """what: FRACTIONS, SIMILARITY and POOLED compare the first of ``predicted``; SPECTRUM compares all of them over
    the cells where every one has data. index: the observed frame. predicted: (ny, nx) mm/h each, NaN = no data.
    sides: of neighbourhoods, odd numbers of cells. valid: (ny, nx), False leaves a cell out. ``name`` comes back."""

    name: Hashable
    what: str
    sequence: RadarSequence
    index: int
    predicted: tuple[AnyField, ...]
    thresholds: tuple[float, ...] = RAIN_CLASSES
    sides: tuple[int, ...] = SIDES
    pool: int = 1
    valid: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class FractionScores:
    """score: [side][threshold], None where neither field has an event. useful: per threshold, the score above which
    a forecast is called useful. side_km: of the neighbourhoods."""

    sides: tuple[int, ...]
    side_km: tuple[float, ...]
    thresholds: tuple[float, ...]
    score: tuple[tuple[float | None, ...], ...]
    useful: tuple[float | None, ...]


@dataclass(frozen=True)
class Spectra:
    """wavelength_km falls; powers in dB, None where there is none; resolution_km: per forecast, None where even the
    longest wavelength is not resolved."""

    wavelength_km: tuple[float, ...]
    observed: tuple[float | None, ...]
    predicted: tuple[tuple[float | None, ...], ...]
    resolution_km: tuple[float | None, ...]


@dataclass(frozen=True)
class Diagnosed(Event):
    """result: FractionScores, Spectra, a :class:`engine.verification.counts.Tally`, or for SIMILARITY a mapping of
    ``ssim``, ``psnr`` and ``gdl`` to a number or None."""

    name: Hashable
    result: Any


def run(request: DiagnoseRequest, scope: Scope) -> Iterator[Event]:
    """One Diagnosed. Raises UnreadableInput if the observed frame cannot be read, WrongUsage for an unknown wish."""
    if request.what not in _WAYS:
        raise WrongUsage(f"Nothing is known about '{request.what}'. Known: {', '.join(_WAYS)}.")
    scope.token.check()
    observed = request.sequence.rain_rate(request.index)
    scope.token.check()
    yield Diagnosed(request.name, _WAYS[request.what](request, observed, scope.token.check))
    yield Finished()


def _fractions(request: DiagnoseRequest, observed: Field, check: Callable[[], None]) -> FractionScores:
    table = fraction_table(observed, unpacked(request.predicted[0]), request.thresholds, request.sides, request.valid,
                           check=check)
    seen = observed if request.valid is None else np.where(request.valid, observed, np.float32(np.nan))
    cell = math.sqrt(math.prod(request.sequence.grid.pixel_km))
    return FractionScores(request.sides, tuple(side * cell for side in request.sides), request.thresholds,
                          tuple(tuple(_number(entry.score) for entry in row) for row in table),
                          tuple(_number(useful_score(seen, threshold)) for threshold in request.thresholds))


def _spectra(request: DiagnoseRequest, observed: Field, check: Callable[[], None]) -> Spectra:
    fields = [unpacked(field) for field in request.predicted]
    valid = np.isfinite(observed)
    for field in fields:
        valid &= np.isfinite(field)
    if request.valid is not None:
        valid &= request.valid
    spectra = []
    for field in (observed, *fields):
        check()
        spectra.append(power_spectrum(field, request.sequence.grid.pixel_km, valid))
    truth, *forecasts = spectra
    return Spectra(tuple(float(length) for length in truth.wavelength_km), _decibels(truth),
                   tuple(_decibels(forecast) for forecast in forecasts),
                   tuple(_number(effective_resolution_km(forecast, truth)) for forecast in forecasts))


def _decibels(spectrum: Spectrum) -> tuple[float | None, ...]:
    with np.errstate(divide="ignore"):
        return tuple(_number(value) for value in 10.0 * np.log10(spectrum.power))


def _similarity(request: DiagnoseRequest, observed: Field, check: Callable[[], None]) -> Mapping[str, float | None]:
    zr = request.sequence.zr
    truth, forecast = unit_pixel(observed, zr), unit_pixel(unpacked(request.predicted[0]), zr)
    result: dict[str, float | None] = {}
    for name, score in (("ssim", ssim), ("psnr", psnr), ("gdl", gdl)):
        check()
        result[name] = _number(score(truth, forecast, request.valid))
    return result


def _pooled(request: DiagnoseRequest, observed: Field, check: Callable[[], None]) -> Tally:
    truth, forecast = pool_pair(observed, unpacked(request.predicted[0]), request.pool, request.valid)
    check()
    return tally_pair(truth, forecast, zr=request.sequence.zr, bins=rain_bins(request.thresholds), check=check)


_WAYS: dict[str, Callable[[DiagnoseRequest, Field, Callable[[], None]], Any]] = {
    FRACTIONS: _fractions, SPECTRUM: _spectra, SIMILARITY: _similarity, POOLED: _pooled}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
