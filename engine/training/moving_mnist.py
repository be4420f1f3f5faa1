"""MovingMNIST++ (benchmark paper, appendix C, Table 6): digits that move, turn, grow or shrink, and fade or brighten.

What the paper leaves open is as in its released generator: digits are cut to their bounding box, centres bounce off a
border of 10 pixels, scale and illumination turn round every 5 frames, all digits of a sequence share the illumination
factor, and where digits overlap the brighter one shows. The angle per frame is the paper's (15 degrees at most), not
the release's 30.
"""

from __future__ import annotations

import gzip
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from engine.errors import UnreadableInput
from engine.radar.units import ZR
from engine.training.preparation import Sample
from engine.training.source import About, codes_of_unit

SIDE, BORDER, TURN = 64, 10.0, 5
VELOCITY, SCALE, ANGLE, ILLUMINATION = (0.0, 3.6), (1 / 1.1, 1.1), (-np.pi / 12, np.pi / 12), (0.6, 1.0)
"""Table 6: pixels per frame, factor per frame, radians per frame, factor per frame; each drawn evenly."""
DIGITS = 3
_GLYPH = 28
_STREAM = 3
Digits = NDArray[np.uint8]


@dataclass(frozen=True)
class Motion:
    """Of each digit of a sequence, (digits,) each; places (digits, 2) as row, column. illumination: one for all."""

    start: NDArray[np.float64]
    velocity: NDArray[np.float64]
    angle: NDArray[np.float64]
    turning: NDArray[np.float64]
    scaling: NDArray[np.float64]
    illumination: float

    @classmethod
    def drawn(cls, draw: np.random.Generator) -> Motion:
        heading, speed = draw.uniform(0, 2 * np.pi, DIGITS), draw.uniform(*VELOCITY, DIGITS)
        return cls(draw.uniform(BORDER, SIDE - BORDER, (DIGITS, 2)),
                   speed[:, None] * np.stack((np.sin(heading), np.cos(heading)), axis=1),
                   draw.uniform(0, 2 * np.pi, DIGITS), draw.uniform(*ANGLE, DIGITS), draw.uniform(*SCALE, DIGITS),
                   float(draw.uniform(*ILLUMINATION)))

    def places(self, frames: int) -> NDArray[np.float64]:
        """(frames, digits, 2), bouncing off the border."""
        free = SIDE - 2 * BORDER
        way = self.start - BORDER + np.arange(frames)[:, None, None] * self.velocity
        return BORDER + np.asarray(free - np.abs(way % (2 * free) - free))

    def scales(self, frames: int) -> NDArray[np.float64]:
        """(frames, digits)."""
        return np.asarray(self.scaling[None, :] ** to_and_fro(frames)[:, None])

    def brightness(self, frames: int) -> NDArray[np.float64]:
        """(frames,): from 1 down and up again."""
        return np.asarray(self.illumination ** to_and_fro(frames))


def to_and_fro(frames: int) -> NDArray[np.float64]:
    """0 1 2 3 4 5 4 3 2 1 0 1 ...: how often a factor has been applied at each frame."""
    return np.asarray(TURN - np.abs(np.arange(frames) % (2 * TURN) - TURN), np.float64)


def rendered(digits: Digits, motion: Motion, frames: int) -> NDArray[np.float32]:
    """digits: (3, h, w) uint8. Returns (frames, 64, 64) in [0, 1]."""
    angle = motion.angle + np.arange(frames)[:, None] * motion.turning
    shrink = digits.shape[-1] / 2 * motion.scales(frames)
    centre = 2 * (motion.places(frames) + 0.5) / SIDE - 1  # in the frame's own coordinates, -1 to 1
    cos, sin = SIDE / 2 * np.cos(angle) / shrink, SIDE / 2 * np.sin(angle) / shrink
    row, column = centre[..., 0], centre[..., 1]
    turn = np.stack((cos, sin, -cos * column - sin * row, -sin, cos, sin * column - cos * row), axis=-1)
    theta = torch.from_numpy(turn.reshape(-1, 2, 3)).float()
    source = torch.from_numpy(digits.astype(np.float32) / 255)[None].expand(frames, -1, -1, -1)
    grid = F.affine_grid(theta, [len(theta), 1, SIDE, SIDE], align_corners=False)
    drawn = F.grid_sample(source.reshape(-1, 1, *digits.shape[1:]), grid, align_corners=False)
    overlaid = drawn.view(frames, -1, SIDE, SIDE).amax(dim=1).numpy()
    return np.asarray(overlaid * motion.brightness(frames)[:, None, None], np.float32)


@dataclass(frozen=True)
class MovingMNIST:
    """A source without an end: every number gives a sequence, the same one each time. digits: (n, 28, 28) uint8.
    origin: where they come from."""

    digits: Digits
    origin: str
    count: int
    frames: int
    zr: ZR
    seed: int
    endless: bool = True

    def __len__(self) -> int:
        return self.count

    def sequence(self, index: int) -> Sample:
        draw = np.random.default_rng([self.seed, _STREAM, index])
        chosen = np.stack([cut_out(digit) for digit in self.digits[draw.integers(len(self.digits), size=DIGITS)]])
        frames = rendered(chosen, Motion.drawn(draw), self.frames)
        return Sample(codes_of_unit(frames), self.zr, 6.0, 1.0)

    def rain_share(self, index: int, threshold: float) -> float:
        return 0.0

    def about(self) -> About:
        return About(f"MovingMNIST++ ({self.origin}); no radar data, step and pixel size are nominal", 0.0, 6.0, 1.0)


def cut_out(digit: Digits) -> Digits:
    """The digit's bounding box in the middle of an empty 28 x 28."""
    rows, columns = np.flatnonzero(digit.any(axis=1)), np.flatnonzero(digit.any(axis=0))
    out = np.zeros_like(digit)
    if rows.size:
        box = digit[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
        top, left = (_GLYPH - box.shape[0]) // 2, (_GLYPH - box.shape[1]) // 2
        out[top:top + box.shape[0], left:left + box.shape[1]] = box
    return out


def digits_for(folder: str, split: str, seed: int) -> tuple[Digits, str]:
    """The digits of "train" or "validation", and words for where they come from: the MNIST files of a folder, or
    drawn ones where no folder is named. Raises UnreadableInput."""
    if not folder:
        draw = np.random.default_rng([seed, _STREAM, 0 if split == "train" else 1])
        return drawn_digits(2000 if split == "train" else 500, draw), "drawn digits, not MNIST's"
    name = {"train": "train-images", "validation": "t10k-images"}[split]
    files = [file for ending in ("-idx3-ubyte", ".idx3-ubyte", "-idx3-ubyte.gz", ".idx3-ubyte.gz")
             if (file := Path(folder) / (name + ending)).is_file()]
    if not files:
        raise UnreadableInput(folder, f"there is no {name}-idx3-ubyte in it", tried="MNIST",
                              advice="Name the folder of the MNIST files, or none to train on drawn digits.")
    return read_idx(files[0]), "MNIST digits"


def read_idx(path: Path) -> Digits:
    """(n, 28, 28). Raises UnreadableInput."""
    try:
        with (gzip.open(path) if path.suffix == ".gz" else path.open("rb")) as file:
            head = np.frombuffer(file.read(16), ">i4")
            if head.tolist()[:1] != [2051] or head.tolist()[2:] != [_GLYPH, _GLYPH] or not 0 < head[1] <= 100_000:
                raise ValueError("no pictures of 28 x 28")
            pixels = np.frombuffer(file.read(int(head[1]) * _GLYPH**2), np.uint8)
            return pixels.reshape(-1, _GLYPH, _GLYPH)[:int(head[1])]
    except (OSError, ValueError, EOFError) as problem:
        raise UnreadableInput(path, str(problem), tried="MNIST") from problem


def _arc(row: float, column: float, high: float, wide: float, start: float, end: float) -> NDArray[np.float64]:
    """Points of an ellipse; angles in parts of a full turn from the right, clockwise."""
    angle = 2 * np.pi * np.linspace(start, end, 14)
    return np.stack((row + high * np.sin(angle), column + wide * np.cos(angle)), axis=1)


_STROKES: tuple[tuple[NDArray[np.float64], ...], ...] = tuple(tuple(np.asarray(stroke, np.float64) for stroke in shape)
                                                              for shape in (
    (_arc(0, 0, 1, 0.6, 0, 1),),
    ([(-0.6, -0.3), (-1, 0.1), (1, 0.1)],),
    (_arc(-0.45, 0, 0.55, 0.6, 0.55, 1.1), [(-0.15, 0.5), (1, -0.6), (1, 0.6)]),
    (_arc(-0.5, 0, 0.5, 0.55, 0.6, 1.25), _arc(0.5, 0, 0.5, 0.6, 0.75, 1.4)),
    ([(-1, -0.1), (0.3, -0.65), (0.3, 0.6)], [(-0.4, 0.3), (1, 0.2)]),
    ([(-1, 0.55), (-1, -0.4), (-0.15, -0.45)], _arc(0.4, -0.05, 0.6, 0.6, 0.68, 1.4)),
    ([(-1, 0.3), (-0.3, -0.4), (0.4, -0.55)], _arc(0.45, 0, 0.55, 0.55, 0, 1)),
    ([(-1, -0.6), (-1, 0.55), (1, -0.15)],),
    (_arc(-0.5, 0, 0.5, 0.45, 0, 1), _arc(0.5, 0, 0.5, 0.58, 0, 1)),
    (_arc(-0.45, 0, 0.55, 0.55, 0, 1), [(-0.45, 0.55), (0.2, 0.5), (1, 0.2)]),
))


def drawn_digits(count: int, draw: np.random.Generator) -> Digits:
    """(count, 28, 28): strokes of 0 to 9 with a slant, size, unsteadiness and thickness of their own."""
    return np.stack([_drawn(int(draw.integers(10)), draw) for _ in range(count)])


def _drawn(digit: int, draw: np.random.Generator) -> Digits:
    slant, high, wide = draw.normal(0, 0.15), draw.uniform(7.5, 9.5), draw.uniform(6.5, 9.5)
    thickness, wave = draw.uniform(1.0, 1.9), draw.normal(0, 0.07, (2, 2))
    y, x = np.mgrid[:_GLYPH, :_GLYPH] - (_GLYPH - 1) / 2
    nearest = np.full((_GLYPH, _GLYPH), np.inf)
    for stroke in _STROKES[digit]:
        bent = stroke + np.sin(3 * stroke[:, ::-1]) @ wave
        points = np.stack((high * bent[:, 0], wide * (bent[:, 1] - slant * bent[:, 0])), axis=1)
        for (row, column), (to_row, to_column) in itertools.pairwise(points):
            along, across = to_row - row, to_column - column
            part = np.clip(((y - row) * along + (x - column) * across) / max(along**2 + across**2, 1e-9), 0, 1)
            nearest = np.minimum(nearest, np.hypot(y - row - part * along, x - column - part * across))
    return np.asarray(np.clip(thickness + 0.5 - nearest, 0, 1) * 255, np.uint8)
