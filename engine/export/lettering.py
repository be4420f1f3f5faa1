"""Words on a sheet, in the one font that Pillow carries, so that no font of the system is needed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from PIL import ImageDraw, ImageFont

from engine.export.look import Colour

ELLIPSIS = "..."


@dataclass(frozen=True)
class Caption:
    """text at x, y (pixels) by Pillow's two-letter anchor; size in pixels."""

    text: str
    x: int
    y: int
    size: int
    colour: Colour
    anchor: str = "ls"

    def draw(self, on: ImageDraw.ImageDraw) -> None:
        on.text((self.x, self.y), self.text, fill=self.colour, font=font(self.size), anchor=self.anchor)


@lru_cache(maxsize=64)
def font(size: int) -> ImageFont.FreeTypeFont:
    loaded = ImageFont.load_default(max(7, size))
    if not isinstance(loaded, ImageFont.FreeTypeFont):
        raise RuntimeError("this Pillow was built without FreeType")
    return loaded


def width_of(text: str, size: int) -> int:
    return round(font(size).getlength(text))


def fitted(text: str, size: int, room: int) -> str:
    """The text, shortened at its end where it is longer than ``room`` pixels."""
    if width_of(text, size) <= room:
        return text
    while text and width_of(text + ELLIPSIS, size) > room:
        text = text[:-1]
    return text.rstrip() + ELLIPSIS
