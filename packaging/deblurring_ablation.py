"""Remakes the deblurring part of docs/experiments.md: frames of the embedded storm, blurred with a known kernel, and
what each deblurrer makes of them.

    python packaging/deblurring_ablation.py docs/experiments.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from page_parts import put
from scipy.ndimage import correlate

import resources
from engine.archives import open_archive
from engine.deblurrers.chain import sharpened
from engine.deblurrers.guidance import Settings
from engine.deblurrers.postcast import PostCastSmall
from engine.deblurrers.protocol import Blurry, Context, Deblurrer, Observation, Options
from engine.forecasters.protocol import LeadFrame
from engine.jobs import weights
from engine.radar.operations import crop
from engine.radar.scaling import rain_rate_of_pixel, unit_pixel
from engine.radar.sequence import Field, RadarSequence
from engine.radar.units import ZR
from engine.verification.pooling import pool_pair

FRAMES, EARLIER, SIDE, WIDTH = (25, 50), 5, 128, 2.0
THRESHOLDS, POOLS = (10.0, 30.0), (1, 4, 16)
LAW = ZR()
PAPERS = {"kernel_rate": 2e-2, "steps": 25}
VARIANTS: dict[str, Settings | None] = {
    "PostCast as it ships, as drawn": None,
    "the paper's guidance, 25 steps": Settings(**PAPERS),  # type: ignore[arg-type]
    "the same, fixed scale (model C)": Settings(**PAPERS, scale="fixed"),  # type: ignore[arg-type]
    "the same, fixed kernel and scale (model A)": Settings(**PAPERS, scale="fixed", kernel="fixed"),  # type: ignore[arg-type]
}


def blur() -> NDArray[np.float32]:
    at = np.arange(9) - 4.0
    kernel = np.exp(-(at[:, None] ** 2 + at[None, :] ** 2) / (2 * WIDTH**2))
    return np.asarray(kernel / kernel.sum(), np.float32)


def blurred(rain_rate: Field, kernel: NDArray[np.float32]) -> Field:
    return rain_rate_of_pixel(correlate(unit_pixel(rain_rate, LAW), kernel, mode="reflect"), LAW)


def storm() -> RadarSequence:
    whole = open_archive([resources.sample_archive()])
    first = (whole.grid.shape[0] - SIDE) // 2
    return crop(whole, slice(first, first + SIDE), slice(first, first + SIDE))


def deblurrers() -> Iterator[tuple[str, Deblurrer | None]]:
    yield "nothing", None
    file = weights.find("postcast")
    assert file is not None
    for title, settings in VARIANTS.items():
        drawing = PostCastSmall(file, settings)
        drawing.matched = False
        yield title, drawing
    yield "PostCast as it ships", PostCastSmall(file)
    for name in ("probability-matching", "unsharp", "wiener"):
        yield f"`{name}`", weights.deblurrer(name)


def misfit(found: LeadFrame, blurry: Field) -> float:
    """Relative error of the found blur of the result against what was given, in pixels; NaN without a kernel."""
    if found.kernel is None:
        return float("nan")
    again = correlate(unit_pixel(found.rain_rate, LAW), found.kernel, mode="reflect")
    given = unit_pixel(blurry, LAW)
    return float(np.linalg.norm(again - given) / np.linalg.norm(given))


def csi(truth: Field, made: Field, threshold: float, pool: int) -> tuple[int, int]:
    """Hits, and hits, misses and false alarms together."""
    seen, told = pool_pair(truth, made, pool)
    first, second = seen >= threshold, told >= threshold
    return int((first & second).sum()), int((first | second).sum())


def made(deblurrer: Deblurrer | None, blurry: Field, seen: Observation, ruled: bool) -> LeadFrame:
    """ruled: as a forecast is sharpened, with its total rain kept; otherwise what the deblurrer itself gives."""
    if deblurrer is None:
        return LeadFrame(30.0, blurry)
    if ruled:
        return next(sharpened(iter([LeadFrame(30.0, blurry)]), deblurrer, seen, Options(), Context()))
    whole = Blurry(blurry[None], np.ones((1, *blurry.shape), np.bool_), (30.0,), seen)
    found = next(iter(deblurrer.sharpen(whole, Options(), Context())))
    return LeadFrame(30.0, found.rain_rate, kernel=found.kernel)


def row(title: str, deblurrer: Deblurrer | None, sequence: RadarSequence, ruled: bool = False) -> str:
    kernel, sums, misfits, wrong = blur(), np.zeros((len(THRESHOLDS), len(POOLS), 2)), [], []
    for number in FRAMES:
        truth, last = sequence.rain_rate(number), sequence.rain_rate(number - EARLIER)
        seen = Observation(last, sequence.times[number - EARLIER], 6.0, sequence.grid, sequence.zr)
        found = made(deblurrer, blurred(truth, kernel), seen, ruled)
        sums += [[csi(truth, found.rain_rate, t, p) for p in POOLS] for t in THRESHOLDS]
        misfits.append(misfit(found, blurred(truth, kernel)))
        wrong.append(float(np.abs(unit_pixel(found.rain_rate, LAW) - unit_pixel(truth, LAW)).mean()))
    scores = " | ".join(f"{hits / max(1, all_of):.3f}" for hits, all_of in sums.reshape(-1, 2))
    told = "–" if np.isnan(misfits[0]) else f"{100 * np.mean(misfits):.1f} %"
    print(title, scores, told, np.mean(wrong), file=sys.stderr, flush=True)
    return f"| {title} | {scores} | {np.mean(wrong):.4f} | {told} |"


def main() -> None:
    torch.set_num_threads(1)
    sequence = storm()
    lines = ["| sharpened by | " + " | ".join(f"≥ {t:g}, pool {p}" for t in THRESHOLDS for p in POOLS)
             + " | mean error, pixels | misfit |", "|---" * 9 + "|"]
    page, sharp = Path(sys.argv[1]), list(deblurrers())
    put(page, "deblurring", lines + [row(title, one, sequence) for title, one in sharp])
    usable = [(title, one) for title, one in sharp if one is not None and not title.startswith("the")]
    put(page, "deblurring, total kept", lines + [row(title, one, sequence, ruled=True) for title, one in usable])


if __name__ == "__main__":
    main()
