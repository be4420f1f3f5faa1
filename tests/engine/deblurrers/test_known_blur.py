"""PostCast with the weights that ship, on frames of the embedded storm that were blurred with a known kernel, beside
every deblurrer that learns nothing: as each gives its field, before the rule that keeps the total rain of a forecast (a
blur of pixel values takes half of it away)."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import correlate

import resources
from engine.archives import open_archive
from engine.deblurrers.postcast import PostCastSmall
from engine.deblurrers.protocol import Blurry, Context, Deblurrer, Observation, Options, Sharpened
from engine.jobs import weights
from engine.radar.operations import crop
from engine.radar.scaling import rain_rate_of_pixel, unit_pixel
from engine.radar.sequence import Field, RadarSequence
from engine.radar.units import ZR
from engine.verification.pooling import pool_pair

FRAMES, EARLIER, SIDE = (25, 50), 5, 128
LAW = ZR()


def gaussian(width: float) -> NDArray[np.float32]:
    at = np.arange(9) - 4.0
    kernel = np.exp(-(at[:, None] ** 2 + at[None, :] ** 2) / (2 * width**2))
    return np.asarray(kernel / kernel.sum(), np.float32)


def pixels_blurred(rain_rate: Field, kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(correlate(unit_pixel(rain_rate, LAW), kernel, mode="reflect"), np.float32)


@cache
def middle() -> RadarSequence:
    whole = open_archive([resources.sample_archive()])
    first = (whole.grid.shape[0] - SIDE) // 2
    return crop(whole, slice(first, first + SIDE), slice(first, first + SIDE))


def sharpened(deblurrer: Deblurrer, blurry: Field, number: int) -> Sharpened:
    whole = middle()
    seen = Observation(whole.rain_rate(number - EARLIER), whole.times[number - EARLIER], 6.0, whole.grid, whole.zr)
    given = Blurry(blurry[None], np.ones((1, SIDE, SIDE), np.bool_), (30.0,), seen)
    return next(iter(deblurrer.sharpen(given, Options(), Context())))


def csi(made: list[Field], threshold: float, pool: int) -> float:
    hits = events = 0
    for number, field in zip(FRAMES, made, strict=True):
        seen, told = (one >= threshold for one in pool_pair(middle().rain_rate(number), field, pool))
        hits, events = hits + int((seen & told).sum()), events + int((seen | told).sum())
    return hits / events


def shipped() -> PostCastSmall:
    file = weights.find("postcast")
    assert file is not None, "postcast ships with weights"
    drawing = PostCastSmall(file)
    drawing.matched = False
    return drawing


@pytest.mark.slow
@pytest.mark.parametrize("width", [2.0, 2.5])
def test_heavy_rain_comes_back_better_than_from_any_yardstick(width: float) -> None:
    kernel = gaussian(width)
    blurry = [rain_rate_of_pixel(pixels_blurred(middle().rain_rate(number), kernel), LAW) for number in FRAMES]
    found = [sharpened(shipped(), field, number) for field, number in zip(blurry, FRAMES, strict=True)]
    naive = {name: [sharpened(weights.deblurrer(name), field, number).rain_rate
                    for field, number in zip(blurry, FRAMES, strict=True)]
             for name in ("probability-matching", "unsharp", "wiener")}
    naive["nothing"] = blurry
    for threshold in (10.0, 30.0):
        for pool in (1, 4, 16):
            best = max(csi(made, threshold, pool) for made in naive.values())
            assert csi([one.rain_rate for one in found], threshold, pool) > best, (threshold, pool)
    for one, field in zip(found, blurry, strict=True):
        assert one.kernel is not None
        again, given = pixels_blurred(one.rain_rate, one.kernel), unit_pixel(field, LAW)
        assert np.linalg.norm(again - given) < 0.05 * np.linalg.norm(given)
