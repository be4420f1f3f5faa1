"""Learning while frames come in (benchmark paper, section 5.2 and appendix D.3): after each new segment a copy of the
network takes one step on the last frames, and is set back where its newest forecast would have become worse."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.cancel import CancelToken
from engine.losses.balanced import Balanced
from engine.networks.rollout import asking, lead_frames

Frames = NDArray[np.float32]


@dataclass(frozen=True)
class OnlineWish:
    """inputs, leads: of the sequence that is learnt, together the paper's 25 frames. lr: of AdaGrad, the paper's;
    eps and clip (the gradient's norm) from its released configuration. side: at most so many cells along each side
    are learnt from at once, where most rain fell."""

    inputs: int = 5
    leads: int = 20
    lr: float = 1e-4
    eps: float = 1e-8
    clip: float = 50.0
    side: int = 256


@dataclass(frozen=True)
class Outcome:
    """before, after: B-MSE + B-MAE of the newest forecast that could be checked, without and with the step. kept:
    whether the step was."""

    before: float
    after: float
    kept: bool


class OnlineLearner:
    """network: stays as it is; a copy learns, :attr:`network`. edges: 2, 5, 10, 30 mm/h in the unit of its frames.

    Batch statistics and dropout are those of forecasting, so that one sequence does not upset them.
    """

    def __init__(self, network: nn.Module, edges: tuple[float, ...], wish: OnlineWish | None = None, *,
                 device: str = "cpu", token: CancelToken | None = None) -> None:
        self.network = copy.deepcopy(network).to(device).eval()
        for parameter in self.network.parameters():
            parameter.requires_grad_(True)
        self.wish, self.device, self.token = wish or OnlineWish(), device, token or CancelToken()
        self._losses = Balanced(edges, 2), Balanced(edges, 1)
        self.optimiser = torch.optim.Adagrad(self.network.parameters(), self.wish.lr, eps=self.wish.eps)
        self._frames: list[Frames] = []
        self._fresh = 0

    def store(self, frames: Frames, new_episode: bool) -> None:
        """The newest frames, (T, ny, nx) in the network's unit, NaN = no data. A new episode forgets what was stored,
        never what was learnt."""
        if new_episode:
            self._frames = []
        self._frames.extend(frames)
        self._fresh = len(frames)
        del self._frames[:-(self.wish.inputs + self.wish.leads)]

    def update(self) -> Outcome | None:
        """One step on the stored frames; None where there are too few of them. Raises Cancelled, with the weights as
        they were before."""
        needed = self.wish.inputs + self.wish.leads
        if len(self._frames) < needed or not 0 < self._fresh <= needed - self.wish.inputs:
            return None
        piece = self._piece(np.stack(self._frames))
        if piece is None:
            return None
        state = copy.deepcopy((self.network.state_dict(), self.optimiser.state_dict()))
        try:
            before = self._newest(piece)
            self._step(piece)
            after = self._newest(piece)
        except BaseException:
            self._set_back(state)
            raise
        kept = bool(np.isfinite(after)) and after <= before
        if not kept:
            self._set_back(state)
        return Outcome(before, after, kept)

    def _set_back(self, state: tuple[dict[str, Any], dict[str, Any]]) -> None:
        self.network.load_state_dict(state[0])
        self.optimiser.load_state_dict(state[1])

    def _step(self, piece: Tensor) -> None:
        """piece: (25, 1, ny, nx), NaN = no data. The oldest frames in, the rest is the truth."""
        self.optimiser.zero_grad()
        with asking(self.network, self.token.check):
            loss = self._loss(piece, self.wish.inputs, self.wish.leads)
            loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.wish.clip)
        self.optimiser.step()

    def _newest(self, piece: Tensor) -> float:
        """Of the forecast that ends with the newest frame and starts before the frames that came last."""
        recent = piece[-(self.wish.inputs + self._fresh):]
        with torch.no_grad(), asking(self.network, self.token.check):
            return float(self._loss(recent, self.wish.inputs, self._fresh))

    def _loss(self, frames: Tensor, inputs: int, leads: int) -> Tensor:
        known = ~torch.isnan(frames)
        filled = frames.nan_to_num(0.0)[None]
        forecast = torch.stack(list(lead_frames(self.network, filled[:, :inputs], leads))[:leads], dim=1)
        truth, valid = filled[:, inputs:], known[None, inputs:]
        return torch.stack([loss(forecast, truth, valid).mean() for loss in self._losses]).sum() * 1e-5

    def _piece(self, frames: Frames) -> Tensor | None:
        """The window with most echo, of a size that the network takes; None where the frames are smaller than it."""
        multiple = int(getattr(self.network, "grid_multiple", 1))
        fixed: tuple[int, int] | None = getattr(self.network, "fixed_grid", None)
        high, wide = fixed or tuple(min(side, self.wish.side) // multiple * multiple for side in frames.shape[1:])
        if min(high, wide) < 1 or high > frames.shape[1] or wide > frames.shape[2]:
            return None
        row, column = fullest(np.nansum(frames, axis=0), high, wide)
        cut = np.ascontiguousarray(frames[:, None, row:row + high, column:column + wide])
        return torch.from_numpy(cut).to(self.device)


def fullest(field: NDArray[np.floating], high: int, wide: int, stride: int = 16) -> tuple[int, int]:
    """Row and column of the window with the greatest sum, sought every so many cells."""
    total = np.zeros((field.shape[0] + 1, field.shape[1] + 1))
    total[1:, 1:] = field.cumsum(axis=0, dtype=np.float64).cumsum(axis=1)
    rows, columns = (np.unique(np.append(np.arange(0, side - window + 1, stride), side - window))
                     for side, window in zip(field.shape, (high, wide), strict=True))

    def corner(down: int, across: int) -> NDArray[np.float64]:
        return np.asarray(total[np.ix_(rows + down, columns + across)])

    sums = corner(high, wide) - corner(0, wide) - corner(high, 0) + corner(0, 0)
    row, column = np.unravel_index(int(sums.argmax()), sums.shape)
    return int(rows[row]), int(columns[column])
