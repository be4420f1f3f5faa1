"""Motion of echoes between the last frames: variational optical flow from coarse to fine.

The flow is the combined local-global (CLG) flow of Bruhn, Weickert and Schnörr 2005 that ROVER uses (Woo and
Wong 2017). Large displacements are found on a pyramid, warping the frames by what is known so far. No data
takes no part: every average is weighted with coverage, so that the edge of coverage never looks like an echo.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as nnf
from numpy.typing import NDArray
from torch import Tensor

from engine.cancel import CancelToken
from engine.forecasters.flow_solver import MotionTensor, solve

Grey = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Physical values to grey levels 0..255 of the same shape; NaN stays NaN."""

STRIP_CELLS = 1 << 20
"""Cells worked on at once where a whole frame would cost too much memory or too long a wait for Cancel."""


@dataclass(frozen=True)
class FlowSettings:
    """How motion is estimated; docs/rover.md says where each default comes from.

    alpha: weight of smoothness, in squared grey levels. sigma: Gaussian blur of the frames, in cells of the
    radar grid. rho: Gaussian average of the motion tensor, in cells of a pyramid level. levels: most levels.
    warps, iterations, tolerance: work per level. stride: cells per node of the finest level. max_nodes: the
    stride is doubled until the finest level has no more. pairs: how many of the last neighbouring pairs of
    frames share one steady flow. robust: grey levels beyond which a difference counts less (Charbonnier
    penalty; 0 switches to the quadratic one).
    """

    alpha: float = 2000.0
    sigma: float = 4.5
    rho: float = 1.5
    levels: int = 6
    warps: int = 3
    iterations: int = 40
    tolerance: float = 1e-3
    stride: int = 4
    max_nodes: int = 300_000
    pairs: int = 2
    robust: float = 0.0

    def stride_for(self, shape: tuple[int, int]) -> int:
        """The stride used on a grid (ny, nx): no coarser than eight nodes along the shorter side."""
        stride = self.stride
        while stride > 1 and min(shape) < 8 * stride:
            stride //= 2
        while math.prod(-(-n // stride) for n in shape) > self.max_nodes:
            stride *= 2
        return stride


@dataclass(frozen=True)
class Flow:
    """A steady motion field on a coarse lattice of nodes.

    values: (2, h, w) float32, displacement per step in cells of the radar grid, columns (eastwards) first, then
    rows (southwards). Node (i, j) lies at row (i + 1/2) stride - 1/2, column (j + 1/2) stride - 1/2. shape: (ny, nx).
    """

    values: Tensor
    stride: int
    shape: tuple[int, int]

    def dense(self) -> NDArray[np.float32]:
        """(2, ny, nx) displacement of every cell of the radar grid per step."""
        return enlarge(self.values, self.stride, self.shape).cpu().numpy()


def with_stride(flow: Flow, stride: int) -> Flow:
    """The same motion on nodes that lie closer together; ``stride`` divides the flow's own."""
    if stride >= flow.stride:
        return flow
    nodes = (-(-flow.shape[0] // stride), -(-flow.shape[1] // stride))
    return Flow(enlarge(flow.values, flow.stride // stride, nodes), stride, flow.shape)


@dataclass(frozen=True)
class _Level:
    """frames: (T, h, w) grey levels; cover: (T, h, w) share of each cell's surroundings that holds data, 0..1."""

    frames: Tensor
    cover: Tensor


def estimate_flow(frames: NDArray[np.float32], grey: Grey, settings: FlowSettings, token: CancelToken, *,
                  device: str = "cpu", progress: Callable[[float], None] = lambda fraction: None) -> Flow:
    """The steady flow that best explains ``frames`` (T, ny, nx), oldest first, NaN = no data; T >= 2.

    Uses the last ``settings.pairs + 1`` frames (fewer where there are fewer). Raises Cancelled.
    """
    used = frames[-(settings.pairs + 1):]
    ny, nx = used.shape[1:]
    stride = settings.stride_for((ny, nx))
    finest = _smooth([_blocks(frame, grey, stride, token) for frame in used], settings.sigma, stride, device)
    pyramid = _pyramid(finest, settings.levels)
    flow = torch.zeros((2, *pyramid[-1].frames.shape[1:]), device=device)
    for done, level in enumerate(reversed(pyramid)):
        if done:
            flow = 2.0 * enlarge(flow, 2, (level.frames.shape[1], level.frames.shape[2]))
        for _ in range(settings.warps):
            flow = solve(_motion_tensor(level, flow, settings), flow, settings.alpha, token=token,
                         iterations=settings.iterations, tolerance=settings.tolerance)
        progress((done + 1) / len(pyramid))
    return Flow(flow * stride, stride, (ny, nx))


def enlarge(field: Tensor, factor: int, shape: tuple[int, int]) -> Tensor:
    """(C, h, w) on nodes to (C, ny, nx) on cells, bilinear between nodes, cut to ``shape``; values unchanged."""
    if factor == 1:
        return field
    full = nnf.interpolate(field[None], scale_factor=factor, mode="bilinear", align_corners=False)[0]
    return full[:, : shape[0], : shape[1]]


def _strips(frame: NDArray[np.float32], stride: int) -> Iterator[tuple[int, int]]:
    """Row ranges of at most STRIP_CELLS cells, whole multiples of the stride high."""
    high = max(1, STRIP_CELLS // (frame.shape[1] * stride)) * stride
    for top in range(0, frame.shape[0], high):
        yield top, min(top + high, frame.shape[0])


def _blocks(frame: NDArray[np.float32], grey: Grey, stride: int, token: CancelToken) -> Tensor:
    """(2, h, w): the sum of grey levels and the share of data in each block of stride x stride cells."""
    parts = []
    for top, bottom in _strips(frame, stride):
        token.check()
        levels = torch.from_numpy(np.ascontiguousarray(grey(frame[top:bottom]), np.float32))
        known = torch.isfinite(levels)
        both = torch.stack((torch.where(known, levels, 0.0), known.float()))
        both = nnf.pad(both, (0, -both.shape[2] % stride, 0, -both.shape[1] % stride))
        parts.append(nnf.avg_pool2d(both[None], stride)[0])
    return torch.cat(parts, dim=1)


def _smooth(blocks: list[Tensor], sigma: float, stride: int, device: str) -> _Level:
    """Gaussian blur weighted with coverage; what the blocks' own averaging has blurred is taken off sigma."""
    sums = torch.stack(blocks).to(device)
    rest = max(0.0, sigma**2 - (stride**2 - 1) / 12.0) / stride**2
    sums = blur(sums, math.sqrt(rest))
    return _level(sums[:, 0], sums[:, 1])


def _level(sums: Tensor, cover: Tensor) -> _Level:
    return _Level(torch.where(cover > 1e-3, sums / cover.clamp_min(1e-3), 0.0), cover)


def blur(fields: Tensor, sigma: float) -> Tensor:
    """Gaussian filter of the last two axes of (N, C, h, w); beyond the border is nought."""
    if sigma <= 0.05:
        return fields
    reach = math.ceil(3.0 * sigma)
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=fields.device) / sigma) ** 2)
    taps = (taps / taps.sum()).to(fields.dtype)
    flat = fields.reshape(-1, 1, *fields.shape[-2:])
    flat = nnf.conv2d(flat, taps.view(1, 1, 1, -1), padding=(0, reach))
    flat = nnf.conv2d(flat, taps.view(1, 1, -1, 1), padding=(reach, 0))
    return flat.reshape(fields.shape)


def _pyramid(finest: _Level, most: int) -> list[_Level]:
    levels = [finest]
    while len(levels) < most and min(levels[-1].frames.shape[1:]) >= 8:
        last = levels[-1]
        both = torch.stack((last.frames * last.cover, last.cover), dim=1)
        both = nnf.pad(both, (0, both.shape[3] % 2, 0, both.shape[2] % 2))
        both = nnf.avg_pool2d(both, 2)
        levels.append(_level(both[:, 0], both[:, 1]))
    return levels


def _motion_tensor(level: _Level, flow: Tensor, settings: FlowSettings) -> MotionTensor:
    """Linearised about ``flow``: both frames of a pair are brought half way, to where the flow is defined."""
    older = _warped(level.frames[:-1], level.cover[:-1], -0.5 * flow)
    newer = _warped(level.frames[1:], level.cover[1:], 0.5 * flow)
    difference = newer.frames - older.frames
    middle = 0.5 * (newer.frames + older.frames)
    fx, fy = _slopes(middle)
    weight = torch.minimum(newer.cover, older.cover)
    if settings.robust > 0:
        weight = weight / torch.sqrt(1.0 + (difference / settings.robust) ** 2)
    constant = fx * flow[0] + fy * flow[1] - difference
    products = torch.stack((fx * fx, fx * fy, fy * fy, fx * constant, fy * constant), dim=1) * weight[:, None]
    mean = blur(products.mean(dim=0, keepdim=True), settings.rho)[0]
    return MotionTensor(mean[0], mean[1], mean[2], mean[3:5])


def _warped(frames: Tensor, cover: Tensor, shift: Tensor) -> _Level:
    """Frames sampled at x + shift (bilinear), and the trust in them: 0 at half coverage, 1 at full."""
    height, width = frames.shape[1:]
    rows = torch.arange(height, device=shift.device, dtype=shift.dtype)[:, None] + shift[1]
    columns = torch.arange(width, device=shift.device, dtype=shift.dtype)[None, :] + shift[0]
    places = normalised(columns, rows, (height, width)).expand(len(frames), -1, -1, -1)
    trust = (2.0 * cover - 1.0).clamp(0.0, 1.0)
    both = torch.stack((frames, trust), dim=1)
    both = nnf.grid_sample(both, places, mode="bilinear", padding_mode="border", align_corners=False)
    inside = (rows >= 0) & (rows <= height - 1) & (columns >= 0) & (columns <= width - 1)
    return _Level(both[:, 0], both[:, 1] * inside)


def normalised(columns: Tensor, rows: Tensor, shape: tuple[int, int]) -> Tensor:
    """Places in cells as ``grid_sample`` wants them without aligned corners: (h, w, 2) in [-1, 1]."""
    return torch.stack(((2.0 * columns + 1.0) / shape[1] - 1.0, (2.0 * rows + 1.0) / shape[0] - 1.0), dim=-1)


def _slopes(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives along columns and rows by five taps (1, -8, 0, 8, -1)/12, borders repeated."""
    taps = torch.tensor((1.0, -8.0, 0.0, 8.0, -1.0), device=frames.device) / 12.0
    padded = nnf.pad(frames[:, None], (2, 2, 2, 2), mode="replicate")
    fx = nnf.conv2d(padded[:, :, 2:-2], taps.view(1, 1, 1, 5))[:, 0]
    fy = nnf.conv2d(padded[..., 2:-2], taps.view(1, 1, 5, 1))[:, 0]
    return fx, fy
