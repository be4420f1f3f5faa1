"""One sheet: what both panes show at one time, with everything that a reader needs to trust it.

What stays the same from frame to frame (paper, legend, names, coasts, scale) is drawn once; a frame then costs
its radar pixels, its contours and six short captions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from engine.export.layout import Rect, View, arrange, map_aspect
from engine.export.legend import draw_legend, rgb
from engine.export.lettering import Caption, fitted, width_of
from engine.export.line_layer import ContourLike, LineCanvas, MapLine, Overlay, overlay
from engine.export.look import Look
from engine.export.radar_layer import RadarLayer
from engine.radar.grid import Grid
from engine.radar.sequence import Field
from engine.radar.times import clock
from engine.radar.units import MARSHALL_PALMER, ZR


@dataclass(frozen=True)
class SheetHeader:
    """What all frames of an export share. Times are UTC. track: (valid time, lead minutes) of every frame, for the
    time line; badges: words over every pane, such as SYNTHETIC DATA."""

    archive: str
    forecaster: str = ""
    reference_time: datetime | None = None
    zr: ZR = MARSHALL_PALMER
    zr_source: str = ""
    source: str = ""
    badges: tuple[str, ...] = ()
    track: tuple[tuple[datetime, float], ...] = ()


@dataclass(frozen=True)
class SheetFrame:
    """One moment. lead_minutes: above 0 in the forecast, 0 at the reference time, below it in history.
    observed, predicted: (ny, nx) mm/h, or None where there is none."""

    valid_time: datetime
    lead_minutes: float
    observed: Field | None = None
    predicted: Field | None = None
    observed_contours: tuple[ContourLike, ...] = ()
    predicted_contours: tuple[ContourLike, ...] = ()


class Sheet:
    """Draws frames on one grid. view: what the panes show, the whole grid where None. panes: 2, or 1 for
    observations alone. Raises WrongUsage for an impossible size or view."""

    def __init__(self, grid: Grid, header: SheetHeader, look: Look, size: tuple[int, int] = (1280, 720), *,
                 view: View | None = None, basemap: Sequence[MapLine] = (), predicted_grid: Grid | None = None,
                 panes: int = 2) -> None:
        view = view or grid.extent
        self.header, self.look, self._view, self._grid = header, look, view, grid
        self.place = arrange(size, map_aspect(grid, view), panes)
        pane, unit = self.place.panes[0], self.place.unit
        grids = (grid, predicted_grid or grid)[:panes]
        self._radar = [RadarLayer(each, view, (pane.width, pane.height), look, unit) for each in grids]
        self._lines = LineCanvas(view, pane.width, pane.height, unit)
        self._over = [self._lines.basemap(basemap, look.theme)] if basemap else []
        self._marks = [self._pane_marks(number) for number in range(panes)]
        self._static = self._draw_static()

    @property
    def size(self) -> tuple[int, int]:
        return self.place.size

    def draw(self, frame: SheetFrame, check: Callable[[], None] = lambda: None) -> Image.Image:
        """RGB. check: called between costly steps; it may raise to stop."""
        image = self._static.copy()
        shown = ((frame.observed, frame.observed_contours), (frame.predicted, frame.predicted_contours))
        for number, (pane, (field, contours)) in enumerate(zip(self.place.panes, shown, strict=False)):
            check()
            image.paste(Image.fromarray(self._pane(number, field, contours, check)), (pane.left, pane.top))
        draw = ImageDraw.Draw(image)
        self._draw_position(draw, frame)
        for caption in self.captions(frame):
            caption.draw(draw)
        return image

    def _pane(self, number: int, field: Field | None, contours: tuple[ContourLike, ...],
              check: Callable[[], None]) -> NDArray[np.uint8]:
        pane = rgb(self._radar[number](field))
        check()
        layers = list(self._over)
        if field is not None and contours:
            layers.append(self._lines.contours(contours, self.look))
        for layer in (*layers, self._marks[number]):
            layer.lay_on(pane)
        return pane

    def captions(self, frame: SheetFrame) -> tuple[Caption, ...]:
        """All words that change with the frame, as :meth:`draw` writes them."""
        place, theme, px = self.place, self.look.theme, self.place.px
        right, base = place.header.right, place.header.top
        words = [Caption(f"Valid {frame.valid_time:%Y-%m-%d} {_clock(frame)}", right, base + px(22), px(21),
                         theme.text, "rs"),
                 Caption(self._lead_long(frame), right, base + px(43), px(15), theme.accent, "rs")]
        valid = _clock(frame)
        for number, strip in enumerate(place.captions):
            shown = (frame.observed, frame.predicted)[number]
            text = valid if number == 0 or shown is None else self._forecast_times(frame)
            if shown is not None:
                colour = theme.text if number == 0 else theme.accent
                words.append(Caption(text, strip.right, strip.bottom - px(8), px(15), colour, "rs"))
            else:
                pane = place.panes[number]
                words.append(Caption(self._why_empty(number, frame), pane.left + pane.width // 2,
                                     pane.top + pane.height // 2, px(15), theme.muted, "mm"))
        return tuple(words)

    def _forecast_times(self, frame: SheetFrame) -> str:
        """Lead and valid time, the lead alone where both would crowd the forecaster's name out."""
        lead, both = lead_text(frame.lead_minutes), f"{lead_text(frame.lead_minutes)}   {_clock(frame)}"
        size, strip = self.place.px(15), self.place.captions[0]
        crowded = width_of(self._pane_title(1), size) + width_of(both, size) + size > strip.width
        return lead if crowded else both

    def _pane_title(self, number: int) -> str:
        return ("OBSERVED", f"PREDICTED   {self.header.forecaster}".rstrip())[number]

    def _lead_long(self, frame: SheetFrame) -> str:
        if self.header.reference_time is None:
            return "observed"
        if frame.lead_minutes > 0:
            return f"lead time {lead_text(frame.lead_minutes)}"
        return "reference time" if frame.lead_minutes == 0 else f"history {lead_text(frame.lead_minutes)}"

    def _why_empty(self, number: int, frame: SheetFrame) -> str:
        if number == 0:
            return f"No observation for {_clock(frame)}"
        if frame.lead_minutes <= 0 and self.header.reference_time is not None:
            return f"The forecast starts from {self.header.reference_time:%H:%M} UTC"
        return f"No forecast for {_clock(frame)}"

    def _draw_static(self) -> Image.Image:
        place, look = self.place, self.look
        image = Image.new("RGB", place.size, look.theme.paper)
        draw_legend(image, place, look, self.header.zr)
        draw = ImageDraw.Draw(image)
        for rect in place.panes:
            draw.rectangle((rect.left - 1, rect.top - 1, rect.right, rect.bottom), outline=look.theme.line)
        for caption in (*self._names(), *self._footer()):
            caption.draw(draw)
        self._draw_track(draw)
        return image

    def _names(self) -> list[Caption]:
        place, theme, px, header = self.place, self.look.theme, self.place.px, self.header
        left, base = place.header.left, place.header.top
        room = place.header.width - width_of("Valid 2000-00-00 00:00 UTC", px(21)) - px(32)
        about = []
        if header.forecaster:
            about.append(f"Forecast {header.forecaster}")
        if header.reference_time is not None:
            about.append(f"reference time {header.reference_time:%Y-%m-%d %H:%M} UTC")
        words = [Caption(fitted(header.archive, px(21), room), left, base + px(22), px(21), theme.text),
                 Caption(fitted("  ·  ".join(about), px(15), room), left, base + px(43), px(15), theme.muted)]
        for number, strip in enumerate(place.captions):
            title = fitted(self._pane_title(number), px(15), strip.width - width_of("+000 min", px(15)) - px(12))
            words.append(Caption(title, strip.left, strip.bottom - px(8), px(15), theme.text))
        return words

    def _footer(self) -> list[Caption]:
        place, theme, px, header = self.place, self.look.theme, self.place.px, self.header
        base, relation = place.footer.bottom - px(4), str(header.zr)
        if header.zr_source:
            relation += f" ({header.zr_source})"
        left = f"Stormdeck  ·  {relation}  ·  all times UTC"
        room = place.footer.width - width_of(left, px(12)) - px(32)
        return [Caption(left, place.footer.left, base, px(12), theme.muted),
                Caption(fitted(header.source, px(12), max(room, px(40))), place.footer.right, base, px(12),
                        theme.muted, "rs")]

    def _pane_marks(self, number: int) -> Overlay:
        """Badges, and in the first pane the scale."""
        pane, px, theme = self.place.panes[0], self.place.px, self.look.theme
        image = Image.new("RGBA", (pane.width, pane.height), (0, 0, 0, 0))
        draw, left = ImageDraw.Draw(image), px(10)
        for badge in self.header.badges:
            box = (left, px(10), left + width_of(badge, px(12)) + px(16), px(10) + px(20))
            draw.rounded_rectangle(box, px(4), fill=(*theme.badge, 255))
            Caption(badge, left + px(8), px(10) + px(10), px(12), theme.badge_text, "lm").draw(draw)
            left = box[2] + px(6)
        if number == 0:
            self._draw_scale(draw, pane)
        return overlay(image, shrink=1)

    def _draw_scale(self, draw: ImageDraw.ImageDraw, pane: Rect) -> None:
        px, theme = self.place.px, self.look.theme
        across = (self._view[1] - self._view[0]) / self._grid.dx * self._grid.pixel_km[1]
        length = _round_length(across * 0.28)
        bar, low = round(length / across * pane.width), pane.height - px(14)
        text = f"{length:g} km"
        box = (px(10), low - px(24), px(10) + max(bar, width_of(text, px(12))) + px(16), low + px(6))
        draw.rounded_rectangle(box, px(4), fill=(*theme.paper, 205))
        x = box[0] + px(8)
        draw.line((x, low - px(5), x, low, x + bar, low, x + bar, low - px(5)), fill=(*theme.text, 255), width=px(1.5))
        Caption(text, x + bar // 2 if bar > width_of(text, px(12)) else x, low - px(8), px(12), theme.text,
                "ms" if bar > width_of(text, px(12)) else "ls").draw(draw)

    def _at(self, number: int) -> int:
        line, count = self.place.timeline, len(self.header.track)
        return line.left + round((number + 0.5) * line.width / count)

    def _draw_track(self, draw: ImageDraw.ImageDraw) -> None:
        """A tick for each frame, the reference time marked, the first, the reference and the last one named."""
        track, theme, px, line = self.header.track, self.look.theme, self.place.px, self.place.timeline
        if len(track) < 2:
            return
        y = line.top + px(8)
        draw.line((line.left, y, line.right, y), fill=theme.line, width=px(2))
        for number, (time, lead) in enumerate(track):
            x = self._at(number)
            colour = theme.accent if lead > 0 else theme.muted
            is_reference = lead == 0 and self.header.reference_time is not None
            long = 7 if is_reference else 3
            draw.line((x, y - px(long), x, y + px(long)), fill=colour, width=px(2 if is_reference else 1))
            if is_reference:
                Caption(clock(time), x, line.bottom - px(2), px(12), theme.text, "ms").draw(draw)
        zero = [self._at(number) for number, (_, lead) in enumerate(track)
                if lead == 0 and self.header.reference_time is not None]
        for number, x, anchor in ((0, line.left, "ls"), (-1, line.right, "rs")):
            if all(abs(x - at) > px(90) for at in zero):
                text = lead_text(track[number][1]) if self.header.reference_time else clock(track[number][0])
                Caption(text, x, line.bottom - px(2), px(12), theme.muted, anchor).draw(draw)

    def _draw_position(self, draw: ImageDraw.ImageDraw, frame: SheetFrame) -> None:
        times = [time for time, _ in self.header.track]
        if len(times) < 2 or frame.valid_time not in times:
            return
        px, theme, line = self.place.px, self.look.theme, self.place.timeline
        x, y, radius = self._at(times.index(frame.valid_time)), line.top + px(8), px(6)
        colour = theme.accent if frame.lead_minutes > 0 else theme.text
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour, outline=theme.paper, width=px(2))


def _clock(frame: SheetFrame) -> str:
    return f"{clock(frame.valid_time)} UTC"


def lead_text(minutes: float) -> str:
    """+30 min, 0 min, -10 min"""
    return f"{minutes:+g} min" if minutes else "0 min"


def _round_length(km: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not longer."""
    power = 10.0 ** np.floor(np.log10(km))
    return float(max(step * power for step in (1, 2, 5) if step * power <= km * (1 + 1e-9)))
