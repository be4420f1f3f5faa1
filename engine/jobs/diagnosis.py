"""What the diagnose job is asked and answers; apart from the work, so that a window may name it without loading SciPy.

Each request is about one lead time and takes a fraction of a second on a national composite, so that the window can
ask for the lead time on show first and change its mind between two.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.jobs.events import Event
from engine.radar.packed import AnyField
from engine.radar.region import Region
from engine.radar.scaling import RAIN_CLASSES
from engine.radar.sequence import RadarSequence

FRACTIONS, SPECTRUM, SIMILARITY = "fractions", "spectrum", "similarity"

SIDES = (1, 3, 5, 9, 17, 33, 65)
"""Sides of the neighbourhoods in cells."""


@dataclass(frozen=True)
class DiagnoseRequest:
    """what: FRACTIONS and SIMILARITY compare the first of ``predicted``; SPECTRUM compares all of them over
    the cells where every one has data. index: the observed frame. predicted: (ny, nx) mm/h each, NaN = no data.
    sides: of neighbourhoods, odd numbers of cells. region: cells outside are left
    out. ``name`` comes back."""

    name: Hashable
    what: str
    sequence: RadarSequence
    index: int
    predicted: tuple[AnyField, ...]
    thresholds: tuple[float, ...] = RAIN_CLASSES
    sides: tuple[int, ...] = SIDES
    region: Region | None = None

    @cached_property
    def valid(self) -> NDArray[np.bool_] | None:
        """(ny, nx), False for the cells that are left out; found by the job, not by who asks."""
        return None if self.region is None else self.region.mask(self.sequence.grid)


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
    """result: FractionScores, Spectra, or for SIMILARITY a mapping of ``ssim``, ``psnr`` and ``gdl`` to a number or
    None."""

    name: Hashable
    result: Any
