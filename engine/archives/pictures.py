"""PNG, GIF, PGM and TIFF pictures as fields of stored numbers, sizes checked before anything is decoded."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.archives import wrapped
from engine.errors import UnreadableInput

TITLE = "image"
SUFFIXES = frozenset({".png", ".gif", ".pgm", ".tif", ".tiff"})
MAX_PIXELS = 80_000_000
MAX_BYTES = 512 * 1024**2
_HEADS = (b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")
_DEFLATE_RATIO = 1032
"""The most bytes that deflate makes of one (RFC 1951: 258 bytes of two bits)."""
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_FORMATS = ("PNG", "GIF", "PPM", "TIFF")
_GREY = ("1", "L", "P", "I", "F", "I;16", "I;16B", "I;16L")
_DAMAGE = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, struct.error, OverflowError,
           Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError, RuntimeError)


@dataclass(frozen=True)
class Look:
    """What a picture's header says: (ny, nx) and Pillow's mode."""

    shape: tuple[int, int]
    mode: str

    @property
    def is_grey(self) -> bool:
        return self.mode in _GREY


def is_picture(head: bytes) -> bool:
    """From the first bytes of a file."""
    return head.startswith(_HEADS) or (head[:2] in (b"P2", b"P5") and head[2:3].isspace())


def look(path: Path) -> Look:
    """Size and mode, nothing decoded. Raises UnreadableInput."""
    with _opened(path) as image:
        return Look((image.height, image.width), image.mode)


def stored(path: Path, *, coloured: bool = False, indices: bool = True, shape: tuple[int, int] | None = None
           ) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
    """(numbers, hidden): (ny, nx) stored numbers or (ny, nx, 3) uint8 colours; where pixels are wholly transparent,
    None if none are. indices: palette pictures give their indices, else the grey levels of their colours. Of several
    pictures in one file the first. shape: (ny, nx) that it must have; another is refused before it is decoded.
    Raises UnreadableInput."""
    with _opened(path) as image:
        if shape is not None and (image.height, image.width) != shape:
            raise UnreadableInput(path, f"a picture of {image.width} x {image.height} pixels, the others have "
                                        f"{shape[1]} x {shape[0]}", tried=TITLE)
        hidden = None
        if image.mode in ("LA", "RGBA", "PA") or (coloured and "transparency" in image.info):
            hidden = np.asarray(image.convert("RGBA"))[..., 3] == 0
        if coloured:
            return np.asarray(image.convert("RGB")), hidden
        if image.mode in ("P", "PA") and not indices:
            return _equal_channels(path, np.asarray(image.convert("RGB")), hidden), hidden
        if image.mode in _GREY:
            return _grey(image), hidden
        if image.mode in ("LA", "PA"):
            return np.asarray(image)[..., 0], hidden
        if image.mode in ("RGB", "RGBA"):
            return _equal_channels(path, np.asarray(image)[..., :3], hidden), hidden
        raise UnreadableInput(path, f"a picture of the kind '{image.mode}'; grey, palette and RGB are read",
                              tried=TITLE)


def _grey(image: Image.Image) -> NDArray[np.generic]:
    array = np.asarray(image)
    return array.astype(np.uint8) if array.dtype == np.bool_ else array


def _equal_channels(path: Path, rgb: NDArray[np.uint8], hidden: NDArray[np.bool_] | None) -> NDArray[np.uint8]:
    shown = np.ones(rgb.shape[:2], np.bool_) if hidden is None else ~hidden
    if (rgb[..., 0] != rgb[..., 1])[shown].any() or (rgb[..., 0] != rgb[..., 2])[shown].any():
        raise UnreadableInput(path, "it is a coloured picture", tried=TITLE,
                              advice="Give the values of its colours in the description (law = \"colours\").")
    return np.ascontiguousarray(rgb[..., 0])


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    content = wrapped.read_bytes(path, MAX_BYTES)
    try:
        _check_png(path, content)
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            if min(image.size) < 2 or image.width * image.height > MAX_PIXELS:
                raise UnreadableInput(path, f"a picture of {image.width} x {image.height} pixels", tried=TITLE)
            yield image
    except UnreadableInput:
        raise
    except _DAMAGE as problem:
        raise UnreadableInput(path, f"damaged or truncated ({problem})", tried=TITLE) from problem


def _check_png(path: Path, content: bytes) -> None:
    """A PNG must be long enough for the pixels that its header says, else they would be allocated for nothing.
    Raises UnreadableInput."""
    if not content.startswith(_HEADS[0]) or content[12:16] != b"IHDR" or len(content) < 26:
        return
    width, height = struct.unpack(">II", content[16:24])
    row = 1 + width * content[24] * _PNG_CHANNELS.get(content[25], 1) // 8
    if height * row > _DEFLATE_RATIO * len(content):
        raise UnreadableInput(path, f"{len(content)} bytes cannot hold a picture of {width} x {height} pixels",
                              tried=TITLE)
