"""The HKO-7 protocol: which frames are given when, counted by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from engine.radar.units import HKO7
from engine.verification.protocol import Setting, episodes, trials, truth_mask
from tests.engine.sequences import moving_square, sequence


def test_gaps_cut_episodes() -> None:
    assert episodes(sequence(moving_square, 12)) == (range(12),)
    assert episodes(sequence(moving_square, 12, missing=(4, 5, 9))) == (range(4), range(4, 7), range(7, 9))
    assert episodes(sequence(moving_square, 1)) == (range(1),)


def test_sequences_start_every_fifth_frame_and_fit_whole() -> None:
    found = list(trials(sequence(moving_square, 20), Setting(inputs=5, leads=6, every=5)))
    assert [t.frames for t in found] == [(0, 1, 2, 3, 4), (5, 6, 7, 8, 9)]
    assert [t.truth for t in found] == [(5, 6, 7, 8, 9, 10), (10, 11, 12, 13, 14, 15)]
    assert [t.new_episode for t in found] == [True, False]
    assert [t.fresh for t in found] == [(0, 1, 2, 3, 4), (5, 6, 7, 8, 9)]
    assert len(list(trials(sequence(moving_square, 21), Setting(5, 6, 5)))) == 3


def test_a_gap_begins_a_new_episode_and_short_ones_give_nothing() -> None:
    archive = sequence(moving_square, 20, missing=(8, 11))  # episodes of 8, 2 and 8 frames
    found = list(trials(archive, Setting(inputs=3, leads=3, every=2)))
    assert [t.frames for t in found] == [(0, 1, 2), (2, 3, 4), (10, 11, 12), (12, 13, 14)]
    assert [t.new_episode for t in found] == [True, False, True, False]
    assert [t.episode for t in found] == [0, 0, 2, 2]
    assert [t.fresh for t in found] == [(0, 1, 2), (3, 4), (10, 11, 12), (13, 14)]
    for trial in found:
        times = [archive.times[i] for i in (*trial.frames, *trial.truth)]
        assert len({b - a for a, b in itertools.pairwise(times)}) == 1


@pytest.mark.parametrize("wrong", [{"inputs": 0}, {"leads": 0}, {"every": 0}])
def test_settings_make_sense(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Setting(**wrong)


def test_the_small_value_mask_is_the_benchmarks() -> None:
    """Pixel 71 is 9.49 dBZ or 0.30 mm/h by Z = 58.53 R^1.56; zero itself stays."""
    truth = np.array([[0.0, 0.1, 0.29, 0.31, 5.0, np.nan]], np.float32)
    assert truth_mask(truth, HKO7).tolist() == [[True] * 5 + [False]]
    assert truth_mask(truth, HKO7, small_values=True).tolist() == [[True, False, False, True, True, False]]
    static = np.array([[True, True, True, True, False, True]])
    assert truth_mask(truth, HKO7, static).tolist() == [[True, True, True, True, False, False]]
