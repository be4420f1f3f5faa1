"""Optical flow and advection against motions that are known exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.linalg import expm

from engine.cancel import CancelToken
from engine.errors import Cancelled
from engine.forecasters.advection import Inflow, advect, origins, warp_repeatedly
from engine.forecasters.flow_solver import MotionTensor, solve
from engine.forecasters.optical_flow import Flow, FlowSettings, estimate_flow

SIDE, MARGIN, EDGE = 256, 60, 24
STILL = ((0.0, 0.0), (0.0, 0.0))
MOTIONS = {  # velocity = matrix (x, y) about the centre + shift, cells per step; mean and worst error allowed inside
    "part of a cell": (STILL, (0.4, 0.25), 0.06, 0.15),
    "several cells": (STILL, (3.3, -2.4), 0.12, 0.3),
    "twelve cells": (STILL, (12.0, -5.0), 0.12, 0.5),
    "rotation by two degrees": (((0.0, -0.035), (0.035, 0.0)), (0.0, 0.0), 0.12, 0.5),
    "shear": (((0.0, 0.02), (0.0, 0.0)), (1.0, 0.0), 0.12, 0.3),
}


def grey(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return values


def texture(side: int) -> NDArray[np.float32]:
    """Two scales of smooth noise, grey levels 0..255."""
    rng = np.random.default_rng(3)
    coarse, fine = (ndimage.gaussian_filter(rng.standard_normal((side, side)), s) for s in (6.0, 3.0))
    return np.clip(110 + 45 * (coarse / coarse.std() + 0.6 * fine / fine.std()), 0, 255).astype(np.float32)


def generator(matrix: tuple[tuple[float, float], ...], shift: tuple[float, float]) -> NDArray[np.float64]:
    full = np.zeros((3, 3))
    full[:2, :2], full[:2, 2] = matrix, shift
    return full


def moved(motion: NDArray[np.float64], steps: float) -> NDArray[np.float32]:
    """The texture after ``steps`` of the steady linear motion, from the exact matrix exponential."""
    back = expm(-motion * steps)
    row, column = np.mgrid[0:SIDE, 0:SIDE] - (SIDE - 1) / 2
    x, y, _ = np.tensordot(back, np.stack((column, row, np.ones_like(row))), 1)
    centre = (SIDE - 1) / 2 + MARGIN
    return ndimage.map_coordinates(texture(SIDE + 2 * MARGIN), [y + centre, x + centre], order=3).astype(np.float32)


def true_flow(motion: NDArray[np.float64]) -> NDArray[np.float64]:
    row, column = np.mgrid[0:SIDE, 0:SIDE] - (SIDE - 1) / 2
    return np.tensordot(motion, np.stack((column, row, np.ones_like(row))), 1)[:2]


def flow_of(frames: list[NDArray[np.float32]], **settings: float) -> Flow:
    return estimate_flow(np.stack(frames), grey, FlowSettings(**settings), CancelToken())  # type: ignore[arg-type]


def uniform(shape: tuple[int, int], across: float, down: float, stride: int = 4) -> Flow:
    nodes = torch.empty((2, -(-shape[0] // stride), -(-shape[1] // stride)))
    nodes[0], nodes[1] = across, down
    return Flow(nodes, stride, shape)


@pytest.mark.parametrize("name", MOTIONS)
def test_known_motion_is_recovered(name: str) -> None:
    matrix, shift, mean, worst = MOTIONS[name]
    motion = generator(matrix, shift)
    found = flow_of([moved(motion, -1), moved(motion, 0)]).dense()
    error = np.hypot(*(found - true_flow(motion)))
    inside = error[EDGE:-EDGE, EDGE:-EDGE]
    assert error.mean() < 0.25
    assert inside.mean() < mean
    assert inside.max() < worst


@pytest.mark.parametrize("name", MOTIONS)
def test_known_motion_is_forecast(name: str) -> None:
    matrix, shift, _, _ = MOTIONS[name]
    motion = generator(matrix, shift)
    frames = [moved(motion, -1), moved(motion, 0)]
    *_, third = advect(frames[1], flow_of(frames), 3, CancelToken())
    truth = moved(motion, 3)
    inside = (slice(48, -48), slice(48, -48))
    assert np.isfinite(third[inside]).all()
    error, stay = (np.sqrt(np.mean((f[inside] - truth[inside]) ** 2)) for f in (third, frames[1]))
    assert error < 0.2 * truth[inside].std()
    assert error < 0.25 * stay or name == "part of a cell"


def test_edge_of_coverage_is_no_motion() -> None:
    motion = generator(STILL, (5.0, 3.0))
    frames = [moved(motion, -1), moved(motion, 0)]
    row, column = np.mgrid[0:SIDE, 0:SIDE]
    covered = np.hypot(row - 120, column - 130) < 90
    masked = [np.where(covered, frame, np.nan).astype(np.float32) for frame in frames]
    found = flow_of(masked).dense()
    error = np.hypot(found[0] - 5.0, found[1] - 3.0)
    assert error[covered].mean() < 0.3
    assert error.mean() < 0.6, "smoothness carries the motion beyond coverage"
    # the naive way, no data as no echo, is dragged towards standstill
    naive = flow_of([np.nan_to_num(frame) for frame in masked]).dense()
    assert np.hypot(naive[0] - 5.0, naive[1] - 3.0)[covered].mean() > 2 * error[covered].mean()


def test_more_pairs_of_a_steady_motion_agree() -> None:
    motion = generator(STILL, (2.0, 1.0))
    frames = [moved(motion, k) for k in (-3, -2, -1, 0)]
    found = flow_of(frames, pairs=3, robust=10.0).dense()
    assert np.hypot(found[0] - 2.0, found[1] - 1.0).mean() < 0.15


def test_large_frames_are_solved_on_fewer_nodes() -> None:
    settings = FlowSettings()
    for shape in ((3500, 7000), (2200, 1900), (760, 1226), (31, 4000)):
        stride = settings.stride_for(shape)
        assert -(-shape[0] // stride) * -(-shape[1] // stride) <= settings.max_nodes
    assert settings.stride_for((8, 8)) == 1


def test_solver_agrees_with_a_direct_solution() -> None:
    rng = np.random.default_rng(0)
    height, width, alpha = 7, 9, 3.0
    a, b = rng.normal(size=(2, height, width))
    right = rng.normal(size=(2, height, width))
    j = {"j11": a * a + 0.1, "j12": a * b, "j22": b * b + 0.1}
    count = height * width
    lap = np.zeros((count, count))
    for r in range(height):
        for c in range(width):
            for rr, cc in ((r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)):
                if 0 <= rr < height and 0 <= cc < width:
                    lap[r * width + c, r * width + c] += 1
                    lap[r * width + c, rr * width + cc] -= 1
    diag = {name: np.diag(value.ravel()) for name, value in j.items()}
    full = np.block([[diag["j11"] + alpha * lap, diag["j12"]], [diag["j12"], diag["j22"] + alpha * lap]])
    expected = np.linalg.solve(full, right.ravel()).reshape(2, height, width)
    tensor = MotionTensor(*(torch.tensor(value) for value in j.values()), torch.tensor(right))
    found = solve(tensor, torch.zeros(2, height, width, dtype=torch.float64), alpha, iterations=500,
                  tolerance=1e-10, token=CancelToken())
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6, atol=1e-8)


def test_no_flow_is_the_identity() -> None:
    field = np.random.default_rng(1).gamma(0.5, 4.0, (53, 71)).astype(np.float32)
    field[10:20, 30:40] = np.nan
    for result in advect(field, uniform(field.shape, 0.0, 0.0), 3, CancelToken()):
        np.testing.assert_array_equal(result, field)


@pytest.mark.parametrize(("across", "down"), [(3.0, 0.0), (-2.0, 5.0), (0.0, -1.0)])
def test_whole_cells_are_copied_exactly(across: float, down: float) -> None:
    field = np.random.default_rng(2).gamma(0.5, 4.0, (61, 83)).astype(np.float32)
    field[5:9, 40:60] = np.nan
    for step, result in enumerate(advect(field, uniform(field.shape, across, down), 4, CancelToken()), start=1):
        expected = ndimage.shift(field, (step * down, step * across), order=0, cval=np.nan)
        np.testing.assert_array_equal(result, expected)


def test_dry_inflow_brings_nought() -> None:
    field = np.full((20, 30), 4.0, np.float32)
    field[:, 20:] = np.nan
    result = next(advect(field, uniform(field.shape, 5.0, 0.0), 1, CancelToken(), inflow=Inflow.DRY))
    np.testing.assert_array_equal(result[:, :5], 0.0)
    np.testing.assert_array_equal(result[:, 5:25], 4.0)
    np.testing.assert_array_equal(result[:, 25:], 0.0)


def test_rotation_stays_rotation() -> None:
    """Twelve steps of five degrees: the origins turn by sixty degrees and keep their distance."""
    shape, stride, angle = (240, 240), 4, np.deg2rad(5.0)
    centre = (torch.arange(60) + 0.5) * stride - 0.5 - 119.5
    values = torch.stack((-angle * centre[:, None].expand(60, 60), angle * centre[None, :].expand(60, 60))).float()
    *_, gone = origins(Flow(values, stride, shape), 12)
    x, y = centre[None, :].expand(60, 60).numpy(), centre[:, None].expand(60, 60).numpy()
    turn = np.exp(-1j * 12 * angle)
    exact = (x + 1j * y) * turn
    found = x + gone[0].numpy() + 1j * (y + gone[1].numpy())
    inside = np.hypot(x, y) < 100
    assert np.abs(found - exact)[inside].max() < 0.25
    assert np.abs(np.abs(found) - np.hypot(x, y))[inside].max() < 0.05


def test_one_interpolation_keeps_what_repeated_warps_blur() -> None:
    field = np.zeros((64, 64), np.float32)
    field[30:34, 10:14] = 10.0
    flow = uniform(field.shape, 1.5, 0.5)
    *_, once = advect(field, flow, 12, CancelToken(), inflow=Inflow.DRY)
    *_, again = warp_repeatedly(field, flow, 12, CancelToken())
    assert once.max() == 10.0
    assert again.max() < 8.0
    assert again.sum() == pytest.approx(field.sum(), rel=1e-4)


def test_cancel_stops_flow_and_advection() -> None:
    token = CancelToken()
    steps = advect(np.zeros((16, 16), np.float32), uniform((16, 16), 1.0, 0.0), 5, token)
    next(steps)
    token.cancel()
    with pytest.raises(Cancelled):
        next(steps)
    with pytest.raises(Cancelled):
        estimate_flow(np.zeros((2, 16, 16), np.float32), grey, FlowSettings(), token)
