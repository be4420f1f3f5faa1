"""Where things stand on a sheet, in pixels, for any size and any shape of the map."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import WrongUsage
from engine.radar.grid import Grid

SMALLEST, LARGEST = (480, 320), (7680, 4320)
View = tuple[float, float, float, float]
"""(left, right, bottom, top) in grid coordinates."""


@dataclass(frozen=True)
class Rect:
    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.left + self.width

    @property
    def bottom(self) -> int:
        return self.top + self.height


@dataclass(frozen=True)
class Arrangement:
    """unit: pixels per pixel of a 1280 x 720 sheet. captions: the strips above the panes."""

    size: tuple[int, int]
    unit: float
    header: Rect
    panes: tuple[Rect, ...]
    captions: tuple[Rect, ...]
    legend: Rect
    timeline: Rect
    footer: Rect

    def px(self, length: float) -> int:
        return max(1, round(length * self.unit))


def even_size(size: tuple[int, int]) -> tuple[int, int]:
    """The size with both sides even, as video needs it. Raises WrongUsage for an absurd one."""
    width, height = size[0] // 2 * 2, size[1] // 2 * 2
    fits = SMALLEST[0] <= width <= LARGEST[0] and SMALLEST[1] <= height <= LARGEST[1]
    if not fits:
        raise WrongUsage(f"A picture of {size[0]} x {size[1]} pixels cannot be made; choose between "
                         f"{SMALLEST[0]} x {SMALLEST[1]} and {LARGEST[0]} x {LARGEST[1]}.")
    return width, height


def map_aspect(grid: Grid, view: View) -> float:
    """Width over height of the view on the ground, so that a kilometre is as long both ways."""
    high, wide = grid.pixel_km
    columns, rows = (view[1] - view[0]) / grid.dx, (view[3] - view[2]) / grid.dy
    if not (columns > 0 and rows > 0):
        raise WrongUsage(f"The view {view} is empty; it must be left, right, bottom, top.")
    return columns * wide / (rows * high)


def arrange(size: tuple[int, int], aspect: float, panes: int = 2) -> Arrangement:
    """Panes beside each other or one above the other, whichever makes the map larger. aspect: of the map."""
    width, height = even_size(size)
    unit = min(width / 1280, height / 720)
    margin, gap, caption = round(24 * unit), round(14 * unit), round(26 * unit)
    header = Rect(margin, round(12 * unit), width - 2 * margin, round(50 * unit))
    footer = Rect(margin, height - round(26 * unit), width - 2 * margin, round(18 * unit))
    legend_width, legend_gap = round(104 * unit), round(20 * unit)
    timeline_top = footer.top - round(34 * unit)
    top = header.bottom + round(4 * unit)
    room = (width - 2 * margin - legend_width - legend_gap, timeline_top - round(8 * unit) - top)

    shapes = [(panes, 1), (1, panes)] if panes > 1 else [(1, 1)]
    across, down = max(shapes, key=lambda shape: _map_width(room, shape, gap, caption, aspect))
    map_width = _map_width(room, (across, down), gap, caption, aspect)
    wide, high = max(2, int(map_width)), max(2, int(map_width / aspect))
    spare = room[0] - across * wide - (across - 1) * gap
    gap_x = gap + (min(round(34 * unit), spare // 4) if across > 1 else 0)
    block = across * wide + (across - 1) * gap_x
    left = margin + (room[0] - block) // 2
    used = down * (high + caption) + (down - 1) * gap // 2
    start = top + (room[1] - used) // 2
    tops = [start + row * (high + caption + gap // 2) for row in range(down)]
    lefts = [left + column * (wide + gap_x) for column in range(across)]
    places = [(x, y) for y in tops for x in lefts]
    legend_top, legend_bottom = places[0][1] + caption, places[-1][1] + caption + high
    least = min(round(330 * unit), room[1])
    if legend_bottom - legend_top < least:
        legend_top = min(max(top, (legend_top + legend_bottom - least) // 2), top + room[1] - least)
        legend_bottom = legend_top + least
    return Arrangement(
        (width, height), unit, header,
        panes=tuple(Rect(x, y + caption, wide, high) for x, y in places),
        captions=tuple(Rect(x, y, wide, caption) for x, y in places),
        legend=Rect(left + block + legend_gap, legend_top, legend_width, legend_bottom - legend_top),
        timeline=Rect(margin, timeline_top, width - 2 * margin, round(28 * unit)), footer=footer)


def _map_width(room: tuple[int, int], shape: tuple[int, int], gap: int, caption: int, aspect: float) -> float:
    across, down = shape
    widest = (room[0] - (across - 1) * gap) / across
    highest = (room[1] - (down - 1) * gap // 2) / down - caption
    return min(widest, highest * aspect)
