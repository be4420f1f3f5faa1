"""Animated GIF, written frame by frame: one fixed palette, endless loop, unchanged pixels left out."""

from __future__ import annotations

import itertools
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import GifImagePlugin, Image

from engine.export.palette import FixedPalette

TRANSPARENT = 255
_KEEP = 1


class GifWriter:
    """Memory does not grow with the number of frames. comment: text that players ignore and tests read."""

    def __init__(self, file: BinaryIO, size: tuple[int, int], palette: FixedPalette, comment: str = "") -> None:
        self._file, self._palette = file, palette
        self._before: NDArray[np.uint8] | None = None
        table = np.zeros((256, 3), np.uint8)
        table[: len(palette.colours)] = palette.colours
        width, height = (side.to_bytes(2, "little") for side in size)
        file.write(b"GIF89a" + width + height + bytes([0xF7, 0, 0]) + table.tobytes())
        file.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00")
        if comment:
            text = comment.encode()
            parts = [text[start: start + 255] for start in range(0, len(text), 255)]
            file.write(b"\x21\xfe" + b"".join(bytes([len(part)]) + part for part in parts) + b"\x00")

    def add(self, image: Image.Image, delay_cs: int) -> None:
        """image: RGB of the writer's size. delay_cs: hundredths of a second that it stays."""
        indices = self._palette(image)
        changed, offset = indices, (0, 0)
        if self._before is not None:
            changed, offset = _changes(self._before, indices)
        self._before = indices
        piece = Image.fromarray(changed).convert("L")
        blocks = GifImagePlugin.getdata(piece, offset, duration=delay_cs * 10, disposal=_KEEP,
                                        transparency=TRANSPARENT, include_color_table=False)
        self._file.writelines(blocks)

    def close(self) -> None:
        self._file.write(b"\x3b")


def _changes(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """The smallest rectangle that holds all changes, pixels that stay being transparent; and its corner."""
    same = before == after
    rows, columns = np.flatnonzero(~same.all(axis=1)), np.flatnonzero(~same.all(axis=0))
    if rows.size == 0:
        return np.full((1, 1), TRANSPARENT, np.uint8), (0, 0)
    box = (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
    return np.where(same[box], np.uint8(TRANSPARENT), after[box]), (box[1].start, box[0].start)


def frame_delays(count: int, fps: float, dwell_s: float) -> list[int]:
    """Hundredths of a second for each frame: right on average for any rate, the last frame dwells longer."""
    ends = [round(100 * number / fps) for number in range(count + 1)]
    delays = [after - before for before, after in itertools.pairwise(ends)]
    delays[-1] += round(100 * dwell_s)
    return [max(2, delay) for delay in delays]
