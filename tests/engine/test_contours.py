"""Threshold contours: where they lie, and that leaving points out moves them by no more than promised."""

from __future__ import annotations

import numpy as np

from engine.display.contours import contour_lines, simplified
from engine.radar.grid import Grid


def disc(side: int = 200, radius: float = 60.0) -> tuple[np.ndarray, Grid]:
    grid = Grid.regular(left=0, top=side * 1000.0, dx=1000, dy=1000, nx=side, ny=side)
    x, y = np.meshgrid(grid.x - grid.x.mean(), grid.y - grid.y.mean())
    far = np.hypot(x, y) / 1000.0
    # the fourth root falls linearly through 5 mm/h at the radius
    root = np.maximum(5.0**0.25 + (radius - far) * 0.02, 0.0)
    return (root**4).astype(np.float32), grid


def test_a_round_storm_has_a_round_contour_of_its_radius() -> None:
    field, grid = disc()
    contour, = contour_lines(field, grid, (5.0,))
    assert contour.starts.tolist() == [0, len(contour.xy)]
    centre = np.array([grid.x.mean(), grid.y.mean()])
    radii = np.hypot(*(contour.xy - centre).T) / 1000.0
    np.testing.assert_allclose(radii, 60.0, atol=0.3)


def test_a_threshold_that_is_nowhere_reached_has_no_lines() -> None:
    field, grid = disc()
    contour, = contour_lines(field, grid, (300.0,))
    assert contour.xy.shape == (0, 2)
    assert contour.starts.tolist() == [0]


def test_no_data_cuts_lines() -> None:
    field, grid = disc()
    field[:, 100:] = np.nan
    contour, = contour_lines(field, grid, (5.0,))
    assert contour.xy[:, 0].max() <= grid.x[99]


def test_leaving_points_out_keeps_ends_and_stays_near() -> None:
    angle = np.linspace(0, 2 * np.pi, 400)
    circle = np.column_stack((np.cos(angle), np.sin(angle))) * 50.0
    zigzag = np.column_stack((np.arange(9.0), np.tile([0.0, 3.0], 5)[:9]))
    xy = np.concatenate((circle, zigzag))
    fewer, starts = simplified(xy, np.array([0, 400, 409]), 0.25)
    ring, teeth = fewer[: starts[1]], fewer[starts[1]:]
    assert len(ring) < 250
    np.testing.assert_allclose(ring[[0, -1]], circle[[0, -1]], rtol=1e-6)
    np.testing.assert_allclose(teeth, zigzag, rtol=1e-6)  # every point matters
    middles = (ring[1:] + ring[:-1]) / 2
    assert np.abs(np.hypot(*middles.T) - 50.0).max() < 0.5
