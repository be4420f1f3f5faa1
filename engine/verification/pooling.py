"""Max pooling before scoring: an event counts wherever in its window it lies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]


def pool_pair(observed: Field, predicted: Field, size: int, valid: NDArray[np.bool_] | None = None
              ) -> tuple[Field, Field]:
    """Maxima over windows of ``size`` x ``size`` pixels, side by side from the north-west corner.

    observed, predicted: (ny, nx) float32 mm/h, NaN = no data. A window takes its maxima over the pixels that are
    valid in both fields, so that both maxima see the same places; it is no data in both where there is no such
    pixel. Windows at the southern and eastern edge are smaller where the size does not divide; none is added
    where it does. Returns two (ceil(ny/size), ceil(nx/size)) fields.

    Raises ValueError if the size is below 1 or the shapes differ.
    """
    if size < 1:
        raise ValueError(f"a pooling window of {size} pixels")
    if observed.shape != predicted.shape:
        raise ValueError(f"frames of {observed.shape} and {predicted.shape} cannot be compared")
    both = np.isfinite(observed) & np.isfinite(predicted)
    if valid is not None:
        both &= valid
    return _maxima(observed, both, size), _maxima(predicted, both, size)


def _maxima(field: Field, valid: NDArray[np.bool_], size: int) -> Field:
    values = np.where(valid, field, np.float32(-np.inf))
    for axis in (0, 1):
        values = np.maximum.reduceat(values, np.arange(0, values.shape[axis], size), axis=axis)
    values[np.isneginf(values)] = np.nan
    return values
