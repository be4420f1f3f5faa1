"""What the comparison of frames tells beyond counts of cells: neighbourhoods, spectra, similarity."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from engine.errors import WrongUsage
from engine.jobs.diagnosis import (
    FRACTIONS,
    SIMILARITY,
    SPECTRUM,
    Diagnosed,
    DiagnoseRequest,
    FractionScores,
    Spectra,
)
from engine.jobs.events import Event, Finished
from engine.jobs.scope import Scope
from engine.radar.packed import unpacked
from engine.radar.scaling import unit_pixel
from engine.radar.sequence import Field
from engine.verification.images import gdl, psnr, ssim
from engine.verification.neighbourhood import fraction_table, useful_score
from engine.verification.spectrum import Spectrum, effective_resolution_km, power_spectrum


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


_WAYS: dict[str, Callable[[DiagnoseRequest, Field, Callable[[], None]], Any]] = {
    FRACTIONS: _fractions, SPECTRUM: _spectra, SIMILARITY: _similarity}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
