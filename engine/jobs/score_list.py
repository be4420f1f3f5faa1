"""The scores that a window can offer for choice, told without computing any."""

from __future__ import annotations

import math
from dataclasses import dataclass

from engine.verification.fields import FIELD_SCORES
from engine.verification.scores import EVENT_SCORES


@dataclass(frozen=True)
class ScoreChoice:
    """key: in documents. short: for headings. low, high: ends of an axis; high None where the score has none.
    by_threshold: one value for each threshold, not one for the field. perfect: the best value. similarity: from the
    diagnose job instead of the document."""

    key: str
    title: str
    short: str
    low: float
    high: float | None
    perfect: float | None
    by_threshold: bool = False
    similarity: bool = False


_SHORT = {"csi": "CSI", "hss": "HSS", "pod": "POD", "far": "FAR", "success_ratio": "SR", "bias": "Bias",
          "mse": "MSE", "mae": "MAE", "b_mse": "B-MSE", "b_mae": "B-MAE", "mse_per_pixel": "MSE/px",
          "mae_per_pixel": "MAE/px", "b_mse_per_pixel": "B-MSE/px", "b_mae_per_pixel": "B-MAE/px",
          "mse_mm_h": "MSE mm/h", "mae_mm_h": "MAE mm/h"}
_AXIS_LOW = {"hss": -0.2}
"""Scores below this are drawn at the lower end: a forecast worse than that is beyond comparing."""

_SIMILARITY = (
    ScoreChoice("ssim", "Structural similarity (SSIM)", "SSIM", 0.0, 1.0, 1.0, similarity=True),
    ScoreChoice("psnr", "Peak signal-to-noise ratio, dB (PSNR)", "PSNR", 0.0, None, None, similarity=True),
    ScoreChoice("gdl", "Gradient difference (GDL)", "GDL", 0.0, None, 0.0, similarity=True))


def score_choices() -> tuple[ScoreChoice, ...]:
    """Scores of events, errors of the field, and what compares the field as a picture."""
    events = tuple(ScoreChoice(score.name, score.title, _SHORT.get(score.name, score.name.upper()),
                               _AXIS_LOW.get(score.name, max(score.low, -1.0)),
                               score.high if math.isfinite(score.high) else None, score.perfect, by_threshold=True)
                   for score in EVENT_SCORES)
    fields = tuple(ScoreChoice(score.name, f"{score.title}, {score.unit}", _SHORT.get(score.name, score.name), 0.0,
                               None, 0.0) for score in FIELD_SCORES)
    return (*events, *fields, *_SIMILARITY)
