"""The HKO-7 protocol: which frames a model gets and in what order (benchmark paper, section 5.2, algorithm 1).

An archive falls into *episodes*, runs of frames without a gap. Frames arrive in segments. Both settings test the
same sequences: ``inputs`` frames and the ``leads`` frames after them, one sequence every ``every`` frames. Offline a
model sees its input frames and nothing else; online it is handed segment after segment, is told when a new episode
begins, and may learn from what it was handed before it predicts.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from engine.radar.scaling import unit_pixel
from engine.radar.sequence import Field, RadarSequence
from engine.radar.units import ZR

SMALL_PIXEL = 71
"""Pixels above 0 and below this one are noise in HKO-7 (section D.2) and take no part in its scores."""


@dataclass(frozen=True)
class Setting:
    """inputs and leads: frames in and out. every: frames between the starts of neighbouring sequences; online it
    is also the length of a segment, and at most ``inputs``."""

    inputs: int = 5
    leads: int = 20
    every: int = 5

    def __post_init__(self) -> None:
        if min(self.inputs, self.leads, self.every) < 1:
            raise ValueError("inputs, leads and every must be at least 1")


@dataclass(frozen=True)
class Trial:
    """One sequence. frames: indices of the input frames; truth: of the frames to predict. new_episode: nothing
    before these frames belongs to them. fresh: the input frames that the trial before has not shown yet."""

    episode: int
    frames: tuple[int, ...]
    truth: tuple[int, ...]
    new_episode: bool
    fresh: tuple[int, ...]


def episodes(sequence: RadarSequence) -> tuple[range, ...]:
    """Runs of frames one step apart, as index ranges in order of time."""
    if sequence.step is None:
        return (range(len(sequence)),)
    times, step = sequence.times, sequence.step
    breaks = [i for i in range(1, len(times)) if abs((times[i] - times[i - 1]) - step) > step * 0.2]
    edges = [0, *breaks, len(times)]
    return tuple(range(a, b) for a, b in itertools.pairwise(edges))


def trials(sequence: RadarSequence, setting: Setting) -> Iterator[Trial]:
    """Every sequence of an archive in order; an episode that is too short for one gives none."""
    for number, episode in enumerate(episodes(sequence)):
        shown = episode.start
        last_start = episode.stop - setting.inputs - setting.leads
        for start in range(episode.start, last_start + 1, setting.every):
            end = start + setting.inputs
            yield Trial(number, tuple(range(start, end)), tuple(range(end, end + setting.leads)),
                        start == episode.start, tuple(range(max(shown, start), end)))
            shown = end


@runtime_checkable
class OnlineModel(Protocol):
    """What algorithm 1 asks of a model, in this order for each segment."""

    def store(self, frames: NDArray[np.float32], new_episode: bool) -> None:
        """The newest frames (T, ny, nx) mm/h; with ``new_episode`` what was stored before is to be forgotten."""

    def update(self) -> None:
        """Learn from what is stored (online only)."""

    def predict(self) -> Iterator[Field]:
        """The next frames, one lead time after another."""


def truth_mask(truth: Field, zr: ZR, static: NDArray[np.bool_] | None = None,
               small_values: bool = False) -> NDArray[np.bool_]:
    """Which pixels are scored: the truth frame has data, the static mask (True = good) allows them, and with
    ``small_values`` the truth's pixel is 0 or at least 71 of 255 by the HKO-7 law."""
    valid: NDArray[np.bool_] = np.isfinite(truth)
    if static is not None:
        valid &= static
    if small_values:
        pixel = unit_pixel(truth, zr)
        with np.errstate(invalid="ignore"):
            valid &= (pixel <= 0) | (pixel >= np.float32(SMALL_PIXEL / 255.0))
    return valid
