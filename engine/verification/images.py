"""Scores that the papers borrow from image processing: SSIM, PSNR, gradient difference. All work on unit pixels
(engine.radar.scaling.unit_pixel), the papers' 8-bit scale divided by 255, so that the data range is 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Unit = NDArray[np.floating]

SSIM_SIGMA, SSIM_RADIUS = 1.5, 5
K1, K2 = 0.01, 0.03


def ssim(observed: Unit, predicted: Unit, valid: NDArray[np.bool_] | None = None) -> float:
    """Structural similarity (Wang et al. 2004): Gaussian window of 11 x 11, sigma 1.5, K1 = 0.01, K2 = 0.03,
    data range 1, population variance. -1 to 1, perfect 1. observed, predicted: (ny, nx) in [0, 1], NaN = no data;
    the mean is taken over valid cells whose window lies inside the frame. NaN where there is none."""
    usable = _usable(observed, predicted, valid)
    truth, forecast = (np.where(usable, field, 0.0).astype(np.float64) for field in (observed, predicted))
    mean_t, mean_f = _window(truth), _window(forecast)
    var_t, var_f = _window(truth**2) - mean_t**2, _window(forecast**2) - mean_f**2
    both = _window(truth * forecast) - mean_t * mean_f
    c1, c2 = K1**2, K2**2
    index = ((2 * mean_t * mean_f + c1) * (2 * both + c2)) / ((mean_t**2 + mean_f**2 + c1) * (var_t + var_f + c2))
    inner = np.zeros_like(usable)
    inner[SSIM_RADIUS:-SSIM_RADIUS, SSIM_RADIUS:-SSIM_RADIUS] = True
    chosen = inner & usable
    return float(index[chosen].mean()) if chosen.any() else float("nan")


def psnr(observed: Unit, predicted: Unit, valid: NDArray[np.bool_] | None = None) -> float:
    """Peak signal-to-noise ratio, 10 log10(1 / MSE) in dB with a data range of 1; infinite for equal fields, NaN
    where nothing can be compared."""
    usable = _usable(observed, predicted, valid)
    if not usable.any():
        return float("nan")
    error = float(np.mean((observed[usable].astype(np.float64) - predicted[usable]) ** 2))
    return float("inf") if error == 0 else float(-10.0 * np.log10(error))


def gdl(observed: Unit, predicted: Unit, valid: NDArray[np.bool_] | None = None) -> float:
    """Gradient difference loss (Mathieu et al. 2016, with exponent 1): the sum over neighbouring valid cells of
    | |grad observed| - |grad predicted| | along rows and columns. 0 for equal fields, no upper end."""
    usable = _usable(observed, predicted, valid)
    total = 0.0
    for axis in (0, 1):
        near, far = (_cut(usable, axis, first) for first in (True, False))
        slopes = [np.abs(np.diff(np.where(usable, field, 0.0).astype(np.float64), axis=axis))
                  for field in (observed, predicted)]
        total += float(np.abs(slopes[0] - slopes[1])[near & far].sum())
    return total


def _usable(observed: Unit, predicted: Unit, valid: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    if observed.shape != predicted.shape:
        raise ValueError(f"frames of {observed.shape} and {predicted.shape} cannot be compared")
    both: NDArray[np.bool_] = np.isfinite(observed) & np.isfinite(predicted)
    return both if valid is None else both & valid


def _window(field: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(ndimage.gaussian_filter(field, SSIM_SIGMA, radius=SSIM_RADIUS, mode="reflect"))


def _cut(field: NDArray[np.bool_], axis: int, first: bool) -> NDArray[np.bool_]:
    part = slice(None, -1) if first else slice(1, None)
    return field[part] if axis == 0 else field[:, part]
