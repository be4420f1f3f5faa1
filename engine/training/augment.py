"""More sequences out of few, in ways that weather allows: mirror images, quarter turns, a little more or less echo."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.radar.scaling import PIXEL_DBZ_RANGE
from engine.training.packs import Codes
from engine.training.recipe import AugmentPart

Kind = TypeVar("Kind", bound=np.generic)


def augmented(codes: Codes, wish: AugmentPart, draw: np.random.Generator) -> Codes:
    """codes: (T, ny, nx) of a pack; the whole sequence is changed alike. Every switch draws whether it is on or not,
    so that switching one off leaves the others' draws as they are."""
    return augmented_with(codes, None, wish, draw)[0]


def augmented_with(codes: Codes, fixed: NDArray[np.float32] | None, wish: AugmentPart, draw: np.random.Generator
                   ) -> tuple[Codes, NDArray[np.float32] | None]:
    """The same with fields (F, ny, nx) that lie beneath the sequence and are mirrored and turned with it."""
    mirror, turns, shift = draw.random() < 0.5, int(draw.integers(4)), draw.uniform(-1.0, 1.0)
    placed = _placed(codes, wish, mirror, turns)
    if wish.intensity > 0:
        placed = brighter(placed, wish.intensity * shift)
    below = None if fixed is None else np.ascontiguousarray(_placed(fixed, wish, mirror, turns))
    return np.ascontiguousarray(placed), below


def _placed(fields: NDArray[Kind], wish: AugmentPart, mirror: bool, turns: int) -> NDArray[Kind]:
    if wish.flips and mirror:
        fields = fields[:, :, ::-1]
    return turned(fields, turns) if wish.turns else fields


def turned(codes: NDArray[Kind], quarters: int) -> NDArray[Kind]:
    """By quarter turns; a frame that is not square makes the even ones only."""
    square = codes.shape[-2] == codes.shape[-1]
    return np.asarray(np.rot90(codes, quarters if square else 2 * (quarters // 2), axes=(-2, -1)))


def brighter(codes: Codes, decibel: float) -> Codes:
    """Echo raised by so many dB within -10 to 60 dBZ. No echo stays none, no data stays none."""
    top = 254 if codes.dtype == np.uint8 else 65534
    table: NDArray[np.float64] = np.arange(top + 2) + np.rint(decibel / PIXEL_DBZ_RANGE * top)
    table[1:-1] = np.clip(table[1:-1], 1, top)
    table[0], table[-1] = 0, top + 1
    return np.asarray(table.astype(codes.dtype).take(codes))
