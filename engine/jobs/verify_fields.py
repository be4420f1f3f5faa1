"""Scores that look at whole frames, for ``verify --fields``: similarity, objects, neighbourhoods, blur."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.radar.scaling import unit_pixel
from engine.radar.sequence import Field
from engine.radar.units import ZR
from engine.verification.images import gdl, psnr, ssim
from engine.verification.neighbourhood import Fractions, fraction_table
from engine.verification.objects import sal
from engine.verification.spectrum import Spectrum, effective_resolution_km, power_ratio, power_spectrum

SIDES = (1, 3, 5, 9, 17, 33, 65)
"""Sides of the neighbourhoods of the fractions skill score, in cells."""
SINGLE = ("ssim", "psnr", "gdl", "sal_structure", "sal_amplitude", "sal_location")


@dataclass
class FieldScores:
    """Accumulates frames by lead time. thresholds: mm/h. pixel_km: (dy, dx)."""

    thresholds: Sequence[float]
    pixel_km: tuple[float, float]
    zr: ZR
    check: Callable[[], None] = lambda: None
    frames: list[dict[str, Any]] = field(default_factory=list)
    _fractions: dict[float, list[list[Fractions]]] = field(default_factory=dict)
    _power: dict[float, list[NDArray[np.float64]]] = field(default_factory=dict)
    _wavelength: NDArray[np.float64] | None = None

    def add(self, lead: float, observed: Field, predicted: Field, valid: NDArray[np.bool_] | None,
            told: dict[str, Any]) -> None:
        """One pair of frames (ny, nx) in mm/h. told: stands before the scores in the frame's row."""
        truth, forecast = unit_pixel(observed, self.zr), unit_pixel(predicted, self.zr)
        row: dict[str, float] = {}
        for name, score in (("ssim", ssim), ("psnr", psnr), ("gdl", gdl)):
            self.check()
            row[name] = score(truth, forecast, valid)
        self.check()
        row.update(zip(SINGLE[3:], sal(observed, predicted, valid), strict=True))
        self.frames.append({**told, "lead_time_min": lead, **{name: _number(value) for name, value in row.items()}})
        self._add_fractions(lead, observed, predicted, valid)
        self._add_spectra(lead, observed, predicted, valid)

    def _add_fractions(self, lead: float, observed: Field, predicted: Field, valid: NDArray[np.bool_] | None) -> None:
        table = fraction_table(observed, predicted, self.thresholds, SIDES, valid, check=self.check)
        before = self._fractions.get(lead)
        self._fractions[lead] = [[one if before is None else before[i][j] + one for j, one in enumerate(row)]
                                 for i, row in enumerate(table)]

    def _add_spectra(self, lead: float, observed: Field, predicted: Field, valid: NDArray[np.bool_] | None) -> None:
        usable = np.isfinite(observed) & np.isfinite(predicted)
        if valid is not None:
            usable &= valid
        self.check()
        truth, forecast = (power_spectrum(rain, self.pixel_km, usable) for rain in (observed, predicted))
        self._wavelength = truth.wavelength_km
        before = self._power.get(lead, [np.zeros_like(truth.power), np.zeros_like(truth.power)])
        self._power[lead] = [before[0] + truth.power, before[1] + forecast.power]

    def to_json(self, leads: Sequence[float]) -> dict[str, Any]:
        """Lists by lead time: means over frames of the single scores, ``fss`` [side][threshold][lead] from pooled sums,
        ``power_ratio`` [lead][wavelength] and ``effective_resolution_km`` from mean power; then every frame."""
        cell = math.sqrt(math.prod(self.pixel_km))
        fss = [[[_number(self._fractions[lead][i][j].score) if lead in self._fractions else None for lead in leads]
                for j in range(len(self.thresholds))] for i in range(len(SIDES))]
        spectra = [self._spectra(lead) for lead in leads]
        wavelength = [] if self._wavelength is None else self._wavelength.tolist()
        return {**{name: [self._mean(name, lead) for lead in leads] for name in SINGLE},
                "fss": fss, "fss_sides_km": [side * cell for side in SIDES], "wavelength_km": wavelength,
                "power_ratio": [None if pair is None else [_number(v) for v in power_ratio(*pair)] for pair in spectra],
                "effective_resolution_km": [None if pair is None else _number(effective_resolution_km(*pair))
                                            for pair in spectra],
                "frames": self.frames}

    def _mean(self, name: str, lead: float) -> float | None:
        values = [row[name] for row in self.frames if row["lead_time_min"] == lead and row[name] is not None]
        return math.fsum(values) / len(values) if values else None

    def _spectra(self, lead: float) -> tuple[Spectrum, Spectrum] | None:
        """(predicted, observed) powers; sums do as well as means where only their ratio counts."""
        if lead not in self._power or self._wavelength is None:
            return None
        observed, predicted = (Spectrum(self._wavelength, power) for power in self._power[lead])
        return predicted, observed


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
