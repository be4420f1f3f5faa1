"""The colour bar of a sheet: rain rate on a logarithmic axis with the matching reflectivity, and no data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from engine.export.layout import Arrangement, Rect
from engine.export.lettering import Caption
from engine.export.line_layer import CASING, dashes
from engine.export.look import Look
from engine.export.radar_layer import hatch
from engine.radar.scaling import rain_bins
from engine.radar.units import ZR

LOWEST, HIGHEST = 0.1, 100.0
"""mm/h at the ends of the bar."""


def draw_legend(sheet: Image.Image, place: Arrangement, look: Look, zr: ZR) -> None:
    """Bar, class limits in mm/h and dBZ with their contour lines, and the no-data swatch."""
    px, theme, rect = place.px, look.theme, place.legend
    draw = ImageDraw.Draw(sheet)
    bar = Rect(rect.left + px(40), rect.top + px(24), px(20), rect.height - px(24 + 48))
    sheet.paste(_image(_ramp(bar, look)), (bar.left, bar.top))
    draw.rectangle((bar.left - 1, bar.top - 1, bar.right, bar.bottom), outline=theme.line)
    for text, x, anchor in (("mm/h", bar.left - px(8), "rs"), ("dBZ", bar.right + px(8), "ls")):
        Caption(text, x, rect.top + px(12), px(12), theme.muted, anchor).draw(draw)
    for threshold in _clear_of_each_other(look.thresholds, bar, px(14)):
        y = bar.top + round(_height_share(threshold) * bar.height)
        tick = _tick(bar.width + px(10), max(px(7), 5), place.unit, look, threshold)
        sheet.paste(tick, (bar.left - px(5), y - tick.height // 2), tick)
        Caption(f"{threshold:g}", bar.left - px(9), y, px(13), theme.text, "rm").draw(draw)
        Caption(f"{zr.dbz_of(threshold):.0f}", bar.right + px(9), y, px(13), theme.muted, "lm").draw(draw)
    swatch = Rect(bar.left, bar.bottom + px(14), bar.width, px(14))
    sheet.paste(_image(hatch(swatch.width, swatch.height, look, place.unit)), (swatch.left, swatch.top))
    draw.rectangle((swatch.left - 1, swatch.top - 1, swatch.right, swatch.bottom), outline=theme.line)
    Caption("no data", swatch.left + swatch.width // 2, swatch.bottom + px(15), px(12), theme.muted, "ms").draw(draw)


def _height_share(rain_rate: float) -> float:
    """0 at the top of the bar, 1 at its foot."""
    share = np.log(HIGHEST / rain_rate) / np.log(HIGHEST / LOWEST)
    return float(np.clip(share, 0.0, 1.0))


def _ramp(bar: Rect, look: Look) -> NDArray[np.uint32]:
    share = (np.arange(bar.height) + 0.5) / bar.height
    rates = (HIGHEST * (LOWEST / HIGHEST) ** share).astype(np.float32)
    column = look.colours.take(rain_bins(look.thresholds)(rates))
    return np.repeat(column[:, None], bar.width, axis=1).astype(np.uint32)


def _clear_of_each_other(thresholds: tuple[float, ...], bar: Rect, least: int) -> list[float]:
    """Those whose labels do not overlap, from the lowest up."""
    kept: list[float] = []
    for threshold in sorted(thresholds):
        if not kept or (_height_share(kept[-1]) - _height_share(threshold)) * bar.height >= least:
            kept.append(threshold)
    return kept


def _tick(wide: int, high: int, unit: float, look: Look, threshold: float) -> Image.Image:
    """A piece of the threshold's contour line, RGBA."""
    style, scale = look.style(threshold), 4
    piece = Image.new("RGBA", (wide * scale, high * scale), (0, 0, 0, 0))
    draw = ImageDraw.Draw(piece)
    line = np.array([[0.0, high * scale / 2], [wide * scale, high * scale / 2]])
    for extra, colour in ((CASING, look.theme.casing), (0.0, style.colour)):
        for stroke in dashes(line, tuple(length * unit * scale for length in style.dash)):
            draw.line(stroke.ravel().tolist(), fill=(*colour, 255),
                      width=max(1, round((style.width + extra) * unit * scale)))
    return piece.convert("RGBa").reduce(scale).convert("RGBA")


def _image(colours: NDArray[np.uint32]) -> Image.Image:
    return Image.fromarray(rgb(colours))


def rgb(colours: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """(h, w) 0xffRRGGBB to (h, w, 3)."""
    channels = np.ascontiguousarray(colours.astype(">u4")).view(np.uint8).reshape(*colours.shape, 4)
    return np.ascontiguousarray(channels[..., 1:])
