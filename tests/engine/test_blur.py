"""Kernels in a few numbers."""

from __future__ import annotations

import numpy as np
import pytest

from engine.display.blur import blur_of


def test_a_gaussian_in_its_two_widths() -> None:
    at = np.arange(9) - 4.0
    kernel = np.exp(-at[:, None] ** 2 / (2 * 1.0**2) - at[None, :] ** 2 / (2 * 1.2**2))
    found = blur_of((0.9 * kernel / kernel.sum()).astype(np.float32), (2.0, 1.0))
    assert found.strength == pytest.approx(0.9, rel=1e-5)
    assert found.width_km == pytest.approx((2.0, 1.2), rel=0.02)


def test_a_single_cell_off_the_middle_has_no_width() -> None:
    kernel = np.zeros((9, 9), np.float32)
    kernel[2, 7] = 1.0
    assert blur_of(kernel, (1.0, 1.0)).width_km == (0.0, 0.0)
    assert blur_of(-kernel, (1.0, 1.0)).width_km == (0.0, 0.0)
    assert blur_of(-kernel, (1.0, 1.0)).strength == -1.0


def test_even_weights_are_as_wide_as_an_even_distribution() -> None:
    found = blur_of(np.full((9, 9), 1 / 81, np.float32), (1.0, 1.0))
    assert found.width_km == pytest.approx((np.sqrt(80 / 12), np.sqrt(80 / 12)))
