"""The linear system of the combined local-global (CLG) flow and its solution by conjugate gradients.

Bruhn, Weickert and Schnörr 2005, "Lucas/Kanade meets Horn/Schunck", equation 14: with the locally averaged
structure tensor J and the flow w = (u, v), the minimum of ``w' J w + alpha |grad w|^2`` solves

    alpha Lap(u) = J11 u + J12 v + J13,    alpha Lap(v) = J12 u + J22 v + J23

with free (Neumann) borders. Where J is nought (no data, no echo) the neighbours' motion is carried in.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.cancel import CancelToken

_STALL = 1e-30


@dataclass(frozen=True)
class MotionTensor:
    """Averaged products of derivatives: j11 = fx fx, j12 = fx fy, j22 = fy fy, and ``right`` = (2, h, w), the
    right-hand side of the system. All in grey levels squared per cell."""

    j11: Tensor
    j12: Tensor
    j22: Tensor
    right: Tensor

    def times(self, flow: Tensor) -> Tensor:
        """The 2 x 2 tensor of each cell times the flow of that cell; (2, h, w)."""
        u, v = flow
        return torch.stack((self.j11 * u + self.j12 * v, self.j12 * u + self.j22 * v))


def minus_laplacian(flow: Tensor) -> Tensor:
    """Five-point Laplacian with free borders, sign reversed (positive semi-definite); (2, h, w) in and out."""
    result = torch.zeros_like(flow)
    across = flow[..., :, 1:] - flow[..., :, :-1]
    down = flow[..., 1:, :] - flow[..., :-1, :]
    result[..., :, 1:] += across
    result[..., :, :-1] -= across
    result[..., 1:, :] += down
    result[..., :-1, :] -= down
    return result


def solve(tensor: MotionTensor, start: Tensor, alpha: float, *, iterations: int, tolerance: float,
          token: CancelToken) -> Tensor:
    """The flow (2, h, w) that solves the system, from a first guess.

    Conjugate gradients, preconditioned with the 2 x 2 diagonal blocks. Stops at ``iterations`` or when the
    residual has fallen to ``tolerance`` times the right-hand side's. Raises Cancelled between iterations.
    """
    blocks = _DiagonalBlocks(tensor, alpha)
    flow = start.clone()
    residual = tensor.right - tensor.times(flow) - alpha * minus_laplacian(flow)
    goal = tolerance**2 * float(torch.sum(tensor.right**2)) + _STALL
    direction = blocks.solve(residual)
    energy = float(torch.sum(residual * direction))
    for _ in range(iterations):
        token.check()
        if float(torch.sum(residual**2)) <= goal or energy <= _STALL:
            break
        image = tensor.times(direction) + alpha * minus_laplacian(direction)
        curvature = float(torch.sum(direction * image))
        if curvature <= _STALL:  # a direction that costs nothing: the guess stands
            break
        length = energy / curvature
        flow += length * direction
        residual -= length * image
        steepest = blocks.solve(residual)
        previous, energy = energy, float(torch.sum(residual * steepest))
        direction = steepest + (energy / previous) * direction
    return flow


class _DiagonalBlocks:
    """Inverse of the 2 x 2 block that couples u and v of one cell."""

    def __init__(self, tensor: MotionTensor, alpha: float) -> None:
        stiff = 4.0 * alpha
        self.a, self.b, self.c = tensor.j11 + stiff, tensor.j12, tensor.j22 + stiff
        self.determinant = self.a * self.c - self.b * self.b

    def solve(self, right: Tensor) -> Tensor:
        u, v = right
        return torch.stack(((self.c * u - self.b * v) / self.determinant,
                            (self.a * v - self.b * u) / self.determinant))
