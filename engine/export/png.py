"""One sheet as PNG, with its times as text inside the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

FAST = 4


def write_png(path: Path, image: Image.Image, facts: Mapping[str, str], compress_level: int = FAST) -> None:
    """facts: keyword to text, stored as iTXt (UTF-8)."""
    info = PngInfo()
    for keyword, text in facts.items():
        info.add_itxt(keyword, text)
    image.save(path, format="PNG", pnginfo=info, compress_level=compress_level)
