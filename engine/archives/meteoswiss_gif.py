"""MeteoSwiss radar GIFs (AQC, CPC): the palette index is the value, the palette itself is only for show.

The scale ``mmh2LASSEN8bitmm_mn`` codes the rain accumulated in ``ACCUm`` minutes:
``mm = (10**((i - 71.5) / 20) / 316) ** (1 / 1.5)`` for index i; 0, 1 and 251 to 254 are no rain, 255 is no data
(Z = 316 R**1.5, the Swiss pair; law as in the shared description of the data and in pysteps' MCH importer).
The files do not say where they lie: it is the Swiss grid of 710 x 640 km. RZC and AZC are drawn with colour
tables that are not public; they are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.archives.probe import Probe
from engine.archives.reader import Scan
from engine.errors import UnreadableInput
from engine.radar.grid import Grid
from engine.radar.sequence import Field, FrameRef, Layout
from engine.radar.units import ZR, Quantity

TITLE = "MeteoSwiss GIF"
SCALE = "mmh2LASSEN8bitmm_mn"
PRODUCTS = ("AQC", "CPC")
SHAPE = (640, 710)
SWISS_GRID = ("+proj=somerc +lon_0=7.43958333333333 +lat_0=46.9524055555556 +k_0=1 +x_0=600000 +y_0=200000 "
              "+ellps=bessel +towgs84=674.374,15.056,405.346,0,0,0,0 +units=m")
_STAMP = re.compile(r"PRDT=([A-Z]{3})(\d{2})(\d{3})(\d{2})(\d{2})")


def recognises(probe: Probe) -> bool:
    """A GIF whose comment says that MeteoSwiss made it and for which time."""
    head = probe.head
    return head.startswith((b"GIF87a", b"GIF89a")) and b"meteoswiss" in head.lower() and b"PRDT=" in head


def scan(path: Path) -> Scan:
    with _opened(path) as image:
        comment = _comment(image)
    stamp = _STAMP.search(comment)
    if stamp is None:
        raise UnreadableInput(path, "its comment names no product and time", tried=TITLE)
    product = stamp.group(1)
    if product not in PRODUCTS:
        raise UnreadableInput(path, f"the colour scale of the product {product} is not known", tried=TITLE)
    scale = re.search(r"SCALE=(\S+)", comment)
    if scale is None or scale.group(1) != SCALE:
        raise UnreadableInput(path, f"its scale '{scale.group(1) if scale else ''}' is not known", tried=TITLE)
    minutes = re.search(r"ACCUm=(\d{1,6})", comment)
    if minutes is None or int(minutes.group(1)) == 0:
        raise UnreadableInput(path, "it does not say over which time its rain was accumulated", tried=TITLE)
    layout = Layout(TITLE, product, Quantity.RAIN_RATE, "mm", _grid(), ZR(316.0, 1.5), "the provider's: MeteoSwiss",
                    "MeteoSwiss")
    return Scan(layout, (FrameRef(_time(path, stamp), path, int(minutes.group(1))),))


def read(ref: FrameRef, layout: Layout) -> Field:
    with _opened(ref.path) as image:
        image.load()
        indices = np.asarray(image)
    if indices.shape != layout.grid.shape or indices.dtype != np.uint8:
        raise UnreadableInput(ref.path, f"its picture is {indices.shape}, not {layout.grid.shape}", tried=TITLE)
    return _rain_rates(ref.key).take(indices)


@lru_cache(maxsize=8)
def _rain_rates(minutes: int) -> NDArray[np.float32]:
    """mm/h of the 256 indices, for an accumulation over so many minutes."""
    index = np.arange(256, dtype=np.float64)
    rate = (10 ** ((index - 71.5) / 20) / 316) ** (1 / 1.5) * 60.0 / minutes
    rate[[0, 1, 251, 252, 253, 254]] = 0.0
    rate[255] = np.nan
    return rate.astype(np.float32)


@lru_cache(maxsize=1)
def _grid() -> Grid:
    return Grid.regular(left=255_000, top=480_000, dx=1000, dy=1000, nx=SHAPE[1], ny=SHAPE[0], crs=SWISS_GRID)


def _time(path: Path, stamp: re.Match[str]) -> datetime:
    """Two digits of the year, day of the year, hour and minute: the end of the accumulation."""
    year, day, hour, minute = (int(stamp.group(k)) for k in (2, 3, 4, 5))
    if not (1 <= day <= 366 and hour < 24 and minute < 60):
        raise UnreadableInput(path, f"'{stamp.group(0)}' is no date and time", tried=TITLE)
    century = 1900 if year >= 80 else 2000
    return datetime(century + year, 1, 1, hour, minute, tzinfo=UTC) + timedelta(days=day - 1)


def _comment(image: Image.Image) -> str:
    comment = image.info.get("comment", b"")
    return comment.decode("latin-1") if isinstance(comment, bytes) else str(comment)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The picture, not yet decoded; of the one size that has a place on the map, in indices."""
    try:
        with path.open("rb") as file:
            header = file.read(10)
            width, height = (int.from_bytes(header[k:k + 2], "little") for k in (6, 8))
            if (height, width) != SHAPE:
                raise UnreadableInput(path, f"a picture of {width} x {height}; the Swiss grid has 710 x 640",
                                      tried=TITLE)
            file.seek(0)
            with Image.open(file, formats=("GIF",)) as image:
                if image.size != SHAPE[::-1] or image.mode not in ("P", "L"):
                    raise UnreadableInput(path, "its picture is no field of indices", tried=TITLE)
                yield image
    except UnreadableInput:
        raise
    except FileNotFoundError as problem:
        raise UnreadableInput(path, "the file is gone", tried=TITLE) from problem
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError,
            Image.DecompressionBombError, MemoryError, RuntimeError) as problem:
        raise UnreadableInput(path, f"damaged or truncated ({problem})", tried=TITLE) from problem
