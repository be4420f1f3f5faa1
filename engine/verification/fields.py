"""Errors of whole fields, from the sums that comparisons leave behind.

``mse``, ``mae``, ``b_mse`` and ``b_mae`` follow the benchmark paper (Shi et al. 2017, section 4.3): the error is
in pixel/255 units of the HKO-7 law, summed over the valid pixels of a frame and averaged over frames. Such sums
grow with the area of the image; the ``*_per_pixel`` variants divide by the valid pixels instead and can be set
side by side for any grid. All are 0 for a perfect forecast, have no upper end, and are NaN where nothing was
compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.verification.counts import Tally

PIXEL_UNIT = "pixel/255"


def mse(tally: Tally) -> float:
    """Squared error, sum over a frame's valid pixels, mean over frames; (pixel/255)^2 per frame."""
    return _over(tally.sums.squared, tally.frames)


def mae(tally: Tally) -> float:
    """Absolute error, sum over a frame's valid pixels, mean over frames; pixel/255 per frame."""
    return _over(tally.sums.absolute, tally.frames)


def b_mse(tally: Tally) -> float:
    """Balanced squared error: weights 1, 1, 2, 5, 10, 30 by the observed class, no division by their sum."""
    return _over(tally.sums.balanced_squared, tally.frames)


def b_mae(tally: Tally) -> float:
    """Balanced absolute error, as :func:`b_mse`."""
    return _over(tally.sums.balanced_absolute, tally.frames)


def mse_per_pixel(tally: Tally) -> float:
    """Mean squared error over valid pixels, (pixel/255)^2."""
    return _over(tally.sums.squared, tally.pixels)


def mae_per_pixel(tally: Tally) -> float:
    """Mean absolute error over valid pixels, pixel/255."""
    return _over(tally.sums.absolute, tally.pixels)


def b_mse_per_pixel(tally: Tally) -> float:
    """Balanced squared error divided by the valid pixels (not by the weights), (pixel/255)^2."""
    return _over(tally.sums.balanced_squared, tally.pixels)


def b_mae_per_pixel(tally: Tally) -> float:
    """Balanced absolute error divided by the valid pixels (not by the weights), pixel/255."""
    return _over(tally.sums.balanced_absolute, tally.pixels)


def mse_mm_h(tally: Tally) -> float:
    """Mean squared error of the rain rate over valid pixels, (mm/h)^2."""
    return _over(tally.sums.squared_mm_h, tally.pixels)


def mae_mm_h(tally: Tally) -> float:
    """Mean absolute error of the rain rate over valid pixels, mm/h."""
    return _over(tally.sums.absolute_mm_h, tally.pixels)


def _over(total: float, count: int) -> float:
    return total / count if count else float("nan")


@dataclass(frozen=True)
class FieldScore:
    """A row of the register; the range is 0 to infinity and 0 is perfect for all of them."""

    name: str
    title: str
    function: Callable[[Tally], float]
    unit: str


FIELD_SCORES: tuple[FieldScore, ...] = (
    FieldScore("mse", "Squared error per frame (MSE)", mse, f"({PIXEL_UNIT})^2, sum over a frame"),
    FieldScore("mae", "Absolute error per frame (MAE)", mae, f"{PIXEL_UNIT}, sum over a frame"),
    FieldScore("b_mse", "Balanced squared error per frame (B-MSE)", b_mse, f"({PIXEL_UNIT})^2, sum over a frame"),
    FieldScore("b_mae", "Balanced absolute error per frame (B-MAE)", b_mae, f"{PIXEL_UNIT}, sum over a frame"),
    FieldScore("mse_per_pixel", "Mean squared error", mse_per_pixel, f"({PIXEL_UNIT})^2"),
    FieldScore("mae_per_pixel", "Mean absolute error", mae_per_pixel, PIXEL_UNIT),
    FieldScore("b_mse_per_pixel", "Balanced mean squared error", b_mse_per_pixel, f"({PIXEL_UNIT})^2"),
    FieldScore("b_mae_per_pixel", "Balanced mean absolute error", b_mae_per_pixel, PIXEL_UNIT),
    FieldScore("mse_mm_h", "Mean squared error of the rain rate", mse_mm_h, "(mm/h)^2"),
    FieldScore("mae_mm_h", "Mean absolute error of the rain rate", mae_mm_h, "mm/h"),
)
"""What menus and the score table show, in this order. A new error is a function above and a row here."""
