"""What all losses of frames share: the shapes, the mask, and the sum or mean over a frame's pixels."""

from __future__ import annotations

from typing import Literal, Protocol

from torch import Tensor

Pixels = Literal["sum", "mean"]
"""sum: over the valid pixels of a frame, as the papers print their figures. mean: that, divided by their number."""


class FrameLoss(Protocol):
    """A number for each frame.

    forecast: (B, T, C, H, W), C = 1 but for networks that give several values a pixel. truth: (B, T, 1, H, W) in
    the network's unit, any finite number where nothing was measured. valid: (B, T, 1, H, W) bool; a pixel that is
    not valid has weight 0. Returns (B, T). The loss of a batch is the mean over B and T.
    """

    def __call__(self, forecast: Tensor, truth: Tensor, valid: Tensor) -> Tensor: ...


def over_pixels(values: Tensor, valid: Tensor, pixels: Pixels) -> Tensor:
    """values: (B, T, 1, H, W); valid alike. Returns (B, T); 0 where no pixel of a frame is valid."""
    kept = values.masked_fill(~valid, 0.0).sum(dim=(2, 3, 4), dtype=values.dtype)
    return kept if pixels == "sum" else kept / valid.sum(dim=(2, 3, 4)).clamp(min=1)


def over_frames(frames: Tensor) -> Tensor:
    """(B, T) to the mean, the convention of every loss here."""
    return frames.mean()
