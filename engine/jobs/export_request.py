"""What an export is asked for, and whether it can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import WrongUsage
from engine.radar.grid import Grid
from engine.radar.gridding import PolarOptions
from engine.radar.packed import AnyField
from engine.radar.scaling import RAIN_CLASSES
from engine.radar.sequence import RadarSequence

if TYPE_CHECKING:
    from engine.export.look import LineStyle

KINDS = ("png", "frames", "gif", "mp4", "nc")
"""One sheet; a folder of numbered sheets; animations; the forecast's numbers."""
GIF_FASTEST = 50


@dataclass(frozen=True)
class ExportRequest:
    """The observed archive (``sequence`` or ``paths``), the forecast (``predicted`` or the file ``forecast``), or
    both.

    output: the file, or the folder for "frames". kind: one of KINDS; from the suffix where empty (a .png is one
    sheet if ``lead`` is given, else a folder of that name without the suffix). options: how polar data become maps.
    predicted: (lead minutes, valid time, (ny, nx) mm/h) of each lead time, with ``forecaster`` and
    ``reference_time``; on ``predicted_grid`` where that is not the archive's. header: the forecast file's header,
    for "nc" from memory.
    thresholds: mm/h; styles: one for each (the house's where empty); contours: whether they are drawn.
    colours: 256 uint32 0xffRRGGBB for these thresholds' bins; the first table of the program where None.
    view: (left, right, bottom, top) in grid coordinates; the whole grid where None.
    history: frames before the reference time. leads: (first, last) minutes to show; all where None.
    lead: the moment of a single picture, in minutes from the reference time; the last one where None.
    basemap: lines with ``kind`` and ``xy``; looked up where None. badges: words over the panes, beside SYNTHETIC
    DATA, which follows from the archive. fps: at most 50 in a GIF. dwell: extra seconds of a GIF's last frame.
    """

    output: Path
    kind: str = ""
    sequence: RadarSequence | None = None
    paths: tuple[Path, ...] = ()
    options: PolarOptions | None = None
    forecast: Path | None = None
    predicted: tuple[tuple[float, datetime, AnyField], ...] = ()
    predicted_grid: Grid | None = None
    forecaster: str = ""
    reference_time: datetime | None = None
    header: Any = None
    thresholds: tuple[float, ...] = RAIN_CLASSES
    styles: tuple[LineStyle, ...] = ()
    contours: bool = True
    colours: NDArray[np.uint32] | None = None
    view: tuple[float, float, float, float] | None = None
    size: tuple[int, int] = (1280, 720)
    theme: str = "dark"
    fps: float = 8
    dwell: float = 1.5
    history: int = 5
    leads: tuple[float, float] | None = None
    lead: float | None = None
    basemap: Sequence[Any] | None = None
    badges: tuple[str, ...] = ()


def target(request: ExportRequest) -> tuple[str, Path]:
    """(kind, path to write) of a request. Raises WrongUsage for an unknown kind."""
    output, suffix = Path(request.output), Path(request.output).suffix.lower()
    if request.kind:
        if request.kind not in KINDS:
            raise WrongUsage(f"Nothing can be exported as '{request.kind}'. Known: {', '.join(KINDS)}.")
        return request.kind, output
    if suffix in ("", ".png"):
        return ("png", output) if suffix and request.lead is not None else ("frames", output.with_suffix(""))
    if suffix[1:] in KINDS[2:]:
        return suffix[1:], output
    raise WrongUsage(f"'{output.name}' does not say what to export; end it in .png, .gif, .mp4 or .nc.")


def check(request: ExportRequest, kind: str) -> None:
    """Raises WrongUsage for what cannot be shown or written."""
    if request.theme not in ("dark", "light"):
        raise WrongUsage(f"There is no theme called '{request.theme}'. Known: dark, light.")
    if not 0.1 <= request.fps <= (GIF_FASTEST if kind == "gif" else 120):
        raise WrongUsage(f"{request.fps:g} frames a second cannot be shown; a GIF has at most {GIF_FASTEST}.")
    if request.predicted and request.reference_time is None:
        raise WrongUsage("A forecast without its reference time cannot be exported.")
    if request.forecast is None and not request.predicted and kind == "nc":
        raise WrongUsage("There is no forecast to write; run one first.")
    rising = sorted({t for t in request.thresholds if 0 < t < 1e4}) == list(request.thresholds)
    if not rising or not request.thresholds:
        raise WrongUsage("Thresholds must be positive and rise.")
