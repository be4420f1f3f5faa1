"""SAL: structure, amplitude and location of rain objects (Wernli et al. 2008)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.radar.sequence import Field

THRESHOLD_SHARE = 1.0 / 15.0
PERCENTILE = 95.0


class Sal(NamedTuple):
    """structure and amplitude in [-2, 2], location in [0, 2]; 0 is perfect. structure > 0: the forecast's objects
    are too large or too flat; amplitude > 0: it rains too much."""

    structure: float
    amplitude: float
    location: float


class _Objects(NamedTuple):
    masses: NDArray[np.float64]
    volumes: NDArray[np.float64]
    centres: NDArray[np.float64]


def sal(observed: Field, predicted: Field, valid: NDArray[np.bool_] | None = None, wet: float = 0.1) -> Sal:
    """observed, predicted: (ny, nx) mm/h, NaN = no data. Objects are connected cells at or above 1/15 of the 95th
    percentile of rain (values >= ``wet`` mm/h). A component is NaN where a field has no rain to speak of."""
    usable = np.isfinite(observed) & np.isfinite(predicted)
    if valid is not None:
        usable &= valid
    truth, forecast = (np.where(usable, field, 0.0).astype(np.float64) for field in (observed, predicted))
    means = [float(field[usable].mean()) if usable.any() else 0.0 for field in (forecast, truth)]
    amplitude = _relative(*means)
    found = [_objects(field, wet) for field in (forecast, truth)]
    if any(objects is None for objects in found):
        return Sal(float("nan"), amplitude, float("nan"))
    ahead, behind = (objects for objects in found if objects is not None)
    structure = _relative(*(float((o.volumes * o.masses).sum() / o.masses.sum()) for o in (ahead, behind)))
    far = float(np.hypot(truth.shape[0] - 1, truth.shape[1] - 1))
    first = float(np.hypot(*(_centre(forecast) - _centre(truth)))) / far
    scatter = [_scatter(field, o) for field, o in ((forecast, ahead), (truth, behind))]
    return Sal(structure, amplitude, first + 2.0 * abs(scatter[0] - scatter[1]) / far)


def _relative(forecast: float, truth: float) -> float:
    total = 0.5 * (forecast + truth)
    return (forecast - truth) / total if total > 0 else float("nan")


def _objects(field: NDArray[np.float64], wet: float) -> _Objects | None:
    rain = field[field >= wet]
    if rain.size == 0:
        return None
    labels, count = ndimage.label(field >= THRESHOLD_SHARE * np.percentile(rain, PERCENTILE), np.ones((3, 3)))
    numbers = np.arange(1, count + 1)
    masses = np.asarray(ndimage.sum_labels(field, labels, numbers))
    peaks = np.asarray(ndimage.maximum(field, labels, numbers))
    centres = np.asarray(ndimage.center_of_mass(field, labels, numbers))
    return _Objects(masses, masses / peaks, centres)


def _centre(field: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(ndimage.center_of_mass(field))


def _scatter(field: NDArray[np.float64], objects: _Objects) -> float:
    """Mass-weighted mean distance of the objects from the field's centre of mass."""
    distance = np.hypot(*(objects.centres - _centre(field)).T)
    return float((distance * objects.masses).sum() / objects.masses.sum())
