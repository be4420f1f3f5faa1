"""Colour tables: from a small CSV file to one colour for each of the 256 rain bins."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import UnreadableInput
from engine.radar.scaling import NO_DATA, RainBins, rain_bins

BACKGROUND = 0x14171C
NO_DATA_COLOUR = 0x2B2E34
_COLOUR = re.compile(r"#([0-9a-fA-F]{6})([0-9a-fA-F]{2})?")


@dataclass(frozen=True)
class ColourTable:
    """values: rising, in ``unit``, at least one. rgba: (N, 4) uint8, one colour a value. ``stepped`` tables hold
    each colour until the next value; others blend along the logarithm of the value. Below the first value
    nothing is drawn."""

    name: str
    unit: str
    values: tuple[float, ...]
    rgba: NDArray[np.uint8]
    stepped: bool = False

    @property
    def title(self) -> str:
        """For menus."""
        return self.name.replace("-", " ").capitalize()

    def colours_at(self, values: NDArray[np.floating]) -> NDArray[np.uint8]:
        """(N,) values in ``unit`` to (N, 4) RGBA; transparent below the first value and where NaN."""
        wanted = np.asarray(values, np.float64)
        known = np.array(self.values)
        shown = wanted >= known[0]  # False for NaN
        safe = np.where(shown, wanted, known[0])
        if self.stepped:
            result = self.rgba[np.searchsorted(known, safe, side="right") - 1].copy()
        else:
            place = np.interp(_spread(safe), _spread(known), np.arange(known.size))
            low = np.minimum(place.astype(int), max(known.size - 2, 0))
            high = np.minimum(low + 1, known.size - 1)
            part = (place - low)[:, None]
            result = np.rint(self.rgba[low] * (1 - part) + self.rgba[high] * part).astype(np.uint8)
        result[~shown] = 0
        return result

    def argb(self, bins: RainBins | None = None, no_data: int = 0) -> NDArray[np.uint32]:
        """256 entries 0xAARRGGBB, not premultiplied, for the indices of ``bins`` (the default rain bins where None).

        no_data: 0xAARRGGBB for index 255, transparent unless said otherwise.
        """
        colours = self.colours_at((bins or rain_bins()).values().astype(np.float64)).astype(np.uint32)
        table = colours[:, 3] << 24 | colours[:, 0] << 16 | colours[:, 1] << 8 | colours[:, 2]
        table[NO_DATA] = no_data
        return np.asarray(table, np.uint32)

    def rgb32(self, bins: RainBins | None = None, background: int = BACKGROUND,
              no_data: int = NO_DATA_COLOUR) -> NDArray[np.uint32]:
        """256 opaque entries 0xffRRGGBB over a background of one colour (0xRRGGBB), for the fast RGB32 pictures."""
        colours = self.colours_at((bins or rain_bins()).values().astype(np.float64)).astype(np.float64)
        below = np.array([background >> shift & 0xFF for shift in (16, 8, 0)], np.float64)
        alpha = colours[:, 3:] / 255.0
        mixed = np.rint(colours[:, :3] * alpha + below * (1 - alpha)).astype(np.uint32)
        table = np.uint32(0xFF000000) | mixed[:, 0] << 16 | mixed[:, 1] << 8 | mixed[:, 2]
        table[NO_DATA] = 0xFF000000 | no_data
        return np.asarray(table, np.uint32)


def _spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithms where all table values are positive rates; linear towards zero."""
    return np.asarray(np.log(np.maximum(values, 1e-6)))


def load_colours(path: Path) -> ColourTable:
    """Reads a CSV file: the unit on the first line, then ``value,#rrggbb`` or ``value,#rrggbbaa`` a line.

    ``#`` begins a comment line; the comment ``# stepped`` makes the table stepped. The file's name is the table's.
    Raises UnreadableInput with the line that is wrong.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise UnreadableInput(path, str(problem), tried="a colour table") from problem
    unit = lines[0].strip() if lines else ""
    if unit != "mm/h":
        raise UnreadableInput(path, f"its first line must be the unit mm/h, not '{unit[:20]}'", tried="a colour table")
    rows = [_row(path, number, line) for number, line in enumerate(lines[1:], start=2)
            if line.strip() and not line.startswith("#")]
    values = tuple(value for value, _ in rows)
    if not values or values[0] <= 0 or not np.isfinite(values).all() or (np.diff(values) <= 0).any():
        raise UnreadableInput(path, "its values must be positive and rise", tried="a colour table")
    stepped = any(line.strip() == "# stepped" for line in lines[1:])
    return ColourTable(path.stem, unit, values,
                       np.array([colour for _, colour in rows], np.uint8), stepped)


def _row(path: Path, number: int, line: str) -> tuple[float, tuple[int, ...]]:
    value, _, text = line.partition(",")
    found = _COLOUR.fullmatch(text.strip())
    try:
        if found is None:
            raise ValueError
        return float(value), tuple(bytes.fromhex(found[1] + (found[2] or "ff")))
    except ValueError as problem:
        raise UnreadableInput(path, f"line {number} is not 'value,#rrggbb'", tried="a colour table") from problem
